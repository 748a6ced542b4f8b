//! What members say to one another. A message may be lost, doubled, late, and out of order: nothing here
//! relies on the network for more than that what arrives was sent.

use crate::{Data, Entry, SnapshotMeta};
use base::{Index, MemberId, Term};
use serde::{Deserialize, Serialize};

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
    /// "Vote for me."
    Vote {
        last_index: Index,
        last_term: Term,
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
}
