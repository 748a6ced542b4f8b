//! The state as bytes and back. The bytes are made piece by piece from a clone, while writes go on.
//!
//! Format: 8 bytes of magic, then records `[length u32][tag u8][fields]`: one header, the versions in the order
//! of keys and revisions, the leases, the rest if there is any (members, users, roles, alarms), and an end that carries
//! a checksum over all records before it. What can be derived (the present state, the order of changes, keys of a
//! lease) is not written.
//!
//! | module | promise |
//! |---|---|
//! | `fields` | the fields of a record |
//! | `rest` | what is not about keys: little of it, made at once |

mod fields;
mod rest;

pub(crate) use rest::bytes as rest_bytes;

use crate::check::MAX_TTL;
use crate::state::{Body, Lease, Live, Version};
use crate::{Digest, Store};
use base::{Index, LAST, bug, reached};
use bytes::Bytes;
use fields::{Reader, Record};
use imbl::OrdSet;
use std::ops::Bound;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"WTSTORE\0";
/// The version of the format that is written; all up to it are read.
pub const FORMAT: u32 = 4;

const HEADER: u8 = 1;
const VERSION: u8 = 2;
const DELETION: u8 = 3;
const LEASE: u8 = 4;
const END: u8 = 5;

/// Why bytes are not a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("not a snapshot of a store: expected it to begin with its magic")]
    Magic,
    #[error("the snapshot has format {found}, expected at most {FORMAT}: it was made by a newer program")]
    Newer { found: u32 },
    #[error("the snapshot ends in the middle, at byte {at}")]
    Truncated { at: usize },
    #[error("the snapshot is damaged at byte {at}")]
    Malformed { at: usize },
    #[error("the snapshot's checksum does not match its content")]
    Checksum,
}

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

    /// The store that a snapshot was taken of.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take(MAGIC.len()) != Ok(MAGIC) {
            return Err(RestoreError::Magic);
        }
        let mut store = Store::new();
        let mut checksum = Digest::default();
        let mut first = true;
        loop {
            let record = reader.block()?;
            let malformed = RestoreError::Malformed { at: reader.at };
            let mut fields = Reader { bytes: record, at: 0 };
            // A field that is short inside a whole record is damage, not a cut.
            let damage = |error| match error {
                RestoreError::Truncated { .. } => malformed,
                other => other,
            };
            let tag = fields.byte().map_err(damage)?;
            if first != (tag == HEADER) {
                return Err(malformed);
            }
            first = false;
            if tag == END {
                let whole = fields.number().map_err(damage)? == checksum.value();
                return match whole {
                    false => Err(RestoreError::Checksum),
                    true if fields.is_at_end() && reader.at == bytes.len() => store.derive().ok_or(malformed),
                    true => Err(malformed),
                };
            }
            store.read_record(tag, &mut fields).map_err(damage)?;
            if !fields.is_at_end() {
                return Err(malformed);
            }
            checksum.bytes(record);
        }
    }

    /// Reads any record but the last.
    fn read_record(&mut self, tag: u8, fields: &mut Reader) -> Result<(), RestoreError> {
        match tag {
            HEADER => self.read_header(fields),
            VERSION | DELETION => self.read_version(fields, tag == VERSION),
            LEASE => self.read_lease(fields),
            _ => self.read_rest(tag, fields),
        }
    }

    /// The same; zeros may stand behind it.
    pub fn restore_padded(bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take(MAGIC.len()) != Ok(MAGIC) {
            return Err(RestoreError::Magic);
        }
        while reader.block()?.first() != Some(&END) {}
        let (snapshot, padding) = bytes.split_at(reader.at);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(RestoreError::Malformed { at: reader.at });
        }
        Self::restore(snapshot)
    }

    fn read_header(&mut self, fields: &mut Reader) -> Result<(), RestoreError> {
        let format = fields.number()?;
        if format > u64::from(FORMAT) {
            return Err(RestoreError::Newer { found: format as u32 });
        }
        self.revision = fields.number()? as i64;
        self.compacted = fields.number()? as i64;
        self.applied = Index(fields.number()?);
        self.digest = Digest::from_value(fields.number()?);
        let counts = (1..=LAST as i64).contains(&self.revision) && self.applied.0 <= LAST;
        let sound = counts && (-1..=self.revision).contains(&self.compacted);
        if sound { Ok(()) } else { Err(RestoreError::Malformed { at: fields.at }) }
    }

    fn read_version(&mut self, fields: &mut Reader, has_body: bool) -> Result<(), RestoreError> {
        let key = Bytes::copy_from_slice(fields.block()?);
        let revision = fields.number()? as i64;
        let malformed = RestoreError::Malformed { at: fields.at };
        let sub = u32::try_from(fields.number()?).map_err(|_| malformed)?;
        let body = if has_body {
            Some(Arc::new(Body {
                value: Bytes::copy_from_slice(fields.block()?),
                create: fields.number()? as i64,
                version: fields.number()? as i64,
                lease: fields.number()? as i64,
            }))
        } else {
            None
        };
        let past = 1..=revision;
        let counts =
            body.as_ref().is_none_or(|body| past.contains(&body.create) && past.contains(&body.version));
        let sound = (1..=self.revision).contains(&revision) && counts;
        let twice = self.keep((key, revision), Version { sub, body });
        if sound && !twice { Ok(()) } else { Err(malformed) }
    }

    fn read_lease(&mut self, fields: &mut Reader) -> Result<(), RestoreError> {
        let id = fields.number()? as i64;
        let ttl = fields.number()? as i64;
        let granted = fields.number()?;
        // up to format 3 nothing stands here
        let left = if fields.is_at_end() { 0 } else { fields.number()? as i64 };
        let sound = id != 0 && ttl <= MAX_TTL && granted <= self.applied.0 && left >= 0;
        let twice = self.leases.insert(id, Lease { ttl, granted, left, keys: OrdSet::new() }).is_some();
        if sound && !twice { Ok(()) } else { Err(RestoreError::Malformed { at: fields.at }) }
    }

    /// Fills in what the snapshot leaves out; nothing if the parts contradict one another.
    fn derive(mut self) -> Option<Self> {
        reached!("store: a state was restored");
        reached!("store: a restored history begins at a compaction", self.compacted > 0);
        for ((key, revision), version) in &self.versions {
            // etcd-io/etcd#19179: M03 restores no deletion into the index.
            if *revision >= self.compacted && !(bug!("M03") && version.body.is_none()) {
                let taken = self.log.insert((*revision, version.sub), key.clone());
                if taken.is_some() {
                    return None; // two changes in one place
                }
            }
            match &version.body {
                Some(body) => {
                    self.live.insert(key.clone(), Live { modified: *revision, body: body.clone() });
                }
                None => {
                    reached!("store: a restored state remembers a deletion");
                    self.live.remove(key);
                }
            }
        }
        if bug!("M01") {
            // etcd-io/etcd#17780: the revision as what is left tells it, not as it was
            self.revision = self.live.values().map(|live| live.modified).max().unwrap_or(1);
        }
        for (key, live) in self.live.iter().filter(|(_, live)| live.body.lease != 0) {
            reached!("store: a restored lease has its key again");
            self.leases.get_mut(&live.body.lease)?.keys.insert(key.clone());
        }
        self.rest_bytes = rest::bytes(&self);
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: u64 = i64::MAX as u64;

    fn header(revision: u64, compacted: i64, applied: u64) -> Record {
        let head = Record::new(HEADER).number(u64::from(FORMAT)).number(revision);
        head.number(compacted as u64).number(applied).number(0)
    }

    fn change(key: &str, revision: u64, sub: u64, create: u64, version: u64) -> Record {
        let record = Record::new(VERSION).bytes(key.as_bytes()).number(revision).number(sub);
        record.bytes(b"value").number(create).number(version).number(0)
    }

    /// What these records are restored to, behind a right checksum.
    fn restored(records: Vec<Record>) -> Result<Store, RestoreError> {
        let (mut bytes, mut checksum) = (MAGIC.to_vec(), Digest::default());
        records.iter().for_each(|record| checksum.bytes(&record.0));
        for record in records.into_iter().chain([Record::new(END).number(checksum.value())]) {
            bytes.extend((record.0.len() as u32).to_le_bytes());
            bytes.extend(record.0);
        }
        Store::restore(&bytes)
    }

    #[track_caller]
    fn refused(records: Vec<Record>) {
        let outcome = restored(records);
        assert!(matches!(outcome, Err(RestoreError::Malformed { .. })), "{outcome:?}");
    }

    #[test]
    fn a_state_from_which_nobody_could_go_on_is_refused() {
        assert!(restored(vec![header(3, 2, 9), change("a", 3, 0, 2, 2)]).is_ok());
        refused(vec![header(FAR, -1, 9)]);
        refused(vec![header(3, -1, u64::MAX)]);
        refused(vec![header(3, 4, 9)]);
        refused(vec![header(3, -2, 9)]);
        refused(vec![header(3, -1, 9), Record::new(LEASE).number(7).number(FAR).number(1)]);
        refused(vec![header(3, -1, 9), Record::new(LEASE).number(7).number(60).number(10)]);
    }

    #[test]
    fn changes_are_of_the_past_and_each_has_a_place_of_its_own() {
        let head = || header(3, -1, 9);
        refused(vec![head(), change("a", 4, 0, 2, 1)]);
        refused(vec![head(), change("a", 1 << 63, 0, 2, 1)]);
        refused(vec![head(), change("a", 3, 0, 4, 1)]);
        refused(vec![head(), change("a", 3, 0, 2, FAR)]);
        refused(vec![head(), change("a", 3, 1 << 32, 2, 1)]);
        refused(vec![head(), change("a", 3, 0, 2, 1), change("b", 3, 0, 2, 1)]);
        refused(vec![head(), change("a", 3, 0, 2, 1), change("a", 3, 1, 2, 1)]);
    }

    #[test]
    fn a_record_is_what_it_has_fields_for_and_no_more() {
        refused(vec![header(3, -1, 9).number(0)]);
        refused(vec![header(3, -1, 9), Record(vec![])]);
        refused(vec![header(3, -1, 9), Record::new(LEASE).number(7)]);
    }
}
