//! What stands in a snapshot file. 64 bytes of header: magic, version, checksum of what follows up to the data; then six
//! numbers: cluster, member, index, term, length of meta and of data. Then meta, and the data in blocks, each behind its
//! checksum. All of it is little-endian.
//! Promise: a block of another snapshot, or from another place in this one, does not pass for the one that belongs there.

use crate::{Error, Identity, Snapshot, header::u32_at};
use base::{Index, LAST, MemberId, Term, bug};
use std::path::Path;

pub(super) const MAGIC: &[u8; 8] = b"WAVESNP\n";
pub(super) const VERSION: u32 = 2;
pub(super) const HEADER: usize = 64;
/// Bytes of data in a block, but for the last.
pub(super) const BLOCK: usize = 64 << 10;
/// Bytes read or written at once.
pub(super) const PIECE: usize = 4 * BLOCK;
/// Bytes of the checksum in front of one.
pub(super) const SUM: usize = 4;

/// What a header says.
pub(super) struct Head {
    pub owner: Identity,
    pub index: Index,
    pub term: Term,
    pub meta: usize,
    pub size: u64,
}

impl Head {
    /// The numbers of a header, whatever they are.
    pub fn of(bytes: &[u8]) -> Self {
        let word = |number: usize| {
            let at = 16 + number * 8;
            u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
        };
        let owner = Identity { cluster: word(0), member: MemberId(word(1)) };
        let (index, term) = (Index(word(2)), Term(word(3)));
        Self { owner, index, term, meta: usize::try_from(word(4)).unwrap_or(usize::MAX), size: word(5) }
    }

    /// Whether it is that of this member's snapshot at an index.
    pub fn check(&self, path: &Path, identity: Identity, index: Index) -> Result<(), Error> {
        if self.owner != identity {
            return Err(Error::Identity { path: path.into(), found: self.owner, expected: identity });
        }
        if self.index != index || index.0 > LAST || self.term.0 > LAST {
            let expected = "expected the index of this file, and a term that can be reached";
            return Err(Error::damaged(path, 32, expected));
        }
        Ok(())
    }
}

/// The version of a snapshot file that begins with these bytes.
pub(super) fn version(path: &Path, header: &[u8]) -> Result<u32, Error> {
    if header.len() < HEADER || &header[..8] != MAGIC {
        return Err(Error::damaged(path, 0, "expected the header of a snapshot"));
    }
    match u32_at(header, 8) {
        0 => Err(Error::damaged(path, 8, "expected the version of a format")),
        found if found > VERSION => Err(Error::Newer { path: path.into(), found, known: VERSION }),
        found => Ok(found),
    }
}

/// What stands in front of the data.
pub(super) fn front(identity: Identity, snapshot: &Snapshot) -> Vec<u8> {
    let Snapshot { index, term, meta, size } = snapshot;
    let words = [identity.cluster, identity.member.0, index.0, term.0, meta.len() as u64, *size];
    let mut bytes = Vec::with_capacity(HEADER + meta.len());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
    bytes.extend(meta);
    let sum = crc32c::crc32c(&bytes[16..]);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Whether the checksum of what stands in front of the data is right.
pub(super) fn is_whole(front: &[u8]) -> bool {
    u32_at(front, 12) == crc32c::crc32c(&front[16..]) || bug!("S20")
}

/// The checksum of a block: that of its place as well.
pub(super) fn sum(snapshot: &Snapshot, number: u64, data: &[u8]) -> u32 {
    let place = [snapshot.index.0, snapshot.term.0, number].map(u64::to_le_bytes).concat();
    crc32c::crc32c_append(crc32c::crc32c(&place), data)
}

/// A block as it stands in the file.
pub(super) fn block(snapshot: &Snapshot, number: u64, data: &[u8], out: &mut Vec<u8>) {
    out.extend(sum(snapshot, number, data).to_le_bytes());
    out.extend(data);
}

/// Bytes of a whole file; none if there can be no such file.
pub(super) fn length(meta: usize, size: u64) -> Option<u64> {
    let sums = size.div_ceil(BLOCK as u64).checked_mul(SUM as u64)?;
    (HEADER as u64).checked_add(meta as u64)?.checked_add(sums)?.checked_add(size)
}

/// A whole file.
pub(crate) fn encode(identity: Identity, snapshot: &Snapshot, data: &[u8]) -> Vec<u8> {
    let mut bytes = front(identity, snapshot);
    for (number, data) in data.chunks(BLOCK).enumerate() {
        block(snapshot, number as u64, data, &mut bytes);
    }
    bytes
}
