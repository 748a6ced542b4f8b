//! The state as a file that is read piece by piece: a snapshot, filled up with zeros to a multiple of 512 bytes, and
//! behind it the SHA-256 of all that. Tools that keep backups know by the length that the hash is there.
//!
//! Source: etcd, Maintenance.Snapshot; etcdutl tells a hash by `size % 512 == 32`.

use etcd::pb;
use rt::sync::mpsc;
use sha2::{Digest, Sha256};
use store::{Encoder, Store};
use tonic::Status;

/// Bytes of a piece, about.
const PIECE: usize = 64 << 10;
/// Length is a multiple of this, without the hash.
const BLOCK: u64 = 512;
/// Pieces that wait for the client to read.
pub const QUEUE: usize = 4;

/// Sends the whole state; ends early when nobody listens any more.
pub async fn send(store: Store, out: mpsc::Sender<Result<pb::SnapshotResponse, Status>>) {
    let mut encoder = Encoder::new(&store);
    let padding = (BLOCK - encoder.size() % BLOCK) % BLOCK;
    let mut remaining = encoder.size() + padding;
    let mut hash = Sha256::new();
    let answer = |remaining_bytes, blob: Vec<u8>| pb::SnapshotResponse {
        header: None,
        remaining_bytes,
        blob: blob.into(),
        version: String::new(),
    };
    let mut padding = (padding > 0).then(|| vec![0; padding as usize]);
    while let Some(piece) = encoder.next_piece(PIECE).or_else(|| padding.take()) {
        remaining = remaining.saturating_sub(piece.len() as u64);
        hash.update(&piece);
        if out.send(Ok(answer(remaining, piece))).await.is_err() {
            return;
        }
    }
    let _ = out.send(Ok(answer(0, hash.finalize().to_vec()))).await;
}
