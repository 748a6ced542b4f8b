//! One watch: which events it wants and how far it is. It pulls: what was not collected yet stays in the store's
//! history, so that a slow client costs no memory and misses nothing.

use super::convert;
use base::{bug, reached};
use bytes::Bytes;
use etcd::pb;
use pb::watch_create_request::FilterType;
use store::{Event, EventKind, KeyRange, Store};

/// Bytes of events in one response after which it is closed at the end of a revision.
const ENOUGH_BYTES: usize = 1 << 20;

#[derive(Clone, Debug)]
pub struct Watcher {
    range: KeyRange,
    /// The first revision not handed out yet. Beyond the store's next one for a watch that starts in the future.
    next: i64,
    /// What `next` was at first.
    start: i64,
    no_puts: bool,
    no_deletes: bool,
    prev_kv: bool,
    pub fragment: bool,
    pub progress_notify: bool,
}

/// What a watcher is to be told.
#[derive(Debug)]
pub enum Step {
    /// Nothing: it is as far as the store is.
    Nothing,
    /// These events, which are all it wants up to and including the revision. There may be none.
    Events { revision: i64, events: Vec<pb::Event> },
    /// It wants what is compacted.
    Compacted { revision: i64 },
}

impl Watcher {
    /// A watch as asked for, in a store at revision `current`. No start revision means "from the next change".
    pub fn new(create: pb::WatchCreateRequest, current: i64) -> Self {
        // An empty key means the least key, and with that any key if the end is open.
        let key = if create.key.is_empty() { Bytes::from_static(b"\0") } else { create.key };
        let filtered = |filter: FilterType| create.filters.contains(&filter.into());
        let now = if bug!("LATE") { current + 2 } else { current + 1 };
        let start = if create.start_revision == 0 { now } else { create.start_revision };
        Self {
            range: KeyRange::new(&key, &create.range_end),
            next: start,
            start,
            no_puts: filtered(FilterType::Noput),
            no_deletes: filtered(FilterType::Nodelete),
            prev_kv: create.prev_kv,
            fragment: create.fragment,
            progress_notify: create.progress_notify,
        }
    }

    /// Everything before this revision has been handed out.
    pub fn next(&self) -> i64 {
        self.next
    }

    pub fn rewind(&mut self) {
        self.next = self.start;
    }

    /// Tells of a new revision. A watcher that is up to date and wants none of its events is past it at once;
    /// true means that it has to collect.
    pub fn offer(&mut self, revision: i64, events: &[Event]) -> bool {
        if revision < self.next {
            return false;
        }
        if events.iter().any(|event| self.wants(event)) {
            return true;
        }
        if self.next == revision {
            self.next = revision + 1;
        }
        false
    }

    /// Takes the next events from history: at most about `most`, but never part of a revision.
    pub fn collect(&mut self, store: &Store, most: usize) -> Step {
        let current = store.revision().0;
        if self.next > current && !bug!("W05") {
            return Step::Nothing;
        }
        let from = if bug!("W05") { self.next.min(current + 1) } else { self.next };
        let compacted = store.compacted().0;
        let gone = bug!("GONE") && from <= compacted;
        let Some(history) = store.history(&self.range, from).ok().filter(|_| !gone) else {
            reached!("a watcher wanted what is compacted");
            if bug!("W04") {
                self.next = current + 1;
                return Step::Nothing;
            }
            return Step::Compacted { revision: compacted };
        };
        let (mut events, mut bytes, mut last) = (Vec::new(), 0, 0);
        let mut up_to = current;
        for event in history {
            let revision = event.kv.mod_revision;
            if revision != last && (events.len() >= most || bytes >= ENOUGH_BYTES) {
                reached!("a watcher catches up in several batches");
                up_to = revision - 1;
                break;
            }
            last = revision;
            if self.wants(&event) || bug!("FILTER") {
                bytes += event.kv.key.len() + event.kv.value.len();
                events.push(self.shown(event));
            }
        }
        self.next = if bug!("AGAIN") && up_to < current { up_to } else { up_to + 1 };
        reached!("member: a watch caught up and found nothing for it", events.is_empty());
        Step::Events { revision: up_to, events }
    }

