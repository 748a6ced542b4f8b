//! What a Job needs, from the Job and its pods. Pure.

use super::{
    count::{Count, put},
    pod::{
        finished_at, has_failed, has_succeeded, index_of, is_terminating, is_tracked, is_valid,
        replaces_failed_only,
    },
};
use crate::{
    pods::ranked,
    shared::{is_active, ready_since},
};
use base::bug;
use objects::{
    Object,
    conditions::{self, is_true},
    kinds::job::is_indexed,
    time,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Creations or deletions in one sync. Upstream: MaxPodCreateDeletePerSync.
const BURST: usize = 500;
const SECOND: u64 = 1_000_000_000;

/// How long a failure delays the next pod: doubled for each more without a success.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    pub least: Duration,
    pub most: Duration,
}

/// What is to be done to pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Deed {
    #[default]
    Nothing,
    /// A pod for each; with its index in an Indexed Job.
    Create(Vec<Option<i64>>),
    /// More than are wanted: let go without being counted, then deleted.
    Drop(Vec<Arc<Object>>),
    /// The Job has ended: deleted, and counted when they go.
    End(Vec<Arc<Object>>),
}

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub success: bool,
    pub reason: String,
    pub message: String,
}

impl Target {
    fn new(success: bool, reason: &str, message: &str) -> Target {
        Target { success, reason: reason.into(), message: message.into() }
    }

    /// The condition that says that the Job will end so.
    fn interim(&self) -> &'static str {
        if self.success { "SuccessCriteriaMet" } else { "FailureTarget" }
    }

    /// The condition that says that it has.
    fn last(&self) -> &'static str {
        if self.success { "Complete" } else { "Failed" }
    }
}

#[derive(Debug, Default)]
pub struct Plan {
    /// To be written before all else.
    pub status: Value,
    /// True when that counts what was not counted before.
    pub counts: bool,
    /// Whom the status accounts for: their finalizers may go once it is written.
    pub release: Vec<Arc<Object>>,
    pub deed: Deed,
    pub target: Option<Target>,
    /// When there is something to do though nothing changes.
    pub look_again: Option<Duration>,
    /// True when it was suspended, false when it was resumed.
    pub suspended: Option<bool>,
}

struct Look<'a> {
    job: &'a Object,
    pods: &'a [Arc<Object>],
    active: Vec<Arc<Object>>,
    terminating: i64,
    now: u64,
}

/// `pods`: all that the Job controls. `wait`: how long the cache may still lack what was asked for. `now`:
/// nanoseconds since 1970.
pub fn plan(job: &Object, pods: &[Arc<Object>], wait: Option<Duration>, back_off: BackOff, now: u64) -> Plan {
    let active: Vec<Arc<Object>> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
    let terminating = pods.iter().filter(|pod| is_terminating(pod)).count() as i64;
    let look = Look { job, pods, active, terminating, now };
    let mut plan = Plan { look_again: wait, ..Plan::default() };
    let count = look.count(&mut plan);
    plan.target = look.target(&count, wait.is_none());
    let free = wait.is_none() && job.deletion_timestamp().is_none();
    if free && plan.target.is_none() {
        plan.suspended = look.suspension();
    }
    plan.deed = match &plan.target {
        Some(_) if look.active.is_empty() => Deed::Nothing,
        Some(_) => Deed::End(look.active.clone()),
        None if !free => Deed::Nothing,
        None => look.manage(&count, back_off, &mut plan.look_again),
    };
    if plan.target.is_none() {
        plan.look_again = plan.look_again.into_iter().chain(look.time_left()).min();
    }
    plan.status = look.status(&count, &plan);
    plan
}

/// The status once these pods, by uid, still have their finalizers: what has lost it moves into the counters, and a
/// Job with nothing left to count or to wait for has ended.
pub fn settled(job: &Object, tracked: &BTreeSet<&str>, plan: &Plan, now: u64) -> Value {
    let mut status = job.get(&["status"]).cloned().unwrap_or_else(|| json!({}));
    let mut count = Count::of(job);
    count.settle(tracked);
    count.write(&mut status);
    let waits = ["active", "terminating"].iter().any(|field| status[*field].as_i64().unwrap_or(0) > 0);
    let Some(target) = plan.target.as_ref().filter(|_| !waits && count.is_settled()) else { return status };
    condition(&mut status, target.last(), "True", &target.reason, &target.message, now);
    if target.success {
        // a clock behind the one that began it must not end it before
        let began = status["startTime"].as_str().and_then(time::parse_rfc3339).unwrap_or(0);
        status["completionTime"] = time::rfc3339(now.max(began)).into();
    }
    status
}

