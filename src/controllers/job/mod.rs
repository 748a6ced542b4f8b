//! The Job controller: pods run to their end until enough have succeeded, each counted once.
//!
//! Upstream: pkg/controller/job. A Job's pods carry a finalizer. What has ended is written into the Job's status
//! first; only then does the finalizer go, and only then does the pod move from a list of uids into a counter
//! (`count`). Two views make that hold whoever managed the Job before, where upstream relies on what this manager
//! remembers:
//!
//! * Pods are counted from a view as new as the Job. Versions of all objects are revisions of one store: a pod that
//!   has the finalizer in such a view, and whose uid is not in the status, was never counted. If the Job changed
//!   meanwhile, the status is not taken.
//! * Pods are made for a Job that is as new as that view: an index that succeeded is then known to have.

mod count;
mod orphans;
mod plan;
mod pod;

use crate::{
    pod_control::PodControl,
    shared::{Context, controller_key},
};
use base::{bug, knobs::ms, reached};
use client::{Delta, Error, Informer, ListOptions, PatchType, WorkQueue, cache::version_of, key_of};
use objects::{
    Object,
    kinds::{self, job::FINALIZER},
    owner::is_controlled_by,
};
use plan::{BackOff, Deed, Plan};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

struct Controller<'a> {
    context: &'a Context,
    jobs: Informer,
    pods: Informer,
    queue: WorkQueue,
    control: PodControl<'a>,
}

pub async fn run(context: &Context) {
    let queue = context.queue("job");
    let batch = ms(context.client.knobs().job_sync_ms);
    let jobs = context.follow(&kinds::job::KIND, on_job(&queue, batch));
    let control = PodControl::of(context, &kinds::job::KIND);
    let pods = context.follow(&kinds::pod::KIND, on_pod(&queue, batch));
    jobs.synced().await;
    pods.synced().await;
    let controller = Controller { context, jobs, pods, queue: queue.clone(), control };
    let work = context.work(&queue, |key| controller.sync(key));
    futures::join!(work, orphans::run(context, &controller.jobs, &controller.pods));
}

/// A wish is looked at at once; what we or others say of the Job's state, in batches.
fn on_job(queue: &WorkQueue, batch: Duration) -> impl Fn(&Delta) + Send + Sync + 'static {
    let queue = queue.clone();
    move |delta| match delta {
        Delta::Modified { old, new } if old.generation() == new.generation() => {
            queue.add_after(&key_of(new), batch);
        }
        _ => queue.add(&key_of(delta.object())),
    }
}

fn on_pod(queue: &WorkQueue, batch: Duration) -> impl Fn(&Delta) + Send + Sync + 'static {
    let queue = queue.clone();
    move |delta| {
        if let Some(key) = controller_key(delta.object(), &kinds::job::KIND) {
            queue.add_after(&key, batch);
        }
    }
}

