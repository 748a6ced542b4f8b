//! What can go wrong with a disk, and how much of it did.
//! Promise: nothing fails unless told to; every failure is counted; `heal` ends all of it.

use crate::{
    disk::{self, Disk},
    disk_store::{FileId, Lost, Store},
    process::{self, Death},
    record,
};
use madsim::task::NodeId;
use rand::Rng;
use std::{io, ops::Range, time::Duration};

/// Kinds of operations that fail apart from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Read,
    Write,
    Sync,
    /// Lengths and existence; never fails.
    Look,
}

/// What becomes of the un-synced at a loss of power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// Any part of it is lost, drawn anew each time.
    #[default]
    Drawn,
    /// All of it is lost.
    Unsynced,
    /// None of it is: the disk was quick.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Io,
    NoSpace,
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        // EIO and ENOSPC.
        io::Error::from_raw_os_error(if fault == Fault::Io { 5 } else { 28 })
    }
}

pub(crate) enum Fate {
    Done,
    Failed(Fault),
}

/// What the harm did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub ops: u64,
    pub failed_reads: u64,
    pub failed_writes: u64,
    pub failed_syncs: u64,
    pub no_space: u64,
    /// Operations that waited for a stall to end.
    pub stalled: u64,
    /// Time added by slowness that was set from outside.
    pub slowed: Duration,
    pub power_cuts: u64,
    pub bytes_lost: u64,
    pub sectors_torn: u64,
    pub names_lost: u64,
    pub files_lost: u64,
    pub bits_flipped: u64,
    pub syncs_faked: u64,
    pub writes_short: u64,
    pub writes_misdirected: u64,
    pub wipes: u64,
    pub wiped_files: u64,
}

impl Counters {
    pub(crate) fn count_loss(&mut self, lost: &Lost) {
        self.power_cuts += 1;
        self.bytes_lost += lost.bytes;
        self.sectors_torn += lost.torn;
        self.names_lost += lost.names;
        self.files_lost += lost.files;
    }
}

/// How often operations of a kind fail: the next so many, then each with a chance.
#[derive(Default)]
struct Failing {
    next: u64,
    chance: f64,
}

pub(crate) struct Harm {
    pub loss: Loss,
    pub counters: Counters,
    sync_latency: Range<Duration>,
    slow: Option<Range<Duration>>,
    stalled_until: Duration,
    failing: [Failing; 3],
    capacity: Option<u64>,
    fake_syncs: bool,
    crash: Option<(u64, Death)>,
}

/// What a sync takes on a disk that is well.
const SYNC: Range<Duration> = Duration::from_micros(1_000)..Duration::from_micros(3_000);
/// A stall that is lifted early is noticed within this time.
const STALL_STEP: Duration = Duration::from_millis(50);

impl Default for Harm {
    fn default() -> Self {
        Self {
            loss: Loss::default(),
            counters: Counters::default(),
            sync_latency: SYNC,
            slow: None,
            stalled_until: Duration::ZERO,
            failing: Default::default(),
            capacity: None,
            fake_syncs: false,
            crash: None,
        }
    }
}

impl Harm {
    fn failing(&mut self, op: Op) -> Option<&mut Failing> {
        match op {
            Op::Look => None,
            op => Some(&mut self.failing[op as usize]),
        }
    }

    /// How long to wait before looking again whether the stall is over.
    pub fn stalled(&mut self, now: Duration) -> Option<Duration> {
        let left = self.stalled_until.checked_sub(now).filter(|left| !left.is_zero())?;
        Some(left.min(STALL_STEP))
    }
}

impl Disk {
    /// Counts an operation; says whether the machine dies before it, and how long it takes.
    pub(crate) fn begin(&mut self, op: Op) -> (Option<Death>, Duration) {
        let number = self.ops;
        self.ops += 1;
        self.harm.counters.ops = self.ops;
        if let Some((at, death)) = self.harm.crash
            && at <= number
        {
            self.harm.crash = None;
            return (Some(death), Duration::ZERO);
        }
        if self.harm.stalled_until > process::elapsed() {
            self.harm.counters.stalled += 1;
        }
        let mut wait = Duration::ZERO;
        if op == Op::Sync {
            wait += process::draw_duration(&mut self.draws, &self.harm.sync_latency);
        }
        if let Some(slow) = self.harm.slow.clone().filter(|_| op != Op::Look) {
            let extra = process::draw_duration(&mut self.draws, &slow);
            self.harm.counters.slowed += extra;
            wait += extra;
        }
        (None, wait)
    }

