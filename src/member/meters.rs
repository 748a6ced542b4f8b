//! What is counted for `/metrics`, since this member started.

use crate::{handle::Handle, slow::Pace};
use std::{collections::BTreeMap, time::Duration};
use store::{Event, EventKind};

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
    /// Learners that this member, as it led, gave a vote, and how often it did not, by what it said.
    pub promoted: u64,
    pub not_promoted: BTreeMap<String, u64>,
    /// What took longer to apply, or to read, than it may.
    pub slow_applies: u64,
    pub slow_said: Pace,
    /// How long it took to make a hash of all there is, and of a revision.
    pub hashes: HashTimes,
    pub revision_hashes: HashTimes,
}

/// A hash takes longer than most: 10 ms, and twice that, fifteen times. (etcd: hash_duration_seconds.)
pub type HashTimes = Histogram<10, 15>;

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

/// How often something took how long: by buckets that end at so many milliseconds, and twice that, so many times. Those
/// that are not said are those of a sync. (etcd: wal_fsync_duration_seconds.)
#[derive(Clone, Debug)]
pub struct Histogram<const FIRST: u64 = 1, const BUCKETS: usize = 14> {
    /// By bucket; those that took longer are in none.
    counts: [u64; BUCKETS],
    pub count: u64,
    pub sum: Duration,
}

impl<const FIRST: u64, const BUCKETS: usize> Default for Histogram<FIRST, BUCKETS> {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], count: 0, sum: Duration::ZERO }
    }
}

impl<const FIRST: u64, const BUCKETS: usize> Histogram<FIRST, BUCKETS> {
    pub fn add(&mut self, time: Duration) {
        self.count += 1;
        self.sum += time;
        if let Some(bucket) = (0..BUCKETS).find(|bucket| time <= Self::end(*bucket)) {
            self.counts[bucket] += 1;
        }
    }

    /// The end of each bucket, and how many took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut up_to = 0;
        self.counts.iter().enumerate().map(move |(bucket, count)| {
            up_to += count;
            (Self::end(bucket), up_to)
        })
    }

    fn end(bucket: usize) -> Duration {
        Duration::from_millis(FIRST << bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_counts_all_that_took_no_longer() {
        let mut times: Histogram = Histogram::default();
        for millis in [1, 2, 3, 100_000] {
            times.add(Duration::from_millis(millis));
        }
        let counts: Vec<u64> = times.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts[..4], [1, 2, 3, 3]);
        assert_eq!((counts.len(), counts[13], times.count), (14, 3, 4));
        assert_eq!(times.buckets().last().map(|(end, _)| end), Some(Duration::from_millis(8_192)));
    }
}
