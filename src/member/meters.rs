//! What is counted for `/metrics`, since this member started.

use crate::handle::Handle;
use std::{collections::BTreeMap, time::Duration};
use store::{Event, EventKind};

/// Upper ends of the buckets of a sync's time: 1 ms, and twice that, fourteen times. (etcd: wal_fsync_duration_seconds.)
const BUCKETS: usize = 14;
const FIRST: Duration = Duration::from_millis(1);

#[derive(Clone, Debug, Default)]
pub struct Meters {
    pub leader_changes: u64,
    pub proposals_pending: u64,
    pub proposals_failed: u64,
    pub syncs: Histogram,
    /// Puts that were applied here, and keys that were deleted.
    pub changes: (u64, u64),
    /// Calls that ended, by path and code.
    pub calls: BTreeMap<(String, i32), u64>,
    /// Calls that began, by the version of the protocol that the client says it speaks, and by kind.
    pub begun: BTreeMap<(String, &'static str), u64>,
    /// Probes of `/health` that were told that all is well, and those that were not.
    pub healthy: u64,
    pub unhealthy: u64,
    /// How long ranges took that were answered, and those that were refused.
    pub ranges: Histogram,
    pub refused_ranges: Histogram,
}

/// Calls that are told apart at the most: paths come from outside.
const CALLS: usize = 1_000;
/// Versions, in the same way.
const VERSIONS: usize = 100;

impl Meters {
    /// A call of a client of this version began.
    pub fn began(&mut self, version: String, kind: &'static str) {
        if self.begun.len() < VERSIONS || self.begun.contains_key(&(version.clone(), kind)) {
            *self.begun.entry((version, kind)).or_insert(0) += 1;
        }
    }

    /// Keys were put and deleted.
    pub fn changed(&mut self, events: &[Event]) {
        let puts = events.iter().filter(|event| event.kind == EventKind::Put).count();
        self.changes.0 += puts as u64;
        self.changes.1 += (events.len() - puts) as u64;
    }

    /// A call ended with a code.
    pub fn ended(&mut self, path: String, code: i32) {
        if self.calls.len() < CALLS || self.calls.contains_key(&(path.clone(), code)) {
            *self.calls.entry((path, code)).or_insert(0) += 1;
        }
    }
}

/// A proposal under way, for whoever counts.
pub struct Pending<'a>(&'a Handle);

impl<'a> Pending<'a> {
    pub fn begin(handle: &'a Handle) -> Self {
        handle.meters().proposals_pending += 1;
        Self(handle)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.meters().proposals_pending -= 1;
    }
}

/// How often something took how long.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// By bucket; those that took longer are in none.
    counts: [u64; BUCKETS],
    pub count: u64,
    pub sum: Duration,
}

impl Histogram {
    pub fn add(&mut self, time: Duration) {
        self.count += 1;
        self.sum += time;
        if let Some(bucket) = (0..BUCKETS).find(|bucket| time <= end(*bucket)) {
            self.counts[bucket] += 1;
        }
    }

    /// The end of each bucket, and how many took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut up_to = 0;
        self.counts.iter().enumerate().map(move |(bucket, count)| {
            up_to += count;
            (end(bucket), up_to)
        })
    }
}

fn end(bucket: usize) -> Duration {
    FIRST * (1 << bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_counts_all_that_took_no_longer() {
        let mut times = Histogram::default();
        for millis in [1, 2, 3, 100_000] {
            times.add(Duration::from_millis(millis));
        }
        let counts: Vec<u64> = times.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts[..4], [1, 2, 3, 3]);
        assert_eq!((counts.len(), counts[13], times.count), (14, 3, 4));
        assert_eq!(times.buckets().last().map(|(end, _)| end), Some(Duration::from_millis(8_192)));
    }
}