impl Look<'_> {
    fn number(&self, field: &str) -> Option<i64> {
        self.job.get_i64(&["spec", field])
    }

    fn is_suspended(&self) -> bool {
        self.job.get_bool(&["spec", "suspend"])
    }

    /// Counts who has ended, in the order of indexes. What cannot be counted any more is let go as well: pods with
    /// no index of the Job's that have ended, and all pods of a Job that is being deleted.
    fn count(&self, plan: &mut Plan) -> Count {
        let before = Count::of(self.job);
        let mut count = before.clone();
        let tracked: Vec<&Arc<Object>> = self.pods.iter().filter(|pod| is_tracked(pod)).collect();
        count.settle(&tracked.iter().map(|pod| pod.uid()).collect());
        for pod in tracked {
            let counted = count.take(self.job, pod);
            if counted || self.job.deletion_timestamp().is_some() {
                plan.release.push(pod.clone());
            }
        }
        plan.counts = count != before;
        count
    }

    /// How the Job ends, if it does. What was decided stays decided.
    fn target(&self, count: &Count, certain: bool) -> Option<Target> {
        for (of, success) in [("SuccessCriteriaMet", true), ("FailureTarget", false)] {
            if let Some(found) = conditions::get(self.job, of).filter(|found| found["status"] == "True") {
                let text = |field: &str| found[field].as_str().unwrap_or("");
                return Some(Target::new(success, text("reason"), text("message")));
            }
        }
        let limit = if bug!("LIMIT") { 0 } else { self.number("backoffLimit").unwrap_or(6) };
        if count.failures() > limit || self.restarted_too_often() {
            let text = "Job has reached the specified backoff limit";
            return Some(Target::new(false, "BackoffLimitExceeded", text));
        }
        if self.time_left().is_some_and(|left| left.is_zero()) {
            let text = "Job was active longer than specified deadline";
            return Some(Target::new(false, "DeadlineExceeded", text));
        }
        let enough = count.successes() >= self.number("completions").unwrap_or(1);
        let complete = enough && certain && self.active.is_empty();
        let text = "Reached expected number of succeeded pods";
        complete.then(|| Target::new(true, "CompletionsReached", text))
    }

    /// Containers that are restarted in place count by their restarts.
    fn restarted_too_often(&self) -> bool {
        if self.job.get_str(&["spec", "template", "spec", "restartPolicy"]) != "OnFailure" {
            return false;
        }
        let unfinished = self.pods.iter().filter(|pod| !objects::kinds::pod::is_finished(pod));
        let lists = unfinished.flat_map(|pod| {
            ["initContainerStatuses", "containerStatuses"].map(|list| pod.get_array(&["status", list]))
        });
        let restarts: i64 = lists.flatten().filter_map(|status| status["restartCount"].as_i64()).sum();
        restarts >= self.number("backoffLimit").unwrap_or(6).max(1)
    }

    /// Until the Job has been active for as long as it may; none when it may for ever.
    fn time_left(&self) -> Option<Duration> {
        let seconds = self.number("activeDeadlineSeconds").filter(|_| !self.is_suspended())?;
        let began = time::parse_rfc3339(self.job.get_str(&["status", "startTime"])).unwrap_or(self.now);
        let ends = began.saturating_add(seconds.unsigned_abs() * SECOND);
        Some(Duration::from_nanos(ends.saturating_sub(self.now)))
    }

    /// Whether the Job is suspended or resumed now, and was not before.
    fn suspension(&self) -> Option<bool> {
        let was = is_true(self.job, "Suspended");
        (was != self.is_suspended()).then_some(!was)
    }

    /// Makes or takes away pods until as many are active as should be.
    fn manage(&self, count: &Count, back_off: BackOff, look_again: &mut Option<Duration>) -> Deed {
        if self.is_suspended() {
            return self.drop(self.active.len());
        }
        let active = self.active.len() as i64;
        let parallelism = self.number("parallelism").unwrap_or(1);
        let wanted = match self.number("completions") {
            Some(completions) => (completions - count.successes()).clamp(0, parallelism),
            None if count.successes() > 0 => active, // whoever runs may run to its end
            None => parallelism,
        };
        let deed = self.drop((active - wanted).max(0) as usize);
        if deed != Deed::Nothing {
            return deed;
        }
        let gone = if replaces_failed_only(self.job) { self.terminating } else { 0 };
        let missing = (wanted - active - gone).max(0) as usize;
        if missing == 0 {
            return Deed::Nothing;
        }
        if let Some(left) = self.back_off(back_off) {
            *look_again = Some(left);
            return Deed::Nothing;
        }
        let new = self.pending(count).take(missing.min(BURST)).collect::<Vec<_>>();
        if new.is_empty() { Deed::Nothing } else { Deed::Create(new) }
    }

    /// Pods beyond the number wanted, and before them those that do no good: without an index of the Job's, or
    /// with one that another has.
    fn drop(&self, surplus: usize) -> Deed {
        let mut taken = BTreeSet::new();
        let (mut rest, mut go) = (vec![], vec![]);
        for pod in ranked(&self.active).into_iter().rev() {
            match index_of(self.job, &pod) {
                Some(index) if is_indexed(self.job) && !taken.insert(index) => go.push(pod),
                _ if is_valid(self.job, &pod) => rest.push(pod),
                _ => go.push(pod),
            }
        }
        while go.len() < surplus
            && let Some(pod) = rest.pop()
        {
            go.push(pod);
        }
        go.truncate(BURST);
        if go.is_empty() { Deed::Nothing } else { Deed::Drop(go) }
    }

    /// What is to be made next: the lowest indexes that have neither succeeded nor run.
    fn pending(&self, count: &Count) -> Box<dyn Iterator<Item = Option<i64>>> {
        if !is_indexed(self.job) {
            return Box::new(std::iter::repeat(None));
        }
        let goes = |pod: &Arc<Object>| replaces_failed_only(self.job) && is_terminating(pod);
        let run = self.pods.iter().filter(|pod| is_active(pod) || goes(pod));
        let mut held = if bug!("INDEX") { BTreeSet::new() } else { count.done.clone() };
        held.extend(run.filter_map(|pod| index_of(self.job, pod)));
        let completions = self.number("completions").unwrap_or(0);
        Box::new((0..completions).filter(move |index| !held.contains(index)).map(Some))
    }

    /// How long the failures since the last success delay the next pod. Told by the pods that are there, so that
    /// it outlives the manager; upstream keeps it in memory.
    fn back_off(&self, back_off: BackOff) -> Option<Duration> {
        let success = self.pods.iter().filter(|pod| has_succeeded(pod)).map(|pod| finished_at(pod)).max();
        let failures = self.pods.iter().filter(|pod| has_failed(self.job, pod)).map(|pod| finished_at(pod));
        let since: Vec<u64> = failures.filter(|at| success.is_none_or(|success| *at > success)).collect();
        let last = *since.iter().max()?;
        let doublings = (since.len() - 1).min(20) as u32;
        let delay = (back_off.least * 2u32.pow(doublings)).min(back_off.most);
        let due = last.saturating_add(delay.as_nanos() as u64);
        (due > self.now).then(|| Duration::from_nanos(due - self.now))
    }

    fn status(&self, count: &Count, plan: &Plan) -> Value {
        let mut status = self.job.get(&["status"]).cloned().unwrap_or_else(|| json!({}));
        count.write(&mut status);
        let active = self.active.len();
        put(&mut status, "active", active.into(), active == 0);
        status["ready"] = self.active.iter().filter(|pod| ready_since(pod).is_some()).count().into();
        status["terminating"] = self.terminating.into();
        let (suspended, now) = (plan.suspended, time::rfc3339(self.now));
        match suspended {
            Some(true) => {
                condition(&mut status, "Suspended", "True", "JobSuspended", "Job suspended", self.now)
            }
            Some(false) => {
                condition(&mut status, "Suspended", "False", "JobResumed", "Job resumed", self.now)
            }
            None => {}
        }
        // the time a Job was suspended does not count
        if status["startTime"].is_null() && !self.is_suspended() || suspended == Some(false) {
            status["startTime"] = now.into();
        }
        if let Some(target) = plan.target.as_ref().filter(|target| !is_true(self.job, target.interim())) {
            condition(&mut status, target.interim(), "True", &target.reason, &target.message, self.now);
        }
        status
    }
}

/// Sets a condition that says something new.
fn condition(status: &mut Value, of: &str, is: &str, reason: &str, message: &str, now: u64) {
    let now = time::rfc3339(now);
    let new = json!({ "type": of, "status": is, "reason": reason, "message": message,
        "lastProbeTime": now, "lastTransitionTime": now });
    if status["conditions"].is_null() {
        status["conditions"] = json!([]);
    }
    let Some(all) = status["conditions"].as_array_mut() else { return };
    match all.iter_mut().find(|condition| condition["type"] == of) {
        Some(found) => *found = new,
        None => all.push(new),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