impl Controller<'_> {
    async fn sync(&self, key: String) -> Result<(), Error> {
        let Some(job) = self.jobs.get(&key) else {
            self.control.forget(&key);
            return Ok(());
        };
        if kinds::job::is_finished(&job) {
            return Ok(());
        }
        let (pods, plan) = self.look(&key, &job).await?;
        if let Some(delay) = plan.look_again {
            self.queue.add_after(&key, delay);
        }
        if bug!("J01") {
            self.release(&plan.release).await.1?; // before the status tells of them
        }
        let counted = self.write(&job, plan.status.clone()).await?;
        self.tell_suspended(&counted, &plan);
        let (released, outcome) = self.release(&plan.release).await;
        let written = self.settle(&counted, &pods, &released, &plan).await?;
        outcome?;
        let certain = written.resource_version() != job.resource_version();
        self.carry_out(&key, &written, plan.deed, certain).await
    }

    /// The Job's pods, and what they call for. If that is to count any of them, or to end the Job, they are as new as
    /// the Job.
    async fn look(&self, key: &str, job: &Arc<Object>) -> Result<(Vec<Arc<Object>>, Plan), Error> {
        let (wait, _) = self.control.pending(key);
        let wait = wait.filter(|_| !bug!("J02"));
        let (mut pods, version) = {
            let cache = self.pods.cache();
            (cache.by_index("owner", job.uid()), cache.version())
        };
        pods.retain(|pod| is_controlled_by(pod, job));
        let knobs = self.context.client.knobs();
        let back_off = BackOff { least: ms(knobs.job_backoff_ms), most: ms(knobs.job_backoff_max_ms) };
        let plan = plan::plan(job, &pods, wait, back_off, rt::wall().0);
        let judges = plan.counts || plan.target.is_some();
        if !judges || version >= version_of(job) {
            return Ok((pods, plan));
        }
        reached!("job: pods are asked for because the cache is older than the Job");
        let all = ListOptions::default();
        let list = self.context.client.list(&kinds::pod::KIND, job.namespace(), &all).await?;
        let pods: Vec<_> =
            list.items.into_iter().filter(|pod| is_controlled_by(pod, job)).map(Arc::new).collect();
        let plan = plan::plan(job, &pods, wait, back_off, rt::wall().0);
        Ok((pods, plan))
    }

    /// Writes the status unless it is so already; refused if the Job is not as it was seen.
    async fn write(&self, job: &Arc<Object>, status: Value) -> Result<Arc<Object>, Error> {
        if job.get(&["status"]) == Some(&status) {
            return Ok(job.clone());
        }
        let mut wanted = (**job).clone();
        wanted.set(&["status"], status);
        let answer = self.context.client.update_status(&kinds::job::KIND, &wanted).await;
        if answer.as_ref().is_err_and(Error::is_conflict) {
            reached!("job: the status of a Job that had changed was not taken");
        }
        answer.map(Arc::new)
    }

    fn tell_suspended(&self, job: &Arc<Object>, plan: &Plan) {
        match plan.suspended {
            Some(true) => self.context.recorder.normal(job, "Suspended", "Job suspended".into()),
            Some(false) => self.context.recorder.normal(job, "Resumed", "Job resumed".into()),
            None => {}
        }
    }

    /// Takes the finalizer from each, and tells from whom it was taken, by uid.
    async fn release(&self, pods: &[Arc<Object>]) -> (BTreeSet<String>, Result<(), Error>) {
        let wishes = pods.iter().map(|pod| async move { (pod, let_go(self.context, pod, "").await) });
        let (mut released, mut outcome) = (BTreeSet::new(), Ok(()));
        for (pod, answer) in futures::future::join_all(wishes).await {
            match answer {
                Ok(()) => drop(released.insert(pod.uid().to_string())),
                Err(error) => {
                    reached!("job: a counted pod could not be let go");
                    outcome = Err(error);
                }
            }
        }
        (released, outcome)
    }

    /// Moves into the counters those whose finalizer went; says how the Job ended, if it has.
    async fn settle(
        &self,
        job: &Arc<Object>,
        pods: &[Arc<Object>],
        released: &BTreeSet<String>,
        plan: &Plan,
    ) -> Result<Arc<Object>, Error> {
        let tracked = pods.iter().filter(|pod| pod::is_tracked(pod) && !released.contains(pod.uid()));
        let tracked = tracked.map(|pod| pod.uid()).collect();
        let status = plan::settled(job, &tracked, plan, rt::wall().0);
        let written = self.write(job, status).await?;
        if kinds::job::is_finished(&written) {
            self.tell_end(&written, plan);
        }
        Ok(written)
    }

    fn tell_end(&self, job: &Arc<Object>, plan: &Plan) {
        let Some(target) = &plan.target else { return };
        if target.success {
            return self.context.recorder.normal(job, "Completed", "Job completed".into());
        }
        let reason = match target.reason.as_str() {
            "DeadlineExceeded" => "DeadlineExceeded",
            _ => "BackoffLimitExceeded",
        };
        self.context.recorder.warning(job, reason, target.message.clone());
    }

    /// `certain`: the Job has just been written, so that it is as new as any view of its pods.
    async fn carry_out(&self, key: &str, job: &Arc<Object>, deed: Deed, certain: bool) -> Result<(), Error> {
        match deed {
            Deed::Nothing => Ok(()),
            Deed::End(pods) => self.control.delete(key, job, &pods).await,
            Deed::Drop(pods) => {
                let mut free = vec![];
                for pod in pods {
                    // not one that has ended meanwhile: that one counts
                    if let_go(self.context, &pod, pod.resource_version()).await.is_ok() {
                        free.push(pod);
                    }
                }
                self.control.delete(key, job, &free).await
            }
            Deed::Create(indexes) => {
                if !certain && !self.is_latest(job).await? {
                    reached!("job: no pod was made for a Job that had changed");
                    return Err(Error::NotSent("the Job is not what it was".into()));
                }
                let pods: Vec<Object> = indexes.iter().map(|index| pod::new_pod(job, *index)).collect();
                self.control.create(key, job, &pods).await
            }
        }
    }

    /// Whether the Job is still as we know it.
    async fn is_latest(&self, job: &Object) -> Result<bool, Error> {
        match self.context.client.get(&kinds::job::KIND, job.namespace(), job.name()).await {
            Err(error) if error.is_not_found() => Ok(false),
            live => Ok(live?.resource_version() == job.resource_version()),
        }
    }
}

/// Takes the finalizer from the pod, if it still is that pod; and, if a version is given, that version of it.
async fn let_go(context: &Context, pod: &Object, version: &str) -> Result<(), Error> {
    if !pod::is_tracked(pod) {
        return Ok(());
    }
    let mut patch = json!({ "metadata": { "uid": pod.uid() } });
    patch["metadata"]["$deleteFromPrimitiveList/finalizers"] = json!([FINALIZER]);
    if !version.is_empty() {
        patch["metadata"]["resourceVersion"] = version.into();
    }
    let patch = (PatchType::Strategic, &patch);
    match context.client.patch(&kinds::pod::KIND, pod.namespace(), pod.name(), "", patch).await {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) if error.is_conflict() && version.is_empty() => Ok(()), // another by that name
        answer => answer.map(drop),
    }
}
