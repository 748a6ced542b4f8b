//! Linearizable reads without a log entry: a leader notes its commit index, and a round of heartbeats begun
//! *after* the read came in proves that it still led. Reads that come meanwhile share the next round.

use crate::{Body, Node, ReadReady, Role};
use base::{Index, MemberId, bug, reached};
use std::collections::VecDeque;

/// A leader's reads that are not proven yet.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// The last heartbeat round. Never falls while the member runs, so that no answer fits two rounds.
    round: u64,
    waiting: Vec<Read>,
    under_way: VecDeque<Round>,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    from: MemberId,
    context: u64,
}

#[derive(Debug)]
struct Round {
    round: u64,
    index: Index,
    reads: Vec<Read>,
}

impl Reads {
    fn len(&self) -> usize {
        self.waiting.len() + self.under_way.iter().map(|round| round.reads.len()).sum::<usize>()
    }
}

impl Node {
    /// A read of this member's own clients.
    pub(crate) fn read_index(&mut self, context: u64) {
        match self.leader {
            Some(leader) if leader != self.id => {
                reached!("a follower asked its leader for a read");
                self.send(leader, Body::ReadRequest { context });
            }
            _ => self.read_for(self.id, context),
        }
    }

    /// A read of any member's clients; only a leader takes it up.
    pub(crate) fn read_for(&mut self, from: MemberId, context: u64) {
        let read = Read { from, context };
        if self.role != Role::Leader || self.reads.len() as u64 >= self.knobs.raft_reads {
            reached!("raft: a read came to one that does not lead", self.role != Role::Leader);
            reached!("raft: a read was refused because too many wait", self.role == Role::Leader);
            return self.lose_read(read);
        }
        if bug!("R18") {
            return self.answer_read(read, self.commit);
        }
        match self.reads.under_way.back_mut() {
            Some(round) if bug!("R16") => round.reads.push(read),
            _ => self.reads.waiting.push(read),
        }
        self.start_read_round();
    }

    /// Before the first commit of its term a leader does not know what its predecessors committed.
    fn knows_what_is_committed(&self) -> bool {
        bug!("R15") || self.has_committed_in_its_term()
    }

    /// Begins a round for the reads that wait, unless one is under way: they then get the next one.
    pub(crate) fn start_read_round(&mut self) {
        reached!(
            "raft: a read waits for the next round",
            !self.reads.waiting.is_empty() && !self.reads.under_way.is_empty()
        );
        let due = !self.reads.waiting.is_empty() && self.reads.under_way.is_empty();
        if due && self.knows_what_is_committed() {
            self.beat();
        }
    }

    /// Sends a new round of heartbeats; it carries the reads that wait.
    pub(crate) fn beat(&mut self) {
        self.since_beat = 0;
        self.reads.round += 1;
        let round = self.reads.round;
        if !self.reads.waiting.is_empty() {
            if self.knows_what_is_committed() {
                let reads = std::mem::take(&mut self.reads.waiting);
                self.reads.under_way.push_back(Round { round, index: self.commit, reads });
            } else {
                reached!("a read waited for the first commit of the term");
            }
        }
        for to in self.follower_ids() {
            let Some(follower) = self.followers.get_mut(&to) else { continue };
            let commit = if bug!("UNMATCHED") { self.commit } else { self.commit.min(follower.matched) };
            follower.told = follower.told.max(commit);
            self.send(to, Body::Heartbeat { commit, round });
        }
        self.confirm_reads();
    }

    /// Answers the reads of every round that a quorum has answered.
    pub(crate) fn confirm_reads(&mut self) {
        let own = self.reads.round;
        let proven = self.membership().reached_by_quorum(|id| match self.followers.get(&id) {
            Some(follower) => follower.round,
            None if id == self.id => own,
            None => 0,
        });
        while let Some(round) = self.reads.under_way.pop_front_if(|round| round.round <= proven) {
            reached!("raft: one round proved several reads", round.reads.len() > 1);
            round.reads.into_iter().for_each(|read| self.answer_read(read, round.index));
        }
        self.start_read_round();
    }

    fn answer_read(&mut self, read: Read, index: Index) {
        let Read { from, context } = read;
        if from == self.id {
            self.out.reads.push(ReadReady { context, index });
        } else {
            self.send(from, Body::ReadAnswer { context, index });
        }
    }

    fn lose_read(&mut self, read: Read) {
        reached!("raft: a follower's read was lost with its leader", read.from != self.id);
        if read.from == self.id {
            self.out.reads_lost.push(read.context);
        }
    }

    /// A leader no more: it answers none of the reads it holds.
    pub(crate) fn drop_reads(&mut self) {
        let waiting = std::mem::take(&mut self.reads.waiting);
        let under_way = std::mem::take(&mut self.reads.under_way);
        reached!(
            "raft: a leader stepped down and left reads unanswered",
            !waiting.is_empty() || !under_way.is_empty()
        );
        let all = waiting.into_iter().chain(under_way.into_iter().flat_map(|round| round.reads));
        for read in all {
            // etcd-io/etcd#21375: R17 answers, though the change of leader is known.
            if bug!("R17") { self.answer_read(read, self.commit) } else { self.lose_read(read) }
        }
    }
}
