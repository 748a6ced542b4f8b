//! What members say to one another. A message may be lost, doubled, late, and out of order: nothing here
//! relies on the network for more than that what arrives was sent.

use crate::{Data, Entry, SnapshotMeta};
use base::{Index, MemberId, Term};
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
