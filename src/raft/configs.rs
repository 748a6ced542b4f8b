//! The configurations that a log holds. A member goes by the last one in its log, committed or not (Ongaro,
//! "Consensus: Bridging Theory and Practice", §4.1); where an entry is dropped, so is the configuration in it.

use crate::{Entry, Membership, Payload, SnapshotMeta};
use base::{Index, reached};
use std::collections::VecDeque;

#[derive(Clone, Debug)]
pub(crate) struct Configs {
    /// The one that was valid at the log's base, and where it stood: nowhere, if the cluster was founded with it.
    first: (Index, Membership),
    /// Those in entries that followed, oldest first.
    later: VecDeque<(Index, Membership)>,
}

impl Configs {
    pub fn starting(index: Index, membership: Membership) -> Self {
        Self { first: (index, membership), later: VecDeque::new() }
    }

    pub fn of(snapshot: &SnapshotMeta) -> Self {
        Self::starting(snapshot.configured, snapshot.membership.clone())
    }

    pub fn latest(&self) -> &Membership {
        &self.later.back().unwrap_or(&self.first).1
    }

    /// Where the last one stands; zero if that is the one the cluster was founded with.
    pub fn latest_index(&self) -> Index {
        self.later.back().unwrap_or(&self.first).0
    }

    /// The one that was valid at an index, which does not lie before the log's base, and where it stands.
    pub fn at(&self, index: Index) -> &(Index, Membership) {
        let until = self.later.iter().take_while(|(at, _)| *at <= index);
        until.last().unwrap_or(&self.first)
    }

    /// Whether this is true of the one that was valid at an index, or of one that followed.
    pub fn any_since(&self, index: Index, is: impl Fn(&Membership) -> bool) -> bool {
        is(&self.at(index).1) || self.later.iter().any(|(at, membership)| *at > index && is(membership))
    }

    pub fn push(&mut self, entry: &Entry) {
        if let Payload::Config { membership, .. } = &entry.payload {
            self.later.push_back((entry.index, membership.clone()));
        }
    }

    /// The log drops the entry at `from` and all behind it.
    pub fn truncate(&mut self, from: Index) {
        while self.later.pop_back_if(|(index, _)| *index >= from).is_some() {
            reached!("raft: a configuration was taken back");
        }
    }

    /// The log lets go of everything up to `to`.
    pub fn compact(&mut self, to: Index) {
        while let Some(first) = self.later.pop_front_if(|(index, _)| *index <= to) {
            self.first = first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Data;
    use base::{MemberId, Term};

    fn of(count: u64) -> Membership {
        Membership::of_voters((1..=count).map(MemberId))
    }

    fn entry(index: u64, count: u64) -> Entry {
        let payload = Payload::Config { membership: of(count), context: Data::from("") };
        Entry { term: Term(1), index: Index(index), payload }
    }

    #[test]
    fn the_last_one_in_the_log_counts_and_goes_with_its_entry() {
        let mut configs = Configs::starting(Index(0), of(1));
        [entry(3, 2), entry(5, 3), entry(9, 4)].iter().for_each(|entry| configs.push(entry));
        assert_eq!((configs.latest(), configs.latest_index()), (&of(4), Index(9)));
        let valid = [2, 3, 4, 5, 8, 9].map(|index| configs.at(Index(index)).1.voters.len());
        assert_eq!(valid, [1, 2, 2, 3, 3, 4]);
        configs.compact(Index(5));
        assert_eq!((configs.at(Index(5)), configs.at(Index(7))), (&(Index(5), of(3)), &(Index(5), of(3))));
        configs.truncate(Index(9));
        assert_eq!((configs.latest(), configs.latest_index()), (&of(3), Index(5)));
        configs.truncate(Index(6));
        assert_eq!(configs.latest(), &of(3), "what the base stands on stays");
    }
}
