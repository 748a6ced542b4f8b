//! Files as they stand in a folder, of any content behind right checksums: for who tries what may stand in one.

use crate::{Error, Identity, Snapshot, codec, files, record::Record, rejoin, segment, snapshot};
use base::{Index, Term};
use std::path::{Path, PathBuf};

/// A segment with a frame around each payload.
pub fn segment<'a>(
    identity: Identity,
    sequence: u64,
    payloads: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, Error> {
    let mut bytes = segment::header(identity, sequence);
    for payload in payloads {
        bytes.extend(segment::frame(payload)?);
    }
    Ok(bytes)
}

/// The payload of a frame that begins a log, and of one that goes on with it.
pub fn beginning() -> Vec<u8> {
    codec::encode_items(0, &[codec::Item::Continue(Default::default())])
}

pub fn records(synced: u64, records: &[Record]) -> Vec<u8> {
    codec::encode_records(synced, records)
}

pub fn snapshot(identity: Identity, snapshot: &Snapshot, data: &[u8]) -> Vec<u8> {
    snapshot::encode(identity, snapshot, data)
}

/// The note that promises in terms up to this one are forgotten.
pub fn rejoin(identity: Identity, forgot: Term) -> Vec<u8> {
    rejoin::encode(identity, forgot)
}

pub fn segment_path(dir: &Path, sequence: u64) -> PathBuf {
    files::segment_path(dir, sequence)
}

pub fn snapshot_path(dir: &Path, index: Index) -> PathBuf {
    files::snapshot_path(dir, index)
}

pub fn rejoin_path(dir: &Path) -> PathBuf {
    dir.join(files::REJOIN)
}
