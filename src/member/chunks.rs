//! Parts of snapshots for followers that need what is compacted, read from the disk one after the other, in the order in
//! which Raft wanted them.

use crate::error::Error;
use raft::{Chunk, Data, Message};
use std::{collections::VecDeque, future::pending};
use wal::Reader;

/// What came of a chunk: the message that it goes in, or which one could not be read, and why.
pub type Outcome = Result<Message, (Chunk, wal::Error)>;

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

    pub fn want(&mut self, chunks: Vec<Chunk>) {
        self.wanted.extend(chunks);
    }

    /// Begins with the next, unless one is under way.
    pub fn start(&mut self) {
        if self.under_way.is_some() {
            return;
        }
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
    let reader = match open {
        Some(reader) => reader,
        None => match disk.open(chunk.snapshot.meta.index).await {
            Ok(reader) => reader,
            Err(error) => return (Err((chunk, error)), None),
        },
    };
    match reader.read(chunk.offset, chunk.length).await {
        Ok(data) => (Ok(chunk.message(Data::from(data))), Some(reader)),
        Err(error) => (Err((chunk, error)), None),
    }
}