    /// Whether an operation fails.
    pub(crate) fn fate(&mut self, op: Op) -> Fate {
        let Some(failing) = self.harm.failing(op) else { return Fate::Done };
        let chance = failing.chance;
        let fails = if failing.next > 0 {
            failing.next -= 1;
            true
        } else {
            chance > 0.0 && self.draws.gen_bool(chance)
        };
        if !fails {
            return Fate::Done;
        }
        let counters = &mut self.harm.counters;
        match op {
            Op::Read => counters.failed_reads += 1,
            Op::Write => counters.failed_writes += 1,
            Op::Sync => counters.failed_syncs += 1,
            Op::Look => {}
        }
        Fate::Failed(Fault::Io)
    }

    /// On a failure, some beginning of the bytes is written.
    pub(crate) fn append(&mut self, id: FileId, bytes: &[u8], fate: Fate) -> io::Result<()> {
        let mut fault = match fate {
            Fate::Done => None,
            Fate::Failed(fault) => Some((fault, self.draws.gen_range(0..=bytes.len()))),
        };
        if let Some(capacity) = self.harm.capacity {
            let room = usize::try_from(capacity.saturating_sub(self.store.used())).unwrap_or(usize::MAX);
            if room < fault.map_or(bytes.len(), |(_, written)| written) {
                self.harm.counters.no_space += 1;
                fault = Some((Fault::NoSpace, room));
            }
        }
        let written = fault.map_or(bytes.len(), |(_, written)| written);
        let from = self.store.len(id) as usize;
        self.store.append(id, &bytes[..written]);
        if fault.is_none() {
            self.appended(id, from, bytes);
        }
        fault.map_or(Ok(()), |(fault, _)| Err(fault.into()))
    }

    pub(crate) fn set_len(&mut self, id: FileId, len: u64) -> io::Result<()> {
        let grows = len.saturating_sub(self.store.len(id));
        if self.harm.capacity.is_some_and(|capacity| grows > capacity.saturating_sub(self.store.used())) {
            self.harm.counters.no_space += 1;
            return Err(Fault::NoSpace.into());
        }
        self.store.set_len(id, len);
        Ok(())
    }

    pub(crate) fn sync(&mut self, id: FileId, written: u64, fate: Fate) -> io::Result<()> {
        match fate {
            Fate::Failed(fault) => {
                self.store.broke(id);
                Err(fault.into())
            }
            Fate::Done if self.harm.fake_syncs => {
                self.harm.counters.syncs_faked += 1;
                Ok(())
            }
            Fate::Done => {
                self.store.sync(id, written);
                self.synced(id, written as usize);
                Ok(())
            }
        }
    }

    pub(crate) fn sync_dir(&mut self, path: &str, changes: usize, fate: Fate) -> io::Result<()> {
        match fate {
            Fate::Failed(fault) => Err(fault.into()),
            Fate::Done if self.harm.fake_syncs => {
                self.harm.counters.syncs_faked += 1;
                Ok(())
            }
            Fate::Done => self.store.sync_dir(path, changes),
        }
    }
}

/// The hand a nemesis has on one disk.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    pub(crate) node: NodeId,
}

/// The disk of a process, by name.
pub fn control(process: &str) -> Option<Control> {
    process::node_of(process).map(|node| Control { node })
}

impl Control {
    pub(crate) fn set(self, kind: &'static str, words: &[u64], act: impl FnOnce(&mut Disk)) {
        record::event(self.node, kind, record::hash_words(words), || format!("{words:?}"));
        disk::with(self.node, act);
    }

    /// What becomes of the un-synced at the next losses of power.
    pub fn losing(self, loss: Loss) {
        self.set("disk losing", &[loss as u64], |disk| disk.harm.loss = loss);
    }

    /// The next `count` operations of this kind fail with EIO.
    pub fn fail_next(self, op: Op, count: u64) {
        self.set("disk fail next", &[op as u64, count], |disk| {
            disk.harm.failing(op).into_iter().for_each(|failing| failing.next = count);
        });
    }

