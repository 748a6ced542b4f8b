//! The ReplicaSet controller: as many pods as asked for, never twice for one wish.
//!
//! Upstream: pkg/controller/replicaset. It waits until the cache has seen its own creations and deletions
//! (expectations), creates in batches that double while they succeed (slow start), and picks whom to delete by
//! upstream's ranking.

mod plan;

use crate::shared::{Context, controller_key, queue_controller, queue_key};
use base::{bug, knobs::ms, reached};
use client::{DeleteOptions, Delta, Error, Expectations, Informer, PatchType, WorkQueue, key_of};
use objects::{Object, OwnerRef, kinds};
use plan::Plan;
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard};

struct Controller<'a> {
    context: &'a Context,
    sets: Informer,
    pods: Informer,
    queue: WorkQueue,
    expect: Arc<Mutex<Expectations>>,
    epoch: rt::Mono,
}

pub async fn run(context: &Context) {
    let queue = context.queue("replica set");
    let expect = Arc::new(Mutex::new(Expectations::new(ms(context.client.knobs().expectations_ms))));
    let sets = context.follow(&kinds::replica_set::KIND, queue_key(&queue));
    context.follow(&kinds::pod::KIND, see_pod(expect.clone()));
    let orphans = adoptable(&sets, &queue);
    context.follow(&kinds::pod::KIND, orphans);
    let pods = context.follow(&kinds::pod::KIND, queue_controller(&queue, &kinds::replica_set::KIND));
    sets.synced().await;
    pods.synced().await;
    let controller = Controller { context, sets, pods, queue: queue.clone(), expect, epoch: rt::now() };
    context.work(&queue, |key| controller.sync(key)).await;
}

fn lock(expect: &Mutex<Expectations>) -> MutexGuard<'_, Expectations> {
    expect.lock().expect("no one panics while holding expectations")
}

/// Counts what the cache has seen against what was asked for. A pod that is being deleted counts as deleted.
fn see_pod(expect: Arc<Mutex<Expectations>>) -> impl Fn(&Delta) + Send + Sync + 'static {
    move |delta| {
        let pod = delta.object();
        let Some(key) = controller_key(pod, &kinds::replica_set::KIND) else { return };
        let mut expect = lock(&expect);
        if matches!(delta, Delta::Added(_)) {
            expect.saw_creation(&key);
        }
        if matches!(delta, Delta::Deleted(_)) || pod.deletion_timestamp().is_some() {
            expect.saw_deletion(&key, pod.uid());
        }
    }
}

/// A pod without a controller wakes every set that may adopt it.
fn adoptable(sets: &Informer, queue: &WorkQueue) -> impl Fn(&Delta) + Send + Sync + 'static {
    let (sets, queue) = (sets.reader(), queue.clone());
    move |delta| {
        let pod = delta.object();
        if objects::owner::controller_ref(pod).is_some() || matches!(delta, Delta::Deleted(_)) {
            return;
        }
        for set in sets.by_index("namespace", pod.namespace().unwrap_or_default()) {
            if plan::selects(&set, pod) {
                queue.add(&key_of(&set));
            }
        }
    }
}

