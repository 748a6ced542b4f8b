//! The clocks of every process: a monotonic one and a wall clock.
//! Promise: in peace both run with true time. A nemesis can make them drift (both), stand still (both), and
//! step the wall clock; the monotonic clock never goes back. Waits follow the process's monotonic clock.

use crate::{process, record, timers};
use base::stream::stream;
use madsim::{plugin, task::NodeId};
use rand::Rng;
use std::{cell::RefCell, collections::BTreeMap, time::Duration};

/// The true date at which every simulation begins: 2026-01-01T00:00:00Z.
pub const BASE_DATE: u64 = 1_767_225_600_000_000_000;
/// One drifting clock may be off by at most this many parts in a million: it never stops nor goes back.
pub const MAX_DRIFT_PPM: i64 = 900_000;

const MILLION: i128 = 1_000_000;

/// What was done to a clock, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub steps: u64,
    /// Sum of the sizes of all steps of the wall clock.
    pub stepped: u64,
    /// Time stood still.
    pub frozen: u64,
    /// Time gained or lost by drift.
    pub drifted: u64,
}

struct Clock {
    /// From here on the clock runs as `ppm` and `frozen` say: a moment of true time and what the clock showed.
    since: u64,
    shown: u64,
    ppm: i64,
    /// The true time at which it began to stand still.
    frozen: Option<u64>,
    /// Wall clock minus monotonic clock.
    wall_minus_mono: i128,
    boots: u64,
    moved: Moved,
}

thread_local! {
    static CLOCKS: RefCell<BTreeMap<NodeId, Clock>> = const { RefCell::new(BTreeMap::new()) };
}

pub(crate) fn reset() {
    CLOCKS.take();
}

fn true_now() -> u64 {
    process::elapsed().as_nanos() as u64
}

impl Clock {
    fn new(node: NodeId, boots: u64) -> Self {
        let (since, shown) = (true_now(), uptime(node, boots));
        let wall_minus_mono = i128::from(BASE_DATE + since) - i128::from(shown);
        Self { since, shown, ppm: 0, frozen: None, wall_minus_mono, boots, moved: Moved::default() }
    }

    fn mono(&self, now: u64) -> u64 {
        if self.frozen.is_some() {
            return self.shown;
        }
        let passed = i128::from(now - self.since) * (MILLION + i128::from(self.ppm)) / MILLION;
        self.shown + passed as u64
    }

    fn wall(&self, now: u64) -> u64 {
        (i128::from(self.mono(now)) + self.wall_minus_mono).max(0) as u64
    }

    /// The true time at which the clock will show this, if it goes on as it does now.
    fn true_time_of(&self, shown: u64) -> u64 {
        let left = i128::from(shown) - i128::from(self.shown);
        if left <= 0 {
            return self.since;
        }
        if self.frozen.is_some() {
            return u64::MAX;
        }
        let pace = MILLION + i128::from(self.ppm);
        let passed = (left * MILLION + pace - 1) / pace;
        u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(self.since)
    }

    /// Begins a new stretch at this moment, so that what follows is reckoned from here.
    fn settle(&mut self, now: u64) {
        let (shown, passed) = (self.mono(now), now - self.since);
        match self.frozen {
            Some(_) => self.moved.frozen += passed,
            None => self.moved.drifted += passed.abs_diff(shown - self.shown),
        }
        (self.since, self.shown) = (now, shown);
    }
}

/// What a monotonic clock shows at a start: the time since the machine's boot, different on each machine, so
/// that no reading makes sense anywhere else.
fn uptime(node: NodeId, boots: u64) -> u64 {
    let name = process::name_of(node);
    stream(process::seed(), &format!("clock {name} {boots}")).gen_range(1_000_000_000..100_000_000_000)
}

fn with<T>(node: NodeId, look: impl FnOnce(&mut Clock, u64) -> T) -> T {
    let now = true_now();
    CLOCKS.with_borrow_mut(|clocks| look(clocks.entry(node).or_insert_with(|| Clock::new(node, 0)), now))
}