    /// Each operation of this kind fails with EIO with this chance (0 to 1).
    pub fn fail(self, op: Op, chance: f64) {
        self.set("disk fail", &[op as u64, chance.to_bits()], |disk| {
            disk.harm.failing(op).into_iter().for_each(|failing| failing.chance = chance.clamp(0.0, 1.0));
        });
    }

    /// Bytes that fit; ENOSPC beyond. `None`: no limit.
    pub fn capacity(self, bytes: Option<u64>) {
        self.set("disk capacity", &[bytes.unwrap_or(u64::MAX)], |disk| disk.harm.capacity = bytes);
    }

    /// Bytes in files now.
    pub fn used(self) -> u64 {
        disk::with(self.node, |disk| disk.store.used())
    }

    /// What a sync takes, from now on.
    pub fn sync_latency(self, range: Range<Duration>) {
        let words = [range.start.as_nanos() as u64, range.end.as_nanos() as u64];
        self.set("disk sync latency", &words, |disk| disk.harm.sync_latency = range);
    }

    /// Every read, write and sync takes so much longer; `None` ends it.
    pub fn slow(self, range: Option<Range<Duration>>) {
        let words = range.clone().map(|range| [range.start.as_nanos() as u64, range.end.as_nanos() as u64]);
        self.set("disk slow", &words.unwrap_or_default(), |disk| disk.harm.slow = range);
    }

    /// Nothing moves for this long, or for as long as an earlier stall lasts; operations wait.
    pub fn stall(self, duration: Duration) {
        let until = process::elapsed() + duration;
        self.set("disk stall", &[duration.as_nanos() as u64], |disk| {
            disk.harm.stalled_until = disk.harm.stalled_until.max(until);
        });
    }

    /// Syncs say they succeeded and do nothing: a disk that lies.
    pub fn fake_syncs(self, on: bool) {
        self.set("disk fake syncs", &[u64::from(on)], |disk| disk.harm.fake_syncs = on);
    }

    /// The machine dies in this way just before its operation of this number (see [`Control::ops`]) takes
    /// effect.
    pub fn crash_at(self, op: u64, death: Death) {
        self.set("disk crash at", &[op, death as u64], |disk| disk.harm.crash = Some((op, death)));
    }

    /// Operations begun so far.
    pub fn ops(self) -> u64 {
        disk::with(self.node, |disk| disk.ops)
    }

    /// Flips one bit somewhere in a file nobody writes to, whose path contains `part`. Says which file and
    /// byte; `None` when there is no such file with contents.
    pub fn flip_bit(self, part: &str) -> Option<(String, u64)> {
        self.flip_one(|path| path.contains(part))
    }

    /// Flips the lowest bit of one byte of one file, whoever has it open. False: no such byte.
    pub fn flip_byte(self, path: &str, offset: u64) -> bool {
        let flipped = disk::with(self.node, |disk| match disk.store.find_file(path) {
            Ok(id) if offset < disk.store.len(id) => {
                disk.store.flip(id, offset as usize, 0);
                disk.harm.counters.bits_flipped += 1;
                true
            }
            _ => false,
        });
        record::event(self.node, "disk bit flip", record::hash(path.as_bytes()) ^ offset, || {
            format!("{path} {offset}")
        });
        flipped
    }

    /// Everything is gone, as if the disk had been replaced. Only for a process that is down.
    pub fn wipe(self) {
        assert!(!process::is_up(self.node), "a disk is replaced while its machine is off");
        self.set("disk wipe", &[], |disk| {
            disk.harm.counters.wipes += 1;
            disk.harm.counters.wiped_files += disk.store.files().len() as u64;
            disk.store = Store::default();
        });
    }

    /// Ends all harm. What it did stays done.
    pub fn heal(self) {
        self.set("disk heal", &[], |disk| {
            let (counters, loss) = (disk.harm.counters, disk.harm.loss);
            disk.harm = Harm { counters, loss, ..Harm::default() };
            disk.end_lapses();
        });
    }

    /// What the harm did so far.
    pub fn counters(self) -> Counters {
        disk::with(self.node, |disk| disk.harm.counters)
    }

    /// Every file, with its length.
    pub fn files(self) -> Vec<(String, u64)> {
        let files = disk::with(self.node, |disk| disk.store.files());
        files.into_iter().map(|(path, _, len, _)| (path, len)).collect()
    }
}
