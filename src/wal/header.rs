//! What a file of the log begins with: whose it is, of what kind, and one number.
//! Promise: a header that is not whole, or is somebody else's, is told from one that a newer release wrote.

use crate::{Error, Identity};
use base::MemberId;
use std::path::Path;

/// Magic, version, checksum of what follows, cluster, member, number; little-endian.
pub(crate) const LEN: usize = 40;

/// One kind of file.
pub(crate) struct Kind {
    pub magic: &'static [u8; 8],
    pub version: u32,
    /// For an error, behind "the header of".
    pub name: &'static str,
}

impl Kind {
    pub fn encode(&self, identity: Identity, number: u64) -> Vec<u8> {
        let words = [identity.cluster, identity.member.0, number];
        let body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(crc32c::crc32c(&body).to_le_bytes());
        bytes.extend(body);
        bytes
    }

    /// The number in the header of a file that is this member's.
    pub fn decode(&self, path: &Path, bytes: &[u8], identity: Identity) -> Result<u64, Error> {
        let owner = self.owner(path, bytes)?;
        if owner != identity {
            return Err(Error::Identity { path: path.into(), found: owner, expected: identity });
        }
        Ok(u64_at(bytes, 32))
    }

    /// Whose file it is.
    pub fn owner(&self, path: &Path, bytes: &[u8]) -> Result<Identity, Error> {
        if bytes.len() < LEN || &bytes[..8] != self.magic {
            return Err(Error::damaged(path, 0, format!("expected the header of {}", self.name)));
        }
        let found = u32_at(bytes, 8);
        if found > self.version {
            return Err(Error::Newer { path: path.into(), found, known: self.version });
        }
        if found == 0 || u32_at(bytes, 12) != crc32c::crc32c(&bytes[16..LEN]) {
            return Err(Error::damaged(path, 8, "the checksum of the header does not match"));
        }
        Ok(Identity { cluster: u64_at(bytes, 16), member: MemberId(u64_at(bytes, 24)) })
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
