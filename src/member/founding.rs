//! What a cluster was founded with, kept in each founding member's folder: the log begins behind it, and what people
//! say on the command line later is not asked again. `[magic][version u16][crc32c u32]`, then the cluster and its members.

use crate::{codec, error::Error, members::Members};
use rt::fs::{self, File};
use std::{io, path::Path};

const NAME: &str = "founding";
const MAGIC: &[u8; 4] = b"WTFO";
const VERSION: u16 = 1;
const HEADER: usize = 4 + 2 + 4;

/// The cluster and the members that it was founded with.
pub type Founding = (u64, Members);

/// What is kept in a folder; nothing if its member was not one of those that founded the cluster, or not yet.
pub async fn read(dir: &Path) -> Result<Option<Founding>, Error> {
    let path = dir.join(NAME);
    let refuse = |reason: String| Error::Founding { path: path.clone(), reason };
    let bytes = match fs::read(&path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| refuse(error.to_string()))?,
    };
    decode(&bytes).map(Some).map_err(|reason| refuse(reason.into()))
}

/// Keeps it; durable when this returns. The folder is made if it is not there.
pub async fn write(dir: &Path, founding: &Founding) -> Result<(), Error> {
    let path = dir.join(NAME);
    let written = async {
        fs::create_dir_all(dir).await?;
        let new = dir.join(format!("{NAME}.new"));
        let file = File::create(&new).await?;
        file.append(&encode(founding)).await?;
        file.sync().await?;
        fs::rename(&new, &path).await?;
        fs::sync_dir(dir).await
    };
    written
        .await
        .map_err(|error: io::Error| Error::Founding { path: path.clone(), reason: error.to_string() })
}

fn encode(founding: &Founding) -> Vec<u8> {
    let body = codec::encode(founding);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Founding, &'static str> {
    let damaged = "it is damaged: restore it from another founding member's folder, all are the same";
    let rest = bytes.strip_prefix(MAGIC).ok_or(damaged)?;
    let (version, rest) = rest.split_first_chunk().ok_or(damaged)?;
    if u16::from_le_bytes(*version) != VERSION {
        return Err("it was written by another version of this program");
    }
    let (checksum, body) = rest.split_first_chunk().ok_or(damaged)?;
    if u32::from_le_bytes(*checksum) != crc32c::crc32c(body) {
        return Err(damaged);
    }
    codec::decode(body).map_err(|_| damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::Member;
    use base::MemberId;

    #[test]
    fn what_was_kept_is_read_and_what_is_damaged_is_refused() {
        let member =
            Member { name: "a".into(), peer_urls: vec!["http://10.0.0.1:2380".into()], ..Member::default() };
        let founding = (7, Members { present: [(MemberId(1), member)].into(), ..Members::default() });
        let bytes = encode(&founding);
        assert_eq!(decode(&bytes), Ok(founding));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "the first {at} bytes");
        }
    }
}
