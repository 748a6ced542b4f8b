//! The first format of snapshot files: the same header, meta and data without blocks, and one checksum over all of it.
//! Promise: such a file is written anew in the format of today before it is used, or refused as it is.

use super::{
    Snapshots,
    format::{self, HEADER, Head, PIECE},
    reader::read,
};
use crate::{Error, Snapshot, header::u32_at};
use base::{Index, reached};
use rt::fs;
use std::path::Path;

const VERSION: u32 = 1;

/// Whether a file is of this format.
pub(super) async fn is_one(path: &Path) -> Result<bool, Error> {
    let file = fs::File::open(path).await.map_err(Error::io("cannot open", path))?;
    let header = read(&file, path, 0, HEADER).await?;
    Ok(format::version(path, &header)? == VERSION)
}

/// Writes it anew in its place. It is read twice: nothing is written of what is damaged.
pub(super) async fn rewrite(snapshots: &Snapshots, path: &Path, index: Index) -> Result<(), Error> {
    let file = fs::File::open(path).await.map_err(Error::io("cannot open", path))?;
    let length = file.len().await.map_err(Error::io("cannot read", path))?;
    let header = read(&file, path, 0, HEADER).await?;
    if sum(&file, path, length).await? != u32_at(&header, 12) {
        return Err(Error::damaged(path, 12, "the checksum of the snapshot does not match"));
    }
    let head = Head::of(&header);
    head.check(path, snapshots.identity, index)?;
    let begin = HEADER.checked_add(head.meta).map(|begin| begin as u64);
    let Some(begin) = begin.filter(|begin| begin.checked_add(head.size) == Some(length)) else {
        return Err(Error::damaged(path, 48, format!("expected lengths that make up {length} bytes")));
    };
    let meta = read(&file, path, HEADER as u64, head.meta).await?;
    let mut writer = snapshots.create(Snapshot { index, term: head.term, meta, size: head.size }).await?;
    for offset in (begin..length).step_by(PIECE) {
        writer.write(&read(&file, path, offset, (length - offset).min(PIECE as u64) as usize).await?).await?;
    }
    writer.name().await?;
    reached!("wal: a snapshot of an older format was written anew");
    Ok(())
}

/// The checksum of all that stands behind it.
async fn sum(file: &fs::File, path: &Path, length: u64) -> Result<u32, Error> {
    let mut sum = 0;
    for offset in (16..length).step_by(PIECE) {
        let bytes = read(file, path, offset, (length - offset).min(PIECE as u64) as usize).await?;
        sum = crc32c::crc32c_append(sum, &bytes);
    }
    Ok(sum)
}
