//! What members say to one another. A message may be lost, doubled, late, and out of order: nothing here
//! relies on the network for more than that what arrives was sent.

use crate::{Data, Entry, SnapshotMeta};
use base::{Index, LAST, MemberId, Term};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A message on its way. `term` is the sender's term, but for pre-votes: see [`Body`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub from: MemberId,
    pub to: MemberId,
    pub term: Term,
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// "Would you vote for me?" `Message::term` is the term I would campaign in.
    PreVote {
        last_index: Index,
        last_term: Term,
    },
    /// `Message::term` is the term asked for if granted, else the sender's own.
    PreVoteAnswer {
        granted: bool,
    },
    /// "Vote for me": also if you hear of a leader, where the leader itself wants it.
    Vote {
        last_index: Index,
        last_term: Term,
        handed_on: bool,
    },
    VoteAnswer {
        granted: bool,
    },
    /// Entries that follow the one at `prev_index`, which is of `prev_term`.
    Append {
        prev_index: Index,
        prev_term: Term,
        entries: Vec<Entry>,
        commit: Index,
    },
    /// "My disk holds your log up to `index`."
    Appended {
        index: Index,
    },
    /// "My log has no such entry at `prev_index`; yours and mine may agree at `hint_index` at the most, where
    /// mine is of `hint_term`."
    AppendRefused {
        prev_index: Index,
        hint_index: Index,
        hint_term: Term,
    },
    /// "I lead; what you have up to `commit` is committed." Rounds are numbered by the leader, in its term.
    Heartbeat {
        commit: Index,
        round: u64,
    },
    HeartbeatAnswer {
        round: u64,
    },
    /// "What you have up to `index` is committed." Needs no answer: the next heartbeat says it again.
    Commit {
        index: Index,
    },
    /// A piece of a snapshot of `total` bytes.
    SnapshotChunk {
        meta: SnapshotMeta,
        total: u64,
        offset: u64,
        data: Data,
    },
    /// "Of the snapshot at `index` I hold the first `received` bytes."
    SnapshotAnswer {
        index: Index,
        received: u64,
    },
    /// "From which index on may I answer a read that starts now?"
    ReadRequest {
        context: u64,
    },
    ReadAnswer {
        context: u64,
        index: Index,
    },
    /// "Your term is over": the answer to a leader of an older term.
    Stale,
    /// "Lead in my place": a leader's, to a member that holds all of its log.
    StandForElection,
}

impl Message {
    /// Whether any member could say this, whatever has happened to it. Whoever hears one that none could must not act on it:
    /// numbers would overflow, and entries that leave a gap would be taken into the log.
    pub fn is_sound(&self) -> bool {
        self.term.0 <= LAST
            && match &self.body {
                Body::PreVote { last_index, last_term } | Body::Vote { last_index, last_term, .. } => {
                    last_index.0 <= LAST && *last_term <= self.term
                }
                Body::Append { prev_index, prev_term, entries, commit } => {
                    commit.0 <= LAST && follow_on(entries, *prev_index, *prev_term, self.term)
                }
                // everybody has what stands before the log
                Body::AppendRefused { prev_index, hint_index, .. } => {
                    (1..=LAST).contains(&prev_index.0) && hint_index.0 <= LAST
                }
                Body::SnapshotChunk { meta, total, offset, data } => {
                    meta.is_sound(self.term)
                        && *total <= LAST
                        && offset.saturating_add(data.len() as u64) <= *total
                }
                Body::Appended { index } | Body::Commit { index } | Body::ReadAnswer { index, .. } => {
                    index.0 <= LAST
                }
                Body::Heartbeat { commit, round } => commit.0 <= LAST && *round <= LAST,
                Body::HeartbeatAnswer { round } => *round <= LAST,
                Body::SnapshotAnswer { index, received } => index.0 <= LAST && *received <= LAST,
                Body::PreVoteAnswer { .. }
                | Body::VoteAnswer { .. }
                | Body::ReadRequest { .. }
                | Body::Stale
                | Body::StandForElection => true,
            }
    }
}

