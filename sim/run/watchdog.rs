//! Ends a process whose simulation spins without time moving, or outgrows its memory: such a run has failed, and
//! would never say so itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static MOVED: AtomicU64 = AtomicU64::new(0);
/// Of the process's own time: what spins uses it, what only shares a machine with many does not.
const MOST_STILL_CPU_MS: u64 = 60_000;
/// Of anybody's time: what waits for what never comes uses none of its own.
const MOST_STILL: Duration = Duration::from_secs(900);
/// The run itself failed.
pub const EXIT: i32 = 5;

/// Simulated time has come to this.
pub fn moved(simulated_ns: u64) {
    MOVED.store(simulated_ns, Ordering::Relaxed);
}

/// Real time, of which nothing but progress and speed is told.
#[allow(clippy::disallowed_methods)] // the tank's own stopwatch, outside of any simulation
pub fn wall() -> Instant {
    Instant::now()
}

/// Watches this process until it ends. `most`: resident bytes; `again`: the command that shows the run again.
#[allow(clippy::disallowed_methods)] // a thread outside of any simulation
pub fn start(most: u64, again: String) {
    std::thread::spawn(move || {
        let (mut last, mut since, mut used) = (0, wall(), cpu_ms());
        loop {
            std::thread::sleep(Duration::from_secs(2));
            let now = MOVED.load(Ordering::Relaxed);
            if now != last {
                (last, since, used) = (now, wall(), cpu_ms());
            }
            let spins = cpu_ms() - used > MOST_STILL_CPU_MS;
            let still = now > 0 && (spins || since.elapsed() > MOST_STILL);
            let bytes = memory();
            if still || bytes > most {
                let why = match still {
                    true => format!(
                        "simulated time has stood at {:.3} s for {} s, of which {} s of CPU",
                        now as f64 / 1e9,
                        since.elapsed().as_secs(),
                        (cpu_ms() - used) / 1_000
                    ),
                    false => format!(
                        "the process has grown to {} MiB, of {} its scenario allows",
                        bytes >> 20,
                        most >> 20
                    ),
                };
                eprintln!("the run failed: {why}\nagain: {again}");
                std::process::exit(EXIT);
            }
        }
    });
}

/// Resident bytes, where the system tells.
pub fn memory() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// Milliseconds of CPU this process has used, where the system tells; to a hundredth of a second.
pub fn cpu_ms() -> u64 {
    const MS_PER_TICK: u64 = 10; // USER_HZ is 100 on every Linux there is
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // the name, in brackets, may hold anything
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks * MS_PER_TICK
}
