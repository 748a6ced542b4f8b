//! Leadership handed on: the leader takes no more proposals, brings the successor up to date, and tells it to stand for
//! election at once. If it does not lead within an election time-out, the leader goes on (Ongaro, "Consensus: Bridging
//! Theory and Practice", §3.10).

use crate::{Body, Node, Refused, Role};
use base::{MemberId, reached};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    to: MemberId,
    /// Ticks since it began.
    lasts: u64,
    /// The successor was told to stand for election.
    told: bool,
}

impl Node {
    pub(crate) fn is_transferring(&self) -> bool {
        self.transfer.is_some()
    }

    pub(crate) fn transfer_to(&mut self, to: MemberId) {
        let begun = self.may_transfer(to);
        self.out.transfer = Some(begun);
        // who leads already has nothing to do
        if begun.is_ok() && to != self.id {
            self.transfer.get_or_insert(Transfer { to, lasts: 0, told: false });
            self.go_on_with_transfer();
        }
    }

    fn may_transfer(&self, to: MemberId) -> Result<(), Refused> {
        if self.role != Role::Leader {
            return Err(Refused::NotLeader { leader: self.leader });
        }
        if !self.membership().voters.contains(&to) {
            return Err(Refused::NoVoter);
        }
        if to != self.id && self.transfer.is_some_and(|transfer| transfer.to != to) {
            reached!("raft: a transfer was asked for while another is under way");
            return Err(Refused::Transferring);
        }
        Ok(())
    }

    /// The successor stands for election once it holds all of our log.
    pub(crate) fn go_on_with_transfer(&mut self) {
        let Some(transfer) = &mut self.transfer else { return };
        let to = transfer.to;
        let holds_all = self.followers.get(&to).is_some_and(|follower| follower.matched == self.log.last());
        if holds_all && !transfer.told {
            transfer.told = true;
            reached!("raft: a successor was told to stand for election");
            self.send(to, Body::StandForElection);
        }
    }

    pub(crate) fn tick_transfer(&mut self) {
        let Some(transfer) = &mut self.transfer else { return };
        transfer.lasts += 1;
        if transfer.lasts >= self.knobs.raft_election_ticks {
            reached!("raft: a successor did not lead in time");
            self.transfer = None;
        }
    }

    /// The leader wants this member to lead.
    pub(crate) fn on_stand_for_election(&mut self, from: MemberId) {
        if self.role != Role::Follower || self.leader != Some(from) {
            return reached!("raft: one that does not lead named its successor");
        }
        if self.may_lead() {
            reached!("raft: a successor stands for election");
            self.campaign(true);
        }
    }
}
