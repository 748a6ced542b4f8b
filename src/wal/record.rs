//! What is kept, and whose it is.

use base::{Index, MemberId, Term};
use std::fmt;

/// Whose log this is. Files of another cluster or member are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster: u64,
    pub member: MemberId,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {:x} of cluster {:x}", self.member.0, self.cluster)
    }
}

/// Raft's term and vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    pub term: Term,
    pub vote: Option<MemberId>,
}

/// An entry of Raft's log; what its bytes mean is the member's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub index: Index,
    pub term: Term,
    pub data: Vec<u8>,
}

/// What is appended to the log. The last hard state counts. An entry drops whatever stood at its index or
/// behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    HardState(HardState),
    Entry(Entry),
}

/// What a snapshot says of itself: it is the state of the state machine at an index, in `size` bytes of data. Meta and
/// data are in the member's encoding; the data is only ever in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub index: Index,
    pub term: Term,
    pub meta: Vec<u8>,
    pub size: u64,
}

/// A place in the log: an index and the term of the entry there. The log begins behind one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub index: Index,
    pub term: Term,
}