    fn wants(&self, event: &Event) -> bool {
        let filtered = match event.kind {
            EventKind::Put => self.no_puts,
            EventKind::Delete => self.no_deletes,
        };
        !filtered && self.range.contains(&event.kv.key)
    }

    fn shown(&self, event: Event) -> pb::Event {
        let mut event = convert::event(event);
        if !self.prev_kv {
            event.prev_kv = None;
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Index;
    use store::{Command, DeleteRangeRequest, PutRequest};

    fn put(store: &mut Store, key: &'static str) -> Vec<Event> {
        let request = PutRequest { key: key.into(), value: "v".into(), ..PutRequest::default() };
        store.apply(Index(store.applied().0 + 1), &Command::Put(request)).events
    }

    fn delete(store: &mut Store, key: &'static str) {
        let request = DeleteRangeRequest { key: key.into(), ..DeleteRangeRequest::default() };
        store.apply(Index(store.applied().0 + 1), &Command::DeleteRange(request));
    }

    fn compact(store: &mut Store, revision: i64) {
        store.apply(Index(store.applied().0 + 1), &Command::Compact { revision });
    }

    fn watcher(key: &'static str, start_revision: i64, store: &Store) -> Watcher {
        let create = pb::WatchCreateRequest { key: key.into(), start_revision, ..Default::default() };
        Watcher::new(create, store.revision().0)
    }

    fn revisions(step: Step) -> (i64, Vec<i64>) {
        let Step::Events { revision, events } = step else { panic!("expected events, got {step:?}") };
        (revision, events.iter().map(|event| event.kv.as_ref().unwrap().mod_revision).collect())
    }

    #[test]
    fn a_watcher_takes_up_where_it_was() {
        let mut store = Store::new();
        put(&mut store, "a"); // revision 2
        let mut watcher = watcher("a", 2, &store);
        put(&mut store, "b");
        put(&mut store, "a");
        assert_eq!(revisions(watcher.collect(&store, 100)), (4, vec![2, 4]));
        assert!(matches!(watcher.collect(&store, 100), Step::Nothing));
    }

    #[test]
    fn batches_end_between_revisions() {
        let mut store = Store::new();
        let mut watcher = watcher("a", 0, &store);
        for _ in 0..3 {
            put(&mut store, "a");
        }
        assert_eq!(revisions(watcher.collect(&store, 2)), (3, vec![2, 3]));
        assert_eq!(revisions(watcher.collect(&store, 2)), (4, vec![4]));
    }

    #[test]
    fn a_watcher_of_other_keys_is_not_left_behind_by_compaction() {
        let mut store = Store::new();
        let mut watcher = watcher("z", 0, &store);
        for revision in 2..6 {
            let events = put(&mut store, "a");
            assert!(!watcher.offer(revision, &events));
        }
        compact(&mut store, 5);
        assert!(matches!(watcher.collect(&store, 100), Step::Nothing));
    }

    #[test]
    fn a_watcher_that_fell_behind_compaction_is_told() {
        let mut store = Store::new();
        let mut watcher = watcher("a", 0, &store);
        put(&mut store, "a");
        put(&mut store, "a");
        compact(&mut store, 3);
        assert!(matches!(watcher.collect(&store, 100), Step::Compacted { revision: 3 }));
    }

    #[test]
    fn a_deletion_at_the_compacted_revision_is_still_seen() {
        let mut store = Store::new();
        put(&mut store, "a");
        delete(&mut store, "a"); // revision 3
        let mut watcher = watcher("a", 3, &store);
        compact(&mut store, 3);
        assert_eq!(revisions(watcher.collect(&store, 100)), (3, vec![3]));
    }

    #[test]
    fn a_watch_from_the_future_sees_nothing_earlier() {
        let mut store = Store::new();
        let mut watcher = watcher("a", 4, &store);
        for revision in 2..=3 {
            let events = put(&mut store, "a");
            assert!(!watcher.offer(revision, &events));
            assert!(matches!(watcher.collect(&store, 100), Step::Nothing));
        }
        let events = put(&mut store, "a");
        assert!(watcher.offer(4, &events));
        assert_eq!(revisions(watcher.collect(&store, 100)), (4, vec![4]));
    }
}
