//! What the store's own history says of Jobs: each pod counted once, no index again, no more pods than may run.

use super::inventory::Inventory;
use super::objects::{Look, Step, is_active, is_finished, is_leaving, number, owner, text, uid, within};
use crate::scenario::Expect;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

pub fn is_tracked(pod: &Value) -> bool {
    let finalizers = pod["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|all| all.iter().any(|finalizer| finalizer == FINALIZER))
}

pub fn has(job: &Value, condition: &str) -> bool {
    let all = job["status"]["conditions"].as_array();
    all.is_some_and(|all| all.iter().any(|one| one["type"] == condition && one["status"] == "True"))
}

fn is_indexed(job: &Value) -> bool {
    job["spec"]["completionMode"] == "Indexed"
}

/// The index of a pod, if it is one of the Job's.
fn index_of(job: &Value, pod: &Value) -> Option<i64> {
    let index = text(pod, &["metadata", "annotations", INDEX]).parse().ok()?;
    (0..number(job, &["spec", "completions"])).contains(&index).then_some(index)
}

/// "1,3-5" as a set.
fn completed(job: &Value) -> BTreeSet<i64> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<i64>().ok()?..=last.parse::<i64>().ok()?)
    };
    text(job, &["status", "completedIndexes"]).split(',').filter_map(range).flatten().collect()
}

fn uncounted<'a>(job: &'a Value, list: &str) -> BTreeSet<&'a str> {
    let uids = job["status"]["uncountedTerminatedPods"][list].as_array();
    uids.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The Job that controls the pod, as it was before the step.
fn job_of<'a>(step: &Step<'a>, pod: &Value) -> Option<&'a Value> {
    step.all.of_uid(owner(pod)?.0).find(|object| object["kind"] == "Job")
}

/// A pod's finalizer goes only when the Job's status accounts for the pod, and no pod is accounted for twice.
#[derive(Default)]
pub struct CountedOnce {
    /// Every uid that was ever in a status.
    counted: BTreeSet<String>,
    looked_at: u64,
}

impl Look for CountedOnce {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        match (step.resource, step.old, step.new) {
            ("jobs", old, Some(new)) => {
                let nothing = Value::Null;
                let old = old.filter(|old| uid(old) == uid(new)).unwrap_or(&nothing);
                self.listed(old, new)?;
                counters(old, new)?;
                settled(step, old, new)?;
                succeeded(step, old, new)
            }
            ("pods", Some(old), new) if is_tracked(old) && !new.is_some_and(is_tracked) => {
                self.looked_at += 1;
                accounted(step, new.unwrap_or(old))
            }
            _ => Ok(()),
        }
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.looked_at, "pods let go by their Jobs")
    }
}

const LISTS: [&str; 2] = ["succeeded", "failed"];

impl CountedOnce {
    fn listed(&mut self, old: &Value, new: &Value) -> Result<(), Vec<String>> {
        for list in LISTS {
            let before = uncounted(old, list);
            for pod in uncounted(new, list).into_iter().filter(|pod| !before.contains(pod)) {
                if !self.counted.insert(pod.to_string()) {
                    return Err(vec![format!("pod {pod} is counted as {list}, and was counted before")]);
                }
            }
        }
        Ok(())
    }
}

/// A counter rises by those who leave its list; in an Indexed Job, succeeded is the number of indexes.
fn counters(old: &Value, new: &Value) -> Result<(), Vec<String>> {
    for list in LISTS {
        let (was, is) = (number(old, &["status", list]), number(new, &["status", list]));
        if list == "succeeded" && is_indexed(new) {
            let indexes = completed(new).len() as i64;
            if is != indexes {
                return Err(vec![format!("{is} have succeeded, and {indexes} indexes are completed")]);
            }
            continue;
        }
        let left = uncounted(old, list).difference(&uncounted(new, list)).count() as i64;
        if is - was != left {
            return Err(vec![format!(
                "{list} goes from {was} to {is}, and {left} pods were on their way into it"
            )]);
        }
    }
    Ok(())
}

/// Who moves into a counter no longer has the finalizer.
fn settled(step: &Step<'_>, old: &Value, new: &Value) -> Result<(), Vec<String>> {
    for list in LISTS {
        for pod in uncounted(old, list).difference(&uncounted(new, list)) {
            let there =
                step.all.owned("pods", uid(new)).find(|(_, other)| uid(other) == *pod && is_tracked(other));
            if let Some((key, _)) = there {
                return Err(vec![format!("{key} moved into the counter, and still has its finalizer")]);
            }
        }
    }
    Ok(())
}

/// An index is completed by a pod of it that has succeeded, and stays so while the Job has it.
fn succeeded(step: &Step<'_>, old: &Value, new: &Value) -> Result<(), Vec<String>> {
    let (before, after) = (completed(old), completed(new));
    let within = |index: &&i64| **index < number(new, &["spec", "completions"]);
    if let Some(index) = before.difference(&after).find(within) {
        return Err(vec![format!("index {index} was completed, and no longer is")]);
    }
    for index in after.difference(&before) {
        let success = step.all.owned("pods", uid(new)).any(|(_, pod)| {
            text(pod, &["status", "phase"]) == "Succeeded" && index_of(new, pod) == Some(*index)
        });
        if !success {
            return Err(vec![format!("index {index} is completed, and no pod of it has succeeded")]);
        }
    }
    Ok(())
}

