//! A state from the bytes of a snapshot, as they come: beside the state itself, no more than one record is held.
//! Promise: a state only from all of the bytes and nothing else, held against their checksum; from bytes that were
//! damaged or forged an error, and never a state from which nobody could go on.

use super::fields::Reader;
use super::{DELETION, END, FORMAT, HEADER, LEASE, LENGTH, MAGIC, VERSION, rest};
use crate::check::MAX_TTL;
use crate::state::{Body, Lease, Live, Version};
use crate::{Digest, Store};
use base::{Index, LAST, bug, reached};
use bytes::Bytes;
use imbl::OrdSet;
use std::sync::Arc;

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

/// Takes the bytes of a snapshot, in pieces of any size.
pub struct Decoder {
    store: Store,
    checksum: Digest,
    stage: Stage,
    /// What came of a record, its length before it, and is not all of it.
    partial: Vec<u8>,
    /// Bytes taken before that.
    at: usize,
    /// The last version read: they come in order.
    last: Option<(Bytes, i64)>,
}

#[derive(PartialEq)]
enum Stage {
    Magic,
    Header,
    Records,
    /// Behind the last record.
    Whole,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            store: Store::new(),
            checksum: Digest::default(),
            stage: Stage::Magic,
            partial: Vec::new(),
            at: 0,
            last: None,
        }
    }
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.feed_to_end(bytes).and_then(|behind| match behind {
            0 => Ok(()),
            _ => Err(RestoreError::Malformed { at: self.at }),
        })
    }

    /// The same; zeros may stand behind the snapshot.
    pub fn feed_padded(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let behind = self.feed_to_end(bytes)?;
        let zeros = bytes[bytes.len() - behind..].iter().all(|byte| *byte == 0);
        if zeros { Ok(()) } else { Err(RestoreError::Malformed { at: self.at }) }
    }

    /// The state, when all of it was there.
    pub fn finish(self) -> Result<Store, RestoreError> {
        match self.stage {
            Stage::Whole => self.store.attach_keys().ok_or(RestoreError::Malformed { at: self.at }),
            Stage::Magic => Err(RestoreError::Magic),
            Stage::Header | Stage::Records => Err(RestoreError::Truncated { at: self.at }),
        }
    }

    /// Says how many of the bytes stand behind the last record.
    fn feed_to_end(&mut self, bytes: &[u8]) -> Result<usize, RestoreError> {
        let mut rest = bytes;
        while self.stage != Stage::Whole {
            let Some(whole) = self.length()? else {
                // the magic, or a length, comes first
                let lacks = self.front() - self.partial.len();
                if !self.gather(&mut rest, lacks) {
                    return Ok(0);
                }
                continue;
            };
            // A record that is all there is read where it stands.
            if self.partial.len() == self.front() && rest.len() >= whole - self.front() {
                let (record, behind) = rest.split_at(whole - self.front());
                rest = behind;
                self.partial.clear();
                self.take(record, whole)?;
            } else if self.gather(&mut rest, whole - self.partial.len()) {
                let block = std::mem::take(&mut self.partial);
                self.take(&block[self.front()..], whole)?;
            } else {
                return Ok(0);
            }
        }
        Ok(rest.len())
    }

    /// Bytes in front of what is read as one.
    fn front(&self) -> usize {
        if self.stage == Stage::Magic { MAGIC.len() } else { LENGTH as usize }
    }

    /// Bytes of what is to be read next, with those in front; none while it is not known.
    fn length(&self) -> Result<Option<usize>, RestoreError> {
        let Some(front) = self.partial.get(..self.front()) else { return Ok(None) };
        if self.stage == Stage::Magic {
            return if front == MAGIC { Ok(Some(front.len())) } else { Err(RestoreError::Magic) };
        }
        let length = u32::from_le_bytes(front.try_into().expect("four bytes"));
        Ok(Some(LENGTH as usize + length as usize))
    }

    /// Moves bytes to those that wait; true when that is as many as were lacking.
    fn gather(&mut self, rest: &mut &[u8], lacks: usize) -> bool {
        let (now, later) = rest.split_at(lacks.min(rest.len()));
        self.partial.extend_from_slice(now);
        *rest = later;
        now.len() == lacks
    }

    /// Reads what stands in `whole` bytes.
    fn take(&mut self, record: &[u8], whole: usize) -> Result<(), RestoreError> {
        self.at += whole;
        if self.stage == Stage::Magic {
            self.stage = Stage::Header;
            return Ok(());
        }
        self.read(record).map_err(|error| match error {
            RestoreError::Newer { .. } | RestoreError::Checksum => error,
            // A field that is short inside a whole record is damage, not a cut.
            _ => RestoreError::Malformed { at: self.at },
        })
    }

    fn read(&mut self, record: &[u8]) -> Result<(), RestoreError> {
        let malformed = RestoreError::Malformed { at: self.at };
        let mut fields = Reader { bytes: record, at: 0 };
        let tag = fields.byte()?;
        if (self.stage == Stage::Header) != (tag == HEADER) {
            return Err(malformed);
        }
        self.stage = if tag == END { Stage::Whole } else { Stage::Records };
        if tag == END {
            let whole = fields.number()? == self.checksum.value();
            let end = if fields.is_at_end() { Ok(()) } else { Err(malformed) };
            return if whole { end } else { Err(RestoreError::Checksum) };
        }
        match tag {
            HEADER => self.store.read_header(&mut fields)?,
            VERSION | DELETION => self.read_version(&mut fields, tag == VERSION)?,
            LEASE => self.store.read_lease(&mut fields)?,
            _ => self.store.read_rest(tag, &mut fields)?,
        }
        self.checksum.bytes(record);
        if fields.is_at_end() { Ok(()) } else { Err(malformed) }
    }

    fn read_version(&mut self, fields: &mut Reader, has_body: bool) -> Result<(), RestoreError> {
        let malformed = RestoreError::Malformed { at: self.at };
        let key = fields.block()?;
        // versions of one key share it
        let key = match &self.last {
            Some((last, _)) if last == key => last.clone(),
            _ => Bytes::copy_from_slice(key),
        };
        let revision = fields.number()? as i64;
        let sub = u32::try_from(fields.number()?).map_err(|_| malformed)?;
        let body = if has_body { Some(Arc::new(read_body(fields, revision)?)) } else { None };
        let at = (key, revision);
        let in_order = self.last.as_ref().is_none_or(|last| *last < at);
        if !in_order || !(1..=self.store.revision).contains(&revision) {
            return Err(malformed);
        }
        self.last = Some(at.clone());
        if self.store.take_version(at, Version { sub, body }) { Ok(()) } else { Err(malformed) }
    }
}

