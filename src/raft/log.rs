//! The log in memory: everything behind the base (the last compaction or installed snapshot), without a gap.

use crate::Entry;
use base::{Index, Term, invariant, reached};
use std::collections::VecDeque;

/// Entries from `base + 1` on. The base's own term is kept, as the entry that follows needs it.
#[derive(Clone, Debug, Default)]
pub struct Log {
    base: Index,
    base_term: Term,
    entries: VecDeque<Entry>,
    /// Of all entries.
    bytes: u64,
}

impl Log {
    pub(crate) fn starting_after(base: Index, base_term: Term) -> Self {
        Self { base, base_term, entries: VecDeque::new(), bytes: 0 }
    }

    /// Bytes of content that are here.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The index before the first entry that is still here.
    pub fn base(&self) -> Index {
        self.base
    }

    /// The first index that is here, or would be.
    pub fn first(&self) -> Index {
        self.base.next()
    }

    pub fn last(&self) -> Index {
        Index(self.base.0 + self.entries.len() as u64)
    }

    pub fn last_term(&self) -> Term {
        self.entries.back().map_or(self.base_term, |entry| entry.term)
    }

    /// The term of an entry, the base's included; none where the log does not reach.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base { Some(self.base_term) } else { self.entry(index).map(|entry| entry.term) }
    }

    pub fn entry(&self, index: Index) -> Option<&Entry> {
        let offset = index.0.checked_sub(self.base.0 + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// Entries from `from` on, up to `to`: at least one if there is one, and no more than fit into `bytes`.
    pub(crate) fn slice(&self, from: Index, to: Index, bytes: u64) -> Vec<Entry> {
        let mut size = 0;
        let mut slice = Vec::new();
        for index in from.0..=to.0 {
            let Some(entry) = self.entry(Index(index)) else { break };
            size += entry.size();
            if size > bytes && !slice.is_empty() {
                break;
            }
            slice.push(entry.clone());
        }
        slice
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        invariant!(entry.index == self.last().next(), "the log has no gap", "{:?}", entry);
        invariant!(entry.term >= self.last_term(), "terms never fall along the log", "{:?}", entry);
        self.bytes += entry.size();
        self.entries.push_back(entry);
    }

    /// Drops the entry at `from` and all behind it.
    pub(crate) fn truncate(&mut self, from: Index) {
        let keep = from.0.saturating_sub(self.base.0 + 1);
        let keep = usize::try_from(keep).unwrap_or(usize::MAX).min(self.entries.len());
        self.bytes -= self.entries.drain(keep..).map(|entry| entry.size()).sum::<u64>();
    }

    /// Lets go of everything up to `to`.
    pub(crate) fn compact(&mut self, to: Index) {
        let Some(term) = self.term_at(to) else { return };
        let gone = usize::try_from(to.0 - self.base.0).unwrap_or(usize::MAX);
        let gone = self.entries.drain(..gone.min(self.entries.len()));
        self.bytes -= gone.map(|entry| entry.size()).sum::<u64>();
        (self.base, self.base_term) = (to, term);
    }

    /// The last index at or before `index` whose term is at most `term`: two logs that differ at `index`, one of
    /// them of `term` there, can agree no later than here. Just before the base when only what was compacted
    /// can agree.
    pub(crate) fn may_agree_at(&self, index: Index, term: Term) -> Index {
        let within = index.min(self.last());
        if within < self.base {
            return index;
        }
        let older = self.entries.partition_point(|entry| entry.term <= term) as u64;
        match older {
            0 if self.base_term > term => {
                reached!("raft: logs can agree only in what was compacted");
                Index(self.base.0.saturating_sub(1))
            }
            _ => within.min(Index(self.base.0 + older)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;

    fn log(base: u64, base_term: u64, terms: &[u64]) -> Log {
        let mut log = Log::starting_after(Index(base), Term(base_term));
        for term in terms {
            log.push(Entry { term: Term(*term), index: log.last().next(), payload: Payload::Noop });
        }
        log
    }

    #[test]
    fn logs_may_agree_no_later_than_where_terms_allow() {
        let log = log(10, 2, &[2, 3, 3, 6]);
        let agree = |index, term| log.may_agree_at(Index(index), Term(term)).0;
        assert_eq!(agree(14, 6), 14);
        assert_eq!(agree(14, 5), 13);
        assert_eq!(agree(20, 9), 14);
        assert_eq!(agree(12, 3), 12);
        assert_eq!(agree(14, 2), 11);
        assert_eq!(agree(14, 1), 9);
        assert_eq!(agree(4, 1), 4);
    }

    #[test]
    fn compaction_keeps_the_term_of_the_last_entry_it_took() {
        let mut log = log(0, 0, &[1, 1, 2, 2]);
        log.compact(Index(3));
        assert_eq!((log.first(), log.last(), log.term_at(Index(3))), (Index(4), Index(4), Some(Term(2))));
        assert_eq!(log.term_at(Index(2)), None);
        log.truncate(Index(4));
        assert_eq!((log.last(), log.last_term()), (Index(3), Term(2)));
    }

    #[test]
    fn the_bytes_are_those_of_the_entries_that_are_here() {
        let mut log = log(0, 0, &[]);
        for text in ["a", "bb", "ccc", "dddd"] {
            let payload = Payload::Command(text.into());
            log.push(Entry { term: Term(1), index: log.last().next(), payload });
        }
        assert_eq!(log.bytes(), 10);
        log.truncate(Index(4));
        assert_eq!(log.bytes(), 6);
        log.compact(Index(2));
        assert_eq!(log.bytes(), 3);
        log.truncate(Index(9));
        assert_eq!(log.bytes(), 3);
        log.compact(Index(3));
        assert_eq!(log.bytes(), 0);
    }
}
