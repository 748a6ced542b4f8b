//! Keys with revisions, one write at a time (etcd API guarantees; rpc.proto). A key may also be *unsure*: something
//! may have been written that nobody saw.

use crate::history::{Change, Event, Guard, Kv, Span, Text};
use std::{collections::BTreeMap, ops::Bound};

#[derive(Clone, Debug)]
pub struct Model {
    pub revision: i64,
    /// None: known to be absent.
    keys: BTreeMap<Text, Option<Kv>>,
    /// Keys that are not in the map are absent, or unsure.
    unsure: bool,
}

impl Default for Model {
    fn default() -> Self {
        Model { revision: 1, keys: BTreeMap::new(), unsure: false }
    }
}

/// What the model says of a key or a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<T> {
    Sure(T),
    Unsure,
}

impl<T> Told<T> {
    fn sure(self) -> Option<T> {
        match self {
            Told::Sure(told) => Some(told),
            Told::Unsure => None,
        }
    }
}

impl Model {
    pub fn get(&self, key: &str) -> Told<Option<&Kv>> {
        match self.keys.get(key) {
            Some(kv) => Told::Sure(kv.as_ref()),
            None if self.unsure => Told::Unsure,
            None => Told::Sure(None),
        }
    }

    pub fn range(&self, span: &Span) -> Told<Vec<&Kv>> {
        if span.to.is_empty() {
            return match self.get(&span.from) {
                Told::Sure(kv) => Told::Sure(kv.into_iter().collect()),
                Told::Unsure => Told::Unsure,
            };
        }
        if self.unsure {
            return Told::Unsure;
        }
        let from = self.keys.range::<str, _>((Bound::Included(span.from.as_str()), Bound::Unbounded));
        let within = from.take_while(|(key, _)| span.holds(key));
        Told::Sure(within.filter_map(|(_, kv)| kv.as_ref()).collect())
    }

    /// Whether every guard holds; None when that cannot be told.
    pub fn holds(&self, guards: &[Guard]) -> Option<bool> {
        let mut all = true;
        for guard in guards {
            match self.get(&guard.key) {
                Told::Sure(kv) => all &= kv.map_or(0, |kv| kv.modified) == guard.modified,
                Told::Unsure => return None,
            }
        }
        Some(all)
    }

    /// The events these changes make as one revision, the next; None when that cannot be told.
    pub fn effect(&self, changes: &[Change], revision: i64) -> Option<Vec<Event>> {
        let mut events: Vec<Event> = vec![];
        // what the changes before this one made of a key
        let mut changed: BTreeMap<Text, Option<Kv>> = BTreeMap::new();
        for change in changes {
            let first = events.len();
            match change {
                Change::Put { key, value, lease } => {
                    let prev = match changed.get(key.as_str()) {
                        Some(kv) => kv.as_ref(),
                        None => self.get(key).sure()?,
                    };
                    let kv = Kv {
                        key: key.as_str().into(),
                        value: value.as_str().into(),
                        create: prev.map_or(revision, |kv| kv.create),
                        modified: revision,
                        version: prev.map_or(0, |kv| kv.version) + 1,
                        lease: *lease,
                    };
                    events.push(Event { delete: false, kv, prev: prev.cloned() });
                }
                Change::Delete { span } => {
                    let untouched = self.range(span).sure()?.into_iter();
                    let untouched = untouched.filter(|kv| !changed.contains_key(&kv.key));
                    let changed = changed.values().flatten().filter(|kv| span.holds(&kv.key));
                    let found: BTreeMap<&str, &Kv> =
                        untouched.chain(changed).map(|kv| (kv.key.as_str(), kv)).collect();
                    events.extend(found.into_values().map(|kv| deletion(kv, revision)));
                }
            }
            for event in &events[first..] {
                changed.insert(event.kv.key.clone(), (!event.delete).then(|| event.kv.clone()));
            }
        }
        Some(events)
    }

    /// Takes the events of one revision as they were seen.
    pub fn apply(&mut self, revision: i64, events: &[Event]) {
        self.revision = revision;
        for event in events {
            self.take(event);
        }
    }

    fn take(&mut self, event: &Event) {
        let value = (!event.delete).then(|| event.kv.clone());
        self.keys.insert(event.kv.key.clone(), value);
    }

    /// A revision nobody saw: any key may have changed.
    pub fn skip(&mut self, revision: i64) {
        self.revision = revision;
        self.keys.clear();
        self.unsure = true;
    }

    pub fn live(&self) -> impl Iterator<Item = &Kv> {
        self.keys.values().flatten()
    }
}

fn deletion(kv: &Kv, revision: i64) -> Event {
    let gone = Kv { key: kv.key.clone(), modified: revision, ..Kv::default() };
    Event { delete: true, kv: gone, prev: Some(kv.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Change {
        Change::Put { key: key.into(), value: value.into(), lease: 0 }
    }

    #[test]
    fn version_and_create_revision_start_again_after_a_deletion() {
        let mut model = Model::default();
        for (revision, changes) in [
            (2, vec![put("a", "1")]),
            (3, vec![put("a", "2")]),
            (4, vec![Change::Delete { span: Span::one("a") }]),
            (5, vec![put("a", "3"), put("b", "1")]),
        ] {
            let events = model.effect(&changes, revision).unwrap();
            model.apply(revision, &events);
            if revision == 3 {
                let Told::Sure(Some(kv)) = model.get("a") else { panic!() };
                assert_eq!((kv.create, kv.modified, kv.version), (2, 3, 2));
            }
        }
        let Told::Sure(Some(kv)) = model.get("a") else { panic!() };
        assert_eq!((kv.create, kv.modified, kv.version), (5, 5, 1));
        assert_eq!(model.holds(&[Guard { key: "b".into(), modified: 5 }]), Some(true));
        let deleted = Change::Delete { span: Span::one("b") };
        let events = model.effect(&[put("b", "2"), deleted.clone(), put("b", "3"), deleted], 6).unwrap();
        let (deletes, versions): (Vec<bool>, Vec<i64>) =
            events.iter().map(|event| (event.delete, event.kv.version)).unzip();
        assert_eq!(deletes, [false, true, false, true], "each change sees what those before it made");
        assert_eq!(versions, [2, 0, 1, 0]);
        let events = model.effect(&[put("c", "1"), Change::Delete { span: Span::all() }], 6).unwrap();
        let gone: Vec<&str> = events[1..].iter().map(|event| event.kv.key.as_str()).collect();
        assert_eq!(gone, ["a", "b", "c"]);
        model.skip(6);
        assert_eq!(model.holds(&[Guard { key: "b".into(), modified: 5 }]), None);
    }
}
