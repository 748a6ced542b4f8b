//! The member's own snapshots: made from a clone of the store, piece by piece and in a task of their own, while
//! writes go on.

use crate::{disk::encode_meta, error::Error};
use base::{Index, reached};
use raft::{Data, SnapshotMeta};
use rt::memory::{Gauge, Held};
use std::future::pending;
use store::{Encoder, Store};

/// Bytes made before other tasks have their turn.
const PIECE: usize = 256 << 10;

pub struct Snapshots {
    disk: wal::Snapshots,
    under_way: Option<rt::JoinHandle<Result<(Index, Data), Error>>>,
    last: Index,
    every: u64,
    /// Bytes of those that are being made.
    making: Gauge,
}

impl Snapshots {
    pub fn new(disk: wal::Snapshots, last: Index, every: u64) -> Self {
        Self { disk, under_way: None, last, every: every.max(1), making: Gauge::new("snapshots") }
    }

    pub fn is_due(&self, applied: Index) -> bool {
        reached!(
            "member: a snapshot is due while the last is being written",
            self.under_way.is_some() && applied.0 >= self.last.0 + self.every
        );
        self.under_way.is_none() && applied.0 >= self.last.0 + self.every
    }

    pub fn start(&mut self, store: &Store, meta: SnapshotMeta) {
        self.last = meta.index;
        let making = Held::new(&self.making, 0);
        self.under_way = Some(rt::spawn(take(self.disk.clone(), Encoder::new(store), meta, making)));
    }

    /// The leader's snapshot took the place of ours.
    pub fn installed(&mut self, index: Index) {
        self.last = self.last.max(index);
    }

    /// Waits for the snapshot under way; for ever if there is none.
    pub async fn finished(&mut self) -> Result<(Index, Data), Error> {
        let Some(task) = &mut self.under_way else { return pending().await };
        let outcome = task.await;
        self.under_way = None;
        outcome.map_err(|error| Error::Task(error.to_string()))?
    }
}

async fn take(
    disk: wal::Snapshots,
    mut encoder: Encoder,
    meta: SnapshotMeta,
    making: Held,
) -> Result<(Index, Data), Error> {
    let (index, term, meta) = (meta.index, meta.term, encode_meta(&meta));
    // as large as the state: made once, with room for all of it, and never copied
    let mut data = Vec::with_capacity(encoder.size() as usize + wal::Snapshots::room(&meta));
    while let Some(piece) = encoder.next_piece(PIECE) {
        data.extend_from_slice(&piece);
        making.grow(piece.len() as u64);
        rt::yield_now().await;
    }
    let data = disk.write_and_return(wal::Snapshot { index, term, meta, data }).await?;
    Ok((index, data.into()))
}
