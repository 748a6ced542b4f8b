//! Harms to disks. Of several of one kind on one disk, the last end is the end of all: they are counted, as cuts are.

use super::{Nemesis, claims::Count, effect::Meter, until, us};
use crate::scenario::{DiskHarm, DiskOp};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use world::{
    Death,
    disk::{Control, Lapse},
    disk_harm, process,
};

/// How many harms of each kind each disk suffers.
#[derive(Clone, Default)]
pub struct Disks(Arc<Mutex<Count<(String, Kind)>>>);

/// Kinds that end apart from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Fail(DiskOp),
    Full,
    Stall,
    Slow,
    Lapses,
}

/// The chance of an operation to fail.
const FAILS: f64 = 0.2;
/// The chance of a write to go wrong in silence.
const GOES_WRONG: f64 = 0.1;
/// Between two looks whether there is a file that may rot.
const ROT_STEP: Duration = Duration::from_millis(200);

impl Disks {
    fn lock(&self) -> MutexGuard<'_, Count<(String, Kind)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, name: &str, kind: Kind) {
        self.lock().want((name.into(), kind));
    }

    /// Whether this was the last of its kind on a disk, and whether the last of all.
    fn end(&self, name: &str, kind: Kind) -> (bool, bool) {
        let mut harms = self.lock();
        let last = harms.spare(&(name.to_string(), kind));
        (last, last && !harms.wanted().any(|(disk, _)| disk == name))
    }

    pub fn heal_all(&self) {
        self.lock().clear();
    }
}

impl Nemesis {
    pub(super) async fn disk(&self, hit: &[String], harm: &DiskHarm, until_us: u64, meter: &Meter) -> String {
        match harm {
            DiskHarm::Rot => self.rot(hit, until_us).await,
            DiskHarm::Wipe => self.wipe(hit, until_us, meter).await,
            harm => self.lasting(hit, harm, until_us).await,
        }
        meter.disks()
    }

    async fn lasting(&self, hit: &[String], harm: &DiskHarm, until_us: u64) {
        let kind = kind_of(harm);
        for (name, disk) in controls(hit) {
            self.disks.begin(name, kind);
            begin(disk, harm, until_us);
        }
        until(until_us).await;
        for (name, disk) in controls(hit) {
            match self.disks.end(name, kind) {
                (_, true) => disk.heal(),
                (true, false) => end(disk, kind),
                (false, false) => {}
            }
        }
    }

    /// One bit of each, as soon as there is a file that is not written to any more.
    async fn rot(&self, hit: &[String], until_us: u64) {
        let mut left: Vec<&String> = hit.iter().collect();
        while !left.is_empty() && process::elapsed() < us(until_us) {
            left.retain(|name| {
                disk_harm::control(name).is_some_and(|disk| disk.rot(&open_file(disk)).is_none())
            });
            if !left.is_empty() {
                rt::sleep(ROT_STEP.min(us(until_us).saturating_sub(process::elapsed()))).await;
            }
        }
    }

    /// A machine that is up loses its power; whatever it was, it comes back with an empty disk.
    async fn wipe(&self, hit: &[String], until_us: u64, meter: &Meter) {
        let falls = self.fell(hit, Death::Power, until_us, meter);
        let replaced = async {
            for (name, disk) in controls(hit) {
                disk.wipe();
                self.seen.lost_disk(name);
            }
        };
        // the fall comes first
        futures::future::join(falls, replaced).await;
    }
}

fn controls(hit: &[String]) -> impl Iterator<Item = (&String, Control)> {
    hit.iter().filter_map(|name| Some((name, disk_harm::control(name)?)))
}

/// The log segment that is written to, or would be on: the newest.
fn open_file(disk: Control) -> String {
    let segments = disk.files().into_iter().map(|(path, _)| path).filter(|path| path.ends_with(".wal"));
    segments.max().unwrap_or_default()
}

fn kind_of(harm: &DiskHarm) -> Kind {
    match harm {
        DiskHarm::Fail(op) => Kind::Fail(*op),
        DiskHarm::Full => Kind::Full,
        DiskHarm::Stall => Kind::Stall,
        DiskHarm::Slow(_) => Kind::Slow,
        DiskHarm::Short | DiskHarm::Misdirected | DiskHarm::Rot | DiskHarm::Wipe => Kind::Lapses,
    }
}

fn begin(disk: Control, harm: &DiskHarm, until_us: u64) {
    match harm {
        DiskHarm::Fail(op) => disk.fail(op_of(*op), FAILS),
        DiskHarm::Stall => disk.stall(us(until_us).saturating_sub(process::elapsed())),
        DiskHarm::Full => disk.capacity(Some(disk.used() + 512)),
        DiskHarm::Slow(range) => {
            let (low, high) = range.bounds();
            disk.slow(Some(us(low as u64)..us(high as u64 + 1)));
        }
        DiskHarm::Short => disk.lapses(Some((Lapse::Short, GOES_WRONG))),
        DiskHarm::Misdirected => disk.lapses(Some((Lapse::Misdirected, GOES_WRONG))),
        DiskHarm::Rot | DiskHarm::Wipe => {}
    }
}

fn end(disk: Control, kind: Kind) {
    match kind {
        Kind::Fail(op) => disk.fail(op_of(op), 0.0),
        Kind::Full => disk.capacity(None),
        // each ends by itself
        Kind::Stall => {}
        Kind::Slow => disk.slow(None),
        Kind::Lapses => disk.lapses(None),
    }
}

fn op_of(op: DiskOp) -> disk_harm::Op {
    match op {
        DiskOp::Read => disk_harm::Op::Read,
        DiskOp::Write => disk_harm::Op::Write,
        DiskOp::Sync => disk_harm::Op::Sync,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_harms_of_a_kind_the_last_end_is_the_end() {
        let disks = Disks::default();
        for kind in [Kind::Full, Kind::Full, Kind::Slow] {
            disks.begin("member-1", kind);
        }
        disks.begin("member-2", Kind::Full);
        assert_eq!(disks.end("member-1", Kind::Full), (false, false));
        assert_eq!(disks.end("member-1", Kind::Full), (true, false), "it is slow still");
        assert_eq!(disks.end("member-1", Kind::Slow), (true, true));
        assert_eq!(disks.end("member-1", Kind::Slow), (false, false), "it had ended");
        disks.heal_all();
        assert_eq!(disks.end("member-2", Kind::Full), (false, false), "all was healed before its end");
    }
}
