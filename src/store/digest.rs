//! Hashes. The rolling one tells whether two members that applied the same log are the same; the one at a
//! revision tells it to whoever asks from outside. Neither resists an adversary.

use crate::{Error, Event, EventKind, Store};

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const INCREMENT: u64 = 0xd1b5_4a32_d192_ed03;

/// A hash that is fed piece by piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    pub fn from_value(value: u64) -> Self {
        Self(value)
    }

    pub fn value(self) -> u64 {
        self.0
    }

    pub fn number(&mut self, number: u64) {
        let product = u128::from((self.0 ^ number).wrapping_add(INCREMENT)) * u128::from(MULTIPLIER);
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ self.0.rotate_left(17);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        let kv = &event.kv;
        self.number(match event.kind {
            EventKind::Put => 1,
            EventKind::Delete => 2,
        });
        self.bytes(&kv.key);
        self.bytes(&kv.value);
        for number in [kv.create_revision, kv.mod_revision, kv.version, kv.lease] {
            self.number(number as u64);
        }
    }
}

/// The hash of everything kept up to a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashAt {
    pub hash: u32,
    /// Two hashes may be compared only if this is the same.
    pub compacted: i64,
    /// The revision meant: the one asked for, or the current one.
    pub revision: i64,
}

impl Store {
    /// Hashes every kept version up to a revision; 0 is the current one.
    pub fn hash_at(&self, revision: i64) -> Result<HashAt, Error> {
        let revision = self.readable(revision)?.unwrap_or(self.revision);
        let mut digest = Digest::default();
        for ((key, modified), version) in &self.versions {
            if *modified > revision {
                continue;
            }
            digest.bytes(key);
            digest.number(*modified as u64);
            if let Some(body) = &version.body {
                digest.bytes(&body.value);
                [body.create, body.version, body.lease].iter().for_each(|n| digest.number(*n as u64));
            }
        }
        let hash = (digest.value() ^ (digest.value() >> 32)) as u32;
        Ok(HashAt { hash, compacted: self.compacted, revision })
    }
}
