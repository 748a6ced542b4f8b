//! Reads a snapshot, any part of it. Promise: what is given was held against its checksums, each time.

use super::format::{self, BLOCK, HEADER, Head, PIECE, SUM};
use crate::{Error, Identity, Snapshot, header::u32_at};
use base::{Index, bug};
use rt::fs;
use std::path::{Path, PathBuf};

/// A snapshot that can be read.
pub struct Reader {
    path: PathBuf,
    file: fs::File,
    snapshot: Snapshot,
    /// Where the first block stands.
    begin: u64,
}

impl Reader {
    pub(super) async fn open(path: PathBuf, identity: Identity, index: Index) -> Result<Self, Error> {
        let file = fs::File::open(&path).await.map_err(Error::io("cannot open", &path))?;
        let length = file.len().await.map_err(Error::io("cannot read", &path))?;
        let header = read(&file, &path, 0, HEADER).await?;
        format::version(&path, &header)?;
        let head = Head::of(&header);
        // Looked at before as many bytes as it says are asked for.
        if format::length(head.meta, head.size) != Some(length) {
            return Err(Error::damaged(&path, 48, format!("expected lengths that make up {length} bytes")));
        }
        let meta = read(&file, &path, HEADER as u64, head.meta).await?;
        if !format::is_whole(&[header, meta.clone()].concat()) {
            return Err(Error::damaged(&path, 12, "the checksum of the header does not match"));
        }
        head.check(&path, identity, index)?;
        let snapshot = Snapshot { index, term: head.term, meta, size: head.size };
        Ok(Self { path, file, snapshot, begin: (HEADER + head.meta) as u64 })
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The data from `offset` on: `length` bytes, or as many as there are.
    pub async fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let end = offset.saturating_add(length).min(self.snapshot.size);
        if offset >= end {
            return Ok(Vec::new());
        }
        let block = BLOCK as u64;
        let (first, last) = (offset / block, (end - 1) / block);
        let at = |number: u64| self.begin + number * (block + SUM as u64);
        let stop =
            (at(last) + SUM as u64 + block).min(at(last) + SUM as u64 + self.snapshot.size - last * block);
        let bytes = read(&self.file, &self.path, at(first), (stop - at(first)) as usize).await?;
        let mut data = Vec::with_capacity((last - first + 1) as usize * BLOCK);
        for (number, bytes) in (first..).zip(bytes.chunks(SUM + BLOCK)) {
            let (sum, content) = bytes.split_at(SUM);
            if u32_at(sum, 0) != format::sum(&self.snapshot, number, content) && !bug!("S20") {
                let expected = "the checksum of a block of the snapshot does not match";
                return Err(Error::damaged(&self.path, at(number) as usize, expected));
            }
            data.extend_from_slice(content);
        }
        data.truncate((end - first * block) as usize);
        data.drain(..(offset - first * block) as usize);
        Ok(data)
    }

    /// The data from `offset` on, as much as is read at once: nothing at the end.
    pub async fn piece(&self, offset: u64) -> Result<Vec<u8>, Error> {
        self.read(offset, PIECE as u64).await
    }

    /// Reads all of it, for its checksums.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let mut offset = 0;
        while offset < self.snapshot.size {
            offset += self.piece(offset).await?.len() as u64;
        }
        Ok(())
    }
}

/// So many bytes of a file.
pub(super) async fn read(file: &fs::File, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
    let bytes = file.read_at(offset, length).await.map_err(Error::io("cannot read", path))?;
    if bytes.len() < length {
        let end = offset as usize + bytes.len();
        return Err(Error::damaged(path, end, format!("expected {} bytes more", length - bytes.len())));
    }
    Ok(bytes)
}
