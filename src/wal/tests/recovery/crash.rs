//! Crashes and losses of power at every point between two disk operations, and failing disks: nothing that was
//! acknowledged is ever lost, and the log can always be opened.

use crate::{
    disk, lives,
    workload::{Shared, live, shared},
};
use rand::Rng;
use world::{World, disk::Loss, disk_harm::Op, process::Death};

/// What becomes of the machine, and of what was not synced.
const ENDS: [(Death, Loss); 4] = [
    (Death::Process, Loss::Drawn),
    (Death::Power, Loss::Unsynced),
    (Death::Power, Loss::Nothing),
    (Death::Power, Loss::Drawn),
];

/// Disk operations of a life in which nothing goes wrong, and the syncs in it.
fn peaceful(seed: u64, steps: u64) -> (u64, u64) {
    World::run(seed, move |world| async move {
        let shared = shared(seed);
        let own = shared.clone();
        lives(&world, 2, move |_| live(own.clone(), steps), |_| {}).await;
        (disk().ops(), shared.lock().unwrap().0.synced)
    })
}

/// Dies before the operation `at`; later, in the second life, once more. The third life is a short one in
/// peace. Returns the operations counted when the first life ended.
fn dies(seed: u64, at: u64, (death, loss): (Death, Loss), steps: u64) -> u64 {
    World::run(seed, move |world| async move {
        let shared = shared(seed);
        let own = shared.clone();
        let mut again = base::stream::stream(seed, &format!("second death {at}"));
        let life = move |number| {
            if number == 1 {
                disk().losing(loss);
                disk().crash_at(at, death);
            }
            live(own.clone(), if number == 3 { 5 } else { steps })
        };
        let mut first = 0;
        let between = |number| {
            if number == 1 {
                first = disk().ops();
                disk().losing(Loss::Drawn);
                disk().crash_at(first + again.gen_range(0..40), Death::Power);
            } else {
                disk().heal();
            }
        };
        lives(&world, 3, life, between).await;
        let status = world::process::status("m").unwrap();
        assert_eq!(
            status.exit,
            Some(Ok(())),
            "the third life ends well (seed {seed}, operation {at}, {loss:?})"
        );
        first
    })
}

#[test]
fn every_crash_point_of_a_workload_is_recovered_from() {
    const STEPS: u64 = 25;
    let seed = 7;
    let (ops, syncs) = peaceful(seed, STEPS);
    assert!(ops > 150 && syncs > 30, "{ops} operations, {syncs} syncs");
    // Two lives of the peaceful run; the first one's operations are fewer.
    for at in 0..ops {
        for end in ENDS {
            dies(seed, at, end, STEPS);
        }
    }
}

#[test]
fn many_workloads_are_recovered_from_wherever_they_end() {
    for seed in 100..400 {
        let mut draws = base::stream::stream(seed, "where");
        for end in ENDS {
            dies(seed, draws.gen_range(0..200), end, 15);
        }
    }
}

/// Lives on a disk that fails now and then; after each failure the member stops, and comes back, sometimes
/// after a loss of power.
fn fails(seed: u64) -> (u64, u64) {
    World::run(seed, move |world| async move {
        let shared = shared(seed);
        let own: Shared = shared.clone();
        let mut draws = base::stream::stream(seed, "failures");
        let chances = base::stream::stream(seed, "chances");
        let life = move |number: u64| {
            let mut chances = chances.clone();
            let chance: f64 = (0..number).map(|_| chances.gen_range(0.0..0.15)).last().unwrap_or(0.0);
            let op = [Op::Sync, Op::Write, Op::Read][number as usize % 3];
            disk().heal();
            match number % 7 {
                0 => disk().capacity(Some(disk().used() + 700)),
                _ => disk().fail(op, chance),
            }
            live(own.clone(), 10)
        };
        let between = |_| {
            if draws.gen_bool(0.5) {
                world::process::kill("m", Death::Power);
            }
        };
        lives(&world, 20, life, between).await;
        let counters = disk().counters();
        (counters.failed_syncs, counters.no_space)
    })
}

#[test]
fn failing_disks_lose_nothing_acknowledged() {
    let (mut syncs, mut full) = (0, 0);
    for seed in 0..150 {
        let (failed, no_space) = fails(seed);
        (syncs, full) = (syncs + failed, full + no_space);
    }
    assert!(syncs > 100 && full > 10, "{syncs} failed syncs, {full} times no space");
}

/// Whether a run panics, and with what.
fn panic_of(run: impl FnOnce() + std::panic::UnwindSafe) -> Option<String> {
    let panic = std::panic::catch_unwind(run).err()?;
    Some(panic.downcast::<String>().map_or_else(|_| "no text".into(), |text| *text))
}

/// The museum: a sync that does nothing is found out, by the promise it breaks.
#[test]
fn a_sync_that_does_nothing_is_found() {
    let broken = (0..20).any(|seed| {
        let run = move || {
            World::run(seed, move |world| async move {
                base::marks::plant(Some("S07"));
                let own = shared(seed);
                let life = move |number| {
                    if number == 1 {
                        disk().crash_at(20, Death::Power);
                    }
                    live(own.clone(), 40)
                };
                lives(&world, 2, life, |_| disk().heal()).await;
            })
        };
        panic_of(run).is_some_and(|text| text.starts_with("found "))
    });
    assert!(broken);
}
