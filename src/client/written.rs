//! What a controller wrote and has not seen in its cache. Pure.
//!
//! A plan made from a cache that lacks the controller's own last write repeats or contradicts it. An update is
//! saved by its resourceVersion, a creation beside it is not. The same holds for a write whose answer was lost.
//! Upstream: KEP-5647, stale controller mitigation; it knows no doubt.

use crate::{cache::version_of, key_of};
use base::{bug, reached};
use objects::Object;
use std::{collections::BTreeMap, time::Duration};

/// What was written, by the key of the object on whose behalf it was.
#[derive(Debug, Default)]
pub struct Written {
    newest: BTreeMap<String, u64>,
    doubts: BTreeMap<String, Vec<Doubt>>,
}

/// A write of unknown outcome.
#[derive(Debug)]
struct Doubt {
    /// Of the object that was to be written.
    object: String,
    /// The version it was to replace; 0 for a creation.
    base: u64,
    /// When the server can no longer carry it out.
    until: Duration,
}

impl Written {
    /// `object`: as the server answered it.
    pub fn wrote(&mut self, key: &str, object: &Object) {
        let newest = self.newest.entry(key.to_string()).or_default();
        *newest = (*newest).max(version_of(object));
    }

    /// `object`, as it was sent, may have been written, or may be until then.
    pub fn doubt(&mut self, key: &str, object: &Object, until: Duration) {
        let doubt = Doubt { object: key_of(object), base: version_of(object), until };
        self.doubts.entry(key.to_string()).or_default().push(doubt);
    }

    /// How long to wait at the most until it is known what became of every write for the key. `version`: that of an
    /// object in the cache. A newer one than was to be replaced tells: the write is in it, or can never be. `unseen`: how
    /// much longer the cache may lack what has happened; until then it tells nothing else.
    pub fn unsure(
        &mut self,
        key: &str,
        now: Duration,
        unseen: Duration,
        version: impl Fn(&str) -> Option<u64>,
    ) -> Option<Duration> {
        let open = |doubt: &Doubt| {
            let told = version(&doubt.object).map_or(doubt.base > 0, |version| version > doubt.base);
            !told && (doubt.until > now || !unseen.is_zero())
        };
        let doubts = self.doubts.get_mut(key)?;
        doubts.retain(open);
        let last = doubts.iter().map(|doubt| doubt.until).max();
        if last.is_none() {
            self.doubts.remove(key);
        }
        let last = last?;
        reached!("controller: it waits to learn what became of its own write");
        Some(last.saturating_sub(now).max(unseen))
    }

    /// True when a cache at this version holds all that was written for the key.
    pub fn is_in(&mut self, key: &str, cache_version: u64) -> bool {
        if self.newest.get(key).is_some_and(|written| *written > cache_version) && !bug!("C08") {
            reached!("controller: its own write is not in the cache yet");
            return false;
        }
        self.newest.remove(key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(version: &str) -> Object {
        let mut object = Object::new("v1", "Pod");
        object.set(&["metadata", "name"], "web");
        object.set(&["metadata", "resourceVersion"], version);
        object
    }

    /// The cache lacks nothing that has happened.
    const SEEN: Duration = Duration::ZERO;

    #[test]
    fn a_write_without_an_answer_is_waited_for_until_the_cache_or_the_time_tells() {
        let second = Duration::from_secs;
        let doubted = |version: &str| {
            let mut written = Written::default();
            written.doubt("a", &object(version), second(9));
            written
        };
        assert_eq!(
            doubted("7").unsure("a", second(2), SEEN, |_| Some(7)),
            Some(second(7)),
            "it is the old one yet"
        );
        assert_eq!(
            doubted("7").unsure("a", second(2), SEEN, |_| Some(8)),
            None,
            "it is written, or never will be"
        );
        assert_eq!(doubted("7").unsure("a", second(2), SEEN, |_| None), None, "it is gone");
        assert_eq!(doubted("7").unsure("a", second(9), SEEN, |_| Some(7)), None, "the server has given up");
        let unseen = doubted("7").unsure("a", second(9), second(5), |_| Some(7));
        assert_eq!(unseen, Some(second(5)), "it may be written and not seen yet");
        assert_eq!(
            doubted("7").unsure("b", second(2), SEEN, |_| Some(7)),
            None,
            "another key waits for nothing"
        );
        assert_eq!(doubted("").unsure("a", second(2), SEEN, |_| None), Some(second(7)), "it may be made yet");
        assert_eq!(
            doubted("").unsure("a", second(2), SEEN, |name| (name == "web").then_some(3)),
            None,
            "it is there"
        );
    }

    #[test]
    fn a_key_waits_for_its_newest_write_only() {
        let mut written = Written::default();
        assert!(written.is_in("a", 0));
        written.wrote("a", &object("12"));
        written.wrote("a", &object("9"));
        assert!(!written.is_in("a", 11));
        assert!(written.is_in("b", 11), "another key waits for nothing");
        assert!(written.is_in("a", 12));
        assert!(written.is_in("a", 3), "what was seen is not waited for again");
    }
}
