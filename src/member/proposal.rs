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

/// What the bytes of a proposal begin with: their format. Those of the first began with a member's id, which is small.
const FORMAT: u8 = 0x82;

impl Proposal {
    pub fn encode(&self) -> raft::Data {
        let mut bytes = vec![FORMAT];
        bytes.extend(codec::encode(self));
        bytes.into()
    }

    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        match data.split_first() {
            Some((&FORMAT, proposal)) => codec::decode(proposal),
            Some((other, _)) => Err(DecodeError::new(
                "a log entry of this release",
                format!("its format is {other:#x}, not {FORMAT:#x}"),
            )),
            None => Err(DecodeError::new("a log entry", "it is empty".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::MemberId;

    #[test]
    fn an_entry_of_another_format_is_told_from_one_that_is_damaged() {
        let id = ProposalId { origin: MemberId(2), run: 9, count: 1 };
        let by = Some(Identity { user: "alice".into(), revision: 3 });
        let proposal = Proposal { id, by, command: Command::Compact { revision: 7 } };
        let bytes = proposal.encode();
        assert_eq!(Proposal::decode(&bytes), Ok(proposal));
        let said = |bytes: &[u8]| Proposal::decode(bytes).unwrap_err().to_string();
        assert!(said(&codec::encode(&(id, Command::Compact { revision: 7 }))).contains("its format is 0x2"));
        assert!(said(&bytes[..bytes.len() - 1]).contains("Proposal"));
        assert!(said(&[]).contains("it is empty"));
    }
}
