//! Parts of snapshots for followers that need what is compacted, read from the disk one after the other, in the order in
//! which Raft wanted them.

use crate::{disk::to_wal_snapshot, error::Error};
use raft::{Chunk, Data, Message, Node};
use std::{collections::VecDeque, future::pending};
use wal::Reader;

/// What came of a chunk: the message that it goes in, or which one could not be read, and why.
pub type Outcome = Result<Message, (Chunk, String)>;

type Done = (Outcome, Option<Reader>);

pub struct Chunks {
    disk: wal::Snapshots,
    wanted: VecDeque<Chunk>,
    /// The snapshot that was read from last.
    open: Option<Reader>,
    under_way: Option<rt::JoinHandle<Done>>,
}

impl Chunks {
    pub fn new(disk: wal::Snapshots) -> Self {
        Self { disk, wanted: VecDeque::new(), open: None, under_way: None }
    }

    /// One that waits already is read once: Raft wants a chunk again when no answer came for a while.
    pub fn want(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks {
            if !self.wanted.contains(&chunk) {
                self.wanted.push_back(chunk);
            }
        }
    }

    /// Begins with the next that is still wanted, unless one is under way.
    pub fn start(&mut self, node: &Node) {
        if self.under_way.is_some() || self.wanted.is_empty() {
            return;
        }
        let in_use = node.snapshots_in_use();
        self.wanted.retain(|chunk| chunk.term == node.term() && in_use.contains(&chunk.snapshot.meta.index));
        let Some(chunk) = self.wanted.pop_front() else { return };
        let index = chunk.snapshot.meta.index;
        let open = self.open.take().filter(|reader| reader.snapshot().index == index);
        self.under_way = Some(rt::spawn(read(self.disk.clone(), open, chunk)));
    }

    /// Waits for the one under way; for ever if there is none.
    pub async fn finished(&mut self) -> Result<Outcome, Error> {
        let Some(task) = &mut self.under_way else { return pending().await };
        let outcome = task.await;
        self.under_way = None;
        let (outcome, open) = outcome.map_err(|error| Error::Task(error.to_string()))?;
        self.open = open.filter(|_| !self.wanted.is_empty());
        Ok(outcome)
    }
}

async fn read(disk: wal::Snapshots, open: Option<Reader>, chunk: Chunk) -> Done {
    let index = chunk.snapshot.meta.index;
    let outcome = match open {
        Some(reader) => Ok(reader),
        None => disk.open(index).await,
    };
    let outcome = match outcome {
        Ok(reader) if *reader.snapshot() != to_wal_snapshot(&chunk.snapshot) => {
            return (
                Err((chunk, format!("the snapshot at {index} is no longer the one that was sent"))),
                None,
            );
        }
        Ok(reader) => reader.read(chunk.offset, chunk.length).await.map(|data| (data, reader)),
        Err(error) => Err(error),
    };
    match outcome {
        Ok((data, reader)) => (Ok(chunk.message(Data::from(data))), Some(reader)),
        Err(error) => {
            let mut why = error.finding();
            if let wal::Error::Damaged { .. } = error
                && let Err(error) = disk.put_aside(index).await
            {
                why += &format!("; {error}");
            }
            (Err((chunk, why)), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Index, Knobs, MemberId, Term};
    use raft::{Config, Membership, Recovered, Snapshot, SnapshotMeta};

    fn chunk(offset: u64) -> Chunk {
        let membership = Membership::of_voters([MemberId(1)]);
        let meta = SnapshotMeta { index: Index(5), term: Term(1), membership, configured: Index(0) };
        let snapshot = Snapshot { meta, size: 100 };
        Chunk { snapshot, offset, length: 10, term: Term(1), from: MemberId(1), to: MemberId(2) }
    }

    #[test]
    fn what_waits_is_read_once_and_what_nobody_wants_any_more_never() {
        rt::testing::run(1, || async {
            let dir = std::env::temp_dir().join(format!("wavetank-chunks-{}", std::process::id()));
            let identity = wal::Identity { cluster: 1, member: MemberId(1) };
            let (wal, _) = wal::Wal::open(&dir, identity, &Knobs::default()).await.expect("a log");
            let mut chunks = Chunks::new(wal.snapshots());
            chunks.want(vec![chunk(0), chunk(10)]);
            chunks.want(vec![chunk(0), chunk(10), chunk(20)]);
            assert_eq!(chunks.wanted, [chunk(0), chunk(10), chunk(20)]);
            let membership = Membership::of_voters([MemberId(1)]);
            let config = Config { id: MemberId(1), membership, seed: 1, knobs: Knobs::default() };
            chunks.start(&Node::new(config, Recovered::default()));
            assert!(chunks.wanted.is_empty() && chunks.under_way.is_none(), "it leads no more");
            drop(wal);
            #[cfg(not(madsim))]
            std::fs::remove_dir_all(&dir).expect("its folder");
        });
    }
}
