//! Who belongs to the cluster and what a quorum of it is. In a joint configuration (`outgoing` not empty) a
//! quorum is a majority of the voters *and* a majority of the outgoing ones.

use base::{MemberId, bug};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A configuration, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub voters: BTreeSet<MemberId>,
    /// Members that get the log but have no say.
    pub learners: BTreeSet<MemberId>,
    /// The voters that are being left, while a change is under way; else empty.
    pub outgoing: BTreeSet<MemberId>,
}

impl Membership {
    /// A plain configuration of voters.
    pub fn of_voters(voters: impl IntoIterator<Item = MemberId>) -> Self {
        Self { voters: voters.into_iter().collect(), ..Self::default() }
    }

    /// Whether a member has a say, in either half.
    pub fn is_voter(&self, id: MemberId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// Whether a member gets the log.
    pub fn contains(&self, id: MemberId) -> bool {
        self.is_voter(id) || self.learners.contains(&id)
    }

    /// All voters, of both halves, each once.
    pub fn all_voters(&self) -> BTreeSet<MemberId> {
        self.voters.union(&self.outgoing).copied().collect()
    }

    /// Everyone who gets the log.
    pub fn all(&self) -> BTreeSet<MemberId> {
        self.all_voters().union(&self.learners).copied().collect()
    }

    /// All that it says, for a digest: each group behind its size.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let groups = [&self.voters, &self.learners, &self.outgoing];
        let numbers = groups.map(|group| [group.len() as u64].into_iter().chain(group.iter().map(|id| id.0)));
        numbers.into_iter().flatten().collect()
    }

    /// Whether those who satisfy `yes` are a quorum.
    pub fn is_quorum(&self, yes: impl Fn(MemberId) -> bool) -> bool {
        self.reached_by_quorum(|id| u8::from(yes(id))) == 1
    }

    /// The greatest value that a quorum has reached; `value` says what a member has reached.
    pub fn reached_by_quorum<T: Ord + Copy + Default>(&self, value: impl Fn(MemberId) -> T) -> T {
        let voters = majority(&self.voters, &value);
        if self.outgoing.is_empty() || bug!("R20") {
            return voters;
        }
        voters.min(majority(&self.outgoing, &value))
    }
}

/// The greatest value that more than half have reached; the default of nobody.
fn majority<T: Ord + Copy + Default>(half: &BTreeSet<MemberId>, value: impl Fn(MemberId) -> T) -> T {
    let mut values: Vec<T> = half.iter().map(|id| value(*id)).collect();
    if !bug!("R05") {
        values.sort_unstable();
    }
    match values.len() {
        0 => T::default(),
        n => values[(n - 1) / 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u64]) -> BTreeSet<MemberId> {
        ids.iter().map(|id| MemberId(*id)).collect()
    }

    #[test]
    fn a_majority_is_more_than_half() {
        let reached = |ids: &[u64], values: &[u64]| majority(&set(ids), |id| values[id.0 as usize - 1]);
        assert_eq!(reached(&[1], &[5]), 5);
        assert_eq!(reached(&[1, 2], &[5, 3]), 3);
        assert_eq!(reached(&[1, 2, 3], &[5, 3, 4]), 4);
        assert_eq!(reached(&[1, 2, 3, 4], &[9, 9, 1, 2]), 2);
        assert_eq!(reached(&[1, 2, 3, 4, 5], &[9, 1, 8, 2, 7]), 7);
    }

    #[test]
    fn a_joint_quorum_needs_both_halves() {
        let joint = Membership { voters: set(&[1, 2, 3]), learners: set(&[9]), outgoing: set(&[3, 4, 5]) };
        assert!(!joint.is_quorum(|id| set(&[1, 2, 3, 9]).contains(&id)));
        assert!(!joint.is_quorum(|id| set(&[3, 4, 5, 9]).contains(&id)));
        assert!(joint.is_quorum(|id| set(&[1, 3, 5]).contains(&id)));
    }
}
