//! The maps, and the one way in which a key changes: through a [`Write`], which gives all its changes one new
//! revision.

use crate::snapshot;
use crate::{Alarm, Auth, Digest, Event, EventKind, KeyRange, KeyValue, Members};
use base::{Index, Revision, invariant, reached};
use bytes::Bytes;
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The state machine. `clone()` takes constant time.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    pub(crate) revision: i64,
    /// History before this revision is gone; -1 before the first compaction.
    pub(crate) compacted: i64,
    pub(crate) applied: Index,
    pub(crate) digest: Digest,
    /// The keys as they are now.
    pub(crate) live: OrdMap<Bytes, Live>,
    /// Every version that is kept, the present one and deletions too, by key and revision.
    pub(crate) versions: OrdMap<(Bytes, i64), Version>,
    /// Bytes of the versions in a snapshot.
    pub(crate) version_bytes: u64,
    /// The changed key of every kept change, by revision and place within it.
    pub(crate) log: OrdMap<(i64, u32), Bytes>,
    pub(crate) leases: OrdMap<i64, Lease>,
    pub(crate) members: Arc<Members>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) alarms: BTreeSet<Alarm>,
    /// Bytes of members, users, roles and alarms in a snapshot.
    pub(crate) rest_bytes: u64,
}

/// A key's value from one revision on.
#[derive(Debug, PartialEq)]
pub(crate) struct Body {
    pub value: Bytes,
    pub create: i64,
    pub version: i64,
    pub lease: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Live {
    pub modified: i64,
    pub body: Arc<Body>,
}

/// A change: no body is a deletion.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version {
    /// Place within the revision.
    pub sub: u32,
    pub body: Option<Arc<Body>>,
}

/// A lease, without the time: that is the leader's business.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// Seconds, as granted.
    pub ttl: i64,
    /// Index of the grant, which tells two leases of one id apart.
    pub granted: u64,
    /// Seconds that were left of it when that was last agreed on, without a renewal since; 0: its whole time.
    pub left: i64,
    /// Keys attached.
    pub keys: OrdSet<Bytes>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            revision: 1,
            compacted: -1,
            applied: Index(0),
            digest: Digest::default(),
            live: OrdMap::new(),
            versions: OrdMap::new(),
            version_bytes: 0,
            log: OrdMap::new(),
            leases: OrdMap::new(),
            members: Arc::default(),
            auth: Arc::default(),
            alarms: BTreeSet::new(),
            rest_bytes: 0,
        }
    }
}

impl Store {
    pub fn new() -> Self {
        Self::default()
    }

    /// The revision of the last change; 1 in an empty store.
    pub fn revision(&self) -> Revision {
        Revision(self.revision)
    }

    /// History before this revision is gone; -1 before the first compaction.
    pub fn compacted(&self) -> Revision {
        Revision(self.compacted)
    }

    /// The last log entry applied.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The rolling hash over everything applied.
    pub fn hash(&self) -> u64 {
        self.digest.value()
    }

    /// Keys there are now.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Kept versions of all keys: what history costs.
    pub fn kept(&self) -> usize {
        self.versions.len()
    }

    pub fn lease(&self, id: i64) -> Option<&Lease> {
        self.leases.get(&id)
    }

    /// All leases, by id.
    pub fn leases(&self) -> impl Iterator<Item = (i64, &Lease)> {
        self.leases.iter().map(|(id, lease)| (*id, lease))
    }

    /// True when it takes the place of another.
    pub(crate) fn keep(&mut self, at: (Bytes, i64), version: Version) -> bool {
        self.version_bytes += snapshot::version_bytes(&at.0, &version);
        let key = at.0.clone();
        let replaced = self.versions.insert(at, version);
        self.version_bytes -= replaced.as_ref().map_or(0, |old| snapshot::version_bytes(&key, old));
        replaced.is_some()
    }

