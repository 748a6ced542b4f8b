//! Which keys a (key, range_end) pair names: an empty end is the key alone, an end of one zero byte is
//! everything from the key on, any other end is the first key that is no longer in.

use bytes::Bytes;
use std::ops::Bound;

/// A set of neighbouring keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    start: Bytes,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    One,
    Before(Bytes),
    Open,
}

impl KeyRange {
    pub fn new(key: &Bytes, range_end: &Bytes) -> Self {
        let end = match range_end.as_ref() {
            [] => End::One,
            [0] => End::Open,
            _ => End::Before(range_end.clone()),
        };
        Self { start: key.clone(), end }
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            End::One => key == self.start,
            End::Before(end) => key >= self.start.as_ref() && key < end.as_ref(),
            End::Open => key >= self.start.as_ref(),
        }
    }

    /// True when there is a key that both name.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(&other.start) && !other.is_empty() || other.contains(&self.start) && !self.is_empty()
    }

    pub fn start(&self) -> &Bytes {
        &self.start
    }

    fn is_empty(&self) -> bool {
        matches!(&self.end, End::Before(end) if end <= &self.start)
    }

    /// The range as bounds over keys; bounds never cross.
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let start = Bound::Included(self.start.as_ref());
        match &self.end {
            End::One => (start, Bound::Included(self.start.as_ref())),
            End::Open => (start, Bound::Unbounded),
            End::Before(_) if self.is_empty() => {
                (Bound::Included(self.start.as_ref()), Bound::Excluded(self.start.as_ref()))
            }
            End::Before(end) => (start, Bound::Excluded(end.as_ref())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &'static str, end: &'static str) -> KeyRange {
        KeyRange::new(&Bytes::from_static(key.as_bytes()), &Bytes::from_static(end.as_bytes()))
    }

    #[test]
    fn an_end_before_the_start_names_nothing() {
        assert!(!range("b", "a").contains(b"a"));
        assert!(!range("b", "b").contains(b"b"));
        assert!(!range("b", "a").overlaps(&range("a", "c")));
    }

    #[test]
    fn ranges_overlap_when_they_share_a_key() {
        assert!(range("a", "c").overlaps(&range("b", "")));
        assert!(!range("a", "b").overlaps(&range("b", "")));
        assert!(range("x", "\0").overlaps(&range("a", "\0")));
        assert!(range("a", "").overlaps(&range("a", "")));
    }
}
