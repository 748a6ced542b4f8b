//! The log as a running member uses it: append many, sync once, cut by size, release what is old.
//! Promise: after a failure nothing more is promised. A sync that failed is never tried again (what it covered
//! may have been dropped, and a second sync would say nothing about it): every later call fails.

use crate::{
    Error, HardState, Identity, Record, Recovered, Snapshot, Snapshots, Writer,
    codec::{self, Item},
    files::{self, segment_path},
    record::Place,
    recover, rejoin, segment,
};
use base::{Index, Knobs, Term, invariant};
use rt::fs;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Everything appended before a sync was called is on the disk. Only a sync that succeeded makes one.
#[derive(Debug)]
pub struct Synced {
    /// Calls of `append` covered, in the life of this [`Wal`].
    appends: u64,
}

impl Synced {
    pub fn appends(&self) -> u64 {
        self.appends
    }
}

/// The log of one member.
pub struct Wal {
    pub(crate) dir: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) segment_bytes: u64,
    pub(crate) snapshots: Snapshots,
    /// A snapshot that is coming in.
    pub(crate) receiving: Option<Writer>,
    pub(crate) current: Segment,
    /// Closed segments, each with the highest index that is still of use in it.
    pub(crate) closed: BTreeMap<u64, Index>,
    pub(crate) hard: HardState,
    /// The last entry.
    pub(crate) last: Place,
    pub(crate) appends: u64,
    pub(crate) failed: Option<String>,
    pub(crate) _lock: fs::DirLock,
}

/// The segment that is written to.
pub(crate) struct Segment {
    pub sequence: u64,
    pub path: PathBuf,
    pub file: fs::File,
    pub len: u64,
    /// Up to here it is on the disk.
    pub synced: u64,
    pub highest: Index,
}

/// Stands until a call has come to its end.
const CUT_SHORT: &str = "a call was cut short before its end";

impl Wal {
    /// Opens the log in a folder, which is made if need be, and returns what it holds. All of that is on the
    /// disk, whether or not it was before. On an error nothing has been changed but the removal of half-made
    /// files. A folder without a log becomes that of a new member.
    pub async fn open(dir: &Path, identity: Identity, knobs: &Knobs) -> Result<(Wal, Recovered), Error> {
        recover::open(dir, identity, knobs, true).await
    }

    /// The same for a member that is not new: a folder without a log is an error, [`Error::Lost`].
    pub async fn reopen(dir: &Path, identity: Identity, knobs: &Knobs) -> Result<(Wal, Recovered), Error> {
        recover::open(dir, identity, knobs, false).await
    }

    /// The same for a member whose log is lost, and which promised nothing in terms above this one. The folder
    /// says so until [`Wal::rejoined`].
    pub async fn rejoin(
        dir: &Path,
        identity: Identity,
        knobs: &Knobs,
        forgot: Term,
    ) -> Result<(Wal, Recovered), Error> {
        files::make_dir(dir).await?;
        rejoin::write(dir, identity, forgot).await?;
        recover::open(dir, identity, knobs, false).await
    }

    /// Writes snapshots of this member's own state.
    pub fn snapshots(&self) -> Snapshots {
        self.snapshots.clone()
    }

