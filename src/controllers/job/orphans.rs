//! No pod waits for a Job that will not count it: one that is gone, has ended, or no longer owns the pod. Its
//! finalizer goes, so that whoever wants the pod gone can have it go.

use super::{let_go, pod::is_tracked};
use crate::shared::Context;
use base::reached;
use client::{Delta, Error, Informer, WorkQueue, key_of};
use objects::{
    Object, OwnerRef,
    kinds::{self, job::is_finished},
    owner::controller_ref,
};

/// Works for ever; both caches must be filled.
pub async fn run(context: &Context, jobs: &Informer, pods: &Informer) {
    let queue = context.queue("orphans of jobs");
    context.follow(&kinds::pod::KIND, on_pod(&queue));
    context.follow(&kinds::job::KIND, on_job(&queue, pods));
    context.work(&queue, |key| sync(context, jobs, pods, key)).await;
}

/// A pod that no Job controls, or that is asked to go: its Job may be gone.
fn on_pod(queue: &WorkQueue) -> impl Fn(&Delta) + Send + Sync + 'static {
    let queue = queue.clone();
    move |delta| {
        let pod = delta.object();
        let alone = job_of(pod).is_none() || pod.deletion_timestamp().is_some();
        if is_tracked(pod) && alone && !matches!(delta, Delta::Deleted(_)) {
            queue.add(&key_of(pod));
        }
    }
}

/// A Job that is gone or has ended leaves the pods it did not count.
fn on_job(queue: &WorkQueue, pods: &Informer) -> impl Fn(&Delta) + Send + Sync + 'static {
    let (queue, pods) = (queue.clone(), pods.reader());
    move |delta| {
        let job = delta.object();
        if !matches!(delta, Delta::Deleted(_)) && !is_finished(job) {
            return;
        }
        for pod in pods.by_index("owner", job.uid()).iter().filter(|pod| is_tracked(pod)) {
            queue.add(&key_of(pod));
        }
    }
}

fn job_of(pod: &Object) -> Option<OwnerRef> {
    controller_ref(pod).filter(|owner| owner.kind == kinds::job::KIND.kind)
}

async fn sync(context: &Context, jobs: &Informer, pods: &Informer, key: String) -> Result<(), Error> {
    let Some(pod) = pods.get(&key).filter(|pod| is_tracked(pod)) else { return Ok(()) };
    if let Some(owner) = job_of(&pod)
        && will_count(context, jobs, &pod, &owner).await?
    {
        return Ok(());
    }
    reached!("job: a pod waited for a Job that does not count it");
    let_go(context, &pod, "").await
}

/// The cache is believed when it says yes; that the Job is gone only the API server can say.
async fn will_count(
    context: &Context,
    jobs: &Informer,
    pod: &Object,
    owner: &OwnerRef,
) -> Result<bool, Error> {
    let is_it = |job: &Object| job.uid() == owner.uid;
    let key = format!("{}/{}", pod.namespace().unwrap_or_default(), owner.name);
    if let Some(job) = jobs.get(&key).filter(|job| is_it(job)) {
        return Ok(!is_finished(&job));
    }
    match context.client.get(&kinds::job::KIND, pod.namespace(), &owner.name).await {
        Err(error) if error.is_not_found() => Ok(false),
        live => live.map(|job| is_it(&job) && !is_finished(&job)),
    }
}
