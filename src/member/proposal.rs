//! What a log entry says: a command, for whom, and who waits for it.

use crate::codec::{self, DecodeError};
use base::MemberId;
use serde::{Deserialize, Serialize};
use store::{Command, Identity};

/// Names one proposal among all that were ever made: the member, its run (drawn at start), and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProposalId {
    pub origin: MemberId,
    pub run: u64,
    pub count: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    pub id: ProposalId,
    /// The user; none for what members do of themselves, or if nobody is told apart.
    pub by: Option<Identity>,
    pub command: Command,
}

impl Proposal {
    pub fn encode(&self) -> raft::Data {
        codec::encode(self).into()
    }

    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(data)
    }
}
