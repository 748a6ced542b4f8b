//! The file `rejoin`: this member lost its disk and with it what it had promised, and has not caught up yet.
//! Promise: it stands before anything else does in a folder that was lost, and until what took the place of the
//! lost promises is on the disk.

use crate::{
    Error, Identity,
    files::{self, REJOIN},
    header,
};
use base::{LAST, Term};
use rt::fs;
use std::{io, path::Path};

const KIND: header::Kind = header::Kind { magic: b"WAVERJN\n", version: 1, name: "a note of rejoining" };

/// Notes, durably, that all promises in terms up to this one are forgotten.
pub(crate) async fn write(dir: &Path, identity: Identity, forgot: Term) -> Result<(), Error> {
    files::write_whole(&dir.join(REJOIN), &encode(identity, forgot)).await.map(drop)
}

pub(crate) fn encode(identity: Identity, forgot: Term) -> Vec<u8> {
    KIND.encode(identity, forgot.0)
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

/// A note is its header, and nothing more.
fn decode(path: &Path, bytes: &[u8], identity: Identity) -> Result<Term, Error> {
    let forgot = KIND.decode(path, bytes, identity)?;
    if bytes.len() > header::LEN {
        return Err(Error::damaged(path, header::LEN, "expected the end of a note of rejoining"));
    }
    if forgot > LAST {
        return Err(Error::damaged(path, header::LEN - 8, "expected a term that can be reached"));
    }
    Ok(Term(forgot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::MemberId;

    #[test]
    fn what_is_noted_is_read_and_no_byte_of_it_may_change() {
        let me = Identity { cluster: 1, member: MemberId(2) };
        let bytes = KIND.encode(me, 9);
        let read = |bytes: &[u8]| decode(Path::new("/f"), bytes, me).map_err(|error| error.to_string());
        assert_eq!(read(&bytes), Ok(Term(9)));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(read(&changed).is_err(), "byte {at}");
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert!(read(&[bytes.as_slice(), b"x"].concat()).is_err(), "nothing stands behind it");
        let other = Identity { cluster: 9, ..me };
        let error = decode(Path::new("/f"), &bytes, other).unwrap_err().to_string();
        assert!(error.contains("belongs to member 2 of cluster 1"), "{error}");
    }
}
