//! Replication as the leader does it: one noop at the start, entries in a pipeline, commit by what a quorum of
//! disks holds, snapshots to those that need what is compacted, and stepping down when nobody follows.

use crate::effects::Chunk;
use crate::progress::{Pace, Progress};
use crate::{Body, Data, Entry, Node, Payload, Proposed, Refused, Role};
use base::{Index, MemberId, Term, bug, reached};
use std::collections::BTreeSet;

/// Chunks of a snapshot on their way to one follower.
const CHUNKS_IN_FLIGHT: u64 = 4;

impl Node {
    pub(crate) fn become_leader(&mut self) {
        reached!("a leader was elected");
        self.role = Role::Leader;
        self.leader = Some(self.id);
        self.restart_clock();
        let last = self.log.last();
        let others = self.membership().all().into_iter().filter(|id| *id != self.id);
        self.followers = others.map(|id| (id, Progress::probing(last))).collect();
        self.uncommitted = (self.commit.0 + 1..=last.0).map(|index| self.size_of(Index(index))).sum();
        reached!("raft: a new leader holds entries that are not committed", self.uncommitted > 0);
        reached!("raft: a leader needs nobody else", self.followers.is_empty());
        self.push_own(Payload::Noop);
        self.replicate_to_all();
    }

    fn size_of(&self, index: Index) -> u64 {
        self.log.entry(index).map_or(0, Entry::size)
    }

    pub(crate) fn push_own(&mut self, payload: Payload) {
        let entry = Entry { term: self.hard.term, index: self.log.last().next(), payload };
        self.uncommitted += entry.size();
        self.push_entry(entry);
    }

    pub(crate) fn tick_leader(&mut self) {
        if self.elapsed >= self.knobs.raft_election_ticks {
            self.elapsed = 0;
            let followed = self.membership().is_quorum(|id| self.followers.get(&id).is_none_or(|f| f.active));
            if !followed {
                reached!("a leader without a quorum stepped down");
                return self.follow(self.hard.term, None);
            }
            for follower in self.followers.values_mut() {
                follower.was_active = std::mem::take(&mut follower.active);
            }
        }
        self.tick_transfer();
        self.since_beat += 1;
        if self.since_beat >= self.knobs.raft_heartbeat_ticks {
            self.beat();
        }
    }

    pub(crate) fn propose(&mut self, commands: Vec<Data>) {
        if self.role != Role::Leader {
            self.out.proposed = Some(Err(Refused::NotLeader { leader: self.leader }));
            return;
        }
        // hashicorp/raft#581: R30 goes on taking proposals
        if self.is_transferring() && !bug!("R30") {
            reached!("raft: a proposal was refused while leadership is handed on");
            self.out.proposed = Some(Err(Refused::Transferring));
            return;
        }
        let bytes: u64 = commands.iter().map(|command| command.len() as u64).sum();
        // One that is too big by itself is taken when nothing else waits, or it never could be.
        if self.uncommitted > 0 && self.uncommitted + bytes > self.knobs.raft_uncommitted_bytes {
            reached!("a proposal was refused because too much is uncommitted");
            self.out.proposed = Some(Err(Refused::TooMuchUncommitted));
            return;
        }
        reached!(
            "raft: a proposal larger than the limit went alone",
            bytes > self.knobs.raft_uncommitted_bytes
        );
        let (first, count) = (self.log.last().next(), commands.len() as u64);
        commands.into_iter().for_each(|command| self.push_own(Payload::Command(command)));
        self.out.proposed = Some(Ok(Proposed { term: self.hard.term, first, count }));
        self.replicate_to_all();
    }

    pub(crate) fn replicate_to_all(&mut self) {
        for to in self.follower_ids() {
            self.replicate(to);
        }
    }

    pub(crate) fn follower_ids(&self) -> Vec<MemberId> {
        self.followers.keys().copied().collect()
    }

    /// Sends a follower as much as may be on its way to it.
    fn replicate(&mut self, to: MemberId) {
        loop {
            let Some(follower) = self.followers.get(&to) else { return };
            match follower.pace {
                Pace::Snapshot { .. } => return self.send_chunks(to),
                // openraft#1795: R31 takes what cannot be read for the end of the log.
                _ if follower.next <= self.log.base() && !bug!("R31") => self.start_snapshot(to),
                Pace::Probe { waits: true } => {
                    return reached!("raft: entries wait for the answer to a probe");
                }
                Pace::Probe { waits: false } => return self.probe(to),
                Pace::Replicate if follower.next > self.log.last() => return,
                Pace::Replicate if !follower.has_room(&self.knobs) => {
                    return reached!("the window to a follower was full");
                }
                Pace::Replicate => self.pipeline(to),
            }
        }
    }

