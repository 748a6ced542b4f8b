//! One object as the store had it at one revision, and one change of it. Both are shared by every reader and
//! watcher, and never changed once made (bug museum A13).

use bytes::Bytes;
use objects::Object;
use rt::memory::{Gauge, Held};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// An object at a revision. Its `metadata.resourceVersion` says that revision; an object that is not stored
/// (dry runs) is at revision 0 and has none.
///
/// Decoded, an object takes about ten times the memory of its JSON. While it is new many look into it; later it
/// is only sent, and kept for that as its JSON alone.
#[derive(Debug)]
pub struct Item {
    /// Below the kind's prefix: `namespace/name`, or the name alone.
    pub key: String,
    pub revision: i64,
    /// `spec.nodeName`, or empty.
    pub node: String,
    decoded: RwLock<Option<Arc<Object>>>,
    json: OnceLock<Bytes>,
    /// Bytes of the object as it was read; 0 if it was not.
    size: u64,
    /// What it takes in memory, once it has been in a cache, until nobody has it any more.
    held: OnceLock<Held>,
}

impl Item {
    pub fn new(key: &str, revision: i64, object: Object) -> Arc<Self> {
        Self::read(key, revision, object, 0)
    }

    /// An object that was read from so many bytes.
    pub fn read(key: &str, revision: i64, mut object: Object, size: usize) -> Arc<Self> {
        let version = if revision > 0 { revision.to_string() } else { String::new() };
        object.set_resource_version(&version);
        let node = object.get_str(&["spec", "nodeName"]).to_string();
        let decoded = RwLock::new(Some(Arc::new(object)));
        let (json, held) = Default::default();
        Arc::new(Item { key: key.to_string(), revision, node, decoded, json, size: size as u64, held })
    }

    /// The same object as it is shown at another revision.
    fn shown_at(&self, revision: i64) -> Arc<Self> {
        let item = Item::read(&self.key, revision, (*self.object()).clone(), self.size as usize);
        self.held.get().into_iter().for_each(|held| item.count(held.gauge()));
        item
    }

    /// The object. It is decoded for this call alone where only the JSON is kept.
    pub fn object(&self) -> Arc<Object> {
        let decoded = self.decoded.read().unwrap_or_else(PoisonError::into_inner).clone();
        decoded.unwrap_or_else(|| Arc::new(self.decode()))
    }

    fn decode(&self) -> Object {
        Object::from_bytes(&self.json()).expect("the JSON was made from an object")
    }

    /// The object as it goes over the wire; encoded once, however many ask.
    pub fn json(&self) -> Bytes {
        let encode = || {
            let json = Bytes::from(self.object().to_bytes());
            self.held.get().into_iter().for_each(|held| held.grow(json.len() as u64));
            json
        };
        self.json.get_or_init(encode).clone()
    }

    /// Counts what it takes, once.
    pub fn count(&self, gauge: &Gauge) {
        let decoded = self.decoded.read().unwrap_or_else(PoisonError::into_inner).is_some();
        let encoded = self.json.get().map_or(0, Bytes::len) as u64;
        self.held.get_or_init(|| Held::new(gauge, if decoded { self.size } else { 0 } + encoded));
    }

    /// From now on only the JSON is kept.
    pub fn cool(&self) {
        self.json();
        let mut decoded = self.decoded.write().unwrap_or_else(PoisonError::into_inner);
        if decoded.take().is_some() {
            self.held.get().into_iter().for_each(|held| held.shrink(self.size));
        }
    }

    /// Many are going to look into the object again.
    pub fn warm(&self) {
        let mut decoded = self.decoded.write().unwrap_or_else(PoisonError::into_inner);
        if decoded.is_none() {
            *decoded = Some(Arc::new(self.decode()));
            self.held.get().into_iter().for_each(|held| held.grow(self.size));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

impl Change {
    /// As a watch event spells it.
    pub fn word(self) -> &'static str {
        match self {
            Change::Added => "ADDED",
            Change::Modified => "MODIFIED",
            Change::Deleted => "DELETED",
        }
    }
}

/// A change at a revision.
#[derive(Debug)]
pub struct Event {
    pub revision: i64,
    pub change: Change,
    /// The new state; of a deleted object its last state, with the revision of the deletion.
    pub item: Arc<Item>,
    pub previous: Option<Arc<Item>>,
    parting: OnceLock<Arc<Item>>,
}

impl Event {
    pub fn put(item: Arc<Item>, previous: Option<Arc<Item>>) -> Arc<Self> {
        let change = if previous.is_some() { Change::Modified } else { Change::Added };
        Arc::new(Event { revision: item.revision, change, item, previous, parting: OnceLock::new() })
    }

    /// `last` as it was before it was deleted at `revision`.
    pub fn delete(last: Arc<Item>, revision: i64) -> Arc<Self> {
        let shown = if base::bug!("A06") { last.revision } else { revision };
        let item = last.shown_at(shown);
        let parting = OnceLock::new();
        Arc::new(Event { revision, change: Change::Deleted, item, previous: Some(last), parting })
    }

    /// The event by which a listed object enters a watch.
    pub fn listed(item: Arc<Item>) -> Arc<Self> {
        Event::put(item, None)
    }

    /// What to show to a watcher that sees the object no longer: the state it last saw, with this event's
    /// revision, so that a resumed watch does not go back (bug museum A06).
    pub fn parting(&self) -> Arc<Item> {
        let last = self.previous.as_ref().unwrap_or(&self.item);
        self.parting.get_or_init(|| last.shown_at(self.revision)).clone()
    }

    pub fn key(&self) -> &str {
        &self.item.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(revision: i64, phase: &str) -> Arc<Item> {
        let mut object = Object::new("v1", "Pod");
        object.set(&["status", "phase"], phase);
        Item::new("n/a", revision, object)
    }

    #[test]
    fn what_has_cooled_is_the_same_object() {
        let item = item(5, "Running");
        let before = (item.object(), item.json());
        item.cool();
        assert_eq!((item.object(), item.json()), before);
        item.warm();
        assert_eq!((item.object(), item.json()), before);
    }

    #[test]
    fn a_deletion_carries_its_own_revision_and_the_last_state() {
        let event = Event::delete(item(5, "Running"), 9);
        assert_eq!(event.item.object().resource_version(), "9");
        assert_eq!(event.item.object().get_str(&["status", "phase"]), "Running");
        assert_eq!(event.previous.as_ref().unwrap().object().resource_version(), "5");
    }

    #[test]
    fn a_parting_shows_the_previous_state_at_the_events_revision() {
        let event = Event::put(item(8, "Failed"), Some(item(5, "Running")));
        assert_eq!(event.change, Change::Modified);
        let parting = event.parting();
        assert_eq!(parting.object().get_str(&["status", "phase"]), "Running");
        assert_eq!(parting.revision, 8);
        assert_eq!(parting.object().resource_version(), "8");
    }
}
