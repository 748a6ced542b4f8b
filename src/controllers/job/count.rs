//! What a Job has counted. Pure.
//!
//! A pod that has ended is counted once, whenever the manager dies: its uid is first written into the status
//! (`uncountedTerminatedPods`); then its finalizer goes; only then does its uid move into a counter, and it can no
//! longer be seen with a finalizer by anyone whose view of the pods is as new as the status. An index that has
//! succeeded needs no uid: it is counted in a set. Upstream: KEP-2307.

use super::pod::{has_failed, has_succeeded, index_of, is_valid};
use objects::{Object, indexes, kinds::job::is_indexed};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Uids in the status at the most, so that it stays small. Upstream: MaxUncountedPods.
const UNCOUNTED_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    indexed: bool,
    /// Uids of pods whose finalizer may still be there.
    succeeded: Vec<String>,
    failed: Vec<String>,
    succeeded_before: i64,
    failed_before: i64,
    pub done: BTreeSet<i64>,
}

impl Count {
    /// As the Job's status has it.
    pub fn of(job: &Object) -> Count {
        let uids = |list: &str| {
            let uids = job.get_array(&["status", "uncountedTerminatedPods", list]).iter();
            uids.filter_map(Value::as_str).map(str::to_string).collect()
        };
        let number = |field: &str| job.get_i64(&["status", field]).unwrap_or(0);
        let completions = job.get_i64(&["spec", "completions"]).unwrap_or(0);
        let indexed = is_indexed(job);
        Count {
            indexed,
            succeeded: uids("succeeded"),
            failed: uids("failed"),
            succeeded_before: if indexed { 0 } else { number("succeeded") },
            failed_before: number("failed"),
            done: indexes::known(job.get_str(&["status", "completedIndexes"]), completions),
        }
    }

    /// Moves into the counters the uids of pods that no longer have the finalizer.
    pub fn settle(&mut self, tracked: &BTreeSet<&str>) {
        let settled = |uids: &mut Vec<String>| {
            let before = uids.len();
            uids.retain(|uid| tracked.contains(uid.as_str()));
            (before - uids.len()) as i64
        };
        self.succeeded_before += settled(&mut self.succeeded);
        self.failed_before += settled(&mut self.failed);
    }

    /// Counts a pod with a finalizer, if it has ended. True when the status accounts for it, so that its finalizer
    /// may go once that is written.
    pub fn take(&mut self, job: &Object, pod: &Object) -> bool {
        let (success, failure) = (has_succeeded(pod), has_failed(job, pod));
        if !success && !failure {
            return false;
        }
        if !is_valid(job, pod) || self.holds(pod.uid()) {
            return true;
        }
        match index_of(job, pod).filter(|_| self.indexed && success) {
            Some(index) => drop(self.done.insert(index)), // that it is done already is all there is to know
            None if self.succeeded.len() + self.failed.len() >= UNCOUNTED_MAX => return false,
            None if success => self.succeeded.push(pod.uid().to_string()),
            None => self.failed.push(pod.uid().to_string()),
        }
        true
    }

    fn holds(&self, uid: &str) -> bool {
        self.succeeded.iter().chain(&self.failed).any(|held| held == uid)
    }

    pub fn successes(&self) -> i64 {
        if self.indexed {
            self.done.len() as i64
        } else {
            self.succeeded_before + self.succeeded.len() as i64
        }
    }

    pub fn failures(&self) -> i64 {
        self.failed_before + self.failed.len() as i64
    }

    /// True when no pod is on its way into a counter.
    pub fn is_settled(&self) -> bool {
        self.succeeded.is_empty() && self.failed.is_empty()
    }

    /// Counters that are nothing are left out, as upstream does.
    pub fn write(&self, status: &mut Value) {
        let succeeded = if self.indexed { self.done.len() as i64 } else { self.succeeded_before };
        put(status, "succeeded", succeeded.into(), succeeded == 0);
        put(status, "failed", self.failed_before.into(), self.failed_before == 0);
        put(status, "completedIndexes", indexes::show(&self.done).into(), self.done.is_empty());
        status["uncountedTerminatedPods"] = json!({});
        let uncounted = &mut status["uncountedTerminatedPods"];
        put(uncounted, "succeeded", json!(self.succeeded), self.succeeded.is_empty());
        put(uncounted, "failed", json!(self.failed), self.failed.is_empty());
    }
}

/// Sets the field, or leaves it out when it is nothing.
pub fn put(status: &mut Value, field: &str, value: Value, nothing: bool) {
    match status.as_object_mut() {
        Some(map) if nothing => drop(map.remove(field)),
        _ => status[field] = value,
    }
}
