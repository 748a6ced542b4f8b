//! The file `rejoin`: this member lost its disk and with it what it had promised, and has not caught up yet.
//! Promise: it stands before anything else does in a folder that was lost, and until what took the place of the
//! lost promises is on the disk.

use crate::{
    Error, Identity,
    files::{self, REJOIN},
};
use base::{MemberId, Term};
use rt::fs;
use std::{io, path::Path};

const MAGIC: &[u8; 8] = b"WAVERJN\n";
const VERSION: u32 = 1;
/// Magic, version, checksum of what follows; cluster, member, term.
const LEN: usize = 40;

/// Notes, durably, that all promises in terms up to this one are forgotten.
pub(crate) async fn write(dir: &Path, identity: Identity, forgot: Term) -> Result<(), Error> {
    files::write_whole(&dir.join(REJOIN), &encode(identity, forgot)).await.map(drop)
}

pub(crate) async fn read(dir: &Path, identity: Identity) -> Result<Term, Error> {
    let path = dir.join(REJOIN);
    let bytes = fs::read(&path).await.map_err(Error::io("cannot read", &path))?;
    decode(&path, &bytes, identity)
}

pub(crate) async fn remove(dir: &Path) -> Result<(), Error> {
    let path = dir.join(REJOIN);
    match fs::remove(&path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("cannot remove", path)(error)),
        _ => files::sync_dir(dir).await,
    }
}

fn encode(identity: Identity, forgot: Term) -> Vec<u8> {
    let words = [identity.cluster, identity.member.0, forgot.0];
    let body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(crc32c::crc32c(&body).to_le_bytes());
    bytes.extend(body);
    bytes
}

fn decode(path: &Path, bytes: &[u8], identity: Identity) -> Result<Term, Error> {
    if bytes.len() != LEN || &bytes[..8] != MAGIC {
        return Err(Error::damaged(path, 0, "expected the header of a note of rejoining"));
    }
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let found = u32_at(8);
    if found > VERSION {
        return Err(Error::Newer { path: path.into(), found, known: VERSION });
    }
    if found == 0 || u32_at(12) != crc32c::crc32c(&bytes[16..]) {
        return Err(Error::damaged(path, 12, "the checksum does not match"));
    }
    let owner = Identity { cluster: u64_at(16), member: MemberId(u64_at(24)) };
    if owner != identity {
        return Err(Error::Identity { path: path.into(), found: owner, expected: identity });
    }
    Ok(Term(u64_at(32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_and_no_byte_of_it_may_change() {
        let me = Identity { cluster: 1, member: MemberId(2) };
        let bytes = encode(me, Term(9));
        let read = |bytes: &[u8]| decode(Path::new("/f"), bytes, me).map_err(|error| error.to_string());
        assert_eq!(read(&bytes), Ok(Term(9)));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(read(&changed).is_err(), "byte {at}");
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        }
        let other = Identity { cluster: 9, ..me };
        let error = decode(Path::new("/f"), &bytes, other).unwrap_err().to_string();
        assert!(error.contains("belongs to member 2 of cluster 1"), "{error}");
    }
}
