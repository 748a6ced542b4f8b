//! What the log must hold, and what it may: written from the promise, not from the code.

use base::{Index, Term};
use std::collections::BTreeMap;
use wal::{Entry, HardState, Record, Recovered, Snapshot};

/// The log as its user sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub hard: HardState,
    pub snapshot: Option<Snapshot>,
    /// The log behind the snapshot or before it, as far as it is known.
    pub entries: BTreeMap<Index, Entry>,
    /// Where a log without entries ends.
    pub end: Index,
}

impl State {
    pub fn covered(&self) -> Index {
        self.snapshot.as_ref().map_or(Index(0), |snapshot| snapshot.index)
    }

    pub fn last(&self) -> Index {
        self.entries.keys().next_back().copied().unwrap_or(self.end)
    }

    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.entries.get(&index).map(|entry| entry.term)
    }

    pub fn record(&mut self, record: &Record) {
        match record {
            Record::HardState(hard) => self.hard = *hard,
            Record::Entry(entry) => {
                self.entries.split_off(&entry.index);
                self.entries.insert(entry.index, entry.clone());
            }
        }
    }

    /// The leader's snapshot is on the disk, the log has not restarted yet.
    pub fn half_installed(&self, snapshot: &Snapshot) -> State {
        let mut state = self.clone();
        if self.term_at(snapshot.index) != Some(snapshot.term) {
            state.entries.clear();
            state.end = snapshot.index;
        }
        state.snapshot = Some(snapshot.clone());
        state
    }

    pub fn installed(&self, snapshot: &Snapshot) -> State {
        let (hard, end) = (self.hard, snapshot.index);
        State { hard, end, snapshot: Some(snapshot.clone()), entries: BTreeMap::new() }
    }

    fn summary(&self) -> String {
        summary(self.hard, self.snapshot.as_ref(), &self.entries.values().collect::<Vec<_>>())
    }

    /// Whether a recovered log is this one. Entries the snapshot covers may be gone.
    pub fn is(&self, found: &Recovered) -> bool {
        let covered = self.covered();
        let wanted = self.entries.range(covered.next()..).map(|(_, entry)| entry);
        let known = |entry: &Entry| self.entries.get(&entry.index).is_none_or(|own| own == entry);
        self.hard == found.hard
            && self.snapshot == found.snapshot
            && wanted.eq(found.entries.iter().filter(|entry| entry.index > covered))
            && found.entries.iter().all(known)
    }
}

fn summary(hard: HardState, snapshot: Option<&Snapshot>, entries: &[&Entry]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|entry| format!("{}.{}x{}", entry.index, entry.term, entry.data.len())).collect();
    let snapshot = snapshot.map(|snapshot| format!("{}.{}x{}", snapshot.index, snapshot.term, snapshot.size));
    format!("{} {:?} {snapshot:?} [{}]", hard.term, hard.vote, entries.join(" "))
}

/// Every state the log may be found in: the last one known to be durable, and those since.
#[derive(Debug)]
pub struct Oracle {
    states: Vec<State>,
    pub synced: u64,
}

impl Default for Oracle {
    fn default() -> Self {
        Self { states: vec![State::default()], synced: 0 }
    }
}

impl Oracle {
    pub fn now(&self) -> &State {
        self.states.last().expect("there is always a state")
    }

    /// Something was begun that leads to this state.
    pub fn may_be(&mut self, state: State) {
        self.states.push(state);
    }

    /// All that was begun is durable.
    pub fn durable(&mut self) {
        self.synced += 1;
        self.states.drain(..self.states.len() - 1);
    }

    /// Holds a recovered log against what it may be; from now on it is that.
    pub fn recovered(&mut self, found: &Recovered) {
        let indexes: Vec<u64> = found.entries.iter().map(|entry| entry.index.0).collect();
        assert!(indexes.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a gap in {indexes:?}");
        let Some(state) = self.states.iter().rev().find(|state| state.is(found)) else {
            let states: Vec<String> = self.states.iter().map(State::summary).collect();
            let snapshot = found.snapshot.as_ref();
            let found = summary(found.hard, snapshot, &found.entries.iter().collect::<Vec<_>>());
            panic!("found {found}\nexpected one of\n{}", states.join("\n"));
        };
        self.states = vec![state.clone()];
    }
}
