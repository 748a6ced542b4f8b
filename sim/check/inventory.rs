//! All objects there are at one moment of a history, and the ways in which they are asked for: by key, by owner, by
//! node, by uid. Each is kept up to date by what changed, as a history is as long as the cluster is large.

use super::objects::{owner, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct Inventory {
    all: BTreeMap<String, Value>,
    owned: Index,
    on_node: Index,
    uids: Index,
}

/// Keys by something that is in the object.
#[derive(Debug, Default)]
struct Index(BTreeMap<String, BTreeSet<String>>);

impl Index {
    fn add(&mut self, word: &str, key: &str) {
        if !word.is_empty() {
            self.0.entry(word.to_string()).or_default().insert(key.to_string());
        }
    }

    fn remove(&mut self, word: &str, key: &str) {
        if let Some(keys) = self.0.get_mut(word) {
            keys.remove(key);
            if keys.is_empty() {
                self.0.remove(word);
            }
        }
    }

    fn keys(&self, word: &str) -> impl Iterator<Item = &String> {
        self.0.get(word).into_iter().flatten()
    }
}

/// What an object is filed under: its controller's uid, its node, its own uid.
fn words(object: &Value) -> [&str; 3] {
    let owner = owner(object).map_or("", |(uid, _)| uid);
    [owner, text(object, &["spec", "nodeName"]), text(object, &["metadata", "uid"])]
}

impl Inventory {
    /// The object of a key is this from now on, or is gone.
    pub fn set(&mut self, key: &str, new: Option<Value>) {
        if let Some(old) = self.all.remove(key) {
            let [owner, node, uid] = words(&old);
            self.owned.remove(owner, key);
            self.on_node.remove(node, key);
            self.uids.remove(uid, key);
        }
        let Some(new) = new else { return };
        let [owner, node, uid] = words(&new);
        self.owned.add(owner, key);
        self.on_node.add(node, key);
        self.uids.add(uid, key);
        self.all.insert(key.to_string(), new);
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.all.get(key)
    }

    pub fn all(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.all.iter()
    }

    pub fn of_resource<'a>(
        &'a self,
        resource: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        let prefix = format!("/registry/{resource}/");
        self.all.range(prefix.clone()..).take_while(move |(key, _)| key.starts_with(&prefix))
    }

    /// Objects of a resource whose controller has this uid.
    pub fn owned<'a>(
        &'a self,
        resource: &str,
        owner: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        let prefix = format!("/registry/{resource}/");
        let keys: Vec<&String> = self.owned.keys(owner).filter(|key| key.starts_with(&prefix)).collect();
        keys.into_iter().filter_map(|key| self.all.get_key_value(key))
    }

    /// Pods that were given to a node.
    pub fn on_node(&self, node: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.on_node.keys(node).filter_map(|key| self.all.get_key_value(key))
    }

    /// The objects with this uid: one, or none.
    pub fn of_uid(&self, uid: &str) -> impl Iterator<Item = &Value> {
        self.uids.keys(uid).filter_map(|key| self.all.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_changes_is_found_where_it_belongs_and_nowhere_else() {
        let pod = |node: &str, owner: &str| {
            let owner = json!([{ "controller": true, "uid": owner, "name": "set" }]);
            json!({ "metadata": { "uid": "p", "ownerReferences": owner }, "spec": { "nodeName": node } })
        };
        let key = "/registry/pods/default/p";
        let mut all = Inventory::default();
        all.set(key, Some(pod("", "a")));
        all.set("/registry/replicasets/default/p", Some(pod("", "a")));
        all.set(key, Some(pod("n", "b")));
        assert_eq!((all.on_node("n").count(), all.on_node("").count()), (1, 0));
        assert_eq!((all.owned("pods", "a").count(), all.owned("pods", "b").count()), (0, 1));
        assert_eq!(all.owned("replicasets", "a").count(), 1);
        assert_eq!(all.of_uid("p").count(), 2);
        all.set(key, None);
        assert_eq!((all.on_node("n").count(), all.owned("pods", "b").count()), (0, 0));
        assert_eq!((all.of_uid("p").count(), all.get(key)), (1, None));
    }
}