    pub(crate) fn let_go(&mut self, at: &(Bytes, i64)) {
        if let Some(version) = self.versions.remove(at) {
            self.version_bytes -= snapshot::version_bytes(&at.0, &version);
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<KeyValue> {
        let (key, live) = self.live.get_key_value(key)?;
        Some(key_value(key, live.modified, &live.body))
    }
}

pub(crate) fn key_value(key: &Bytes, modified: i64, body: &Body) -> KeyValue {
    KeyValue {
        key: key.clone(),
        value: body.value.clone(),
        create_revision: body.create,
        mod_revision: modified,
        version: body.version,
        lease: body.lease,
    }
}

/// Changes under one new revision, which is taken only if there are any.
pub(crate) struct Write<'a> {
    pub store: &'a mut Store,
    revision: i64,
    events: Vec<Event>,
}

impl<'a> Write<'a> {
    pub fn begin(store: &'a mut Store) -> Self {
        let revision = store.revision + 1;
        Self { store, revision, events: Vec::new() }
    }

    /// Sets a key and gives back what it was. A value or lease of `None` stays as it is.
    pub fn put(&mut self, key: &Bytes, value: Option<&Bytes>, lease: Option<i64>) -> Option<KeyValue> {
        let prev = self.store.get(key);
        let before = prev.as_ref();
        let body = Arc::new(Body {
            value: value.or(before.map(|kv| &kv.value)).cloned().unwrap_or_default(),
            create: before.map_or(self.revision, |kv| kv.create_revision),
            version: before.map_or(1, |kv| kv.version + 1),
            lease: lease.or(before.map(|kv| kv.lease)).unwrap_or(0),
        });
        let old_lease = before.map_or(0, |kv| kv.lease);
        if old_lease != body.lease {
            reached!("store: a key left its lease", old_lease != 0 && body.lease == 0);
            reached!("store: a key went from one lease to another", old_lease != 0 && body.lease != 0);
            self.detach(old_lease, key);
            self.attach(body.lease, key);
        }
        self.store.live.insert(key.clone(), Live { modified: self.revision, body: body.clone() });
        let kv = key_value(key, self.revision, &body);
        self.record(Some(body), Event { kind: EventKind::Put, kv, prev: prev.clone() });
        prev
    }

    /// Deletes the keys of a range and gives back what they were.
    pub fn delete(&mut self, range: &KeyRange) -> Vec<KeyValue> {
        let keys: Vec<Bytes> =
            self.store.live.range::<_, [u8]>(range.bounds()).map(|(k, _)| k.clone()).collect();
        keys.iter().filter_map(|key| self.delete_one(key)).collect()
    }

    pub fn delete_one(&mut self, key: &Bytes) -> Option<KeyValue> {
        let live = self.store.live.remove(key)?;
        let prev = key_value(key, live.modified, &live.body);
        reached!(
            "store: a key was deleted before its lease ended",
            prev.lease != 0 && self.store.leases.contains_key(&prev.lease)
        );
        self.detach(prev.lease, key);
        let kv = KeyValue { key: key.clone(), mod_revision: self.revision, ..KeyValue::default() };
        self.record(None, Event { kind: EventKind::Delete, kv, prev: Some(prev.clone()) });
        Some(prev)
    }

    /// Takes the revision if there were changes, and hands them out.
    pub fn finish(self) -> Vec<Event> {
        reached!("store: a write changed nothing", self.events.is_empty());
        reached!("store: a revision holds several changes", self.events.len() > 1);
        if !self.events.is_empty() {
            self.store.revision = self.revision;
        }
        self.events
    }

    fn record(&mut self, body: Option<Arc<Body>>, event: Event) {
        let sub = self.events.len() as u32;
        let key = event.kv.key.clone();
        self.store.digest.event(&event);
        self.store.log.insert((self.revision, sub), key.clone());
        let replaced = self.store.keep((key, self.revision), Version { sub, body });
        invariant!(!replaced, "a key changes once in a revision");
        self.events.push(event);
    }

    fn attach(&mut self, lease: i64, key: &Bytes) {
        if lease != 0 {
            let lease = self.store.leases.get_mut(&lease);
            invariant!(lease.is_some(), "a key is attached to a lease that exists");
            lease.into_iter().for_each(|lease| drop(lease.keys.insert(key.clone())));
        }
    }

    fn detach(&mut self, lease: i64, key: &Bytes) {
        if let Some(lease) = self.store.leases.get_mut(&lease) {
            lease.keys.remove(key);
        }
    }
}