    fn append(&self, next: Index, entries: Vec<Entry>) -> Body {
        let prev_index = Index(next.0 - 1);
        let prev_term = self.log.term_at(prev_index).unwrap_or(Term(0));
        Body::Append { prev_index, prev_term, entries, commit: self.commit }
    }

    fn entries_from(&self, next: Index) -> Vec<Entry> {
        self.log.slice(next, self.log.last(), self.knobs.raft_append_bytes)
    }

    fn probe(&mut self, to: MemberId) {
        let Some(follower) = self.followers.get_mut(&to) else { return };
        follower.pace = Pace::Probe { waits: true };
        let next = follower.next;
        self.send(to, self.append(next, self.entries_from(next)));
    }

    fn pipeline(&mut self, to: MemberId) {
        let Some(next) = self.followers.get(&to).map(|follower| follower.next) else { return };
        let entries = self.entries_from(next);
        let bytes = entries.iter().map(Entry::size).sum();
        let last = entries.last().map_or(next, |entry| entry.index);
        reached!("raft: an append was cut by its size", last < self.log.last());
        if let Some(follower) = self.followers.get_mut(&to) {
            follower.sent(last, bytes);
            follower.told = follower.told.max(self.commit.min(last));
        }
        self.send(to, self.append(next, entries));
    }

    fn start_snapshot(&mut self, to: MemberId) {
        let Some(snapshot) = self.snapshot.clone() else {
            panic!("expected a snapshot, as the log was compacted to {}", self.log.base());
        };
        reached!("a snapshot was sent");
        if let Some(follower) = self.followers.get_mut(&to) {
            follower.snapshot(snapshot);
        }
    }

    fn send_chunks(&mut self, to: MemberId) {
        let size = self.knobs.raft_snapshot_chunk_bytes.max(1);
        loop {
            let Some(Progress { pace: Pace::Snapshot { snapshot, sent, acked, asks }, .. }) =
                self.followers.get_mut(&to)
            else {
                return;
            };
            let (total, in_flight) = (snapshot.size, if *asks { 1 } else { CHUNKS_IN_FLIGHT });
            // An empty snapshot is one empty chunk; `sent` then counts it as one byte.
            if *sent >= total.max(1) || *sent >= *acked + in_flight * size {
                reached!("raft: chunks of a snapshot wait for answers", *sent < total.max(1));
                return;
            }
            let offset = *sent;
            let end = (offset + size).min(total);
            *sent = end.max(1);
            let (snapshot, length) = (snapshot.clone(), end - offset);
            self.out.chunks.push(Chunk { snapshot, offset, length, term: self.hard.term, from: self.id, to });
        }
    }

    /// The snapshots that followers are being sent.
    pub fn snapshots_in_use(&self) -> BTreeSet<Index> {
        let in_use = |follower: &Progress| match &follower.pace {
            Pace::Snapshot { snapshot, .. } => Some(snapshot.meta.index),
            _ => None,
        };
        self.followers.values().filter_map(in_use).collect()
    }

    /// Followers that were being sent a snapshot that cannot be read get the newest one, if that is another.
    pub(crate) fn snapshot_lost(&mut self, index: Index) {
        let Some(newest) = self.snapshot.clone().filter(|newest| newest.meta.index > index) else {
            self.lost = Some(index);
            return;
        };
        for to in self.follower_ids() {
            let Some(follower) = self.followers.get_mut(&to) else { continue };
            if matches!(&follower.pace, Pace::Snapshot { snapshot, .. } if snapshot.meta.index == index) {
                reached!("raft: a snapshot that cannot be read gave way to a newer one");
                follower.snapshot(newest.clone());
                self.replicate(to);
            }
        }
    }

    /// A follower answered.
    pub(crate) fn on_follower(&mut self, from: MemberId, body: Body) {
        let Some(follower) = self.followers.get_mut(&from) else {
            return reached!("raft: an answer came to one that leads no more");
        };
        follower.active = true;
        match body {
            Body::Appended { index } => self.on_appended(from, index),
            Body::AppendRefused { prev_index, hint_index, hint_term } => {
                self.on_append_refused(from, prev_index, hint_index, hint_term);
            }
            Body::HeartbeatAnswer { round } => self.on_heartbeat_answer(from, round),
            Body::SnapshotAnswer { index, received } => self.on_snapshot_answer(from, index, received),
            _ => {}
        }
    }

