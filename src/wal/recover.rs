//! What a folder may look like when it is opened, and what is done.
//!
//! | found | done |
//! |---|---|
//! | nothing, or half-made files only | a new log, if the member is new; else error: the log is lost |
//! | the note that the log was lost, alone or with others | as without it; the note is told |
//! | segments without a gap, each whole | the log they hold |
//! | the last segment ends in a torn write (cut short, sectors missing, garbage behind) | the torn end is cut off: it was never synced |
//! | a broken record in the last segment, and a later one shows it had been synced | error: file and byte |
//! | a broken record at the end of the last segment, of which no part is missing | error: file and byte |
//! | a broken record in any other segment | error: file and byte |
//! | a segment is missing in the middle, or all are while there are snapshots | error: the missing file |
//! | half-made segment or snapshot (`.tmp`) | removed |
//! | the newest snapshot cannot be read, the log reaches back to the one before | that one is used; the bad one is put aside as `.bad` |
//! | the same, and the log does not reach back | error: the gap, and what is wrong with the snapshot |
//! | a file of a newer format version | error: the versions |
//! | the snapshot that is used is of an older format version | it is written anew, in its place |
//! | a file of another cluster or member | error: whose it is, whose it should be |
//! | a snapshot that the log does not reach, or contradicts (a crash while one was installed) | the log restarts behind it |
//! | the disk is full | error; nothing is lost |
//!
//! Everything is looked at before anything is changed. Then the last segment is written anew and put in the
//! place of the old one: that cuts off the torn end, and makes the rest durable even if an earlier run died of
//! a failed sync, after which neither the pages in memory nor another sync can be trusted to reach the disk.

use crate::{
    Entry, Error, HardState, Identity, Record, Snapshot, Snapshots, Wal,
    codec::Item,
    files::{self, ASIDE, REJOIN, SEGMENT, SNAPSHOT, number, segment_path, snapshot_path},
    header,
    log::Segment,
    record::Place,
    rejoin, segment,
};
use base::{Index, Knobs, LAST, Term};
use rt::fs;
use std::{collections::BTreeMap, io, path::Path};

/// What a log held. All of it is on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    pub hard: HardState,
    pub snapshot: Option<Snapshot>,
    /// Without a gap; the first may lie before the snapshot's end, and is at most the one behind it.
    pub entries: Vec<Entry>,
    /// The member lost an earlier log and has not made up for it: what it promised in terms up to this one is
    /// forgotten.
    pub forgot: Option<Term>,
    /// What was out of order and is no more, a sentence each.
    pub repairs: Vec<String>,
}

/// The log as its segments tell it.
#[derive(Default)]
struct Replay {
    hard: HardState,
    /// The place behind which `entries` begin.
    begin: Place,
    /// What lies before `begin` was in segments that have been released.
    released: bool,
    /// The term at `begin` is not known: it stood in a released segment.
    unknown: bool,
    entries: Vec<Entry>,
    /// The highest index of use in each segment.
    highest: BTreeMap<u64, Index>,
    last_segment: Option<LastSegment>,
}

struct LastSegment {
    sequence: u64,
    bytes: Vec<u8>,
    end: usize,
    torn: usize,
    frames: usize,
}

pub(crate) async fn open(
    dir: &Path,
    identity: Identity,
    knobs: &Knobs,
    may_be_new: bool,
) -> Result<(Wal, Recovered), Error> {
    files::make_dir(dir).await?;
    let lock = fs::lock_dir(dir).await.map_err(Error::io("cannot lock", dir))?;
    let names = fs::read_dir(dir).await.map_err(Error::io("cannot list", dir))?;
    let forgot = match names.iter().any(|name| name == REJOIN) {
        true => Some(rejoin::read(dir, identity).await?),
        false => None,
    };
    if !may_be_new && forgot.is_none() && !holds_any(&names) {
        return Err(Error::Lost { dir: dir.into() });
    }
    let snapshots = Snapshots::new(dir, identity);
    let mut replay = read_segments(dir, &names, identity).await?;
    let (snapshot, unreadable) = read_snapshot(&snapshots, &names).await?;
    let restart = combine(dir, &replay, snapshot.as_ref(), &unreadable)?;
    // From here on the folder is changed.
    let mut repairs = clean(dir, &names, &unreadable).await?;
    let current = settle(dir, identity, &mut replay, &mut repairs).await?;
    let mut wal = Wal {
        dir: dir.into(),
        identity,
        segment_bytes: knobs.wal_segment_bytes,
        snapshots,
        receiving: None,
        last: replay.last(),
        current,
        closed: std::mem::take(&mut replay.highest),
        hard: replay.hard,
        appends: 0,
        failed: None,
        _lock: lock,
    };
    if let Some(place) = restart {
        wal.restart(place).await?;
        replay.entries.clear();
        repairs.push(format!("the log restarts behind the snapshot at {}", place.index));
    }
    Ok((wal, Recovered { hard: replay.hard, snapshot, entries: replay.entries, forgot, repairs }))
}

