//! A leader takes up a forwarded proposal once, however often the network delivers it. It remembers within one
//! term only: a frame names the term it is for, and is for no other.

use crate::proposal::ProposalId;
use base::{MemberId, Term, reached};
use std::collections::{BTreeMap, BTreeSet};

/// Counts remembered of one sender's run; a proposal further behind the newest is refused.
const WINDOW: u64 = 65_536;

#[derive(Debug, Default)]
pub struct Accepted {
    term: Term,
    runs: BTreeMap<(MemberId, u64), Run>,
}

#[derive(Debug, Default)]
struct Run {
    newest: u64,
    counts: BTreeSet<u64>,
}

impl Accepted {
    /// True the first time, in this term.
    pub fn first_time(&mut self, term: Term, id: ProposalId) -> bool {
        if term != self.term {
            *self = Self { term, ..Self::default() };
        }
        let run = self.runs.entry((id.origin, id.run)).or_default();
        let floor = run.newest.saturating_sub(WINDOW);
        if id.count < floor || !run.counts.insert(id.count) {
            reached!("a forwarded proposal came twice");
            return false;
        }
        run.newest = run.newest.max(id.count);
        let floor = run.newest.saturating_sub(WINDOW);
        while run.counts.first().is_some_and(|count| *count < floor) {
            run.counts.pop_first();
        }
        true
    }

    /// It was refused after all: it may come again.
    pub fn forget(&mut self, id: ProposalId) {
        if let Some(run) = self.runs.get_mut(&(id.origin, id.run)) {
            run.counts.remove(&id.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposal_is_taken_up_once_in_a_term() {
        let id = |count| ProposalId { origin: MemberId(2), run: 9, count };
        let mut accepted = Accepted::default();
        assert!(accepted.first_time(Term(3), id(5)));
        assert!(!accepted.first_time(Term(3), id(5)));
        assert!(accepted.first_time(Term(3), id(4)));
        assert!(accepted.first_time(Term(3), id(WINDOW + 100)));
        assert!(!accepted.first_time(Term(3), id(5)), "remembered or too old, never taken up again");
        accepted.forget(id(WINDOW + 100));
        assert!(accepted.first_time(Term(3), id(WINDOW + 100)));
    }
}
