//! The ReplicaSet controller: as many pods as asked for, never twice for one wish.
//!
//! Upstream: pkg/controller/replicaset. It waits until the cache has seen its own creations and deletions
//! (expectations), creates in batches that double while they succeed (slow start), and picks whom to delete by
//! upstream's ranking.

pub(crate) mod plan;

use crate::{
    pod_control::PodControl,
    pods::pod_of,
    shared::{Context, queue_controller, queue_key, uncontrolled},
};
use base::{bug, reached};
use client::{Delta, Error, Informer, PatchType, WorkQueue, key_of};
use objects::{Object, OwnerRef, kinds};
use plan::Plan;
use serde_json::json;
use std::sync::Arc;

struct Controller<'a> {
    context: &'a Context,
    sets: Informer,
    pods: Informer,
    queue: WorkQueue,
    control: PodControl<'a>,
}

pub async fn run(context: &Context) {
    let queue = context.queue("replica set");
    let sets = context.follow(&kinds::replica_set::KIND, queue_key(&queue));
    let control = PodControl::of(context, &kinds::replica_set::KIND);
    let orphans = adoptable(&sets, &queue);
    context.follow(&kinds::pod::KIND, orphans);
    let pods = context.follow(&kinds::pod::KIND, queue_controller(&queue, &kinds::replica_set::KIND));
    sets.synced().await;
    pods.synced().await;
    let controller = Controller { context, sets, pods, queue: queue.clone(), control };
    context.work(&queue, |key| controller.sync(key)).await;
}

/// A pod without a controller wakes every set that may adopt it.
fn adoptable(sets: &Informer, queue: &WorkQueue) -> impl Fn(&Delta) + Send + Sync + 'static {
    let (sets, queue) = (sets.reader(), queue.clone());
    move |delta| {
        let pod = delta.object();
        if objects::owner::controller_uid(pod).is_some() || matches!(delta, Delta::Deleted(_)) {
            return;
        }
        for set in sets.by_index("namespace", pod.namespace().unwrap_or_default()) {
            if plan::selector(&set).is_some_and(|selector| selector.matches(pod)) {
                queue.add(&key_of(&set));
            }
        }
    }
}

impl Controller<'_> {
    async fn sync(&self, key: String) -> Result<(), Error> {
        let Some(set) = self.sets.get(&key) else {
            reached!("replicaset: it is gone");
            self.control.forget(&key);
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
        let (wait, going) = self.control.pending(key);
        let mut pods = self.candidates(set);
        pods.retain(|pod| wait.is_none() || !going.contains(pod.uid()));
        let mut plan = plan::plan(set, &pods, rt::wall().0);
        plan.wait = wait;
        plan
    }

    /// The pods of the set, and those of its namespace that it may adopt: not every pod there is, or the work of
    /// all sets together grows with the square of their pods.
    fn candidates(&self, set: &Object) -> Vec<Arc<Object>> {
        let cache = self.pods.cache();
        let mut pods = cache.by_index("controller", set.uid());
        pods.retain(|pod| pod.namespace() == set.namespace());
        pods.extend(cache.by_index("controller", &uncontrolled(set.namespace().unwrap_or_default())));
        pods
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
        let outcome = if plan.create > 0 {
            self.control.create(key, set, &vec![pod_of(set); plan.create]).await
        } else if !plan.delete.is_empty() {
            self.control.delete(key, set, &plan.delete).await
        } else {
            return Ok(());
        };
        plan.failure = outcome.as_ref().err().map(Error::to_string);
        outcome
    }

    async fn report(&self, set: &Arc<Object>, plan: &Plan) -> Result<(), Error> {
        reached!("replicaset: it reports a failure", plan.failure.is_some());
        let mut wanted = (**set).clone();
        wanted.set(&["status"], plan.status(set));
        if wanted.get(&["status"]) == set.get(&["status"]) && !bug!("HOT") {
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
