//! How the members change. The new configuration is an entry like any other, valid as soon as it is in a log. Two
//! that differ by one voter have no quorums without a member in common, and follow one another at once; others meet in
//! a joint one, whose quorums are quorums of both, and which the leader leaves once it is committed (Ongaro, "Consensus:
//! Bridging Theory and Practice", §4.2 and §4.3).
//!
//! Only one change is under way at a time, and none before the leader has committed an entry of its own term: a change
//! of its predecessor's that is not committed might otherwise come back, two voters away (Ongaro, "bug in
//! single-server membership changes", raft-dev, 2015).

use crate::progress::Progress;
use crate::{Data, Membership, Node, Payload, Proposed, Refused, Role};
use base::{MemberId, bug, reached};
use std::collections::BTreeSet;

/// Who is to belong to the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub voters: BTreeSet<MemberId>,
    pub learners: BTreeSet<MemberId>,
    /// What the state machine is to know of the change.
    pub context: Data,
}

impl Node {
    pub(crate) fn reconfigure(&mut self, target: Target) {
        self.out.proposed = Some(match self.refuses(&target) {
            Some(refused) => Err(refused),
            None => {
                let first = self.last().next();
                self.move_to(target);
                Ok(Proposed { term: self.term(), first, count: 1 })
            }
        });
    }

    fn refuses(&self, target: &Target) -> Option<Refused> {
        let committed = self.configs.latest_index() <= self.commit;
        if self.role != Role::Leader {
            return Some(Refused::NotLeader { leader: self.leader() });
        }
        if self.is_transferring() {
            return Some(Refused::Transferring);
        }
        if target.voters.is_empty() || !target.voters.is_disjoint(&target.learners) {
            return Some(Refused::BadMembership);
        }
        if !self.membership().outgoing.is_empty() || !committed && !bug!("R02") {
            reached!("raft: a change of members was refused while another is under way");
            return Some(Refused::ChangeUnderWay);
        }
        if !self.has_committed_in_its_term() && !bug!("R02") {
            reached!("raft: a change of members was refused before the first commit of the term");
            return Some(Refused::ChangeUnderWay);
        }
        None
    }

    fn move_to(&mut self, Target { voters, learners, context }: Target) {
        let now = &self.membership().voters;
        let outgoing =
            if now.symmetric_difference(&voters).count() > 1 { now.clone() } else { BTreeSet::new() };
        reached!("raft: members change by way of a joint configuration", !outgoing.is_empty());
        reached!("raft: a leader begins a change that leaves it out", !voters.contains(&self.id));
        self.append_config(Membership { voters, learners, outgoing }, context);
    }

    fn append_config(&mut self, membership: Membership, context: Data) {
        self.push_own(Payload::Config { membership, context });
        // Those that go are told of it, for as long as it is not committed.
        let last = self.last();
        for id in self.membership().all().into_iter().filter(|id| *id != self.id) {
            self.followers.entry(id).or_insert_with(|| Progress::probing(last));
        }
        self.replicate_to_all();
    }

    /// Whether the leader's commit index is sure to be the cluster's.
    pub(crate) fn has_committed_in_its_term(&self) -> bool {
        self.log.term_at(self.commit) == Some(self.hard.term)
    }

    /// Goes on once a configuration is committed: leaves a joint one, and lets go of those that are gone.
    pub(crate) fn settle_config(&mut self) {
        if self.role != Role::Leader || self.configs.latest_index() > self.commit {
            return;
        }
        if !self.membership().outgoing.is_empty() {
            // etcd-io/etcd#12136: R21 never leaves it.
            if self.has_committed_in_its_term() && !bug!("R21") {
                reached!("raft: a joint configuration was left");
                let plain = Membership { outgoing: BTreeSet::new(), ..self.membership().clone() };
                self.append_config(plain, Data::default());
            }
            return;
        }
        let members = self.membership().all();
        self.followers.retain(|id, _| members.contains(id));
        if !self.membership().voters.contains(&self.id) {
            reached!("raft: a leader that is a voter no more stepped down");
            self.follow(self.hard.term, None);
        }
    }
}