fn read_body(fields: &mut Reader, revision: i64) -> Result<Body, RestoreError> {
    let body = Body {
        value: Bytes::copy_from_slice(fields.block()?),
        create: fields.number()? as i64,
        version: fields.number()? as i64,
        lease: fields.number()? as i64,
    };
    let past = 1..=revision;
    let sound = past.contains(&body.create) && past.contains(&body.version);
    if sound { Ok(body) } else { Err(RestoreError::Malformed { at: fields.at }) }
}

impl Store {
    /// The store that a snapshot was taken of.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut decoder = Decoder::new();
        decoder.feed(bytes)?;
        decoder.finish()
    }

    /// The same; zeros may stand behind it.
    pub fn restore_padded(bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut decoder = Decoder::new();
        decoder.feed_padded(bytes)?;
        decoder.finish()
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
        reached!("store: a restored history begins at a compaction", self.compacted > 0);
        if sound { Ok(()) } else { Err(RestoreError::Malformed { at: fields.at }) }
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

    /// The next version, and what follows from it: the key as it is now, and the place of the change among others.
    /// False if another change has that place.
    fn take_version(&mut self, at: (Bytes, i64), version: Version) -> bool {
        let (key, revision) = at.clone();
        // etcd-io/etcd#19179: M03 restores no deletion into the index.
        if revision >= self.compacted && !(bug!("M03") && version.body.is_none()) {
            let taken = self.log.insert((revision, version.sub), key.clone());
            if taken.is_some() {
                return false;
            }
        }
        match &version.body {
            Some(body) => {
                self.live.insert(key, Live { modified: revision, body: body.clone() });
            }
            None => {
                reached!("store: a restored state remembers a deletion");
                self.live.remove(&key);
            }
        }
        !self.keep(at, version)
    }

    /// Fills in what follows from all of it; nothing if the parts contradict one another.
    fn attach_keys(mut self) -> Option<Self> {
        reached!("store: a state was restored");
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
    use crate::snapshot::fields::Record;

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
