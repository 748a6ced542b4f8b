//! Objects by key, with indexes. Pure. The cache never goes back: an older version of an object does not
//! replace a newer one of the same uid.

use crate::key_of;
use base::{bug, reached};
use objects::Object;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What an index files an object under.
pub type IndexFn = fn(&Object) -> Vec<String>;

/// One change of the cache.
#[derive(Clone, Debug)]
pub enum Delta {
    Added(Arc<Object>),
    Modified { old: Arc<Object>, new: Arc<Object> },
    Deleted(Arc<Object>),
}

impl Delta {
    /// The object as it is now, or as it last was.
    pub fn object(&self) -> &Arc<Object> {
        match self {
            Delta::Added(object) | Delta::Modified { new: object, .. } | Delta::Deleted(object) => object,
        }
    }
}

#[derive(Default)]
struct Index {
    by: Option<IndexFn>,
    /// By what they are filed under, by key: who asks for a thousand need not look up each.
    filed: BTreeMap<String, BTreeMap<String, Arc<Object>>>,
}

#[derive(Default)]
pub struct Cache {
    /// And the size of each.
    objects: BTreeMap<String, (Arc<Object>, u64)>,
    indexes: BTreeMap<&'static str, Index>,
    version: u64,
    /// Of all objects.
    bytes: u64,
}

