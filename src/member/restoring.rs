//! A state that is taken from a snapshot on the disk, in a task of its own: the member goes on meanwhile, and hears its
//! leader. Beside the state no more than a piece is held in memory.

use crate::error::Error;
use base::Index;
use raft::SnapshotMeta;
use std::future::pending;
use store::{Decoder, Store};

#[derive(Default)]
pub struct Restoring {
    under_way: Option<(SnapshotMeta, rt::JoinHandle<Result<Store, Error>>)>,
}

impl Restoring {
    /// Begins with a snapshot; nobody waits any more for one before.
    pub fn start(&mut self, disk: &wal::Snapshots, meta: SnapshotMeta) {
        let task = rt::spawn(restore(disk.clone(), meta.index));
        self.under_way = Some((meta, task));
    }

    /// The one under way.
    pub fn index(&self) -> Option<Index> {
        self.under_way.as_ref().map(|(meta, _)| meta.index)
    }

    /// Waits for the one under way; for ever if there is none.
    pub async fn finished(&mut self) -> Result<(SnapshotMeta, Store), Error> {
        let Some((_, task)) = &mut self.under_way else { return pending().await };
        let outcome = task.await;
        let Some((meta, _)) = self.under_way.take() else { return pending().await };
        Ok((meta, outcome.map_err(|error| Error::Task(error.to_string()))??))
    }
}

/// The state that the snapshot at an index is of.
pub async fn restore(disk: wal::Snapshots, index: Index) -> Result<Store, Error> {
    let refuse = |reason: String| Error::Snapshot { index, reason };
    let reader = disk.open(index).await?;
    let (mut decoder, mut offset) = (Decoder::new(), 0);
    loop {
        let piece = reader.piece(offset).await?;
        if piece.is_empty() {
            break;
        }
        offset += piece.len() as u64;
        decoder.feed(&piece).map_err(|error| refuse(error.to_string()))?;
        rt::yield_now().await;
    }
    let store = decoder.finish().map_err(|error| refuse(error.to_string()))?;
    if store.applied() != index {
        return Err(refuse(format!("it is of {}", store.applied())));
    }
    Ok(store)
}
