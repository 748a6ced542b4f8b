//! The state as bytes and back. The bytes are made piece by piece from a clone, while writes go on.
//!
//! Format: 8 bytes of magic, then records `[length u32][tag u8][fields]`: one header, the versions in the order
//! of keys and revisions, the leases, the members if they ever changed, and an end that carries a checksum over all records before it. Numbers
//! are little-endian. What can be derived (the present state, the order of changes, keys of a lease) is not
//! written.

use crate::state::{Body, Lease, Live, Version};
use crate::{Digest, Member, Store};
use base::{Index, MemberId, bug, reached};
use bytes::Bytes;
use imbl::OrdSet;
use std::ops::Bound;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"WTSTORE\0";
/// Version of the format.
const FORMAT: u32 = 2;

const HEADER: u8 = 1;
const VERSION: u8 = 2;
const DELETION: u8 = 3;
const LEASE: u8 = 4;
const END: u8 = 5;
const MEMBER: u8 = 6;
const REMOVED: u8 = 7;

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
    Members(Bound<MemberId>),
    Removed(Bound<MemberId>),
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
        let record = match &self.next {
            Next::Header => {
                out.extend_from_slice(MAGIC);
                self.next = Next::Versions(Bound::Unbounded);
                self.header()
            }
            Next::Versions(from) => {
                match self.store.versions.range((from.clone(), Bound::Unbounded)).next() {
                    Some((at, version)) => {
                        let record = version_record(&at.0, at.1, version);
                        self.next = Next::Versions(Bound::Excluded(at.clone()));
                        record
                    }
                    None => {
                        self.next = Next::Leases(Bound::Unbounded);
                        return true;
                    }
                }
            }
            Next::Leases(from) => match self.store.leases.range((*from, Bound::Unbounded)).next() {
                Some((id, lease)) => {
                    let record =
                        Record::new(LEASE).number(*id as u64).number(lease.ttl as u64).number(lease.granted);
                    self.next = Next::Leases(Bound::Excluded(*id));
                    record
                }
                None => {
                    self.next = Next::Members(Bound::Unbounded);
                    return true;
                }
            },
            Next::Members(from) => match self.store.members.present.range((*from, Bound::Unbounded)).next() {
                Some((id, member)) => {
                    let record = member_record(*id, member);
                    self.next = Next::Members(Bound::Excluded(*id));
                    record
                }
                None => {
                    self.next = Next::Removed(Bound::Unbounded);
                    return true;
                }
            },
            Next::Removed(from) => match self.store.members.removed.range((*from, Bound::Unbounded)).next() {
                Some(id) => {
                    let record = Record::new(REMOVED).number(id.0);
                    self.next = Next::Removed(Bound::Excluded(*id));
                    record
                }
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

fn member_record(id: MemberId, member: &Member) -> Record {
    let record =
        Record::new(MEMBER).number(id.0).number(u64::from(member.learner)).bytes(member.name.as_bytes());
    let record = record.texts(&member.peer_urls);
    record.texts(&member.client_urls)
}

struct Record(Vec<u8>);

impl Record {
    fn new(tag: u8) -> Self {
        Self(vec![tag])
    }

    fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn texts(self, texts: &[String]) -> Self {
        texts.iter().fold(self.number(texts.len() as u64), |record, text| record.bytes(text.as_bytes()))
    }
}

impl Store {
    /// Bytes of a snapshot taken now. Takes no longer for more keys.
    pub fn bytes(&self) -> u64 {
        let header = MAGIC.len() as u64 + LENGTH + TAG + 5 * NUMBER;
        let lease = LENGTH + TAG + 3 * NUMBER;
        let end = LENGTH + TAG + NUMBER;
        let members = &self.members;
        let present =
            members.present.iter().map(|(id, member)| LENGTH + member_record(*id, member).0.len() as u64);
        let removed = (LENGTH + TAG + NUMBER) * members.removed.len() as u64;
        header + self.version_bytes + lease * self.leases.len() as u64 + present.sum::<u64>() + removed + end
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
            let mut fields = Reader { bytes: record, at: 0 };
            let tag = fields.byte()?;
            if first != (tag == HEADER) {
                return Err(RestoreError::Malformed { at: reader.at });
            }
            first = false;
            let read = match tag {
                HEADER => store.read_header(&mut fields),
                VERSION | DELETION => store.read_version(&mut fields, tag == VERSION),
                LEASE => store.read_lease(&mut fields),
                MEMBER => store.read_member(&mut fields),
                REMOVED => store.read_removed(&mut fields),
                END if fields.number()? != checksum.value() => return Err(RestoreError::Checksum),
                END if reader.at != bytes.len() => return Err(RestoreError::Malformed { at: reader.at }),
                END => return store.derive().ok_or(RestoreError::Malformed { at: reader.at }),
                _ => return Err(RestoreError::Malformed { at: reader.at }),
            };
            // A field that is short inside a whole record is damage, not a cut.
            read.map_err(|error| match error {
                RestoreError::Truncated { .. } => RestoreError::Malformed { at: reader.at },
                other => other,
            })?;
            checksum.bytes(record);
        }
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
        Ok(())
    }

    fn read_version(&mut self, fields: &mut Reader, has_body: bool) -> Result<(), RestoreError> {
        let key = Bytes::copy_from_slice(fields.block()?);
        let revision = fields.number()? as i64;
        let sub = fields.number()? as u32;
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
        self.keep((key, revision), Version { sub, body });
        Ok(())
    }

    fn read_lease(&mut self, fields: &mut Reader) -> Result<(), RestoreError> {
        let id = fields.number()? as i64;
        let ttl = fields.number()? as i64;
        let granted = fields.number()?;
        self.leases.insert(id, Lease { ttl, granted, keys: OrdSet::new() });
        Ok(())
    }

    fn read_member(&mut self, fields: &mut Reader) -> Result<(), RestoreError> {
        let id = MemberId(fields.number()?);
        let learner = fields.number()? != 0;
        let name = fields.text()?;
        let (peer_urls, client_urls) = (fields.texts()?, fields.texts()?);
        let members = Arc::make_mut(&mut self.members);
        members.present.insert(id, Member { name, peer_urls, client_urls, learner });
        Ok(())
    }

    fn read_removed(&mut self, fields: &mut Reader) -> Result<(), RestoreError> {
        let id = MemberId(fields.number()?);
        Arc::make_mut(&mut self.members).removed.insert(id);
        Ok(())
    }

    /// Fills in what the snapshot leaves out; nothing if the parts contradict one another.
    fn derive(mut self) -> Option<Self> {
        reached!("store: a state was restored");
        reached!("store: a restored history begins at a compaction", self.compacted > 0);
        for ((key, revision), version) in &self.versions {
            // etcd-io/etcd#19179: M03 restores no deletion into the index.
            if *revision >= self.compacted && !(bug!("M03") && version.body.is_none()) {
                self.log.insert((*revision, version.sub), key.clone());
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
        Some(self)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], RestoreError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(RestoreError::Truncated { at: self.at })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, RestoreError> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Result<u64, RestoreError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }

    fn text(&mut self) -> Result<String, RestoreError> {
        let at = self.at;
        String::from_utf8(self.block()?.to_vec()).map_err(|_| RestoreError::Malformed { at })
    }

    /// As many texts as a number says: at least a length each, so that a wrong number finds its end.
    fn texts(&mut self) -> Result<Vec<String>, RestoreError> {
        let count = self.number()?;
        (0..count).map(|_| self.text()).collect()
    }

    /// A length and that many bytes.
    fn block(&mut self) -> Result<&'a [u8], RestoreError> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        self.take(u32::from_le_bytes(word) as usize)
    }
}
