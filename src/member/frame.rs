//! What members send each other, and the envelope around it: `[magic][version u16][cluster u64][crc32c u32]`
//! and then the body. A frame of another cluster or of another version is dropped, and counted by its reason.

use crate::{
    codec,
    compare::Held,
    members::Members,
    proposal::{Proposal, ProposalId},
};
use base::{LAST, MemberId, Term};
use bytes::Bytes;
use rt::net::Endpoint;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 4] = b"WTPF";
const VERSION: u16 = 5;
/// The cluster of one that joins, and does not know to which.
pub const ANY: u64 = 0;
const HEADER: usize = 4 + 2 + 8 + 4;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Frame {
    /// With the sender's address: a receiver whose log lags may never have heard of it, and must answer.
    Raft { message: raft::Message, sender: Endpoint },
    /// Proposals for whoever leads in this term, and in no other: a second copy of the frame is recognised
    /// within the term.
    Propose { term: Term, proposals: Vec<Forwarded> },
    /// A member that lost its disk asks in which term the receiver is.
    Recall { from: MemberId, nonce: u64 },
    Recalled {
        from: MemberId,
        nonce: u64,
        term: Term,
        /// Members have changed since the cluster was founded.
        changed: bool,
    },
    /// A member that joins asks which one it is: it is reached at this address. It may know its id, but not the others.
    WhoAmI { nonce: u64, peer: Endpoint, id: Option<MemberId> },
    YouAre {
        nonce: u64,
        cluster: u64,
        id: MemberId,
        members: Members,
        /// It has started before.
        started: bool,
        /// This is agreed on, and the id that it asked with is nobody's.
        instead: bool,
    },
    /// The receiver is a member no more, and never will be again.
    Removed,
    /// The sender compares what members hold of keys and history at a revision.
    Compare { from: MemberId, nonce: u64, revision: i64 },
    /// Nothing, if that revision is not there (yet, or any more).
    Compared { from: MemberId, nonce: u64, held: Option<Held> },
    /// The sender compares what members hashed when a revision was compacted; the answer is the same frame.
    CompareCompacted { from: MemberId, nonce: u64, revision: i64 },
}

impl Frame {
    fn is_sound(&self) -> bool {
        match self {
            Frame::Raft { message, .. } => message.is_sound(),
            // what cannot be read once it is agreed on stops every member
            Frame::Propose { term, proposals } => {
                term.0 <= LAST && proposals.iter().all(|forwarded| Proposal::decode(&forwarded.data).is_ok())
            }
            Frame::Recalled { term, .. } => term.0 <= LAST,
            Frame::Recall { .. }
            | Frame::WhoAmI { .. }
            | Frame::YouAre { .. }
            | Frame::Removed
            | Frame::Compare { .. }
            | Frame::CompareCompacted { .. }
            | Frame::Compared { .. } => true,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forwarded {
    pub id: ProposalId,
    pub data: raft::Data,
}

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    NotAFrame,
    OtherVersion,
    OtherCluster,
    Damaged,
    /// It is whole, and says what no member could.
    Unsound,
}

pub fn seal(cluster: u64, frame: &Frame) -> Bytes {
    envelope(cluster, &codec::encode(frame))
}

/// The envelope around any body, be it a frame or not.
pub fn envelope(cluster: u64, body: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&cluster.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes.into()
}

pub fn open(cluster: u64, bytes: &[u8]) -> Result<Frame, Dropped> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Dropped::NotAFrame)?;
    let (version, rest) = rest.split_first_chunk().ok_or(Dropped::NotAFrame)?;
    if u16::from_le_bytes(*version) != VERSION {
        return Err(Dropped::OtherVersion);
    }
    let (sender, rest) = rest.split_first_chunk().ok_or(Dropped::NotAFrame)?;
    if u64::from_le_bytes(*sender) != cluster {
        return Err(Dropped::OtherCluster);
    }
    let (checksum, body) = rest.split_first_chunk().ok_or(Dropped::NotAFrame)?;
    if u32::from_le_bytes(*checksum) != crc32c::crc32c(body) {
        return Err(Dropped::Damaged);
    }
    let frame: Frame = codec::decode(body).map_err(|_| Dropped::Damaged)?;
    if frame.is_sound() { Ok(frame) } else { Err(Dropped::Unsound) }
}