    fn on_appended(&mut self, from: MemberId, index: Index) {
        let base = self.log.base();
        let Some(follower) = self.followers.get_mut(&from) else { return };
        let news = follower.acknowledge(index);
        match &follower.pace {
            Pace::Probe { .. } if news || follower.matched == index => {
                reached!("raft: a probe found where the logs agree");
                follower.replicate();
            }
            // Its snapshot arrived, even if the log went on without it and it needs another one.
            Pace::Snapshot { snapshot, .. } if follower.matched >= base.min(snapshot.meta.index) => {
                reached!("raft: a follower has its snapshot");
                reached!(
                    "raft: a follower has its snapshot, but the log went on without it",
                    base > snapshot.meta.index
                );
                follower.replicate();
            }
            _ => {}
        }
        reached!("raft: an acknowledgement brought no news", !news);
        self.go_on_with_transfer();
        if news {
            self.maybe_commit();
            self.tell_commit(from);
        }
        self.replicate(from);
    }

    fn on_append_refused(&mut self, from: MemberId, prev: Index, hint: Index, hint_term: Term) {
        let agree = self.log.may_agree_at(hint, hint_term);
        let Some(follower) = self.followers.get_mut(&from) else { return };
        match follower.pace {
            Pace::Replicate if prev > follower.matched => {
                reached!("raft: a follower lacks an append that was sent");
                follower.probe_from(follower.matched.next());
            }
            Pace::Probe { .. } if prev.next() == follower.next => {
                reached!("a leader went back in a follower's log");
                let next = agree.min(Index(prev.0 - 1)).next().max(follower.matched.next());
                follower.probe_from(if bug!("R24") { prev.next() } else { next });
            }
            _ => return reached!("a refusal came too late to matter"),
        }
        self.replicate(from);
    }

    fn on_heartbeat_answer(&mut self, from: MemberId, round: u64) {
        let last = self.log.last();
        let Some(follower) = self.followers.get_mut(&from) else { return };
        follower.round = follower.round.max(round);
        let quiet = std::mem::replace(&mut follower.quiet, true);
        let (next, in_flight) = (follower.next, follower.in_flight());
        match &mut follower.pace {
            Pace::Probe { waits } => *waits = false,
            // Nothing came back for a while: was the last one lost? An empty append behind it finds out.
            Pace::Replicate if quiet && in_flight > 0 => {
                reached!("raft: a leader looks for an append without an answer");
                self.send(from, self.append(next, Vec::new()));
            }
            // Lost chunks, or a follower that forgot them: the answer to the first chunk says where it stands.
            Pace::Snapshot { sent, acked, asks, .. } if quiet => {
                reached!("raft: a snapshot without an answer is sent again");
                (*sent, *acked, *asks) = (0, 0, true);
            }
            _ => {}
        }
        let lags = self.followers.get(&from).is_some_and(|follower| follower.matched < last);
        if lags {
            self.replicate(from);
        }
        self.confirm_reads();
    }

    fn on_snapshot_answer(&mut self, from: MemberId, index: Index, received: u64) {
        let Some(follower) = self.followers.get_mut(&from) else { return };
        if let Pace::Snapshot { snapshot, sent, acked, asks } = &mut follower.pace
            && snapshot.meta.index == index
        {
            *asks = false;
            if received > *acked {
                *acked = received.min(snapshot.size);
                *sent = (*sent).max(*acked);
                follower.quiet = false;
            }
        }
        self.replicate(from);
    }

    /// Commits what a quorum of disks holds, if the last of it is of this term (Raft paper, figure 8).
    pub(crate) fn maybe_commit(&mut self) {
        let own = self.durable();
        let index = self.membership().reached_by_quorum(|id| match self.followers.get(&id) {
            Some(follower) => follower.matched,
            None if id == self.id => own,
            None => Index(0),
        });
        let of_this_term = bug!("R06") || self.log.term_at(index) == Some(self.hard.term);
        if index <= self.commit {
            return;
        }
        if !of_this_term {
            return reached!("a quorum holds an entry of an older term");
        }
        reached!(
            "raft: entries of an older term were committed by one of this",
            self.log.term_at(self.commit.next()) != Some(self.hard.term)
        );
        let freed: u64 = (self.commit.0 + 1..=index.0).map(|i| self.freed_by(Index(i))).sum();
        self.uncommitted = self.uncommitted.saturating_sub(freed);
        self.commit = index;
        for to in self.follower_ids() {
            self.tell_commit(to);
        }
        self.start_read_round();
        self.settle_config();
    }

    fn freed_by(&self, index: Index) -> u64 {
        let size = self.size_of(index);
        if bug!("R25") { size.saturating_sub(8) } else { size }
    }

    /// Tells a follower what is committed of that which it has, if that is news to it.
    fn tell_commit(&mut self, to: MemberId) {
        let Some(follower) = self.followers.get_mut(&to) else { return };
        let index = self.commit.min(follower.matched);
        if index > follower.told {
            follower.told = index;
            self.send(to, Body::Commit { index });
        }
    }
}
