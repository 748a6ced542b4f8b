//! Changes of members: they wait for their turn, one is under way, and who asked for it is told what became of it.
//! Only a leader carries them out; others pass them on before they come here.

use crate::driver::Core;
use crate::error::Error;
use crate::members::{self, Change, ChangeError, Health, Members};
use crate::proposal::{Proposal, ProposalId};
use base::{Index, MemberId, Term, reached};
use raft::{Input, Proposed, Refused, Role, Target};
use rt::{Mono, sync::oneshot};
use std::collections::VecDeque;
use store::Command;

/// A learner has caught up when it holds so many percent of the leader's log (etcd: `readyPercent`).
const CAUGHT_UP: u64 = 90;

pub type Answer = oneshot::Sender<Result<Members, ChangeError>>;

#[derive(Default)]
pub struct Changes {
    waiting: VecDeque<Waiting>,
    under_way: Option<UnderWay>,
}

struct Waiting {
    change: Change,
    deadline: Mono,
    answer: Answer,
}

struct UnderWay {
    id: ProposalId,
    term: Term,
    members: Members,
    deadline: Mono,
    answer: Answer,
}

impl Changes {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn add(&mut self, change: Change, deadline: Mono, answer: Answer) {
        self.waiting.push_back(Waiting { change, deadline, answer });
    }

    /// The one whose turn it is.
    fn next(&self) -> Option<&Change> {
        if self.under_way.is_some() { None } else { self.waiting.front().map(|waiting| &waiting.change) }
    }

    fn refuse_next(&mut self, error: ChangeError) {
        if let Some(waiting) = self.waiting.pop_front() {
            let _ = waiting.answer.send(Err(error));
        }
    }

    fn refuse_all(&mut self, error: ChangeError) {
        while !self.waiting.is_empty() {
            self.refuse_next(error);
        }
    }

    fn begun(&mut self, id: ProposalId, term: Term, members: Members) {
        if let Some(Waiting { deadline, answer, .. }) = self.waiting.pop_front() {
            self.under_way = Some(UnderWay { id, term, members, deadline, answer });
        }
    }

    /// An entry was applied: the one under way, or one of a later term, so that it never will be.
    pub fn applied(&mut self, id: Option<ProposalId>, term: Term) {
        let over = |change: &mut UnderWay| Some(change.id) == id || change.term < term;
        if let Some(change) = self.under_way.take_if(over) {
            let done = Some(change.id) == id;
            reached!("member: a change of members was lost with its leader", !done);
            let _ = change.answer.send(if done { Ok(change.members) } else { Err(ChangeError::Lost) });
        }
    }

    /// Ends what has waited too long.
    pub fn sweep(&mut self, now: Mono) {
        while self.waiting.front().is_some_and(|waiting| waiting.deadline <= now) {
            self.refuse_next(ChangeError::NotBegun);
        }
        if let Some(change) = self.under_way.take_if(|change| change.deadline <= now) {
            reached!("member: a change of members was not agreed on in time");
            let _ = change.answer.send(Err(ChangeError::Timeout));
        }
    }
}

impl Core {
    /// Begins the next change of members, if it is its turn: the last one is applied here, and it may be begun.
    pub(crate) fn change_members(&mut self) -> Result<(), Error> {
        while let Some(change) = self.changes.next() {
            if self.node.role() != Role::Leader {
                self.changes.refuse_all(ChangeError::NotLeader);
                return Ok(());
            }
            if self.handle.applied() < self.node.configured_at() {
                return Ok(());
            }
            match members::after(&self.handle.members(), change, &self.health()) {
                Err(refused) => self.changes.refuse_next(refused),
                Ok(members) => {
                    if !self.begin_change(members)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// False if it must wait.
    fn begin_change(&mut self, members: Members) -> Result<bool, Error> {
        let id = self.next_id();
        let command = Command::Members(members.clone());
        let context = Proposal { id, command }.encode();
        let of_kind = |learner| {
            let ids = members.present.iter().filter(move |(_, member)| member.learner == learner);
            ids.map(|(id, _)| *id).collect()
        };
        let target = Target { voters: of_kind(false), learners: of_kind(true), context };
        match self.step(Input::Reconfigure(target))? {
            Some(Ok(Proposed { term, .. })) => {
                reached!("member: a change of members was begun");
                self.changes.begun(id, term, members);
                Ok(true)
            }
            Some(Err(Refused::BadMembership)) => {
                self.changes.refuse_next(ChangeError::NotEnoughStarted);
                Ok(true)
            }
            _ => {
                reached!("member: a change of members waits for its turn");
                Ok(false)
            }
        }
    }

    fn health(&self) -> Health {
        let me = self.node.id();
        let others: Vec<MemberId> = self.node.membership().all().into_iter().filter(|id| *id != me).collect();
        let last = self.node.last();
        let holds = |id: &MemberId| self.node.matched(*id).is_some_and(|index| nearly(index, last));
        let heard = others.iter().copied().filter(|id| self.node.is_heard(*id));
        Health {
            caught_up: others.iter().copied().filter(holds).collect(),
            heard: heard.chain([me]).collect(),
        }
    }
}

fn nearly(index: Index, last: Index) -> bool {
    index.0 * 100 >= last.0 * CAUGHT_UP
}
