//! A member that lost its disk comes back under its old name. It has forgotten what it promised: which terms it
//! was in, whom it voted for, which entries it acknowledged. If it went on as if it were new, it could vote twice
//! in a term, and vote for a leader that lacks what it had helped to commit. (etcd: such a member "must be removed
//! from the cluster" and added as another one.)
//!
//! 1. **It asks.** It takes no part until *every* other member has told its term, after being asked. Let `t` be the
//!    highest. Whom it ever gave a vote or an acknowledgement, that one had the term of it on its own disk before it
//!    asked for either: so everything that was promised to others was promised in terms up to `t`. (A vote for itself,
//!    in a term that nobody has heard of yet, is counted by nobody but the candidate, which is no more. Should it
//!    stand in that term again, votes for its first attempt may still come in: they were given to a log that ended in
//!    a term up to `t`, by members that had nothing newer.) A quorum of answers would not do: the candidate that
//!    holds our vote may be the one that did not answer. Who asks itself does not answer, as it does not know. Who
//!    asked before does: its term is as high as all others' were.
//!    Nor does it come back where members have changed since the cluster was founded: it does not know who "every
//!    other member" is, or was. There it must be removed and added as another one.
//! 2. **It moves on.** It goes on in term `t + 1`. A leader of `t` or before hears of that, and steps down; no
//!    answer of ours that is still on its way, or that a leader still counts on, is worth anything in the terms
//!    that follow.
//! 3. **It has no vote** ([`Node::rejoining`]), and does not stand for election, until its disk holds an entry of a
//!    term after `t` that it knows to be committed. It does append and acknowledge: what it acknowledges from now
//!    on is on its disk, in terms that it can keep to.
//!
//! Why that is enough. Let `e` be any entry committed, now or later, in a term up to `t`, by a quorum that counts our
//! forgotten acknowledgement; and `L` the first leader of a term after `t`. `L` was elected without our vote: by a
//! quorum of the others. Of `n` voters with quorums of `m`, `2m > n`, at least `m - 1` others have acknowledged `e`
//! and at least `m` others have voted for `L`; there are `n - 1` others, and `(m - 1) + m > n - 1`: one of them did
//! both. So `L` has `e`, by the same argument that Raft's paper makes for any two quorums, and so has every leader
//! after it. Once an entry of a term after `t` is committed and in our log, all of `L`'s earlier entries are in our
//! log as well, `e` among them: our vote is as good as that of one that never forgot.
//!
//! The price: while two have lost their disks and neither has asked everyone, neither can come back; a member that is
//! gone for good keeps others from coming back; and while most have no say, nobody leads. Protocols that content
//! themselves with a quorum of answers, as Viewstamped Replication's recovery does, have been shown to lose what was
//! promised in messages that were still on their way (Michael et al., Recovering Shared Objects Without Stable
//! Storage, DISC '17).

use crate::{HardState, Node};
use base::{MemberId, Term, bug, reached};
use std::collections::BTreeSet;

/// Gathers the terms of all others.
#[derive(Debug)]
pub struct Recall {
    /// Names this question: an answer to an earlier one, from before the disk was lost, proves nothing.
    nonce: u64,
    waiting: BTreeSet<MemberId>,
    highest: Term,
    changed: bool,
}

impl Recall {
    pub fn new(others: impl IntoIterator<Item = MemberId>, nonce: u64) -> Self {
        Self { nonce, waiting: others.into_iter().collect(), highest: Term(0), changed: false }
    }

    /// Those that have not answered yet.
    pub fn waiting(&self) -> &BTreeSet<MemberId> {
        &self.waiting
    }

    /// What another member said: its term, and whether its log, or the snapshot before it, holds a change of members.
    pub fn answered(&mut self, from: MemberId, nonce: u64, term: Term, changed: bool) {
        if nonce == self.nonce && self.waiting.remove(&from) {
            self.highest = self.highest.max(term);
            self.changed |= changed;
        }
    }

    /// Members have changed since the cluster was founded: no answers will do.
    pub fn hopeless(&self) -> bool {
        self.changed
    }

    /// Once everyone has answered: nothing was promised in a term above this one.
    pub fn done(&self) -> Option<Term> {
        (self.waiting.is_empty() && !self.changed).then_some(self.highest)
    }
}

impl Node {
    /// Whether promises were forgotten that nothing has made up for yet.
    pub fn rejoining(&self) -> bool {
        self.forgot.is_some()
    }

    /// Whether it may vote, and stand for election.
    pub(crate) fn has_a_say(&self) -> bool {
        self.forgot.is_none() || bug!("S22")
    }

    /// What is committed in a term after all forgotten ones, and on the disk, makes up for them.
    pub(crate) fn make_up(&mut self) {
        let Some(forgot) = self.forgot else { return };
        let known = self.commit().min(self.durable());
        if self.log().term_at(known).is_some_and(|term| term > forgot) {
            reached!("a member that lost its disk has a say again");
            self.forgot = None;
        }
    }
}

/// Where a member goes on that has forgotten what it promised in terms up to `forgot`.
pub(crate) fn resume(hard: HardState, forgot: Option<Term>) -> HardState {
    match forgot {
        Some(forgot) if hard.term <= forgot => HardState { term: forgot.next(), vote: None },
        _ => hard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_must_answer_this_very_question() {
        let (a, b) = (MemberId(1), MemberId(2));
        let mut recall = Recall::new([a, b], 7);
        recall.answered(a, 7, Term(5), false);
        recall.answered(b, 6, Term(9), true);
        assert_eq!((recall.done(), recall.waiting().len()), (None, 1));
        recall.answered(a, 7, Term(8), true);
        recall.answered(b, 7, Term(4), false);
        assert_eq!(recall.done(), Some(Term(5)), "what was said first counts");
        assert!(!recall.hopeless());
    }

    #[test]
    fn where_members_have_changed_it_does_not_come_back_by_itself() {
        let (a, b) = (MemberId(1), MemberId(2));
        let mut recall = Recall::new([a, b], 7);
        recall.answered(a, 7, Term(5), true);
        recall.answered(b, 7, Term(5), false);
        assert!(recall.hopeless() && recall.done().is_none());
    }

    #[test]
    fn it_goes_on_behind_all_that_is_forgotten() {
        let hard = |term, vote| HardState { term: Term(term), vote };
        assert_eq!(resume(hard(0, None), Some(Term(4))), hard(5, None));
        assert_eq!(resume(hard(7, Some(MemberId(1))), Some(Term(4))), hard(7, Some(MemberId(1))));
        assert_eq!(resume(hard(3, Some(MemberId(1))), None), hard(3, Some(MemberId(1))));
    }
}
