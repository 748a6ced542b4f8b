//! What a controller wrote and has not seen in its cache. Pure.
//!
//! A plan made from a cache that lacks the controller's own last write repeats or contradicts it. An update is
//! saved by its resourceVersion, a creation beside it is not. Upstream: KEP-5647, stale controller mitigation.

use crate::cache::version_of;
use base::reached;
use objects::Object;
use std::collections::BTreeMap;

/// The newest version written, by the key of the object on whose behalf it was.
#[derive(Debug, Default)]
pub struct Written(BTreeMap<String, u64>);

impl Written {
    /// `object`: as the server answered it.
    pub fn wrote(&mut self, key: &str, object: &Object) {
        let newest = self.0.entry(key.to_string()).or_default();
        *newest = (*newest).max(version_of(object));
    }

    /// True when a cache at this version holds all that was written for the key.
    pub fn is_in(&mut self, key: &str, cache_version: u64) -> bool {
        if self.0.get(key).is_some_and(|written| *written > cache_version) {
            reached!("controller: its own write is not in the cache yet");
            return false;
        }
        self.0.remove(key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_waits_for_its_newest_write_only() {
        let object = |version: &str| {
            let mut object = Object::new("v1", "Pod");
            object.set(&["metadata", "resourceVersion"], version);
            object
        };
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
