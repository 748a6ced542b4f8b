//! What a leader knows of one follower, and how much it lets be on its way to it.

use crate::Snapshot;
use base::{Index, Knobs};
use std::collections::VecDeque;
use std::fmt;

/// How entries are sent to a follower.
#[derive(Clone, Debug)]
pub(crate) enum Pace {
    /// Where the logs agree is not known: one message at a time (`waits` for its answer).
    Probe { waits: bool },
    /// Messages follow one another without waiting for answers, as far as the window allows.
    Replicate,
    /// What it needs is compacted: a snapshot is on its way, `sent` bytes of which `acked` arrived. No more than one chunk
    /// at a time while it is not known where it stands (`asks`).
    Snapshot { snapshot: Snapshot, sent: u64, acked: u64, asks: bool },
}

/// One follower, as its leader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// The last index known to be on its disk.
    pub matched: Index,
    /// The next index to send.
    pub next: Index,
    pub pace: Pace,
    /// The commit index it was last told.
    pub told: Index,
    /// It was heard of since the leader last looked.
    pub active: bool,
    /// It had been heard of when the leader last looked.
    pub was_active: bool,
    /// The last heartbeat round it answered.
    pub round: u64,
    /// Nothing moved since its last answer to a heartbeat.
    pub quiet: bool,
    window: Window,
}

impl Progress {
    pub fn probing(last: Index) -> Self {
        Self {
            matched: Index(0),
            next: last.next(),
            pace: Pace::Probe { waits: false },
            told: Index(0),
            active: true,
            was_active: false,
            round: 0,
            quiet: false,
            window: Window::default(),
        }
    }

    pub fn probe_from(&mut self, next: Index) {
        self.next = next;
        self.pace = Pace::Probe { waits: false };
        self.window = Window::default();
    }

    pub fn replicate(&mut self) {
        self.next = self.matched.next();
        self.pace = Pace::Replicate;
        self.window = Window::default();
    }

    pub fn snapshot(&mut self, snapshot: Snapshot) {
        self.next = snapshot.meta.index.next();
        self.pace = Pace::Snapshot { snapshot, sent: 0, acked: 0, asks: false };
        self.window = Window::default();
    }

    /// If it is being sent this one, it is sent it from the beginning.
    pub fn snapshot_replaced(&mut self, by: &Snapshot) {
        if matches!(&self.pace, Pace::Snapshot { snapshot, .. } if snapshot.meta.index == by.meta.index) {
            self.snapshot(by.clone());
        }
    }

    /// Whether another append may follow those on their way.
    pub fn has_room(&self, knobs: &Knobs) -> bool {
        let messages = self.window.messages.len() as u64;
        messages < knobs.raft_inflight_messages.max(1)
            && (messages == 0 || self.window.bytes < knobs.raft_inflight_bytes)
    }

    /// An append up to `last` goes on its way.
    pub fn sent(&mut self, last: Index, bytes: u64) {
        self.next = last.next();
        self.window.messages.push_back((last, bytes));
        self.window.bytes += bytes;
    }

    /// The follower's disk holds the leader's log up to `index`. False if that is no news.
    pub fn acknowledge(&mut self, index: Index) -> bool {
        while let Some((last, bytes)) = self.window.messages.front().copied() {
            if last > index {
                break;
            }
            self.window.messages.pop_front();
            self.window.bytes -= bytes;
        }
        self.quiet = false;
        self.next = self.next.max(index.next());
        let news = index > self.matched;
        self.matched = self.matched.max(index);
        news
    }

    /// Appends on their way.
    pub fn in_flight(&self) -> usize {
        self.window.messages.len()
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { matched, next, .. } = self;
        match &self.pace {
            Pace::Probe { waits } => {
                write!(f, "probe{} matched {matched} next {next}", if *waits { " waits" } else { "" })
            }
            Pace::Replicate => {
                write!(f, "replicate matched {matched} next {next} in flight {}", self.in_flight())
            }
            Pace::Snapshot { snapshot, sent, acked, .. } => {
                let (index, total) = (snapshot.meta.index, snapshot.size);
                write!(f, "snapshot {index} sent {sent} acked {acked} of {total}")
            }
        }
    }
}

/// Appends on their way: the last index and the bytes of each.
#[derive(Clone, Debug, Default)]
struct Window {
    messages: VecDeque<(Index, u64)>,
    bytes: u64,
}
