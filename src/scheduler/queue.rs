//! Pods that wait for a node. Pure. Ready pods come out by priority, then by age; a pod that failed backs off
//! (1 s doubled to 10 s); one that fits nowhere waits until something changed that could help it, or five
//! minutes (upstream's flush of the unschedulable pool).

use base::reached;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const FLUSH: Duration = Duration::from_secs(300);

/// Higher priority first, then first come.
type Rank = (i64, u64);

#[derive(Debug)]
enum Place {
    Ready,
    BackingOff(Duration),
    Unschedulable(Duration),
    /// With the cycle.
    Out,
}

#[derive(Debug)]
struct Waiting {
    rank: Rank,
    failures: u32,
    place: Place,
    /// Something changed while the pod was out: try again instead of pooling it.
    moved: bool,
}

#[derive(Debug)]
pub struct Queue {
    pods: BTreeMap<String, Waiting>,
    ready: BTreeSet<(Rank, String)>,
    /// When those that back off or fit nowhere are ready again. Every pop asks for the first: it must not cost a
    /// look at each pod.
    due: BTreeSet<(Duration, String)>,
    /// Those that fit nowhere or are with the cycle: whom a change may help.
    hopeful: BTreeSet<String>,
    sequence: u64,
    backoff: (Duration, Duration),
}

impl Place {
    fn due(&self) -> Option<Duration> {
        match self {
            Place::BackingOff(due) => Some(*due),
            Place::Unschedulable(since) => Some(*since + FLUSH),
            Place::Ready | Place::Out => None,
        }
    }
}

impl Queue {
    pub fn new(least: Duration, most: Duration) -> Self {
        let (pods, ready) = (BTreeMap::new(), BTreeSet::new());
        Queue {
            pods,
            ready,
            due: BTreeSet::new(),
            hopeful: BTreeSet::new(),
            sequence: 0,
            backoff: (least, most),
        }
    }

    /// A pending pod is there; one already known keeps its place.
    pub fn add(&mut self, key: &str, priority: i64) {
        if self.pods.contains_key(key) {
            return;
        }
        self.sequence += 1;
        let rank = (-priority, self.sequence);
        let waiting = Waiting { rank, failures: 0, place: Place::Out, moved: false };
        self.pods.insert(key.to_string(), waiting);
        self.put(key, Place::Ready);
    }

    /// The one way from place to place: what is kept by place follows.
    fn put(&mut self, key: &str, place: Place) {
        let Some(waiting) = self.pods.get_mut(key) else { return };
        let entry = (waiting.rank, key.to_string());
        match &place {
            Place::Ready => self.ready.insert(entry),
            _ => self.ready.remove(&entry),
        };
        match &place {
            Place::Unschedulable(_) | Place::Out => self.hopeful.insert(key.to_string()),
            Place::Ready | Place::BackingOff(_) => self.hopeful.remove(key),
        };
        if let Some(due) = waiting.place.due() {
            self.due.remove(&(due, key.to_string()));
        }
        if let Some(due) = place.due() {
            self.due.insert((due, key.to_string()));
        }
        waiting.place = place;
    }

    /// The pod is gone, ended or bound.
    pub fn remove(&mut self, key: &str) {
        self.put(key, Place::Out);
        self.hopeful.remove(key);
        self.pods.remove(key);
    }

    /// The next pod to decide on.
    pub fn pop(&mut self, now: Duration) -> Option<String> {
        self.wake(now);
        let (_, key) = self.ready.pop_first()?;
        self.pods.get_mut(&key)?.moved = false;
        self.put(&key, Place::Out);
        Some(key)
    }

    /// The pod fits nowhere.
    pub fn unschedulable(&mut self, key: &str, now: Duration) {
        let Some(waiting) = self.pods.get_mut(key) else { return };
        waiting.failures += 1;
        if !waiting.moved {
            self.put(key, Place::Unschedulable(now));
            return;
        }
        reached!("scheduler: room came while a pod was being refused");
        self.back_off(key, now);
    }

    /// The decision could not be carried out.
    pub fn failed(&mut self, key: &str, now: Duration) {
        let Some(waiting) = self.pods.get_mut(key) else { return };
        waiting.failures += 1;
        self.back_off(key, now);
    }