/// Whether entries stand behind a place without a gap, in terms that never fall and are no later than this one.
fn follow_on(entries: &[Entry], index: Index, term: Term, until: Term) -> bool {
    let mut last = (index, term);
    index.0 <= LAST
        && entries.iter().all(|entry| {
            let follows = entry.index == last.0.next() && entry.term >= last.1 && entry.is_sound();
            last = (entry.index, entry.term);
            follows
        })
        && last.1 <= until
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (term {})", self.body, self.term.0)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |granted: &bool| if *granted { "yes" } else { "no" };
        match self {
            Body::PreVote { last_index, last_term } => {
                write!(f, "would you vote for me? my log ends at {}@{}", last_index.0, last_term.0)
            }
            Body::PreVoteAnswer { granted } => write!(f, "I would vote for you: {}", yes(granted)),
            Body::Vote { last_index, last_term, handed_on } => {
                let why = if *handed_on { " as the leader wants it" } else { "" };
                write!(f, "vote for me{why}; my log ends at {}@{}", last_index.0, last_term.0)
            }
            Body::VoteAnswer { granted } => write!(f, "you have my vote: {}", yes(granted)),
            Body::Append { prev_index, prev_term, entries, commit } => {
                let (count, index, term) = (entries.len(), prev_index.0, prev_term.0);
                write!(f, "append {count} behind {index}@{term}, commit {}", commit.0)
            }
            Body::Appended { index } => write!(f, "appended up to {}", index.0),
            Body::AppendRefused { prev_index, hint_index, hint_term } => {
                let (prev, index, term) = (prev_index.0, hint_index.0, hint_term.0);
                write!(f, "append refused: I have no such {prev}; try {index}@{term}")
            }
            Body::Heartbeat { commit, round } => write!(f, "heartbeat {round}, commit {}", commit.0),
            Body::HeartbeatAnswer { round } => write!(f, "heartbeat {round} heard"),
            Body::Commit { index } => write!(f, "commit {}", index.0),
            Body::SnapshotChunk { meta, total, offset, data } => {
                write!(f, "snapshot {}: {} bytes at {offset} of {total}", meta.index.0, data.len())
            }
            Body::SnapshotAnswer { index, received } => {
                write!(f, "snapshot {}: {received} bytes received", index.0)
            }
            Body::ReadRequest { context } => write!(f, "read {context}?"),
            Body::ReadAnswer { context, index } => write!(f, "read {context}: from {} on", index.0),
            Body::Stale => f.write_str("your term is over"),
            Body::StandForElection => f.write_str("lead in my place"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Membership, Payload};

    fn is_sound(term: u64, body: Body) -> bool {
        Message { from: MemberId(2), to: MemberId(1), term: Term(term), body }.is_sound()
    }

    fn append(prev: (u64, u64), entries: &[(u64, u64)]) -> Body {
        let entry = |(index, term): &(u64, u64)| Entry {
            index: Index(*index),
            term: Term(*term),
            payload: Payload::Noop,
        };
        let entries = entries.iter().map(entry).collect();
        Body::Append { prev_index: Index(prev.0), prev_term: Term(prev.1), entries, commit: Index(0) }
    }

    #[test]
    fn entries_follow_on_one_another_in_terms_that_never_fall() {
        assert!(is_sound(4, append((7, 3), &[])));
        assert!(is_sound(4, append((7, 3), &[(8, 3), (9, 4)])));
        assert!(!is_sound(4, append((7, 3), &[(9, 3)])), "a gap");
        assert!(!is_sound(4, append((7, 3), &[(8, 4), (9, 3)])), "a term that falls");
        assert!(!is_sound(4, append((7, 3), &[(8, 2)])), "a term before that of the log");
        assert!(!is_sound(3, append((7, 3), &[(8, 4)])), "a term that is still to come");
        assert!(!is_sound(4, append((u64::MAX, 3), &[(0, 3)])), "behind the last index");
    }

    #[test]
    fn numbers_leave_room_to_count_on() {
        let far = Index(u64::MAX);
        assert!(!is_sound(u64::MAX, Body::Stale));
        assert!(!is_sound(1, Body::Appended { index: far }));
        assert!(!is_sound(1, Body::Heartbeat { commit: far, round: 1 }));
        assert!(!is_sound(1, Body::Heartbeat { commit: Index(1), round: u64::MAX }));
        let refused =
            |prev| Body::AppendRefused { prev_index: Index(prev), hint_index: Index(0), hint_term: Term(0) };
        assert!(
            is_sound(1, refused(1)) && !is_sound(1, refused(0)),
            "nobody lacks what stands before the log"
        );
    }

    #[test]
    fn a_piece_of_a_snapshot_lies_within_it() {
        let chunk = |index, offset, voters: u64| {
            let membership = Membership::of_voters((1..=voters).map(MemberId));
            let meta = SnapshotMeta { index: Index(index), term: Term(1), membership, configured: Index(0) };
            Body::SnapshotChunk { meta, total: 9, offset, data: "abc".into() }
        };
        assert!(is_sound(1, chunk(5, 6, 1)));
        assert!(!is_sound(1, chunk(5, 7, 1)));
        assert!(!is_sound(1, chunk(5, u64::MAX, 1)));
        assert!(!is_sound(1, chunk(0, 0, 1)), "nothing stands before the log");
        assert!(!is_sound(1, chunk(5, 0, 0)), "nobody would vote");
        assert!(!is_sound(0, chunk(5, 0, 1)), "its term is still to come");
    }
}