fn holds_any(names: &[String]) -> bool {
    names.iter().any(|name| [SEGMENT, SNAPSHOT].iter().any(|kind| number(name, kind).is_some()))
}

async fn read_segments(dir: &Path, names: &[String], identity: Identity) -> Result<Replay, Error> {
    let sequences: Vec<u64> = names.iter().filter_map(|name| number(name, SEGMENT)).collect();
    if let Some(pair) = sequences.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        return Err(Error::Missing { path: segment_path(dir, pair[0] + 1) });
    }
    if sequences.is_empty() && names.iter().any(|name| number(name, SNAPSHOT).is_some()) {
        return Err(Error::Missing { path: segment_path(dir, 1) });
    }
    let mut replay = Replay::default();
    for sequence in &sequences {
        let path = segment_path(dir, *sequence);
        let bytes = fs::read(&path).await.map_err(Error::io("cannot read", &path))?;
        let last = sequences.last() == Some(sequence);
        let read = segment::read(&path, &bytes, identity, *sequence, last)?;
        let (end, torn, frames) = (read.end, read.torn, read.frames.len());
        replay.segment(&path, *sequence, read)?;
        if last {
            replay.last_segment = Some(LastSegment { sequence: *sequence, bytes, end, torn, frames });
        }
    }
    Ok(replay)
}

impl Replay {
    fn last(&self) -> Place {
        self.entries.last().map_or(self.begin, |entry| Place { index: entry.index, term: entry.term })
    }

    /// The term of the entry at an index, as far as the log reaches.
    fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.begin.index {
            return (!self.unknown).then_some(self.begin.term);
        }
        let at = index.0.checked_sub(self.begin.index.0 + 1)?;
        self.entries.get(usize::try_from(at).ok()?).map(|entry| entry.term)
    }

    fn segment(&mut self, path: &Path, sequence: u64, read: segment::Read) -> Result<(), Error> {
        let first = self.highest.is_empty();
        self.highest.insert(sequence, Index(0));
        let begins = read.frames.first().and_then(|(_, frame)| frame.items.first());
        if !matches!(begins, Some(Item::Continue(_) | Item::Restart(_))) {
            return Err(Error::damaged(
                path,
                header::LEN,
                "expected a record that says where the log goes on",
            ));
        }
        for (offset, frame) in read.frames {
            for item in frame.items {
                self.item(sequence, first, item)
                    .map_err(|expected| Error::damaged(path, offset, expected))?;
            }
        }
        Ok(())
    }

    fn item(&mut self, sequence: u64, first: bool, item: Item) -> Result<(), String> {
        match item {
            Item::Continue(place) | Item::Restart(place) if place.index.0 > LAST || place.term.0 > LAST => {
                return Err(format!("expected a place up to which a log can reach, found {place:?}"));
            }
            Item::Record(Record::HardState(HardState { term, .. })) if term.0 > LAST => {
                return Err(format!("expected a term that can be reached, found {term}"));
            }
            Item::Continue(place) if first && self.entries.is_empty() => {
                (self.begin, self.released) = (place, place.index > Index(0));
            }
            Item::Continue(place) if place == self.last() => {}
            Item::Continue(place) => {
                let last = self.last();
                return Err(format!("expected the log to go on behind {last:?}, found {place:?}"));
            }
            Item::Restart(place) => {
                (self.begin, self.released, self.unknown) = (place, false, false);
                self.entries.clear();
                self.highest.values_mut().for_each(|highest| *highest = Index(0));
            }
            Item::Record(Record::HardState(hard)) => self.hard = hard,
            Item::Record(Record::Entry(entry)) => self.entry(sequence, entry)?,
        }
        Ok(())
    }

    fn entry(&mut self, sequence: u64, entry: Entry) -> Result<(), String> {
        if self.released && entry.index <= self.begin.index && entry.index > Index(0) {
            // A conflict reached back into what is released by now. A snapshot covers it, or the gap is found.
            (self.begin, self.unknown) = (Place { index: Index(entry.index.0 - 1), term: Term(0) }, true);
            self.entries.clear();
        }
        let (begin, last) = (self.begin.index, self.last().index);
        if entry.index <= begin || entry.index > last.next() {
            return Err(format!(
                "expected an entry behind {begin} and at most at {}, found {}",
                last.next(),
                entry.index
            ));
        }
        self.entries.truncate((entry.index.0 - begin.0 - 1) as usize);
        self.highest.entry(sequence).and_modify(|highest| *highest = entry.index.max(*highest));
        self.entries.push(entry);
        Ok(())
    }
}