impl Controller<'_> {
    async fn sync(&self, key: String) -> Result<(), Error> {
        let Some(set) = self.sets.get(&key) else {
            reached!("replicaset: it is gone");
            lock(&self.expect).forget(&key);
            return Ok(());
        };
        let mut plan = self.plan(&key, &set);
        reached!("replicaset: it acts on nothing while it waits", plan.wait.is_some());
        reached!("replicaset: it is being deleted and makes no pods", set.deletion_timestamp().is_some());
        self.claim(&set, &plan).await?;
        let mut outcome = Ok(());
        if plan.wait.is_none() && set.deletion_timestamp().is_none() {
            outcome = self.manage(&key, &set, &mut plan).await;
            if !plan.delete.is_empty() {
                plan.recount(self.plan(&key, &set)); // whom we sent away is not there any more
            }
        }
        if let Some(delay) = plan.wait.into_iter().chain(plan.look_again).min() {
            self.queue.add_after(&key, delay);
        }
        self.report(&set, &plan).await?;
        outcome
    }

    /// What is pending is asked before the pods are read: a change that comes between makes us wait, not act
    /// twice.
    fn plan(&self, key: &str, set: &Object) -> Plan {
        let now = rt::now() - self.epoch;
        let (wait, going) = {
            let expect = lock(&self.expect);
            (expect.wait(key, now), expect.going(key))
        };
        let mut pods = self.pods.cache().by_index("namespace", set.namespace().unwrap_or_default());
        pods.retain(|pod| wait.is_none() || !going.contains(pod.uid()));
        let mut plan = plan::plan(set, &pods, rt::wall().0);
        plan.wait = wait;
        plan
    }

    /// Adopts pods that match and have no controller; lets go of those that no longer match.
    async fn claim(&self, set: &Arc<Object>, plan: &Plan) -> Result<(), Error> {
        for pod in plan.adopt.iter().filter(|_| set.deletion_timestamp().is_none()) {
            reached!("replicaset: a pod is adopted");
            let owner = OwnerRef::controller_of(set).to_value();
            let patch = json!({ "metadata": { "uid": pod.uid(), "ownerReferences": [owner] } });
            let patch = (PatchType::Strategic, &patch);
            let done =
                self.context.client.patch(&kinds::pod::KIND, pod.namespace(), pod.name(), "", patch).await;
            reached!("replicaset: adoption lost a race", done.as_ref().is_err_and(|e| e.is_conflict()));
            ignore_gone(done.map(drop))?;
        }
        for pod in &plan.release {
            reached!("replicaset: a pod is released");
            let owner = json!({ "$patch": "delete", "uid": set.uid() });
            let patch = json!({ "metadata": { "uid": pod.uid(), "ownerReferences": [owner] } });
            let patch = (PatchType::Strategic, &patch);
            let done =
                self.context.client.patch(&kinds::pod::KIND, pod.namespace(), pod.name(), "", patch).await;
            ignore_gone(done.map(drop))?;
        }
        Ok(())
    }

    async fn manage(&self, key: &str, set: &Arc<Object>, plan: &mut Plan) -> Result<(), Error> {
        let now = rt::now() - self.epoch;
        let outcome = if plan.create > 0 {
            lock(&self.expect).expect_creations(key, plan.create as u64, now);
            self.create(key, set, plan.create).await
        } else if !plan.delete.is_empty() {
            let uids = plan.delete.iter().map(|pod| pod.uid().to_string());
            lock(&self.expect).expect_deletions(key, uids, now);
            self.delete(key, set, &plan.delete).await
        } else {
            return Ok(());
        };
        plan.failure = outcome.as_ref().err().map(Error::to_string);
        outcome
    }

    /// Slow start: 1, 2, 4, ... at a time; the first failure ends it, and what was not tried is not expected.
    async fn create(&self, key: &str, set: &Arc<Object>, count: usize) -> Result<(), Error> {
        let pod = plan::pod_of(set);
        let mut batch = (self.context.client.knobs().slow_start.max(1) as usize).min(count);
        let mut left = count;
        while left > 0 {
            let wishes = (0..batch).map(|_| self.context.client.create(&kinds::pod::KIND, &pod));
            let answers = futures::future::join_all(wishes).await;
            left -= batch;
            let mut failed = None;
            for answer in answers {
                match answer {
                    Ok(pod) => {
                        let text = format!("Created pod: {}", pod.name());
                        self.context.recorder.normal(set, "SuccessfulCreate", text);
                    }
                    // It may have been created: the expectation stands until it is seen or given up.
                    Err(error) if error.is_unknown_outcome() && !bug!("C05") => {
                        reached!("replicaset: the outcome of a creation is unknown");
                        self.doubt(key);
                        failed = Some(error);
                    }
                    Err(error) => {
                        reached!("replicaset: a pod could not be made");
                        lock(&self.expect).saw_creation(key);
                        failed = Some(error);
                    }
                }
            }
            if let Some(error) = failed {
                reached!("replicaset: slow start stops at a failure", left > 0);
                (0..left).for_each(|_| lock(&self.expect).saw_creation(key));
                self.context.recorder.warning(set, "FailedCreate", format!("Error creating: {error}"));
                return Err(error);
            }
            reached!("replicaset: slow start takes a larger step", left > 0);
            batch = (batch * 2).min(left);
        }
        Ok(())
    }

    /// A request that got no answer can still be carried out, but not after the server's own deadlines. Upstream
    /// waits for its full five minutes.
    fn doubt(&self, key: &str) {
        let knobs = self.context.client.knobs();
        let longest = ms(knobs.api_timeout_ms) + ms(knobs.request_timeout_ms);
        lock(&self.expect).doubt(key, rt::now() - self.epoch + longest);
    }

    async fn delete(&self, key: &str, set: &Arc<Object>, pods: &[Arc<Object>]) -> Result<(), Error> {
        let wishes = pods.iter().map(|pod| async move {
            let options = DeleteOptions { uid: pod.uid().to_string(), ..Default::default() };
            (pod, self.context.client.delete(&kinds::pod::KIND, pod.namespace(), pod.name(), &options).await)
        });
        let mut outcome = Ok(());
        for (pod, answer) in futures::future::join_all(wishes).await {
            match answer {
                Ok(()) => {
                    let text = format!("Deleted pod: {}", pod.name());
                    self.context.recorder.normal(set, "SuccessfulDelete", text);
                }
                Err(error) => {
                    reached!(
                        "replicaset: a pod to delete was gone or another",
                        error.is_not_found() || error.is_conflict()
                    );
                    reached!("replicaset: the outcome of a deletion is unknown", error.is_unknown_outcome());
                    lock(&self.expect).saw_deletion(key, pod.uid());
                    if !error.is_not_found() && !error.is_conflict() {
                        outcome = Err(error);
                    }
                }
            }
        }
        outcome
    }

    async fn report(&self, set: &Arc<Object>, plan: &Plan) -> Result<(), Error> {
        reached!("replicaset: it reports a failure", plan.failure.is_some());
        let mut wanted = (**set).clone();
        wanted.set(&["status"], plan.status(set));
        if wanted.get(&["status"]) == set.get(&["status"]) {
            return Ok(());
        }
        match self.context.client.update_status(&kinds::replica_set::KIND, &wanted).await {
            Err(error) if error.is_not_found() => Ok(()),
            answer => answer.map(drop),
        }
    }
}

/// The pod is gone or is another by now: the cache will say so.
fn ignore_gone(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        done => done,
    }
}