/// Whoever ended, or was asked to go, stands in the status of a Job that is still at work.
fn accounted(step: &Step<'_>, pod: &Value) -> Result<(), Vec<String>> {
    let Some(job) = job_of(step, pod) else { return Ok(()) };
    if is_leaving(job) || has(job, "Complete") || has(job, "Failed") {
        return Ok(());
    }
    let index = index_of(job, pod);
    let ended = is_finished(pod) || is_leaving(pod) && job["spec"]["podReplacementPolicy"] != "Failed";
    if !ended || is_indexed(job) && index.is_none() {
        return Ok(());
    }
    let listed = LISTS.iter().any(|list| uncounted(job, list).contains(uid(pod)));
    let completed = is_indexed(job) && index.is_some_and(|index| completed(job).contains(&index));
    if listed || completed {
        return Ok(());
    }
    let phase = text(pod, &["status", "phase"]);
    Err(vec![format!("it is let go ({phase}), and the status of its Job does not account for it")])
}

/// No pod is made for an index that has succeeded.
#[derive(Default)]
pub struct NeverAgain {
    looked_at: u64,
    /// Revisions right behind a change of the active manager: what the one before it asked for may still arrive.
    excused: Vec<(i64, i64)>,
}

impl NeverAgain {
    pub fn excusing(excused: Vec<(i64, i64)>) -> Self {
        NeverAgain { excused, ..NeverAgain::default() }
    }
}

impl Look for NeverAgain {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        let ("pods", None, Some(pod)) = (step.resource, step.old, step.new) else { return Ok(()) };
        let Some(job) = job_of(step, pod).filter(|job| is_indexed(job)) else { return Ok(()) };
        let Some(index) = index_of(job, pod).filter(|_| !within(&self.excused, step.revision)) else {
            return Ok(());
        };
        self.looked_at += 1;
        if completed(job).contains(&index) {
            return Err(vec![format!("a pod is made for index {index}, which has succeeded")]);
        }
        Ok(())
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.looked_at, "pods of an index")
    }
}

/// No more pods of a Job are active than may run at a time.
#[derive(Default)]
pub struct Parallelism {
    looked_at: u64,
    excused: Vec<(i64, i64)>,
    /// The most a Job ever allowed: its controller does not say which spec it has seen.
    most: BTreeMap<String, i64>,
}

impl Parallelism {
    pub fn excusing(excused: Vec<(i64, i64)>) -> Self {
        Parallelism { excused, ..Parallelism::default() }
    }
}

impl Look for Parallelism {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        let Some(new) = step.new else { return Ok(()) };
        if step.resource == "jobs" {
            let most = self.most.entry(uid(new).to_string()).or_insert(0);
            *most = (*most).max(number(new, &["spec", "parallelism"]));
        }
        if step.resource != "pods" || step.old.is_some() || within(&self.excused, step.revision) {
            return Ok(());
        }
        let Some(job) = job_of(step, new) else { return Ok(()) };
        self.looked_at += 1;
        let active = step.all.owned("pods", uid(job)).filter(|(_, pod)| is_active(pod)).count() as i64 + 1;
        let most = self.most.get(uid(job)).copied().unwrap_or(0);
        if active > most {
            return Err(vec![format!("{active} pods of a Job are active, and {most} may be")]);
        }
        Ok(())
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.looked_at, "pods of Jobs")
    }
}

/// What is not as expected of a Job at the end.
pub fn unexpected(expect: &Expect, jobs: &[Value]) -> Option<String> {
    let Expect::Job { name, succeeded, ends } = expect else { return None };
    let Some(job) = jobs.iter().find(|job| text(job, &["metadata", "name"]) == name) else {
        return Some(format!("there is no Job {name}"));
    };
    let count = number(job, &["status", "succeeded"]);
    match (succeeded, ends) {
        (Some(wanted), _) if *wanted as i64 != count => {
            Some(format!("of Job {name} {count} have succeeded, expected {wanted}"))
        }
        (_, Some(ends)) if !has(job, ends) => Some(format!("Job {name} is not {ends}")),
        _ => None,
    }
}

/// A Job that has not come to its end, or has pods that it has not let go.
pub fn at_work(all: &Inventory) -> Option<String> {
    let at_work = |(_, job): (&String, &Value)| {
        let name = text(job, &["metadata", "name"]);
        if is_leaving(job) {
            return Some(format!("Job {name} is still being deleted"));
        }
        let suspended = has(job, "Suspended") && number(job, &["status", "active"]) == 0;
        if !has(job, "Complete") && !has(job, "Failed") && !suspended {
            let (done, of) = (number(job, &["status", "succeeded"]), number(job, &["spec", "completions"]));
            return Some(format!("Job {name} is at work: {done} of {of} have succeeded"));
        }
        let (_, kept) = all.owned("pods", uid(job)).find(|(_, pod)| is_tracked(pod))?;
        Some(format!("pod {} waits for its Job {name}", text(kept, &["metadata", "name"])))
    };
    all.of_resource("jobs").find_map(at_work)
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
