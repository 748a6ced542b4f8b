//! How a leader is found: pre-votes, votes, and who is refused one.

use crate::{Body, HardState, Message, Node, Role};
use base::{Index, MemberId, Term, bug, reached};

impl Node {
    /// While a leader is alive nobody else gets a (pre-)vote: a member that comes back cannot disturb.
    pub(crate) fn sticks_to_its_leader(&self, message: &Message) -> bool {
        matches!(message.body, Body::PreVote { .. } | Body::Vote { handed_on: false, .. })
            && message.term > self.hard.term
            && self.leader.is_some()
            && self.elapsed < self.knobs.raft_election_ticks
    }

    /// Asks whether an election in the next term could be won. Changes nothing that others can see.
    pub(crate) fn pre_campaign(&mut self) {
        reached!("raft: a follower heard nothing of its leader", self.leader.is_some());
        reached!("raft: a pre-vote came to no end", self.role == Role::PreCandidate);
        reached!("raft: an election came to no end", self.role == Role::Candidate);
        self.follow(self.hard.term, None);
        self.role = Role::PreCandidate;
        self.votes.insert(self.id, true);
        let (last_index, last_term) = (self.log.last(), self.log.last_term());
        let term = self.hard.term.next();
        for to in self.other_voters() {
            self.send_in(to, term, Body::PreVote { last_index, last_term });
        }
        self.count_votes();
    }

    /// Stands for election in a new term. The requests wait for the sync of our own vote: a candidate that
    /// crashed and forgot its term could otherwise win the same term twice.
    pub(crate) fn campaign(&mut self, handed_on: bool) {
        reached!("raft: a member stands for election");
        let term = self.hard.term.next();
        self.follow(term, None);
        self.role = Role::Candidate;
        self.set_hard(HardState { term, vote: Some(self.id) });
        self.own_vote_after = self.disk.issued + 1;
        let (last_index, last_term) = (self.log.last(), self.log.last_term());
        for to in self.other_voters() {
            self.promise(to, Body::Vote { last_index, last_term, handed_on });
        }
    }

    fn other_voters(&self) -> Vec<MemberId> {
        self.membership().all_voters().into_iter().filter(|id| *id != self.id).collect()
    }

    pub(crate) fn count_own_vote(&mut self) {
        if self.disk.synced >= self.own_vote_after {
            self.votes.insert(self.id, true);
            self.count_votes();
        }
    }

    fn count_votes(&mut self) {
        let won = self.membership().is_quorum(|id| self.votes.get(&id) == Some(&true));
        let lost = !self.membership().is_quorum(|id| self.votes.get(&id) != Some(&false));
        match self.role {
            Role::PreCandidate if won => self.campaign(false),
            Role::Candidate if won => self.become_leader(),
            _ if lost => {
                reached!("an election was lost");
                reached!("raft: a pre-vote was lost", self.role == Role::PreCandidate);
                self.follow(self.hard.term, None);
            }
            _ => {}
        }
    }

    pub(crate) fn on_pre_vote(&mut self, from: MemberId, term: Term, last_index: Index, last_term: Term) {
        let newer = term > self.hard.term && self.is_up_to_date(last_index, last_term);
        reached!(
            "raft: a pre-vote was refused to a log that lacks something",
            term > self.hard.term && !newer
        );
        let granted = newer && self.has_a_say();
        let answer = Body::PreVoteAnswer { granted };
        self.send_in(from, if granted { term } else { self.hard.term }, answer);
    }

    pub(crate) fn on_pre_vote_answer(&mut self, from: MemberId, term: Term, granted: bool) {
        let asked = if granted { self.hard.term.next() } else { self.hard.term };
        reached!(
            "raft: an answer to a pre-vote came too late",
            self.role != Role::PreCandidate || term != asked
        );
        if self.role == Role::PreCandidate && term == asked {
            self.votes.entry(from).or_insert(granted);
            self.count_votes();
        }
    }

    pub(crate) fn on_vote(&mut self, from: MemberId, last_index: Index, last_term: Term) {
        let free = self.hard.vote == Some(from) || (self.hard.vote.is_none() && self.leader.is_none());
        let granted = free && self.is_up_to_date(last_index, last_term) && self.has_a_say();
        if !granted {
            reached!(
                "raft: a vote was refused because another has it",
                self.hard.vote.is_some_and(|vote| vote != from)
            );
            reached!(
                "raft: a vote was asked for in a term that is led",
                self.hard.vote.is_none() && self.leader.is_some()
            );
            reached!("raft: a vote was refused to a log that lacks something", free);
            return self.send(from, Body::VoteAnswer { granted });
        }
        reached!("raft: a vote was asked for twice", self.hard.vote.is_some());
        if self.hard.vote.is_none() {
            self.set_hard(HardState { term: self.hard.term, vote: Some(from) });
        }
        self.restart_clock();
        if bug!("R08") {
            self.send(from, Body::VoteAnswer { granted });
        } else {
            self.promise(from, Body::VoteAnswer { granted });
        }
    }

    pub(crate) fn on_vote_answer(&mut self, from: MemberId, granted: bool) {
        reached!("raft: a vote came when the election was over", self.role != Role::Candidate);
        if self.role == Role::Candidate {
            self.votes.entry(from).or_insert(granted || bug!("R19"));
            self.count_votes();
        }
    }

    /// Whether a log that ends so holds everything that may be committed, as far as we know.
    fn is_up_to_date(&self, last_index: Index, last_term: Term) -> bool {
        if bug!("R03") {
            return last_index >= self.log.last();
        }
        if bug!("R03-and") {
            return last_index >= self.log.last() && last_term >= self.log.last_term();
        }
        (last_term, last_index) >= (self.log.last_term(), self.log.last())
    }
}