    fn back_off(&mut self, key: &str, now: Duration) {
        let due = now + self.backoff_of(key);
        reached!(
            "scheduler: a pod backs off for longer",
            self.pods.get(key).is_some_and(|waiting| waiting.failures > 1)
        );
        self.put(key, Place::BackingOff(due));
    }

    /// A node came, changed or was freed: every pod that fitted nowhere may try again after its back-off.
    pub fn something_changed(&mut self, now: Duration) {
        for key in self.hopeful.clone() {
            let due = self.backoff_of(&key);
            let Some(waiting) = self.pods.get_mut(&key) else { continue };
            if let Place::Unschedulable(since) = waiting.place {
                reached!("scheduler: a pod that fitted nowhere is tried again");
                self.put(&key, Place::BackingOff((since + due).max(now)));
            } else {
                waiting.moved = true;
            }
        }
    }

    /// Pods that could be decided on now.
    pub fn waiting(&self) -> usize {
        self.ready.len()
    }

    /// When the next pod will be ready, if none is.
    pub fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    fn backoff_of(&self, key: &str) -> Duration {
        let failures = self.pods.get(key).map_or(0, |waiting| waiting.failures);
        let factor = 1u32 << failures.saturating_sub(1).min(16);
        (self.backoff.0 * factor).min(self.backoff.1)
    }

    fn wake(&mut self, now: Duration) {
        while let Some((_, key)) = self.due.first().filter(|(due, _)| *due <= now).cloned() {
            self.put(&key, Place::Ready);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn queue() -> Queue {
        Queue::new(S(1), S(10))
    }

    #[test]
    fn priority_comes_first_then_age() {
        let mut queue = queue();
        queue.add("old", 0);
        queue.add("young", 0);
        queue.add("vip", 9);
        let out: Vec<_> = std::iter::from_fn(|| queue.pop(S(0))).collect();
        assert_eq!(out, ["vip", "old", "young"]);
    }

    #[test]
    fn a_pod_that_fits_nowhere_waits_for_a_change() {
        let mut queue = queue();
        queue.add("p", 0);
        queue.pop(S(0));
        queue.unschedulable("p", S(0));
        assert_eq!(queue.pop(S(299)), None);
        queue.something_changed(S(299));
        assert_eq!(queue.pop(S(299)).as_deref(), Some("p"));
    }

    #[test]
    fn a_change_during_the_decision_is_not_lost() {
        let mut queue = queue();
        queue.add("p", 0);
        queue.pop(S(0));
        queue.something_changed(S(0));
        queue.unschedulable("p", S(0));
        assert_eq!(queue.pop(S(0)), None, "it still backs off");
        assert_eq!(queue.pop(S(1)).as_deref(), Some("p"));
    }

    #[test]
    fn failures_back_off_to_a_bound() {
        let mut queue = queue();
        queue.add("p", 0);
        let mut now = S(0);
        for wait in [1, 2, 4, 8, 10, 10] {
            assert_eq!(queue.pop(now).as_deref(), Some("p"));
            queue.failed("p", now);
            now += S(wait);
            assert_eq!(queue.next_due(), Some(now));
        }
    }

    #[test]
    fn a_pod_that_fits_nowhere_is_tried_again_now_and_then() {
        let mut queue = queue();
        queue.add("p", 0);
        queue.pop(S(0));
        queue.unschedulable("p", S(0));
        assert_eq!(queue.next_due(), Some(FLUSH));
        assert_eq!(queue.pop(FLUSH - S(1)), None);
        assert_eq!(queue.pop(FLUSH).as_deref(), Some("p"));
    }

    #[test]
    fn a_pod_is_there_once_and_gone_when_it_is_removed() {
        let mut queue = queue();
        queue.add("p", 0);
        queue.add("p", 0);
        queue.add("q", 0);
        queue.remove("q");
        assert_eq!(queue.pop(S(0)).as_deref(), Some("p"));
        queue.add("p", 0);
        assert_eq!(queue.pop(S(0)), None, "it is with the cycle");
        queue.remove("p");
        queue.failed("p", S(0));
        assert_eq!(queue.next_due(), None);
    }
}
