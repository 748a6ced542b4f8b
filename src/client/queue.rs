//! A work queue of keys (client-go, util/workqueue): a key added many times is worked on once; a key is never
//! with two workers at a time; one added while it is being worked on comes again afterwards; failures come
//! back later and later. A queue has a name, under which it tells of its work (`Note::Worked`).
//!
//! `Core` is the pure machine; `WorkQueue` adds the waiting.

use base::{Knobs, Note, bug, knobs::ms, reached};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

/// The pure part. Times are the process's monotonic clock as a Duration.
#[derive(Debug, Default)]
struct Core {
    ready: VecDeque<String>,
    /// In `ready`, or to be put there when its worker is done.
    dirty: BTreeSet<String>,
    processing: BTreeSet<String>,
    /// Due time and a number that keeps equal times in order.
    delayed: BTreeMap<(Duration, u64), String>,
    sequence: u64,
    failures: BTreeMap<String, u32>,
}

impl Core {
    fn add(&mut self, key: &str) {
        reached!("queue: a key came while it was worked on", self.processing.contains(key));
        if !self.dirty.insert(key.to_string()) || self.processing.contains(key) {
            return;
        }
        self.ready.push_back(key.to_string());
    }

    fn add_at(&mut self, key: &str, due: Duration) {
        self.sequence += 1;
        self.delayed.insert((due, self.sequence), key.to_string());
    }

    /// Moves what is due, and takes the next key.
    fn take(&mut self, now: Duration) -> Option<String> {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            self.add(&key);
        }
        let key = self.ready.pop_front()?;
        self.dirty.remove(&key);
        self.processing.insert(key.clone());
        Some(key)
    }

    fn done(&mut self, key: &str) {
        if self.processing.remove(key) && self.dirty.contains(key) && !bug!("I06") {
            self.ready.push_back(key.to_string());
        }
    }

    fn next_due(&self) -> Option<Duration> {
        self.delayed.keys().next().map(|key| key.0)
    }
}

#[derive(Clone)]
pub struct WorkQueue {
    name: &'static str,
    core: Arc<Mutex<Core>>,
    changed: Arc<rt::sync::Notify>,
    backoff: (Duration, Duration),
    epoch: rt::Mono,
}

impl WorkQueue {
    pub fn new(name: &'static str, knobs: &Knobs) -> Self {
        WorkQueue {
            name,
            core: Arc::default(),
            changed: Arc::new(rt::sync::Notify::new()),
            backoff: (ms(knobs.backoff_min_ms), ms(knobs.backoff_max_ms)),
            epoch: rt::now(),
        }
    }

    /// Adds a key, unless it already waits.
    pub fn add(&self, key: &str) {
        self.with(|core| core.add(key));
        self.changed.notify_one();
    }

    /// Adds a key after a while.
    pub fn add_after(&self, key: &str, delay: Duration) {
        let due = self.time() + delay;
        self.with(|core| core.add_at(key, due));
        self.changed.notify_one();
    }

    /// Adds a key that failed: after the shortest back-off, doubled for each failure since `forget`.
    pub fn add_rate_limited(&self, key: &str) {
        let failures = self.with(|core| {
            let failures = core.failures.entry(key.to_string()).or_insert(0);
            *failures += 1;
            *failures
        });
        let factor = 1u32 << (failures - 1).min(20);
        reached!("queue: a key failed again and waits longer", failures > 1);
        reached!("queue: a key waits as long as any may", self.backoff.0 * factor >= self.backoff.1);
        self.add_after(key, (self.backoff.0 * factor).min(self.backoff.1));
    }

    /// The key succeeded: its next failure starts from the shortest back-off.
    pub fn forget(&self, key: &str) {
        self.with(|core| core.failures.remove(key));
    }

    /// The next key; it belongs to the caller until `done`.
    pub async fn pop(&self) -> String {
        loop {
            let now = self.time();
            let (key, more, due) =
                self.with(|core| (core.take(now), !core.ready.is_empty(), core.next_due()));
            if let Some(key) = key {
                if more {
                    self.changed.notify_one(); // another worker may sleep on the rest
                }
                return key;
            }
            match due {
                Some(due) => {
                    let _ = rt::timeout(due.saturating_sub(now), self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// The caller has finished with a key it popped.
    pub fn done(&self, key: &str) {
        self.with(|core| core.done(key));
        self.changed.notify_one();
    }

    /// The caller has finished with a key it popped, well or not: what failed comes again after its back-off.
    pub fn finish<E>(&self, key: &str, result: &Result<(), E>) {
        match result {
            Ok(()) => self.forget(key),
            Err(_) => self.add_rate_limited(key),
        }
        self.done(key);
        let waiting = self.with(|core| core.dirty.len() + core.processing.len()) as u64;
        let (queue, key, failed) = (self.name.to_string(), key.to_string(), result.is_err());
        rt::note(Note::Worked { queue, key, failed, waiting });
    }

    fn time(&self) -> Duration {
        rt::now() - self.epoch
    }

    fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        act(&mut self.core.lock().expect("no one panics while holding the queue"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_key_is_with_one_worker_at_a_time_and_comes_again_if_added_meanwhile() {
        let mut core = Core::default();
        core.add("a");
        core.add("a");
        assert_eq!(core.take(S(0)).as_deref(), Some("a"));
        core.add("a");
        assert_eq!(core.take(S(0)), None, "another worker must not get it");
        core.done("a");
        assert_eq!(core.take(S(0)).as_deref(), Some("a"));
        core.done("a");
        assert_eq!(core.take(S(0)), None);
    }

    #[test]
    fn a_delayed_key_comes_when_due_and_only_once() {
        let mut core = Core::default();
        core.add_at("a", S(5));
        core.add_at("a", S(5));
        assert_eq!(core.take(S(4)), None);
        assert_eq!(core.next_due(), Some(S(5)));
        assert_eq!(core.take(S(5)).as_deref(), Some("a"));
        core.done("a");
        assert_eq!(core.take(S(9)), None);
    }
}
