//! Writes a snapshot as its data comes. Beside that, a block and what waits to be written are held in memory.
//! Promise: the file has its name only when all of it is on the disk.

use super::{
    Snapshots, Written,
    format::{self, BLOCK, PIECE},
};
use crate::{
    Error, Snapshot,
    files::{self, snapshot_path},
};
use base::invariant;
use rt::fs;
use std::path::PathBuf;

/// Bytes that may wait for a sync: a disk that has to take all of a large snapshot at once keeps the log waiting.
const UNSYNCED: u64 = 8 << 20;

/// A snapshot that is being written.
pub struct Writer {
    snapshots: Snapshots,
    snapshot: Snapshot,
    aside: PathBuf,
    file: fs::File,
    /// What is to be written next.
    out: Vec<u8>,
    /// The block that is not full yet, and blocks before it.
    block: Vec<u8>,
    blocks: u64,
    /// Bytes of data taken.
    taken: u64,
    unsynced: u64,
}

impl Writer {
    pub(super) async fn create(
        snapshots: Snapshots,
        snapshot: Snapshot,
        aside: PathBuf,
    ) -> Result<Self, Error> {
        let file = fs::File::create(&aside).await.map_err(Error::io("cannot create", &aside))?;
        let out = format::front(snapshots.identity, &snapshot);
        let (block, blocks, taken, unsynced) = (Vec::new(), 0, 0, 0);
        Ok(Self { snapshots, snapshot, aside, file, out, block, blocks, taken, unsynced })
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Bytes of data taken so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes the next bytes of data.
    pub async fn write(&mut self, mut data: &[u8]) -> Result<(), Error> {
        self.taken += data.len() as u64;
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            data = later;
            if self.block.len() == BLOCK {
                self.close_block();
            }
            if self.out.len() >= PIECE {
                self.flush().await?;
            }
            if self.unsynced >= UNSYNCED {
                self.sync().await?;
            }
        }
        Ok(())
    }

    /// Brings all whole blocks to the disk.
    pub(crate) async fn sync(&mut self) -> Result<(), Error> {
        self.flush().await?;
        if self.unsynced > 0 {
            self.file.sync().await.map_err(Error::io("cannot sync", &self.aside))?;
        }
        self.unsynced = 0;
        Ok(())
    }

    /// All of the data was given: the snapshot is on the disk, and has its name. Others that nobody needs any more go.
    pub async fn finish(self) -> Result<Written, Error> {
        let snapshots = self.snapshots.clone();
        let written = self.name().await?;
        snapshots.remove_old().await?;
        Ok(written)
    }

    /// The same, and nothing else changes.
    pub(super) async fn name(mut self) -> Result<Written, Error> {
        let Snapshot { index, size, .. } = self.snapshot;
        invariant!(self.taken == size, "a snapshot is as large as it says", "{} of {}", self.taken, size);
        if !self.block.is_empty() {
            self.close_block();
        }
        self.sync().await?;
        let path = snapshot_path(&self.snapshots.dir, index);
        fs::rename(&self.aside, &path).await.map_err(Error::io("cannot rename into place", &path))?;
        files::sync_dir(&self.snapshots.dir).await?;
        Ok(Written { index })
    }

    fn close_block(&mut self) {
        format::block(&self.snapshot, self.blocks, &self.block, &mut self.out);
        self.block.clear();
        self.blocks += 1;
    }

    async fn flush(&mut self) -> Result<(), Error> {
        if !self.out.is_empty() {
            self.file.append(&self.out).await.map_err(Error::io("cannot write", &self.aside))?;
            self.unsynced += self.out.len() as u64;
            self.out.clear();
        }
        Ok(())
    }
}
