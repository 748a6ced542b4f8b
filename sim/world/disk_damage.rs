//! Damage that no operation tells of: bits that rot, writes that land in part or at another place though they said
//! they succeeded.
//! Promise: every byte that is not what was written to it is known (`Store` keeps what should be there), and so is
//! every file that was read with such bytes in it. A write is harmed only once the file itself can prove it: when a
//! later write, made after a sync of the first, has been synced too. The very last write before an end is never
//! harmed: by itself, no log can tell that from a write that was never finished.

use crate::{
    disk::{self, Disk},
    disk_harm::Control,
    disk_store::FileId,
    process, record,
};
use rand::Rng;

/// How a write goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// Only its beginning reaches the disk.
    Short,
    /// It reaches another place of the disk.
    Misdirected,
}

/// A write that will turn out not to have happened as it should.
struct Pending {
    file: FileId,
    from: usize,
    bytes: Vec<u8>,
    lapse: Lapse,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Written,
    Synced,
    /// Something was written behind it after that, up to here.
    Followed(usize),
}

#[derive(Default)]
pub(crate) struct Damage {
    /// Each write goes wrong in this way, with this chance.
    lapses: Option<(Lapse, f64)>,
    pending: Vec<Pending>,
    /// Files that were read though they were damaged, each with the incarnation that did.
    met: Vec<(u64, String)>,
}

impl Disk {
    /// Bytes were appended to a file, where it ended.
    pub(crate) fn appended(&mut self, file: FileId, from: usize, bytes: &[u8]) {
        let end = from + bytes.len();
        for pending in self.damage.pending.iter_mut().filter(|pending| pending.file == file) {
            if let Stage::Synced = pending.stage {
                pending.stage = Stage::Followed(end);
            }
        }
        if let Some((lapse, chance)) = self.damage.lapses
            && self.draws.gen_bool(chance)
        {
            let stage = Stage::Written;
            self.damage.pending.push(Pending { file, from, bytes: bytes.to_vec(), lapse, stage });
        }
    }

    /// A file was synced up to here.
    pub(crate) fn synced(&mut self, file: FileId, written: usize) {
        let mut due = vec![];
        self.damage.pending.retain_mut(|pending| {
            if pending.file != file {
                return true;
            }
            match pending.stage {
                Stage::Written if written >= pending.from + pending.bytes.len() => {
                    pending.stage = Stage::Synced;
                }
                Stage::Followed(end) if written >= end => {
                    due.push((pending.from, std::mem::take(&mut pending.bytes), pending.lapse));
                    return false;
                }
                _ => {}
            }
            true
        });
        due.into_iter().for_each(|(from, bytes, lapse)| self.goes_wrong(file, from, &bytes, lapse));
    }

    fn goes_wrong(&mut self, file: FileId, from: usize, bytes: &[u8], lapse: Lapse) {
        let kept = if lapse == Lapse::Short { self.draws.gen_range(0..bytes.len().max(1)) } else { 0 };
        let mut wrong = self.store.spoil(file, from + kept, &vec![0; bytes.len() - kept]);
        if lapse == Lapse::Misdirected {
            let mut places = self.store.files();
            places.retain(|(_, id, len, closed)| *id != file && *closed && *len > 0);
            let mut places: Vec<(FileId, usize)> =
                places.into_iter().map(|(_, id, len, _)| (id, len as usize)).collect();
            places.push((file, from));
            let (place, len) = places[self.draws.gen_range(0..places.len())];
            let at = self.draws.gen_range(0..len.max(1));
            wrong += self.store.spoil(place, at, &bytes[..bytes.len().min(len - at.min(len))]);
        }
        let counters = &mut self.harm.counters;
        match lapse {
            _ if wrong == 0 => {}
            Lapse::Short => counters.writes_short += 1,
            Lapse::Misdirected => counters.writes_misdirected += 1,
        }
    }

    pub(crate) fn end_lapses(&mut self) {
        self.damage.lapses = None;
        self.forget_pending();
    }

    /// The process is gone: what was still to go wrong did not.
    pub(crate) fn forget_pending(&mut self) {
        self.damage.pending.clear();
    }

    /// A file was read, from here on so much of it.
    pub(crate) fn was_read(&mut self, file: FileId, offset: u64, len: usize, incarnation: u64, path: &str) {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        if self.store.is_damaged(file, from..from.saturating_add(len)) {
            self.damage.met.push((incarnation, path.into()));
        }
    }
}

impl Control {
    /// Flips one bit somewhere in a file nobody writes to, but not in `spared`. Says which file and byte; `None` when
    /// there is no such file with contents.
    pub fn rot(self, spared: &str) -> Option<(String, u64)> {
        self.flip_one(|path| path != spared)
    }

    /// From now on each write goes wrong with this chance; `None` ends it.
    pub fn lapses(self, lapses: Option<(Lapse, f64)>) {
        let words = lapses.map_or([0, 0], |(lapse, chance)| [1 + lapse as u64, chance.to_bits()]);
        self.set("disk lapses", &words, |disk| {
            disk.end_lapses();
            disk.damage.lapses = lapses;
        });
    }

    /// Files that hold bytes which nobody wrote there.
    pub fn damaged(self) -> Vec<String> {
        disk::with(self.node, |disk| {
            let files = disk.store.files().into_iter();
            let damaged = files.filter(|(_, id, len, _)| disk.store.is_damaged(*id, 0..*len as usize));
            damaged.map(|(path, ..)| path).collect()
        })
    }

    /// Damaged files that the process has read in this life, or in its last if it is down.
    pub fn met(self) -> Vec<String> {
        let now = process::incarnation(self.node);
        let life = if process::is_up(self.node) { now } else { now.saturating_sub(1) };
        disk::with(self.node, |disk| {
            let met = disk.damage.met.iter().filter(|(incarnation, _)| *incarnation == life);
            met.map(|(_, path)| path.clone()).collect()
        })
    }

    pub(crate) fn flip_one(self, may: impl Fn(&str) -> bool) -> Option<(String, u64)> {
        let flipped = disk::with(self.node, |disk| {
            let mut files = disk.store.files();
            files.retain(|(path, _, len, closed)| *closed && *len > 0 && may(path));
            if files.is_empty() {
                return None;
            }
            let (path, id, len, _) = files.swap_remove(disk.draws.gen_range(0..files.len()));
            let (offset, bit) = (disk.draws.gen_range(0..len), disk.draws.gen_range(0..8));
            disk.store.flip(id, offset as usize, bit);
            disk.harm.counters.bits_flipped += 1;
            Some((path, offset))
        })?;
        let payload = record::hash(flipped.0.as_bytes()) ^ flipped.1;
        record::event(self.node, "disk bit flip", payload, || format!("{flipped:?}"));
        Some(flipped)
    }
}
