//! The present state of one kind: objects by key, and pods also by node. Pure. A clone costs nothing and stands
//! still, so that a list is read without stopping the cache.

use crate::cache::item::Item;
use base::note::version_digest;
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

#[derive(Clone, Default)]
pub struct Snapshot {
    items: OrdMap<String, Arc<Item>>,
    /// (node, key) of every object with a `spec.nodeName`.
    by_node: OrdSet<(String, String)>,
    /// See `hash`.
    hash: u64,
}

impl Snapshot {
    pub fn get(&self, key: &str) -> Option<&Arc<Item>> {
        self.items.get(key)
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn insert(&mut self, item: Arc<Item>) -> Option<Arc<Item>> {
        let previous = self.remove(&item.key);
        if !item.node.is_empty() {
            self.by_node.insert((item.node.clone(), item.key.clone()));
        }
        self.hash ^= version_digest(&item.key, item.revision as u64);
        self.items.insert(item.key.clone(), item);
        previous
    }

    pub fn remove(&mut self, key: &str) -> Option<Arc<Item>> {
        let gone = self.items.remove(key)?;
        if !gone.node.is_empty() {
            self.by_node.remove(&(gone.node.clone(), key.to_string()));
        }
        self.hash ^= version_digest(key, gone.revision as u64);
        Some(gone)
    }

    /// Everything whose key starts with `prefix` and is not before `start`, in order.
    pub fn range<'a>(&'a self, prefix: &'a str, start: &str) -> impl Iterator<Item = &'a Arc<Item>> {
        let start = if start > prefix { start } else { prefix };
        let from = self.items.range(start.to_string()..);
        from.map(|(_, item)| item).take_while(move |item| item.key.starts_with(prefix))
    }

    /// Everything on one node, in order of key.
    pub fn on_node<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Arc<Item>> {
        let from = self.by_node.range((node.to_string(), String::new())..);
        from.take_while(move |(at, _)| at == node).filter_map(|(_, key)| self.items.get(key))
    }

    /// Of the keys and revisions of all objects, as a `Note::Cache` wants it.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use objects::Object;

    fn pod(key: &str, revision: i64, node: &str) -> Arc<Item> {
        let mut object = Object::new("v1", "Pod");
        if !node.is_empty() {
            object.set(&["spec", "nodeName"], node);
        }
        Item::new(key, revision, object)
    }

    fn keys<'a>(items: impl Iterator<Item = &'a Arc<Item>>) -> Vec<&'a str> {
        items.map(|item| item.key.as_str()).collect()
    }

    #[test]
    fn ranges_keep_to_their_prefix_and_start() {
        let mut snapshot = Snapshot::default();
        for key in ["b/2", "a/1", "b/1", "ba/1"] {
            snapshot.insert(pod(key, 1, ""));
        }
        assert_eq!(keys(snapshot.range("", "")), ["a/1", "b/1", "b/2", "ba/1"]);
        assert_eq!(keys(snapshot.range("b/", "")), ["b/1", "b/2"]);
        assert_eq!(keys(snapshot.range("b/", "b/1\0")), ["b/2"]);
        assert_eq!(keys(snapshot.range("", "b/2")), ["b/2", "ba/1"]);
    }

    #[test]
    fn the_node_index_follows_moves_and_deletions() {
        let mut snapshot = Snapshot::default();
        snapshot.insert(pod("n/a", 1, ""));
        snapshot.insert(pod("n/b", 2, "x"));
        snapshot.insert(pod("n/a", 3, "x"));
        assert_eq!(keys(snapshot.on_node("x")), ["n/a", "n/b"]);
        snapshot.insert(pod("n/b", 4, "y"));
        snapshot.remove("n/a");
        assert!(keys(snapshot.on_node("x")).is_empty());
        assert_eq!(keys(snapshot.on_node("y")), ["n/b"]);
    }

    #[test]
    fn a_clone_stands_still_and_the_hash_is_of_the_state() {
        let mut snapshot = Snapshot::default();
        snapshot.insert(pod("n/a", 1, ""));
        let before = snapshot.clone();
        snapshot.insert(pod("n/a", 2, ""));
        snapshot.insert(pod("n/b", 3, ""));
        assert_eq!(before.get("n/a").unwrap().revision, 1);
        snapshot.remove("n/b");
        let mut other = Snapshot::default();
        other.insert(pod("n/a", 2, ""));
        assert_eq!(snapshot.hash(), other.hash());
        assert_ne!(snapshot.hash(), before.hash());
    }
}