/// What a sealed frame of any cluster says, for who looks at a record; None if it is none of ours.
pub fn describe(bytes: &[u8]) -> Option<String> {
    let cluster = bytes.strip_prefix(MAGIC)?.get(2..10)?;
    match open(u64::from_le_bytes(cluster.try_into().ok()?), bytes).ok()? {
        Frame::Raft { message, .. } => Some(message.to_string()),
        Frame::Propose { term, proposals } => {
            Some(format!("{} proposals for the leader of term {}", proposals.len(), term.0))
        }
        Frame::Recall { from, .. } => Some(format!("{from} lost its disk, and asks for the term")),
        Frame::Recalled { from, term, .. } => Some(format!("{from} is in term {}", term.0)),
        Frame::WhoAmI { peer, .. } => Some(format!("who is the member at {peer}?")),
        Frame::YouAre { id, .. } => Some(format!("you are {id}")),
        Frame::Removed => Some("you were removed".into()),
        Frame::Compare { from, revision, .. } => Some(format!("{from} compares what is held at {revision}")),
        Frame::CompareCompacted { from, revision, .. } => {
            Some(format!("{from} compares what was hashed when {revision} was compacted"))
        }
        Frame::Compared { from, held: Some(held), .. } => Some(format!("{from} holds {held}")),
        Frame::Compared { from, held: None, .. } => Some(format!("{from} has no such revision")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    const ID: ProposalId = ProposalId { origin: MemberId(1), run: 2, count: 3 };

    fn proposing(data: impl IntoIterator<Item = raft::Data>) -> Frame {
        let proposals = data.into_iter().map(|data| Forwarded { id: ID, data }).collect();
        Frame::Propose { term: Term(4), proposals }
    }

    fn proposal() -> raft::Data {
        Proposal { id: ID, by: None, command: store::Command::Compact { revision: 7 } }.encode()
    }

    fn frame() -> Frame {
        proposing([proposal()])
    }

    #[test]
    fn what_was_sealed_can_be_opened() {
        assert_eq!(open(7, &seal(7, &frame())), Ok(frame()));
    }

    #[test]
    fn what_no_member_could_say_is_dropped() {
        let body = raft::Body::Appended { index: base::Index(u64::MAX) };
        let message = raft::Message { from: MemberId(2), to: MemberId(1), term: Term(1), body };
        let frame = Frame::Raft { message, sender: SocketAddr::from(([10, 0, 0, 2], 2380)).into() };
        assert_eq!(open(7, &seal(7, &frame)), Err(Dropped::Unsound));
    }

    /// Members of this release and of the one before understand each other.
    #[test]
    fn an_address_in_a_frame_has_the_bytes_it_had_before_there_were_names() {
        let shown = |body: &[u8]| body.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for (text, bytes) in
            [("10.0.0.2:2380", "000a000002fb4c09"), ("[fd00::1]:80", "01fd00000000000000000000000000000150")]
        {
            let address: SocketAddr = text.parse().expect("an address");
            assert_eq!(shown(&codec::encode(&address)), bytes);
            assert_eq!(shown(&codec::encode(&Endpoint::from(address))), bytes);
            assert_eq!(codec::decode(&codec::encode(&address)), Ok(Endpoint::from(address)));
        }
        let frame =
            Frame::WhoAmI { nonce: 5, peer: SocketAddr::from(([10, 0, 0, 2], 2380)).into(), id: None };
        assert_eq!(shown(&codec::encode(&frame)), "0405000a000002fb4c0900");
    }

    #[test]
    fn a_name_in_a_frame_is_one_that_a_machine_can_have() {
        let asks = |name: &str| codec::encode(&(4_u32, 5_u64, (2_u32, name, 2380_u16), None::<MemberId>));
        let peer = "etcd-0.etcd:2380".parse().expect("a name");
        let frame = Frame::WhoAmI { nonce: 5, peer, id: None };
        assert_eq!(codec::encode(&frame), asks("etcd-0.etcd"));
        assert_eq!(open(7, &seal(7, &frame)), Ok(frame));
        for name in ["", "a b", "10.0.0.1", &"a.".repeat(200)] {
            assert_eq!(open(7, &envelope(7, &asks(name))), Err(Dropped::Damaged), "{name:?}");
        }
    }

    #[test]
    fn a_proposal_that_could_not_be_applied_is_dropped() {
        let whole = proposal();
        for wrong in [&b""[..], b"hello", &whole[..whole.len() - 1], &[&whole[..], b"!"].concat()] {
            let frame = proposing([whole.clone(), wrong.into()]);
            assert_eq!(open(7, &seal(7, &frame)), Err(Dropped::Unsound), "{wrong:?}");
        }
    }

    #[test]
    fn a_frame_that_is_not_for_us_is_dropped_with_its_reason() {
        let sealed = seal(7, &frame());
        assert_eq!(open(8, &sealed), Err(Dropped::OtherCluster));
        assert_eq!(open(7, b"hello"), Err(Dropped::NotAFrame));
        assert_eq!(open(7, &sealed[..HEADER - 1]), Err(Dropped::NotAFrame));
        let flipped = |at: usize| {
            let mut bytes = sealed.to_vec();
            bytes[at] ^= 1;
            open(7, &bytes)
        };
        assert_eq!(flipped(4), Err(Dropped::OtherVersion));
        assert_eq!(flipped(HEADER - 1), Err(Dropped::Damaged));
        assert_eq!(flipped(sealed.len() - 1), Err(Dropped::Damaged));
    }
}
