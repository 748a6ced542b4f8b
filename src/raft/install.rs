//! Snapshots as they take the place of a log: those a leader sent, from the disk into the state machine, and those of the
//! member's own. Promise: a state is handed out to be installed when it is on the disk, and nothing behind it before it is
//! installed.

use crate::configs::Configs;
use crate::effects::Piece;
use crate::{Log, Node, Snapshot, SnapshotMeta};
use base::{Index, bug, reached};

/// Where a received snapshot is on its way into the state machine.
#[derive(Debug)]
pub(crate) enum Installing {
    /// On the disk from this ticket on.
    Written(u64, Snapshot),
    /// With the state machine.
    HandedOut(Index),
}

impl Node {
    /// A leader's snapshot takes the place of everything: log, commit, configuration.
    pub(crate) fn replace_by(&mut self, snapshot: Snapshot) {
        let SnapshotMeta { index, term, .. } = snapshot.meta;
        self.disk.forget(self.commit);
        let old = std::mem::replace(&mut self.log, Log::starting_after(index, term));
        self.configs = Configs::of(&snapshot.meta);
        if bug!("R27") {
            let behind = old.slice(index.next(), old.last(), u64::MAX);
            behind.into_iter().for_each(|entry| self.push_entry(entry));
        }
        self.commit = index;
        self.changed.snapshot = true;
        self.changed.log_from = self.changed.log_from.filter(|_| bug!("R27"));
        self.installing = Some(Installing::Written(self.disk.issued + 1, snapshot.clone()));
        self.snapshot = Some(snapshot);
    }

    pub(crate) fn take_piece(&mut self, piece: Piece) {
        self.changed.piece = Some(piece);
    }

    /// What was received is the state machine's to install, once it is on the disk.
    pub(crate) fn hand_out_snapshot(&mut self) {
        let synced = self.disk.synced;
        match self.installing.take() {
            Some(Installing::Written(ticket, snapshot)) if ticket <= synced => {
                self.installing = Some(Installing::HandedOut(snapshot.meta.index));
                self.out.install = Some(snapshot);
            }
            as_it_is => self.installing = as_it_is,
        }
    }

    pub(crate) fn installed(&mut self, index: Index) {
        let current = matches!(self.installing, Some(Installing::HandedOut(current)) if current == index);
        if !current {
            return reached!("raft: a snapshot was installed while a newer one came in");
        }
        reached!("a snapshot was installed");
        self.installing = None;
        self.handed = index;
    }

    pub(crate) fn snapshot_taken(&mut self, index: Index, size: u64) {
        let newest = self.snapshot.as_ref().map_or(Index(0), |snapshot| snapshot.meta.index);
        if index < newest {
            return reached!("a snapshot of ours was overtaken by a received one");
        }
        if index == newest {
            return self.snapshot_replaced(size);
        }
        let Some(meta) = self.snapshot_meta(index) else {
            panic!("expected a snapshot of an applied index, at most {}, not of {index}", self.handed);
        };
        self.snapshot = Some(Snapshot { meta, size });
        if let Some(lost) = self.lost.take() {
            self.snapshot_lost(lost);
        }
        let base = Index(index.0.saturating_sub(self.knobs.snapshot_keep));
        if base > self.log.base() {
            reached!("raft: the log let go of what a snapshot covers");
            self.log.compact(base);
            self.configs.compact(base);
            self.out.compacted = Some(base);
        }
    }

    /// The newest was written anew, as it could not be read: it may have another size by now.
    fn snapshot_replaced(&mut self, size: u64) {
        self.lost = None;
        if let Some(newest) = self.snapshot.as_mut().filter(|newest| newest.size != size) {
            newest.size = size;
            let newest = newest.clone();
            self.followers.values_mut().for_each(|follower| follower.snapshot_replaced(&newest));
        }
    }
}
