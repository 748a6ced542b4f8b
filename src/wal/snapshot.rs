//! Snapshot files: `<index>.snap`, each whole or not there at all.
//! Promise: the newest two are kept, so that one that cannot be read has another behind it.

use crate::{
    Error, Identity, Snapshot,
    files::{self, SNAPSHOT, number, snapshot_path},
};
use base::{Index, LAST, MemberId, Term, bug};
use rt::fs;
use std::{io, path::Path, sync::Arc};

const MAGIC: &[u8; 8] = b"WAVESNP\n";
pub(crate) const VERSION: u32 = 1;
/// Magic, version, checksum of what follows; then six numbers: cluster, member, index, term, length of meta and
/// of data.
const HEADER: usize = 64;
const KEPT: usize = 2;

/// Writes snapshots; a handle that may be used beside the log.
#[derive(Clone, Debug)]
pub struct Snapshots {
    dir: Arc<Path>,
    identity: Identity,
}

/// A snapshot that is on the disk; only a finished write makes one.
#[derive(Debug)]
pub struct Written {
    index: Index,
}

impl Written {
    pub fn index(&self) -> Index {
        self.index
    }
}

impl Snapshots {
    pub(crate) fn new(dir: &Path, identity: Identity) -> Self {
        Self { dir: dir.into(), identity }
    }

    /// Writes a snapshot; durable on return. Older ones than the newest two are removed.
    pub async fn write(&self, snapshot: &Snapshot) -> Result<Written, Error> {
        self.put(snapshot.index, &encode(self.identity, snapshot)).await
    }

    /// As `write`, and gives the snapshot's data back. Data with room for the header (`room`) is not copied.
    pub async fn write_and_return(&self, mut snapshot: Snapshot) -> Result<Vec<u8>, Error> {
        let front = front(self.identity, &snapshot);
        let mut file = std::mem::take(&mut snapshot.data);
        file.splice(..0, front.iter().copied());
        seal(&mut file);
        self.put(snapshot.index, &file).await?;
        file.drain(..front.len());
        Ok(file)
    }

    /// Bytes in front of a snapshot's data in its file.
    pub fn room(meta: &[u8]) -> usize {
        HEADER + meta.len()
    }

    async fn put(&self, index: Index, bytes: &[u8]) -> Result<Written, Error> {
        let path = snapshot_path(&self.dir, index);
        files::write_whole(&path, bytes).await?;
        for index in self.list().await?.iter().rev().skip(KEPT) {
            let old = snapshot_path(&self.dir, *index);
            match fs::remove(&old).await {
                // Two writers may both see it as old.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("cannot remove", old)(error));
                }
                _ => {}
            }
        }
        Ok(Written { index })
    }

    /// The indexes of all snapshots, in order.
    pub(crate) async fn list(&self) -> Result<Vec<Index>, Error> {
        let names = fs::read_dir(&self.dir).await.map_err(Error::io("cannot list", &*self.dir))?;
        Ok(names.iter().filter_map(|name| number(name, SNAPSHOT)).map(Index).collect())
    }

    /// The last index that nothing needs the log for: the newest snapshot may turn out unreadable, and then
    /// the one before it needs all that follows.
    pub(crate) async fn covered(&self) -> Result<Index, Error> {
        Ok(self.list().await?.iter().rev().nth(KEPT - 1).copied().unwrap_or_default())
    }

    pub(crate) async fn read(&self, index: Index) -> Result<Snapshot, Error> {
        let path = snapshot_path(&self.dir, index);
        let bytes = fs::read(&path).await.map_err(Error::io("cannot read", &path))?;
        decode(&path, &bytes, self.identity, index)
    }
}

pub(crate) fn encode(identity: Identity, snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(Snapshots::room(&snapshot.meta) + snapshot.data.len());
    bytes.extend(front(identity, snapshot));
    bytes.extend(&snapshot.data);
    seal(&mut bytes);
    bytes
}

/// The header, without its checksum, and the meta.
fn front(identity: Identity, snapshot: &Snapshot) -> Vec<u8> {
    let (meta, data) = (&snapshot.meta, &snapshot.data);
    let lengths = [meta.len() as u64, data.len() as u64];
    let owner = [identity.cluster, identity.member.0];
    let words = owner.into_iter().chain([snapshot.index.0, snapshot.term.0]).chain(lengths);
    let mut bytes = Vec::with_capacity(Snapshots::room(meta));
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(words.flat_map(u64::to_le_bytes));
    bytes.extend(meta);
    bytes
}

/// Puts the checksum into a whole file.
fn seal(bytes: &mut [u8]) {
    let crc = crc32c::crc32c(&bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
}

fn decode(path: &Path, bytes: &[u8], identity: Identity, index: Index) -> Result<Snapshot, Error> {
    if bytes.len() < HEADER || &bytes[..8] != MAGIC {
        return Err(Error::damaged(path, 0, "expected the header of a snapshot"));
    }
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let word = |number: usize| {
        let at = 16 + number * 8;
        u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
    };
    let found = u32_at(8);
    if found > VERSION {
        return Err(Error::Newer { path: path.into(), found, known: VERSION });
    }
    if found == 0 || u32_at(12) != crc32c::crc32c(&bytes[16..]) && !bug!("S20") {
        return Err(Error::damaged(path, 12, "the checksum of the snapshot does not match"));
    }
    let owner = Identity { cluster: word(0), member: MemberId(word(1)) };
    if owner != identity {
        return Err(Error::Identity { path: path.into(), found: owner, expected: identity });
    }
    let (meta, data) = (word(4) as usize, word(5) as usize);
    if HEADER.checked_add(meta).and_then(|len| len.checked_add(data)) != Some(bytes.len())
        || word(2) != index.0
        || index.0 > LAST
        || word(3) > LAST
    {
        return Err(Error::damaged(
            path,
            32,
            "expected the lengths and the index to be those of this file, and its term one that can be reached",
        ));
    }
    Ok(Snapshot {
        index,
        term: Term(word(3)),
        meta: bytes[HEADER..HEADER + meta].to_vec(),
        data: bytes[HEADER + meta..].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Identity = Identity { cluster: 1, member: MemberId(2) };

    fn sample() -> Snapshot {
        Snapshot { index: Index(5), term: Term(3), meta: vec![1, 2], data: vec![3; 100] }
    }

    #[test]
    fn a_snapshot_survives_the_round_trip_and_no_byte_of_it_may_change() {
        let bytes = encode(ME, &sample());
        let read = |bytes: &[u8]| decode(Path::new("/f"), bytes, ME, Index(5));
        assert_eq!(read(&bytes).unwrap(), sample());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(read(&changed).is_err(), "byte {at}");
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let mut newer = encode(ME, &sample());
        newer[8] = 2;
        let text = |bytes: &[u8], identity, index| {
            decode(Path::new("/f"), bytes, identity, Index(index)).unwrap_err().to_string()
        };
        assert!(
            text(&newer, ME, 5).contains("/f is of format version 2, this program knows versions up to 1")
        );
        let bytes = encode(ME, &sample());
        let other = Identity { cluster: 9, ..ME };
        assert!(text(&bytes, other, 5).contains("belongs to member 2 of cluster 1"));
        assert!(text(&bytes, ME, 6).contains("expected the lengths and the index"));
    }
}
