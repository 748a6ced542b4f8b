//! The state as bytes and back. The bytes are made piece by piece from a clone, while writes go on.
//!
//! Format: 8 bytes of magic, then records `[length u32][tag u8][fields]`: one header, the versions in the order
//! of keys and revisions, the leases, the rest if there is any (members, users, roles, alarms), and an end that carries
//! a checksum over all records before it. What can be derived (the present state, the order of changes, keys of a
//! lease) is not written.
//!
//! | module | promise |
//! |---|---|
//! | `decode` | a state from its bytes, as they come |
//! | `fields` | the fields of a record |
//! | `rest` | what is not about keys: little of it, made at once |

mod decode;
mod fields;
mod rest;

pub use decode::{Decoder, RestoreError};
pub(crate) use rest::bytes as rest_bytes;

use crate::state::{Lease, Version};
use crate::{Digest, Store};
use bytes::Bytes;
use fields::Record;
use std::ops::Bound;

const MAGIC: &[u8; 8] = b"WTSTORE\0";
/// The version of the format that is written; all up to it are read.
pub const FORMAT: u32 = 4;

const HEADER: u8 = 1;
const VERSION: u8 = 2;
const DELETION: u8 = 3;
const LEASE: u8 = 4;
const END: u8 = 5;

/// Makes the bytes of a snapshot, piece by piece.
pub struct Encoder {
    store: Store,
    next: Next,
    checksum: Digest,
}

enum Next {
    Header,
    Versions(Bound<(Bytes, i64)>),
    Leases(Bound<i64>),
    Rest(std::vec::IntoIter<Record>),
    End,
    Done,
}

impl Encoder {
    /// Takes constant time; later writes to the store do not show.
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), next: Next::Header, checksum: Digest::default() }
    }

    /// Bytes of all pieces together.
    pub fn size(&self) -> u64 {
        self.store.bytes()
    }

    /// The next piece, of about `size` bytes; `None` at the end.
    pub fn next_piece(&mut self, size: usize) -> Option<Vec<u8>> {
        let mut piece = Vec::with_capacity(size.min(1 << 20));
        while piece.len() < size && self.write_one(&mut piece) {}
        (!piece.is_empty()).then_some(piece)
    }

    /// Writes one record; false when there is none left.
    fn write_one(&mut self, out: &mut Vec<u8>) -> bool {
        let record = match &mut self.next {
            Next::Header => {
                out.extend_from_slice(MAGIC);
                self.next = Next::Versions(Bound::Unbounded);
                self.header()
            }
            Next::Versions(from) => {
                match self.store.versions.range((from.clone(), Bound::Unbounded)).next() {
                    Some((at, version)) => {
                        *from = Bound::Excluded(at.clone());
                        version_record(&at.0, at.1, version)
                    }
                    None => {
                        self.next = Next::Leases(Bound::Unbounded);
                        return true;
                    }
                }
            }
            Next::Leases(from) => match self.store.leases.range((*from, Bound::Unbounded)).next() {
                Some((id, lease)) => {
                    *from = Bound::Excluded(*id);
                    lease_record(*id, lease)
                }
                None => {
                    self.next = Next::Rest(rest::records(&self.store).into_iter());
                    return true;
                }
            },
            Next::Rest(records) => match records.next() {
                Some(record) => record,
                None => {
                    self.next = Next::End;
                    return true;
                }
            },
            Next::End => {
                self.next = Next::Done;
                Record::new(END).number(self.checksum.value())
            }
            Next::Done => return false,
        };
        self.checksum.bytes(&record.0);
        out.extend_from_slice(&(record.0.len() as u32).to_le_bytes());
        out.extend_from_slice(&record.0);
        true
    }

    fn header(&self) -> Record {
        let store = &self.store;
        Record::new(HEADER)
            .number(u64::from(FORMAT))
            .number(store.revision as u64)
            .number(store.compacted as u64)
            .number(store.applied.0)
            .number(store.digest.value())
    }
}

/// Bytes of a number, and of the length or the tag before other bytes.
const NUMBER: u64 = 8;
const LENGTH: u64 = 4;
const TAG: u64 = 1;

/// Bytes that a version takes in a snapshot.
pub(crate) fn version_bytes(key: &Bytes, version: &Version) -> u64 {
    let body = version.body.as_ref().map_or(0, |body| LENGTH + body.value.len() as u64 + 3 * NUMBER);
    LENGTH + TAG + LENGTH + key.len() as u64 + 2 * NUMBER + body
}

fn version_record(key: &Bytes, revision: i64, version: &Version) -> Record {
    let tag = if version.body.is_some() { VERSION } else { DELETION };
    let record = Record::new(tag).bytes(key).number(revision as u64).number(u64::from(version.sub));
    match &version.body {
        None => record,
        Some(body) => record
            .bytes(&body.value)
            .number(body.create as u64)
            .number(body.version as u64)
            .number(body.lease as u64),
    }
}

fn lease_record(id: i64, lease: &Lease) -> Record {
    let record = Record::new(LEASE).number(id as u64).number(lease.ttl as u64).number(lease.granted);
    record.number(lease.left as u64)
}

impl Store {
    /// Bytes of a snapshot taken now. Takes no longer for more keys.
    pub fn bytes(&self) -> u64 {
        let header = MAGIC.len() as u64 + LENGTH + TAG + 5 * NUMBER;
        let lease = LENGTH + TAG + 4 * NUMBER;
        let end = LENGTH + TAG + NUMBER;
        header + self.version_bytes + lease * self.leases.len() as u64 + self.rest_bytes + end
    }

    /// The whole snapshot at once.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(self);
        let mut bytes = Vec::new();
        while let Some(piece) = encoder.next_piece(1 << 20) {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }
}
