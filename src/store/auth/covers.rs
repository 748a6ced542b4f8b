//! Whether ranges, taken together, hold every key of another range. A key alone is the range up to the key that follows
//! it, which is the key and a zero byte.

use base::bug;
use bytes::Bytes;

/// An end that no key lies behind.
const OPEN: &[u8] = &[0];

/// The first key behind a range; none if there is no end.
fn end<'a>(key: &[u8], range_end: &'a [u8], next: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    match range_end {
        OPEN => None,
        [] => {
            next.extend_from_slice(key);
            next.push(0);
            Some(next)
        }
        _ => Some(range_end),
    }
}

/// True when every key of the wanted range is in at least one of the others, which come in the order of their keys. A
/// range that holds no key at all is no more than its first key.
pub(super) fn covers<'a>(ranges: impl Iterator<Item = &'a (Bytes, Bytes)>, wanted: (&[u8], &[u8])) -> bool {
    let (mut next, mut one) = (Vec::new(), Vec::new());
    let until = match end(wanted.0, wanted.1, &mut next) {
        Some(until) if until <= wanted.0 => end(wanted.0, &[], &mut one),
        until => until,
    };
    let mut from = wanted.0.to_vec();
    for (key, range_end) in ranges {
        if key.as_ref() > from.as_slice() {
            return false; // a gap
        }
        let mut next = Vec::new();
        let Some(end) = end(key, range_end, &mut next) else { return true };
        if end > from.as_slice() {
            from = end.to_vec();
        }
        if until.is_some_and(|until| until < from.as_slice() || until == from && !bug!("EDGE")) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn contains((key, end): (&str, &str), wanted: &str) -> bool {
        match end {
            "" => wanted == key,
            "\0" => wanted >= key,
            _ => wanted >= key && wanted < end,
        }
    }

    /// Every set of up to two ranges over five keys, and every wanted range, against the plain meaning: keys between
    /// these do not matter, as a range that ends at one of them and one that begins there leave no gap.
    #[test]
    fn a_range_is_covered_if_each_of_its_keys_is() {
        let ends = ["", "\0", "b", "c", "d", "e"];
        let all: Vec<(&str, &str)> =
            KEYS.iter().flat_map(|key| ends.iter().map(move |end| (*key, *end))).collect();
        let mut seen = BTreeSet::new();
        for (first, second) in all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b))) {
            let granted: BTreeSet<(Bytes, Bytes)> =
                [first, second].iter().map(|(key, end)| ((*key).into(), (*end).into())).collect();
            for wanted in &all {
                let covered = covers(granted.iter(), (wanted.0.as_bytes(), wanted.1.as_bytes()));
                let keys = probes().into_iter().filter(|key| contains(*wanted, key) || key == wanted.0);
                let meant = keys.clone().all(|key| contains(first, &key) || contains(second, &key));
                assert_eq!(covered, meant, "{first:?} {second:?} for {wanted:?}");
                seen.insert(covered);
            }
        }
        assert_eq!(seen.len(), 2);
    }

    /// The keys, one behind each, and one behind all.
    fn probes() -> Vec<String> {
        let behind = KEYS.iter().map(|key| format!("{key}\0"));
        KEYS.iter().map(|key| (*key).to_string()).chain(behind).chain(["z".to_string()]).collect()
    }
}
