//! The member's own snapshots: made from a clone of the store and written piece by piece, in a task of their own, while
//! writes go on. Beside the store, no more than a piece is held in memory.
//!
//! A snapshot is the whole state. So that a large one is not written again and again for a few entries, the log behind
//! the last has to be as long as the state is large; or, as the log is held in memory, as long as a knob says, or an
//! eighth of the state. Up to there, what is written for snapshots is no more than what is written for the log, and eight
//! times that beyond; and a member that starts reads about twice what its state takes, at most.

use crate::{disk::to_wal_snapshot, error::Error};
use base::{Index, Knobs, reached};
use raft::{Snapshot, SnapshotMeta};
use std::collections::BTreeSet;
use std::future::pending;
use store::{Encoder, Store};

/// A state of no more bytes is written as often as entries say.
const SMALL: u64 = 1 << 20;
/// The part of a large state that the log behind its last snapshot comes to.
const PART: u64 = 8;
/// Bytes made before other tasks have their turn.
const PIECE: usize = 256 << 10;

pub struct Snapshots {
    disk: wal::Snapshots,
    under_way: Option<rt::JoinHandle<Result<(Index, u64), Error>>>,
    last: Index,
    /// Bytes of the entries applied since then.
    behind: u64,
    every: u64,
    /// Bytes of log behind the last snapshot that are enough for the next.
    enough: u64,
    /// One cannot be read, or not all of it: the next must not wait.
    spoiled: bool,
}

impl Snapshots {
    pub fn new(disk: wal::Snapshots, last: Index, knobs: &Knobs) -> Self {
        let (every, enough) = (knobs.snapshot_every.max(1), knobs.snapshot_log_bytes);
        Self { disk, under_way: None, last, behind: 0, every, enough, spoiled: false }
    }

    /// An entry of so many bytes was applied.
    pub fn applied(&mut self, bytes: u64) {
        self.behind += bytes;
    }

    /// Whether it is time, for a state of so many bytes.
    pub fn is_due(&self, applied: Index, state: u64) -> bool {
        if self.spoiled && self.under_way.is_none() {
            return applied > Index(0);
        }
        if state > SMALL && self.behind < state.min(self.enough.max(state / PART)) {
            return false;
        }
        reached!(
            "member: a snapshot is due while the last is being written",
            self.under_way.is_some() && applied.0 >= self.last.0 + self.every
        );
        self.under_way.is_none() && applied.0 >= self.last.0 + self.every
    }

    pub fn start(&mut self, store: &Store, meta: SnapshotMeta) {
        (self.last, self.behind, self.spoiled) = (meta.index, 0, false);
        self.under_way = Some(rt::spawn(take(self.disk.clone(), Encoder::new(store), meta)));
    }

    /// The leader's snapshot took the place of ours.
    pub fn installed(&mut self, index: Index) {
        (self.last, self.behind) = (self.last.max(index), 0);
    }

    /// The one at an index cannot be read. If it is the newest, the state in memory takes its place: says whether.
    pub fn spoiled(&mut self, index: Index) -> bool {
        let news = index >= self.last && self.under_way.is_none() && !self.spoiled;
        self.spoiled |= news;
        news
    }

    /// Those that are being sent stay on the disk.
    pub fn keep(&self, in_use: BTreeSet<Index>) {
        self.disk.keep(in_use);
    }

    /// Where they are.
    pub fn disk(&self) -> &wal::Snapshots {
        &self.disk
    }

    /// Waits for the snapshot under way, and says its index and size; for ever if there is none.
    pub async fn finished(&mut self) -> Result<(Index, u64), Error> {
        let Some(task) = &mut self.under_way else { return pending().await };
        let outcome = task.await;
        self.under_way = None;
        outcome.map_err(|error| Error::Task(error.to_string()))?
    }
}

async fn take(disk: wal::Snapshots, mut encoder: Encoder, meta: SnapshotMeta) -> Result<(Index, u64), Error> {
    let size = encoder.size();
    let mut writer = disk.create(to_wal_snapshot(&Snapshot { meta, size })).await?;
    while let Some(piece) = encoder.next_piece(PIECE) {
        writer.write(&piece).await?;
        rt::yield_now().await;
    }
    Ok((writer.finish().await?.index(), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_state_waits_for_as_much_log() {
        rt::testing::run(1, || async {
            let knobs = Knobs { snapshot_every: 10, snapshot_log_bytes: 8 << 20, ..Knobs::default() };
            let identity = wal::Identity { cluster: 1, member: base::MemberId(1) };
            let dir = std::env::temp_dir().join(format!("wavetank-snapshots-{}", std::process::id()));
            let (wal, _) = wal::Wal::open(&dir, identity, &knobs).await.expect("a log");
            let mut snapshots = Snapshots::new(wal.snapshots(), Index(0), &knobs);
            assert!(!snapshots.is_due(Index(9), SMALL) && snapshots.is_due(Index(10), SMALL), "by entries");
            assert!(!snapshots.is_due(Index(10), 4 << 20), "the log is short");
            snapshots.applied(4 << 20);
            assert!(snapshots.is_due(Index(10), 4 << 20), "it is as long as the state");
            assert!(!snapshots.is_due(Index(10), 64 << 20));
            snapshots.applied(4 << 20);
            assert!(snapshots.is_due(Index(10), 64 << 20), "it is long enough");
            assert!(!snapshots.is_due(Index(9), 64 << 20), "but has too few entries");
            assert!(!snapshots.is_due(Index(10), 1 << 30), "a large state is not written for so little");
            snapshots.applied(120 << 20);
            assert!(snapshots.is_due(Index(10), 1 << 30), "an eighth of it");
            snapshots.installed(Index(5));
            assert!(!snapshots.is_due(Index(20), 4 << 20), "it begins anew");
            assert!(!snapshots.spoiled(Index(4)), "there is a newer one");
            assert!(snapshots.spoiled(Index(5)) && !snapshots.spoiled(Index(5)), "once");
            assert!(snapshots.is_due(Index(1), 4 << 20), "what is on the disk is of no use");
            drop(wal);
            #[cfg(not(madsim))]
            std::fs::remove_dir_all(&dir).expect("its folder");
        });
    }
}
