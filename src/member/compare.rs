//! What members hold, compared: a hash of all keys and of the history that is kept, at one revision. Only hashes over
//! the same kept history say anything.
//!
//! Source: etcd documentation, "Data corruption" (`--corrupt-check-time`, `--initial-corrupt-check`);
//! server/etcdserver/corrupt.go.

use crate::{driver::Core, frame::Frame, handle::Handle};
use base::{MemberId, bug, reached};
use rt::sync::mpsc;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// What a member holds at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub hash: u32,
    /// History up to here is gone.
    pub compacted: i64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x} behind {}", self.hash, self.compacted)
    }
}

/// Each member, and what it holds; nothing if that cannot be said.
pub type Answers = mpsc::Receiver<(MemberId, Option<Held>)>;

/// Who waits for them.
pub type Comparison = mpsc::Sender<(MemberId, Option<Held>)>;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All that is kept up to a revision.
    Kept(i64),
    /// All that there was up to a revision before that was compacted, as those remember who were there.
    Compacted(i64),
}

/// Nothing if that is not there, or not remembered.
pub async fn held(handle: &Handle, what: What) -> Option<Held> {
    let hashed = match what {
        What::Kept(revision) => {
            handle.hash_kept(revision, |meters| &mut meters.revision_hashes).await.ok()?
        }
        What::Compacted(revision) => handle.hashes().of(revision).await?,
    };
    Some(Held { hash: hashed.hash, compacted: hashed.compacted })
}

/// Whose is not what the others hold, if this one holds `mine` and `others` theirs: nobody if all agree; those that
/// differ from what more than half of all members hold, learners too: no two hashes are held by so many. Where none is,
/// nobody can tell, and it is said of no member in particular.
pub fn differing(mine: (MemberId, Held), others: &[(MemberId, Held)], members: usize) -> Vec<MemberId> {
    let comparable = |held: &Held| held.compacted == mine.1.compacted || bug!("M05");
    let all: Vec<(MemberId, Held)> =
        others.iter().copied().filter(|(_, held)| comparable(held)).chain([mine]).collect();
    let mut counts = BTreeMap::new();
    all.iter().for_each(|(_, held)| *counts.entry(held.hash).or_insert(0) += 1);
    if counts.len() == 1 {
        return vec![];
    }
    let Some((most, _)) = counts.iter().find(|(_, count)| **count > members / 2) else {
        return vec![MemberId(0)];
    };
    all.iter().filter(|(_, held)| held.hash != *most).map(|(id, _)| *id).collect()
}

impl Core {
    /// Asks all other members.
    pub(crate) fn compare(&mut self, what: What, asker: Comparison) {
        let (from, nonce) = (self.node.id(), rt::random_u64());
        self.comparisons.retain(|_, asker| !asker.is_closed());
        self.comparisons.insert(nonce, asker);
        let frame = match what {
            What::Kept(revision) => Frame::Compare { from, nonce, revision },
            What::Compacted(revision) => Frame::CompareCompacted { from, nonce, revision },
        };
        let members = self.node.membership().all().into_iter().filter(|to| *to != from);
        members.for_each(|to| self.send(to, &frame));
    }

    /// Another compares. It leads, and may have applied more than this one has yet.
    pub(crate) fn answer_compare(&self, from: MemberId, nonce: u64, what: What) {
        let (handle, me) = (self.handle.clone(), self.node.id());
        rt::spawn(async move {
            let (What::Kept(revision) | What::Compacted(revision)) = what;
            let there = handle.wait_until(|store| store.revision().0 >= revision);
            let _ = rt::timeout(handle.knobs().election_timeout(), there).await;
            let held = held(&handle, what).await;
            reached!("member: what is compared is not there any more, or not yet", held.is_none());
            handle.tell(from, Frame::Compared { from: me, nonce, held }).await;
        });
    }

    pub(crate) fn compared(&self, from: MemberId, nonce: u64, held: Option<Held>) {
        if let Some(asker) = self.comparisons.get(&nonce) {
            // whoever waited may have given up
            let _ = asker.try_send((from, held));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(id: u64, hash: u32, compacted: i64) -> (MemberId, Held) {
        (MemberId(id), Held { hash, compacted })
    }

    #[test]
    fn those_differ_that_a_quorum_contradicts() {
        let others = |hashes: [u32; 2]| [held(2, hashes[0], 5), held(3, hashes[1], 5)];
        let of = |mine, hashes| differing(held(1, mine, 5), &others(hashes), 3);
        assert_eq!(of(7, [7, 7]), []);
        assert_eq!(of(7, [7, 8]), [MemberId(3)]);
        assert_eq!(of(8, [7, 7]), [MemberId(1)], "who asks may be the one");
        assert_eq!(of(7, [8, 9]), [MemberId(0)], "nobody can tell");
        let four = [held(2, 8, 5), held(3, 7, 5), held(4, 9, 5), held(5, 7, 5)];
        assert_eq!(differing(held(1, 7, 5), &four, 5), [MemberId(2), MemberId(4)], "two of five");
        let two_alike = [held(2, 6, 5), held(3, 7, 5), held(4, 6, 5), held(5, 7, 5)];
        assert_eq!(
            differing(held(1, 7, 5), &two_alike, 5),
            [MemberId(2), MemberId(4)],
            "fewer never outvote more"
        );
    }

    #[test]
    fn one_of_two_differs_and_nobody_can_tell_which() {
        assert_eq!(differing(held(1, 7, 5), &[held(2, 8, 5)], 2), [MemberId(0)]);
    }

    #[test]
    fn what_keeps_other_history_is_not_compared() {
        assert_eq!(differing(held(1, 7, 5), &[held(2, 8, 6), held(3, 7, 5)], 3), []);
    }

    #[test]
    #[cfg(madsim)] // bugs can be planted in the tank only
    fn m05_compares_what_keeps_other_history() {
        base::marks::plant(Some("M05"));
        assert_eq!(differing(held(1, 7, 5), &[held(2, 8, 6), held(3, 7, 5)], 3), [MemberId(2)]);
        base::marks::plant(None);
    }
}
