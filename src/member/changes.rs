//! Changes of members: they wait for their turn, and those that wait together go together; who asked is told what became
//! of it. Only a leader carries them out; others pass them on before they come here.

use crate::driver::Core;
use crate::error::Error;
use crate::handle::ChangeAnswer;
use crate::members::{self, Change, ChangeError, Health, Members};
use crate::proposal::{Proposal, ProposalId};
use base::{Index, MemberId, Term, reached};
use raft::{Input, Proposed, Refused, Role, Target};
use rt::Mono;
use std::collections::VecDeque;
use store::Command;

/// A learner has caught up when it holds so many percent of the leader's log (etcd: `readyPercent`).
const CAUGHT_UP: u64 = 90;

#[derive(Default)]
pub struct Changes {
    waiting: VecDeque<Waiting>,
    under_way: Option<UnderWay>,
}

struct Waiting {
    change: Change,
    deadline: Mono,
    answer: ChangeAnswer,
}

/// One change of the log, for all that waited when it was begun.
struct UnderWay {
    id: ProposalId,
    term: Term,
    members: Members,
    askers: Vec<Waiting>,
}

impl Changes {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn add(&mut self, change: Change, deadline: Mono, answer: ChangeAnswer) {
        self.waiting.push_back(Waiting { change, deadline, answer });
    }

    /// Whether it is somebody's turn.
    fn is_due(&self) -> bool {
        self.under_way.is_none() && !self.waiting.is_empty()
    }

    fn refuse_all(&mut self, error: ChangeError) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.answer.send(Err(error));
        }
    }

    /// The members after all changes that wait, one after the other; those that may not be begun are refused.
    fn all_after(&mut self, now: &Members, health: &Health) -> Members {
        let mut members = now.clone();
        for waiting in std::mem::take(&mut self.waiting) {
            match members::after(&members, &waiting.change, health) {
                Ok(next) => {
                    members = next;
                    self.waiting.push_back(waiting);
                }
                Err(refused) => drop(waiting.answer.send(Err(refused))),
            }
        }
        members
    }

    fn begun(&mut self, id: ProposalId, term: Term, members: Members) {
        let askers: Vec<Waiting> = self.waiting.drain(..).collect();
        reached!("member: changes of members that waited went together", askers.len() > 1);
        self.under_way = Some(UnderWay { id, term, members, askers });
    }

    /// An entry was applied: the one under way, or one of a later term, so that it never will be.
    pub fn applied(&mut self, id: Option<ProposalId>, term: Term) {
        let over = |change: &mut UnderWay| Some(change.id) == id || change.term < term;
        let Some(change) = self.under_way.take_if(over) else { return };
        let done = Some(change.id) == id;
        reached!("member: a change of members was lost with its leader", !done);
        for asker in change.askers {
            let _ = asker.answer.send(if done { Ok(change.members.clone()) } else { Err(ChangeError::Lost) });
        }
    }

    /// Ends what has waited too long.
    pub fn sweep(&mut self, now: Mono) {
        while let Some(late) = self.waiting.pop_front_if(|waiting| waiting.deadline <= now) {
            let _ = late.answer.send(Err(ChangeError::NotBegun));
        }
        let Some(change) = &mut self.under_way else { return };
        for late in change.askers.extract_if(.., |asker| asker.deadline <= now) {
            reached!("member: a change of members was not agreed on in time");
            let _ = late.answer.send(Err(ChangeError::Timeout));
        }
        // nobody waits for it any more, and whatever comes of it, the next may be begun: Raft says when
        self.under_way.take_if(|change| change.askers.is_empty());
    }
}

impl Core {
    /// Begins the changes of members that wait, if it is their turn: the last one is applied here.
    pub(crate) fn change_members(&mut self) -> Result<(), Error> {
        if !self.changes.is_due() {
            return Ok(());
        }
        if self.node.role() != Role::Leader {
            self.changes.refuse_all(ChangeError::NotLeader);
            return Ok(());
        }
        if self.handle.applied() < self.node.configured_at() {
            return Ok(());
        }
        let (now, health) = (self.handle.members(), self.health());
        let members = self.changes.all_after(&now, &health);
        if self.changes.len() == 0 {
            return Ok(());
        }
        self.begin_change(members)
    }

    fn begin_change(&mut self, members: Members) -> Result<(), Error> {
        let id = self.next_id();
        let command = Command::Members(members.clone());
        let context = Proposal { id, by: None, command }.encode();
        let of_kind = |learner| {
            let ids = members.present.iter().filter(move |(_, member)| member.learner == learner);
            ids.map(|(id, _)| *id).collect()
        };
        let target = Target { voters: of_kind(false), learners: of_kind(true), context };
        match self.step(Input::Reconfigure(target))?.proposed {
            Some(Ok(Proposed { term, .. })) => {
                reached!("member: a change of members was begun");
                self.changes.begun(id, term, members);
            }
            Some(Err(Refused::BadMembership)) => self.changes.refuse_all(ChangeError::NotEnoughStarted),
            _ => reached!("member: a change of members waits for its turn"),
        }
        Ok(())
    }

    fn health(&self) -> Health {
        let me = self.node.id();
        let others: Vec<MemberId> = self.node.membership().all().into_iter().filter(|id| *id != me).collect();
        let last = self.node.last();
        let holds = |id: &MemberId| self.node.matched(*id).is_some_and(|index| nearly(index, last));
        let heard = others.iter().copied().filter(|id| self.node.is_heard(*id));
        Health {
            learners: self.handle.knobs().max_learners as usize,
            term: self.node.term(),
            caught_up: others.iter().copied().filter(holds).collect(),
            heard: heard.chain([me]).collect(),
        }
    }
}

fn nearly(index: Index, last: Index) -> bool {
    index.0 * 100 >= last.0 * CAUGHT_UP
}
