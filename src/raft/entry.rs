//! What stands in the log: entries whose content Raft never looks into, and the snapshots that stand for many
//! of them. Content is shared, not copied, between the log, the messages and the disk.

use crate::Membership;
use base::{Index, LAST, Term};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, ops::Deref, sync::Arc};

/// Bytes that are cheap to clone, and to make of bytes that are there.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Data(Arc<Vec<u8>>);

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) if text.len() <= 40 && !text.contains(char::is_control) => write!(f, "{text:?}"),
            _ => write!(f, "<{} bytes>", self.0.len()),
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> de::Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Data, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Data, E> {
        Ok(bytes.into())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Data, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

/// What an entry is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A new leader's first entry: by committing it, all before it are committed.
    Noop,
    /// A command for the state machine.
    Command(Data),
    /// Who belongs to the cluster from here on, and what the state machine is to know of it.
    Config { membership: Membership, context: Data },
}

/// One place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub term: Term,
    pub index: Index,
    pub payload: Payload,
}

impl Entry {
    /// Whether it could be agreed on: in a configuration somebody votes.
    pub fn is_sound(&self) -> bool {
        match &self.payload {
            Payload::Config { membership, .. } => !membership.voters.is_empty(),
            Payload::Noop | Payload::Command(_) => true,
        }
    }

    /// Bytes of content, which is what limits count.
    pub fn size(&self) -> u64 {
        match &self.payload {
            Payload::Noop => 0,
            Payload::Command(data) | Payload::Config { context: data, .. } => data.len() as u64,
        }
    }

    /// Differs, but for bad luck, between entries that differ (FNV-1a, 64 bit).
    pub fn digest(&self) -> u64 {
        let (kind, members, data): (u8, Vec<u64>, &[u8]) = match &self.payload {
            Payload::Noop => (0, vec![], &[]),
            Payload::Command(data) => (1, vec![], data),
            Payload::Config { membership, context } => (2, membership.numbers(), context),
        };
        let head = self.term.0.to_le_bytes().into_iter().chain(self.index.0.to_le_bytes());
        let members = members.into_iter().flat_map(u64::to_le_bytes);
        let bytes = head.chain([kind]).chain(members).chain(data.iter().copied());
        bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// What a snapshot stands for: the entries up to `index`, of which the last is of `term`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    pub index: Index,
    pub term: Term,
    pub membership: Membership,
    /// Where that configuration stood; zero if the cluster was founded with it.
    pub configured: Index,
}

impl SnapshotMeta {
    /// Whether a member in this term could have it.
    pub fn is_sound(&self, term: Term) -> bool {
        let Self { index, term: of, membership, configured } = self;
        (1..=LAST).contains(&index.0) && *of <= term && configured <= index && !membership.voters.is_empty()
    }
}

/// A state machine's state at an index, in `size` bytes that only the state machine reads. They are on the disk of whoever
/// has it: a state may be as large as memory, so that Raft never holds more than the pieces that are on their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub meta: SnapshotMeta,
    pub size: u64,
}