    /// Appends records: after a crash all of them are found or none. They are durable after the next sync.
    pub async fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let outcome = self.append_frame(records).await;
        self.finish(outcome)
    }

    /// Makes everything appended so far durable.
    pub async fn sync(&mut self) -> Result<Synced, Error> {
        self.begin()?;
        let outcome = self.sync_all().await;
        self.finish(outcome)?;
        Ok(Synced { appends: self.appends })
    }

    /// A piece of a snapshot from the leader. They come in order; the first makes an end to those of another. They are
    /// durable after the next sync, but found again only when all of them were installed.
    pub async fn receive(&mut self, snapshot: &Snapshot, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.begin()?;
        let outcome = self.receive_piece(snapshot, offset, data).await;
        self.finish(outcome)
    }

    /// The snapshot of which all was received takes the place of the whole log, which goes on behind it. Durable on
    /// return, and so is everything appended before.
    pub async fn install(&mut self) -> Result<(), Error> {
        self.begin()?;
        let outcome = self.install_received().await;
        self.finish(outcome)
    }

    /// No entry up to here is needed any more: segments of no use are removed, except that the log goes on
    /// reaching back to the second newest snapshot. Returns how many were removed.
    pub async fn release(&mut self, up_to: Index) -> Result<u64, Error> {
        self.begin()?;
        let outcome = self.release_segments(up_to).await;
        self.finish(outcome)
    }

    /// What was lost with an earlier log has been made up for by what is on the disk now.
    pub async fn rejoined(&mut self) -> Result<(), Error> {
        self.begin()?;
        let outcome = rejoin::remove(&self.dir).await;
        self.finish(outcome)
    }

    /// The index of the last entry.
    pub fn last(&self) -> Index {
        self.last.index
    }

    fn begin(&mut self) -> Result<(), Error> {
        if let Some(why) = &self.failed {
            return Err(Error::Poisoned(why.clone()));
        }
        self.failed = Some(CUT_SHORT.into());
        Ok(())
    }

    fn finish<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        self.failed = outcome.as_ref().err().map(ToString::to_string);
        outcome
    }

    async fn append_frame(&mut self, records: &[Record]) -> Result<(), Error> {
        if self.current.len >= self.segment_bytes {
            self.cut(Item::Continue(self.last)).await?;
        }
        let segment = &mut self.current;
        let bytes = segment::frame(&codec::encode_records(segment.synced, records))?;
        segment.file.append(&bytes).await.map_err(Error::io("cannot write", &segment.path))?;
        segment.len += bytes.len() as u64;
        self.appends += 1;
        for record in records {
            match record {
                Record::HardState(hard) => self.hard = *hard,
                Record::Entry(entry) => {
                    self.last = Place { index: entry.index, term: entry.term };
                    segment.highest = segment.highest.max(entry.index);
                }
            }
        }
        Ok(())
    }

    async fn sync_all(&mut self) -> Result<(), Error> {
        self.sync_current().await?;
        match &mut self.receiving {
            Some(receiving) => receiving.sync().await,
            None => Ok(()),
        }
    }

    async fn sync_current(&mut self) -> Result<(), Error> {
        let segment = &mut self.current;
        if segment.synced == segment.len {
            return Ok(());
        }
        if !base::bug!("S07") {
            segment.file.sync().await.map_err(Error::io("cannot sync", &segment.path))?;
        }
        segment.synced = segment.len;
        Ok(())
    }

    /// Goes on in a new segment, which says by its first item how it follows on the one before.
    pub(crate) async fn cut(&mut self, begin: Item) -> Result<(), Error> {
        base::reached!("a log segment is cut");
        self.sync_current().await?;
        let items = [begin, Item::Record(Record::HardState(self.hard))];
        let next = Segment::make(&self.dir, self.identity, self.current.sequence + 1, &items).await?;
        let full = std::mem::replace(&mut self.current, next);
        self.closed.insert(full.sequence, full.highest);
        Ok(())
    }

    async fn receive_piece(&mut self, snapshot: &Snapshot, offset: u64, data: &[u8]) -> Result<(), Error> {
        if offset == 0 {
            self.receiving = Some(self.snapshots.receive(snapshot.clone()).await?);
        }
        let follows =
            |receiving: &&mut Writer| receiving.snapshot() == snapshot && receiving.taken() == offset;
        let receiving = self.receiving.as_mut().filter(follows);
        invariant!(receiving.is_some(), "pieces of a snapshot come in order", "{snapshot:?} from {offset}");
        match receiving {
            Some(receiving) => receiving.write(data).await,
            None => Ok(()),
        }
    }

    async fn install_received(&mut self) -> Result<(), Error> {
        let receiving = self.receiving.take();
        invariant!(receiving.is_some(), "what is installed was received");
        let Some(receiving) = receiving else { return Ok(()) };
        let Snapshot { index, term, .. } = *receiving.snapshot();
        // What was promised before the snapshot came must not be younger than it after a loss of power.
        self.sync_current().await?;
        receiving.finish().await?;
        // The log is dropped on the strength of this file: it is looked at first.
        self.snapshots.open(index).await?;
        self.restart(Place { index, term }).await
    }

    /// Drops the whole log; it goes on behind a snapshot that is on the disk.
    pub(crate) async fn restart(&mut self, place: Place) -> Result<(), Error> {
        base::reached!("the log restarts behind a snapshot");
        self.cut(Item::Restart(place)).await?;
        self.last = place;
        self.closed.values_mut().for_each(|highest| *highest = Index(0));
        Ok(())
    }

    async fn release_segments(&mut self, up_to: Index) -> Result<u64, Error> {
        let mut removed = 0;
        let Some(first) = self.closed.first_entry() else { return Ok(0) };
        if *first.get() > up_to {
            return Ok(0);
        }
        let up_to = up_to.min(self.snapshots.covered().await?);
        while let Some(first) = self.closed.first_entry()
            && *first.get() <= up_to
        {
            let path = segment_path(&self.dir, *first.key());
            fs::remove(&path).await.map_err(Error::io("cannot remove", &path))?;
            // One after the other, so that a loss of power leaves no hole.
            files::sync_dir(&self.dir).await?;
            first.remove();
            removed += 1;
            base::reached!("an old log segment is removed");
        }
        Ok(removed)
    }
}

impl Segment {
    /// A new segment that begins with these items, on the disk.
    pub(crate) async fn make(
        dir: &Path,
        identity: Identity,
        sequence: u64,
        items: &[Item],
    ) -> Result<Segment, Error> {
        let mut bytes = segment::header(identity, sequence);
        bytes.extend(segment::frame(&codec::encode_items(0, items))?);
        Self::write(segment_path(dir, sequence), sequence, &bytes).await
    }

    /// A segment of these bytes, on the disk; takes the place of one of that name.
    pub(crate) async fn write(path: PathBuf, sequence: u64, bytes: &[u8]) -> Result<Segment, Error> {
        let file = files::write_whole(&path, bytes).await?;
        let len = bytes.len() as u64;
        Ok(Segment { sequence, path, file, len, synced: len, highest: Index(0) })
    }
}