impl Cache {
    pub fn new(indexes: &[(&'static str, IndexFn)]) -> Self {
        let index = |by: &(&'static str, IndexFn)| (by.0, Index { by: Some(by.1), filed: BTreeMap::new() });
        Cache { indexes: indexes.iter().map(index).collect(), ..Default::default() }
    }

    pub fn get(&self, key: &str) -> Option<Arc<Object>> {
        self.objects.get(key).map(|(object, _)| object.clone())
    }

    /// About the bytes of all objects.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Every object, in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values().map(|(object, _)| object)
    }

    /// The objects filed under `value`, in the order of keys. Panics for an index that was never declared.
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Arc<Object>> {
        let index = self.indexes.get(index).unwrap_or_else(|| panic!("no index called {index}"));
        index.filed.get(value).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The resourceVersion up to which the cache has seen everything.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Everything up to `version` has been seen.
    pub fn advance(&mut self, version: u64) {
        self.version = self.version.max(version);
    }

    /// An object was added or modified. Nothing when the cache already has this version or a newer one. Another
    /// object of the same name, seen after a gap, is a deletion and an addition: whoever waits for the old one
    /// to go must hear of it.
    pub fn upsert(&mut self, object: Object) -> Vec<Delta> {
        let (key, version) = (key_of(&object), version_of(&object));
        let new = Arc::new(object);
        let old = self.get(&key);
        if old.as_ref().is_some_and(|old| old.uid() == new.uid() && version_of(old) >= version) {
            reached!("cache: an object came that is there already");
            return vec![];
        }
        if let Some(old) = &old {
            self.unfile(&key, old);
        }
        self.file(&key, &new);
        self.put(key, new.clone());
        self.advance(version);
        match old {
            Some(old) if old.uid() != new.uid() && !bug!("I07") => {
                reached!("cache: another object took a name between two looks");
                vec![Delta::Deleted(old), Delta::Added(new)]
            }
            Some(old) => vec![Delta::Modified { old, new }],
            None => vec![Delta::Added(new)],
        }
    }

    /// An object was deleted; `object` is its last state.
    pub fn remove(&mut self, object: &Object) -> Option<Delta> {
        let key = key_of(object);
        self.advance(version_of(object));
        reached!("cache: an object went that never was there", !self.objects.contains_key(&key));
        let old = self.take(&key)?;
        self.unfile(&key, &old);
        Some(Delta::Deleted(Arc::new(object.clone())))
    }

    /// The whole state at `version`, from a list: what is not in it is deleted.
    pub fn replace(&mut self, items: Vec<Object>, version: u64) -> Vec<Delta> {
        let kept: BTreeSet<String> = items.iter().map(key_of).collect();
        let gone: Vec<String> = self.objects.keys().filter(|key| !kept.contains(*key)).cloned().collect();
        let mut deltas = vec![];
        for key in gone {
            let Some(old) = self.take(&key) else { continue };
            self.unfile(&key, &old);
            reached!("cache: an object went unseen, as a list shows");
            deltas.push(Delta::Deleted(old));
        }
        for item in items {
            deltas.extend(self.upsert(item));
        }
        self.advance(version);
        deltas
    }

    fn put(&mut self, key: String, object: Arc<Object>) {
        let size = object.size();
        self.bytes += size;
        if let Some((_, before)) = self.objects.insert(key, (object, size)) {
            self.bytes -= before;
        }
    }

    fn take(&mut self, key: &str) -> Option<Arc<Object>> {
        let (object, size) = self.objects.remove(key)?;
        self.bytes -= size;
        Some(object)
    }

    fn file(&mut self, key: &str, object: &Arc<Object>) {
        for index in self.indexes.values_mut() {
            for value in index.by.map(|by| by(object)).unwrap_or_default() {
                index.filed.entry(value).or_default().insert(key.to_string(), object.clone());
            }
        }
    }

    fn unfile(&mut self, key: &str, object: &Object) {
        for index in self.indexes.values_mut() {
            for value in index.by.map(|by| by(object)).unwrap_or_default() {
                if let Some(filed) = index.filed.get_mut(&value) {
                    filed.remove(key);
                    if filed.is_empty() {
                        index.filed.remove(&value);
                    }
                }
            }
        }
    }
}

/// The resourceVersion as a number; 0 when there is none.
pub fn version_of(object: &Object) -> u64 {
    object.resource_version().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, version: u64, node: &str) -> Object {
        let value = json!({
            "apiVersion": "v1", "kind": "Pod", "spec": { "nodeName": node },
            "metadata": { "namespace": "d", "name": name, "uid": name, "resourceVersion": version.to_string() },
        });
        Object::from_value(value).expect("a pod")
    }

    fn by_node(object: &Object) -> Vec<String> {
        vec![object.get_str(&["spec", "nodeName"]).to_string()]
    }

    fn names(cache: &Cache, node: &str) -> Vec<String> {
        cache.by_index("node", node).iter().map(|pod| pod.name().to_string()).collect()
    }

    #[test]
    fn an_index_follows_its_objects() {
        let mut cache = Cache::new(&[("node", by_node)]);
        cache.upsert(pod("a", 1, "n1"));
        cache.upsert(pod("b", 2, "n1"));
        assert_eq!(names(&cache, "n1"), ["a", "b"]);
        cache.upsert(pod("a", 3, "n2"));
        assert_eq!(
            (names(&cache, "n1"), names(&cache, "n2")),
            (vec!["b".to_string()], vec!["a".to_string()])
        );
        cache.remove(&pod("b", 4, "n1"));
        assert!(names(&cache, "n1").is_empty());
        assert_eq!(cache.version(), 4);
    }

    #[test]
    fn an_older_version_changes_nothing() {
        let mut cache = Cache::new(&[("node", by_node)]);
        cache.upsert(pod("a", 5, "n2"));
        assert!(cache.upsert(pod("a", 4, "n1")).is_empty());
        assert_eq!(names(&cache, "n2"), ["a"]);
    }

    #[test]
    fn a_replacement_tells_what_went_and_what_came() {
        let mut cache = Cache::new(&[("node", by_node)]);
        cache.upsert(pod("a", 1, "n1"));
        cache.upsert(pod("b", 2, "n1"));
        let deltas = cache.replace(vec![pod("b", 2, "n1"), pod("c", 3, "n1")], 9);
        assert_eq!(told(&deltas), ["-a", "+c"]);
        assert_eq!(cache.version(), 9);
    }

    #[test]
    fn its_bytes_are_those_of_its_objects() {
        let mut cache = Cache::default();
        assert_eq!(cache.bytes(), 0);
        cache.upsert(pod("a", 1, "n1"));
        let one = cache.bytes();
        assert!(one.abs_diff(pod("a", 1, "n1").to_bytes().len() as u64) < one / 5, "{one}");
        cache.upsert(pod("b", 2, "n1"));
        assert_eq!(cache.bytes(), 2 * one);
        cache.upsert(pod("b", 3, "a-longer-name"));
        assert_eq!(cache.bytes(), 2 * one + 11);
        cache.replace(vec![pod("a", 1, "n1")], 9);
        assert_eq!(cache.bytes(), one);
        cache.remove(&pod("a", 10, "n1"));
        assert_eq!(cache.bytes(), 0);
    }

    fn told(deltas: &[Delta]) -> Vec<String> {
        let sign = |delta: &Delta| match delta {
            Delta::Added(_) => '+',
            Delta::Modified { .. } => '~',
            Delta::Deleted(_) => '-',
        };
        deltas.iter().map(|delta| format!("{}{}", sign(delta), delta.object().uid())).collect()
    }

    /// The garbage collector never heard of the owner's end, and its dependents stayed for ever.
    #[test]
    fn a_namesake_seen_after_a_gap_is_a_deletion_and_an_addition() {
        let mut cache = Cache::new(&[("node", by_node)]);
        cache.upsert(pod("a", 1, "n1"));
        let mut namesake = pod("a", 7, "n2");
        namesake.set(&["metadata", "uid"], "a2");
        let deltas = cache.replace(vec![namesake], 9);
        assert_eq!(told(&deltas), ["-a", "+a2"]);
        assert_eq!((names(&cache, "n1").len(), names(&cache, "n2")), (0, vec!["a".to_string()]));
    }
}
