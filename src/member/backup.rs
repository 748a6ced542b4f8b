//! A backup, as the Snapshot call and `etcdctl snapshot save` give it: what is in it, and a cluster founded with it.
//!
//! A backup is the store's snapshot, zeros up to a multiple of 512 bytes, and the SHA-256 of all that. The new cluster
//! has the keys, their history, leases, users and roles; it has none of the members of before, and none of the alarms.
//! Source: etcd, etcdutl/snapshot.

use crate::{Boot, Error, config::Start, disk::to_wal_snapshot, founding, members};
use base::{Index, Knobs, Term};
use raft::{Membership, Snapshot, SnapshotMeta};
use rt::fs;
use sha2::{Digest, Sha256};
use std::{
    io,
    path::{Path, PathBuf},
};
use store::{Decoder, Encoder, RestoreError, Store};
use wal::{HardState, Identity, Record, Wal};

/// Bytes of the hash at the end, and what the length of the rest is a multiple of.
const HASH: usize = 32;
const BLOCK: usize = 512;
/// Bytes read or written at once.
const PIECE: usize = 256 << 10;
/// The term in which a restored state was: the first.
const TERM: Term = Term(1);

/// Why a backup is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: it has no hash at its end: it was cut, or was not saved by a backup (--skip-hash-check takes it as it is)", path.display())]
    NoHash { path: PathBuf },
    #[error("{}: it is damaged: its hash is not that of its content", path.display())]
    Hash { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Content { path: PathBuf, source: store::RestoreError },
    #[error("{}: expected a folder that is not there yet, or is empty", path.display())]
    NotEmpty { path: PathBuf },
    #[error("{}: {reason}", path.display())]
    Write { path: PathBuf, reason: String },
    #[error("revisions cannot be raised by {by}: expected a number above 0, and no revision above 2^62")]
    Bump { by: i64 },
}

/// A backup that was read, and held what it promised.
#[derive(Debug)]
pub struct Backup {
    pub store: Store,
    /// Bytes of the file.
    pub size: u64,
}

/// What is read of a backup: the state, and the hash of its bytes.
struct Reading {
    decoder: Decoder,
    hash: Sha256,
    /// Why it is no state.
    wrong: Option<RestoreError>,
}

impl Reading {
    fn new() -> Self {
        Self { decoder: Decoder::new(), hash: Sha256::new(), wrong: None }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        if self.wrong.is_none() {
            self.wrong = self.decoder.feed_padded(bytes).err();
        }
    }

    /// The state, if the hash is this one. What was damaged is told by the hash, if there is one.
    fn finish(self, path: &Path, hash: Option<&[u8]>) -> Result<Store, BackupError> {
        let path = || path.to_path_buf();
        if hash.is_some_and(|hash| self.hash.finalize().as_slice() != hash) {
            return Err(BackupError::Hash { path: path() });
        }
        let store = self.wrong.map_or_else(|| self.decoder.finish(), Err);
        store.map_err(|source| BackupError::Content { path: path(), source })
    }
}

/// How many of a backup's bytes are the state, and whether a hash stands behind them.
fn parts(path: &Path, length: u64, check_hash: bool) -> Result<(u64, bool), BackupError> {
    match length.checked_sub(HASH as u64) {
        Some(content) if content % BLOCK as u64 == 0 => Ok((content, true)),
        _ if check_hash => Err(BackupError::NoHash { path: path.to_path_buf() }),
        _ => Ok((length, false)),
    }
}

/// Reads a backup; without a hash only if that is not looked at. Beside the state, no more than a piece is held in memory.
pub async fn read(path: &Path, check_hash: bool) -> Result<Backup, BackupError> {
    let refuse = |source| BackupError::Read { path: path.to_path_buf(), source };
    let file = fs::File::open(path).await.map_err(refuse)?;
    let size = file.len().await.map_err(refuse)?;
    let (content, has_hash) = parts(path, size, check_hash)?;
    let (mut reading, mut offset) = (Reading::new(), 0);
    while offset < content {
        let length = (content - offset).min(PIECE as u64);
        let piece = file.read_at(offset, length as usize).await.map_err(refuse)?;
        if piece.is_empty() {
            return Err(refuse(io::ErrorKind::UnexpectedEof.into()));
        }
        offset += piece.len() as u64;
        reading.feed(&piece);
    }
    let hash = file.read_at(content, HASH).await.map_err(refuse)?;
    let store = reading.finish(path, (check_hash && has_hash).then_some(&hash))?;
    Ok(Backup { store, size })
}

/// What the bytes of a backup hold.
pub fn decode(path: &Path, bytes: &[u8], check_hash: bool) -> Result<Backup, BackupError> {
    let size = bytes.len() as u64;
    let (content, has_hash) = parts(path, size, check_hash)?;
    let (content, hash) = bytes.split_at(content as usize);
    let mut reading = Reading::new();
    reading.feed(content);
    Ok(Backup { store: reading.finish(path, (check_hash && has_hash).then_some(hash))?, size })
}

/// Makes the folder of a member of a cluster that is founded with a backup. Every member does so by itself, each from the
/// same file and with the same flags but for its own. The folder is there whole, or not at all.
pub async fn restore(boot: &Boot, backup: Backup, bump: Option<i64>) -> Result<(), Error> {
    let dir = &boot.data_dir;
    let there = match fs::read_dir(dir).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
        names => names.map_err(|source| BackupError::Read { path: dir.clone(), source })?,
    };
    if !there.is_empty() {
        return Err(BackupError::NotEmpty { path: dir.clone() }.into());
    }
    let mut store = backup.store;
    store.found_anew();
    if let Some(by) = bump {
        store.raise_revision(by).ok_or(BackupError::Bump { by })?;
    }
    let aside = aside(dir);
    let refuse = |error: io::Error| BackupError::Write { path: aside.clone(), reason: error.to_string() };
    if fs::exists(&aside).await.map_err(refuse)? {
        return Err(BackupError::NotEmpty { path: aside.clone() }.into());
    }
    write(boot, &aside, &store).await?;
    fs::rename(&aside, dir).await.map_err(refuse)?;
    fs::sync_dir(dir.parent().unwrap_or(dir)).await.map_err(refuse)?;
    Ok(())
}

/// Where the folder is made.
fn aside(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_os_string();
    name.push(".restoring");
    name.into()
}

async fn write(boot: &Boot, dir: &Path, store: &Store) -> Result<(), Error> {
    let initial = boot.founding_members();
    let me = boot.founding_id()?;
    let voters = Membership::of_voters(initial.keys().copied());
    let config = boot.config(me, boot.cluster_id, initial, Start::Founding);
    founding::write(dir, &(boot.cluster_id, members::founded(&config))).await?;
    let identity = Identity { cluster: boot.cluster_id, member: me };
    let (mut wal, _) = Wal::open(dir, identity, &Knobs::default()).await?;
    wal.append(&[Record::HardState(HardState { term: TERM, vote: None })]).await?;
    wal.sync().await?;
    let index = store.applied();
    if index > Index(0) {
        let meta = SnapshotMeta { index, term: TERM, membership: voters, configured: Index(0) };
        let mut encoder = Encoder::new(store);
        let snapshot = to_wal_snapshot(&Snapshot { meta, size: encoder.size() });
        let mut offset = 0;
        while let Some(piece) = encoder.next_piece(PIECE) {
            wal.receive(&snapshot, offset, &piece).await?;
            offset += piece.len() as u64;
        }
        wal.install().await?;
    }
    Ok(())
}