/// The running process's monotonic clock, in nanoseconds.
pub fn mono() -> u64 {
    mono_of(plugin::node())
}

/// The running process's wall clock, in nanoseconds since 1970.
pub fn wall() -> u64 {
    wall_of(plugin::node())
}

pub fn mono_of(node: NodeId) -> u64 {
    with(node, |clock, now| clock.mono(now))
}

pub fn wall_of(node: NodeId) -> u64 {
    with(node, |clock, now| clock.wall(now))
}

pub(crate) fn true_time_of(node: NodeId, mono: u64) -> u64 {
    with(node, |clock, _| clock.true_time_of(mono))
}

/// The machine lost power: its monotonic clock begins anew. The wall clock, kept by a battery, and what is
/// wrong with both stay.
pub(crate) fn reboot(node: NodeId) {
    let boots = with(node, |clock, _| clock.boots + 1);
    let shown = uptime(node, boots);
    with(node, |clock, now| {
        clock.settle(now);
        clock.wall_minus_mono += i128::from(clock.shown) - i128::from(shown);
        (clock.boots, clock.shown) = (boots, shown);
    });
    timers::rearm(node);
}

fn change(name: &str, kind: &'static str, amount: i64, apply: impl FnOnce(&mut Clock)) -> bool {
    let Some(node) = process::node_of(name) else { return false };
    with(node, |clock, now| {
        clock.settle(now);
        apply(clock);
    });
    record::event(node, kind, amount as u64, || amount.to_string());
    timers::rearm(node);
    true
}

/// Steps the wall clock by nanoseconds, either way; the monotonic clock does not move. False: no such process.
pub fn step(name: &str, nanos: i64) -> bool {
    change(name, "clock step", nanos, |clock| {
        clock.wall_minus_mono += i128::from(nanos);
        clock.moved.steps += 1;
        clock.moved.stepped += nanos.unsigned_abs();
    })
}

/// Sets how far the wall clock is off from true time, whatever it was before.
pub fn skew(name: &str, nanos: i64) -> bool {
    let Some(error) = error(name) else { return false };
    step(name, nanos.saturating_sub(error))
}

/// Sets how much faster (or slower, below 0) both clocks run than true time, in parts of a million.
pub fn drift(name: &str, ppm: i64) -> bool {
    let ppm = ppm.clamp(-MAX_DRIFT_PPM, MAX_DRIFT_PPM);
    change(name, "clock drift", ppm, |clock| clock.ppm = ppm)
}

/// Both clocks stand still until [`thaw`].
pub fn freeze(name: &str) -> bool {
    let now = true_now();
    change(name, "clock freeze", 0, |clock| clock.frozen = clock.frozen.or(Some(now)))
}

/// Ends a [`freeze`]. The clocks go on from where they stood; with `catch_up` they jump over the time missed.
pub fn thaw(name: &str, catch_up: bool) -> bool {
    let now = true_now();
    change(name, "clock thaw", i64::from(catch_up), |clock| {
        let missed = clock.frozen.take().map_or(0, |since| now - since);
        clock.shown += if catch_up { missed } else { 0 };
    })
}

/// Ends all harm: the clocks run with true time, the wall clock is stepped to the true date.
pub fn heal(name: &str) -> bool {
    thaw(name, false) && drift(name, 0) && error(name).is_some_and(|off| off == 0 || skew(name, 0))
}

/// How far a process's wall clock is off, in nanoseconds; above 0 when it is ahead.
pub fn error(name: &str) -> Option<i64> {
    let node = process::node_of(name)?;
    let (wall, right) = (wall_of(node), BASE_DATE + true_now());
    Some((i128::from(wall) - i128::from(right)) as i64)
}

/// What was done to a process's clock so far.
pub fn moved(name: &str) -> Option<Moved> {
    let node = process::node_of(name)?;
    Some(with(node, |clock, now| {
        clock.settle(now);
        clock.moved
    }))
}

/// The true time since the world began.
pub fn elapsed() -> Duration {
    process::elapsed()
}