/// The newest snapshot that can be read, and those that could not, with what is wrong.
async fn read_snapshot(
    snapshots: &Snapshots,
    names: &[String],
) -> Result<(Option<Snapshot>, Vec<(Index, Error)>), Error> {
    let mut unreadable = Vec::new();
    for index in names.iter().rev().filter_map(|name| number(name, SNAPSHOT)).map(Index) {
        match read_one(snapshots, index).await {
            Ok(snapshot) => return Ok((Some(snapshot), unreadable)),
            Err(error @ Error::Damaged { .. }) => unreadable.push((index, error)),
            Err(error) => return Err(error),
        }
    }
    Ok((None, unreadable))
}

/// All of it is read: what is wrong with it shows while another can take its place.
async fn read_one(snapshots: &Snapshots, index: Index) -> Result<Snapshot, Error> {
    let reader = snapshots.open(index).await?;
    reader.check().await?;
    Ok(reader.snapshot().clone())
}

/// Holds snapshot and log against each other. Says where the log has to restart, if it must.
fn combine(
    dir: &Path,
    replay: &Replay,
    snapshot: Option<&Snapshot>,
    unreadable: &[(Index, Error)],
) -> Result<Option<Place>, Error> {
    let (index, term) = snapshot.map_or((Index(0), Term(0)), |snapshot| (snapshot.index, snapshot.term));
    let begins = replay.begin.index;
    if index < begins {
        let why = unreadable.iter().map(|(_, error)| format!(" ({error})")).collect();
        return Err(Error::Gap { dir: dir.into(), begins, snapshot: index, why });
    }
    // What is released was covered by a snapshot that agreed with the log.
    let released = replay.unknown && index == begins;
    let agrees = released || replay.term_at(index) == Some(term);
    Ok((!agrees).then_some(Place { index, term }))
}

/// Removes what was left half-made, and puts unreadable snapshots aside.
async fn clean(dir: &Path, names: &[String], unreadable: &[(Index, Error)]) -> Result<Vec<String>, Error> {
    let mut repairs = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(&format!(".{ASIDE}"))) {
        let path = dir.join(name);
        match fs::remove(&path).await {
            // a snapshot was written anew in this place
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            removed => removed.map_err(Error::io("cannot remove", &path))?,
        }
        repairs.push(format!("removed {name}, which was never finished"));
    }
    for (index, error) in unreadable {
        base::reached!("an unreadable snapshot with another behind it");
        let path = snapshot_path(dir, *index);
        files::put_aside(&path).await?;
        repairs.push(format!("put {} aside and used the snapshot before it: {error}", path.display()));
    }
    Ok(repairs)
}

/// Makes the last segment one that can be written to, or makes the first.
async fn settle(
    dir: &Path,
    identity: Identity,
    replay: &mut Replay,
    repairs: &mut Vec<String>,
) -> Result<Segment, Error> {
    let Some(mut last) = replay.last_segment.take() else {
        let items = [Item::Continue(Place::default()), Item::Record(Record::HardState(HardState::default()))];
        return Segment::make(dir, identity, 1, &items).await;
    };
    let path = segment_path(dir, last.sequence);
    let highest = replay.highest.remove(&last.sequence).unwrap_or_default();
    if last.torn > 0 {
        let place = format!("byte {} of {}", last.end, path.display());
        repairs.push(format!("cut off {} bytes of a write that was never finished, at {place}", last.torn));
    }
    last.bytes.truncate(last.end);
    let segment = if last.frames > 1 || last.torn > 0 {
        Segment::write(path, last.sequence, &last.bytes).await?
    } else {
        // Only what it was made with, and that was synced before it had its name.
        files::sync_dir(dir).await?;
        let file = fs::File::open_append(&path).await.map_err(Error::io("cannot open", &path))?;
        let len = last.end as u64;
        Segment { sequence: last.sequence, path, file, len, synced: len, highest }
    };
    Ok(Segment { highest, ..segment })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_begins_where_there_is_room_for_entries_behind() {
        let at = |index, term| Place { index: Index(index), term: Term(term) };
        for item in [
            Item::Continue(at(u64::MAX, 1)),
            Item::Continue(at(1, u64::MAX)),
            Item::Restart(at(u64::MAX, 1)),
            Item::Record(Record::HardState(HardState { term: Term(u64::MAX), vote: None })),
        ] {
            let why = Replay::default().item(1, true, item.clone()).expect_err("no such place");
            assert!(why.contains("can be reached") || why.contains("can reach"), "{item:?}: {why}");
        }
        assert_eq!(Replay::default().item(1, true, Item::Restart(at(LAST, LAST))), Ok(()));
    }
}
