//! The watch cache of one kind: its state, who waits for it, who watches it. `feed` fills it.
//!
//! Promises: a view is the state at its revision, whole; a watch begins where it said, with no gap to the live
//! events (it is registered under the same lock that gave it the past: bug museum A04); nobody is ever waited for.

use crate::{
    cache::{
        history::History,
        item::{Event, Item},
        snapshot::Snapshot,
        watcher::{Interest, Notice, Queue, Watchers},
    },
    refusal::Refusal,
};
use base::{Knobs, Note, knobs::ms, reached};
use objects::Kind;
use rt::{
    memory::Gauge,
    sync::{Signal, mpsc},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

pub struct Cacher {
    pub kind: &'static Kind,
    /// The API server's name, for notes.
    process: String,
    knobs: Knobs,
    state: Mutex<State>,
    /// The revision moved, or the cache became ready.
    moved: Signal,
    /// Someone waits for the revision to move.
    pub(super) wanted: Signal,
    /// What objects take in memory that are, or have been, in the cache: until no history, no queue and no answer
    /// has them any more.
    held: Gauge,
}

struct State {
    ready: bool,
    revision: i64,
    snapshot: Snapshot,
    history: History,
    watchers: Watchers,
    waiting: u64,
}

/// The whole kind at a revision.
#[derive(Clone)]
pub struct View {
    pub revision: i64,
    pub snapshot: Snapshot,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With every event after this revision.
    After(i64),
    /// With the present state, as ADDED events.
    State,
}

/// A watch under way. Dropping it ends it.
pub struct Subscription {
    cacher: Arc<Cacher>,
    id: u64,
    /// What comes before the queue: the past, or the state.
    first: VecDeque<Notice>,
    queue: Queue,
    /// The revision that `first` ends at.
    pub since: i64,
}

/// The cache is not there yet, or stayed behind.
#[derive(Debug, PartialEq, Eq)]
pub enum Late {
    NotReady,
    Behind { current: i64 },
}

/// One change as the store tells it.
pub enum Told {
    Put(Arc<Item>),
    Delete { key: String, revision: i64 },
}

/// The store told of something at or before the revision the cache stands at.
#[derive(Debug)]
pub struct OutOfOrder;

impl Cacher {
    pub fn new(kind: &'static Kind, process: &str, knobs: &Knobs) -> Arc<Self> {
        let state = State {
            ready: false,
            revision: 0,
            snapshot: Snapshot::default(),
            history: History::new(knobs.watch_cache_events as usize, 0),
            watchers: Watchers::default(),
            waiting: 0,
        };
        Arc::new(Cacher {
            kind,
            process: process.to_string(),
            knobs: knobs.clone(),
            state: Mutex::new(state),
            moved: Signal::new(),
            wanted: Signal::new(),
            held: Gauge::new("watch caches"),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn ready(&self) -> bool {
        self.state().ready
    }

    pub fn revision(&self) -> i64 {
        self.state().revision
    }

    /// True while someone waits for the revision to move.
    pub(super) fn awaited(&self) -> bool {
        self.state().waiting > 0
    }

    /// The present view, however old; None before the first fill.
    pub fn view(&self) -> Option<View> {
        let state = self.state();
        state.ready.then(|| View { revision: state.revision, snapshot: state.snapshot.clone() })
    }

    /// One object as the cache has it, however old.
    pub fn peek(&self, key: &str) -> Option<Arc<Item>> {
        self.state().snapshot.get(key).cloned()
    }

    /// A view not older than `revision`; waits for it for a limited time.
    pub async fn at_least(&self, revision: i64) -> Result<View, Late> {
        let deadline = rt::now() + ms(self.knobs.cache_wait_ms);
        let mut waits = None;
        loop {
            let seen = self.moved.version();
            let late = match self.view() {
                Some(view) if view.revision >= revision => return Ok(view),
                Some(view) => Late::Behind { current: view.revision },
                None => Late::NotReady,
            };
            if waits.is_none() {
                reached!(
                    "api: a reader waits for the watch cache to come up",
                    matches!(late, Late::Behind { .. })
                );
                reached!("api: a reader came before the watch cache was filled", late == Late::NotReady);
                waits = Some(Waits::new(self));
                self.wanted.set();
            }
            rt::select! {
                _ = self.moved.changed(seen) => {}
                () = rt::sleep_until(deadline) => {
                    reached!("a watch cache stayed behind a reader");
                    return Err(late);
                }
            }
        }
    }

    /// Begins a watch. The cache must have been seen ready.
    pub fn watch(self: &Arc<Self>, start: Start, interest: Interest) -> Result<Subscription, Refusal> {
        let mut state = self.state();
        if !state.ready {
            reached!("api: a watch came before the watch cache was filled");
            return Err(not_ready());
        }
        let (first, since) = match start {
            Start::After(revision) => {
                let past = state.history.since(revision);
                let past = past.map_err(|old| Refusal::too_old(old.asked, old.oldest))?;
                reached!("api: a watch begins with events that are kept", !past.is_empty());
                reached!("api: a watch begins ahead of the watch cache", revision > state.revision);
                let first = past.iter().filter_map(|event| interest.notice(event)).collect();
                (first, revision.max(state.revision))
            }
            Start::State => (initial(&state.snapshot, &interest), state.revision),
        };
        let room = self.knobs.watcher_queue as usize;
        let (id, queue) = state.watchers.add(interest, since, room);
        Ok(Subscription { cacher: self.clone(), id, first, queue, since })
    }

    /// The whole state anew. What happened in between is not known, so every watch ends.
    pub(super) fn replace(&self, revision: i64, items: Vec<Arc<Item>>) {
        let mut snapshot = Snapshot::default();
        for item in items {
            item.count(&self.held);
            item.cool();
            snapshot.insert(item);
        }
        let mut state = self.state();
        let revision = revision.max(state.revision);
        state.history.restart(revision);
        state.watchers.clear();
        state.snapshot = snapshot;
        state.revision = revision;
        state.ready = true;
        self.note(&state);
        drop(state);
        self.moved.set();
    }

    /// The changes of one watch response, all of them at once: a revision is never seen in part.
    pub(super) fn apply(&self, changes: Vec<Told>) -> Result<(), OutOfOrder> {
        let mut state = self.state();
        let before = state.revision;
        for told in changes {
            let revision = match &told {
                Told::Put(item) => item.revision,
                Told::Delete { revision, .. } => *revision,
            };
            if revision <= before {
                return Err(OutOfOrder);
            }
            state.take(told, &self.held);
            state.revision = revision;
        }
        drop(state);
        self.moved.set();
        Ok(())
    }

    /// The store says that everything up to here has been told.
    pub(super) fn progress(&self, revision: i64) {
        let mut state = self.state();
        state.revision = state.revision.max(revision);
        self.note(&state);
        drop(state);
        self.moved.set();
    }

    fn note(&self, state: &State) {
        rt::note(Note::Cache {
            process: self.process.clone(),
            resource: self.kind.plural.to_string(),
            revision: state.revision,
            objects: state.snapshot.len() as u64,
            hash: state.snapshot.hash(),
        });
    }
}

impl State {
    fn take(&mut self, told: Told, held: &Gauge) {
        let event = match told {
            Told::Put(item) => {
                item.count(held);
                let previous = self.snapshot.insert(item.clone());
                previous.iter().for_each(|item| item.warm());
                Event::put(item, previous)
            }
            Told::Delete { key, revision } => match self.snapshot.remove(&key) {
                Some(last) => Event::delete(last, revision),
                None => return,
            },
        };
        self.history.push(event.clone());
        self.watchers.dispatch(&event);
    }
}

pub fn not_ready() -> Refusal {
    Refusal::busy("storage is (re)initializing")
}

/// The present state as the first events of a watch.
fn initial(snapshot: &Snapshot, interest: &Interest) -> VecDeque<Notice> {
    let notice = |item: &Arc<Item>| interest.notice(&Event::listed(item.clone()));
    match interest.selection.node() {
        Some(node) => snapshot.on_node(node).filter_map(notice).collect(),
        None => snapshot.range(&interest.scope, "").filter_map(notice).collect(),
    }
}

/// Counts one who waits, for as long as it lives.
struct Waits<'a>(&'a Cacher);

impl<'a> Waits<'a> {
    fn new(cacher: &'a Cacher) -> Self {
        cacher.state().waiting += 1;
        Waits(cacher)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

/// What a subscription has to say at once.
pub enum Ready {
    Notice(Notice),
    Nothing,
    /// The watch was ended from this side: what comes next is not known.
    Ended,
}

impl Subscription {
    /// The next notice; None when the watch was ended from this side.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.first.pop_front() {
            Some(notice) => Some(notice),
            None => self.queue.recv().await,
        }
    }

    /// The next notice if it is there already.
    pub fn try_next(&mut self) -> Ready {
        if let Some(notice) = self.first.pop_front() {
            return Ready::Notice(notice);
        }
        match self.queue.try_recv() {
            Ok(notice) => Ready::Notice(notice),
            Err(mpsc::error::TryRecvError::Empty) => Ready::Nothing,
            Err(mpsc::error::TryRecvError::Disconnected) => Ready::Ended,
        }
    }

    /// True until all of the past, or of the state, has been handed out.
    pub fn in_first(&self) -> bool {
        !self.first.is_empty()
    }

    /// Everything up to this revision is handed out once `try_next` says `Nothing`. It says nothing of the kind
    /// when it says `Ended`: the queue of a slow watcher stops short of this.
    pub fn queued_up_to(&self) -> i64 {
        self.cacher.revision().max(self.since)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.cacher.state().watchers.remove(self.id);
    }
}
