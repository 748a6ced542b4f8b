//! The Deployment controller: replica sets that add up to the deployment.
//!
//! Upstream: pkg/controller/deployment. The plan is pure: one sync decides on the new set, on how many
//! replicas each set should have, on old sets to drop, and on the status; the hand then writes it.

mod plan;
mod rollout;
mod status;

use crate::shared::{Context, queue_controller, queue_key};
use base::{bug, reached};
use client::{
    DeleteOptions, Delta, Error, Informer, ListOptions, PatchType, WorkQueue, Written, cache::version_of,
    key_of,
};
use objects::{Object, OwnerRef, kinds};
use plan::{Plan, selects};
use serde_json::json;
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

struct Controller<'a> {
    context: &'a Context,
    deployments: Informer,
    sets: Informer,
    pods: Informer,
    queue: WorkQueue,
    /// Sets, by the deployment they were written for.
    written: Mutex<Written>,
    epoch: rt::Mono,
}

pub async fn run(context: &Context) {
    let queue = context.queue("deployment");
    let deployments = context.follow(&kinds::deployment::KIND, queue_key(&queue));
    let sets = context.follow(&kinds::replica_set::KIND, queue_controller(&queue, &kinds::deployment::KIND));
    // A Recreate rollout goes on when the last old pod has gone.
    let gone = wake_on_deletion(&sets, &queue);
    let pods = context.follow(&kinds::pod::KIND, gone);
    deployments.synced().await;
    sets.synced().await;
    pods.synced().await;
    let (written, epoch) = (Mutex::default(), rt::now());
    let controller = Controller { context, deployments, sets, pods, queue: queue.clone(), written, epoch };
    context.work(&queue, |key| controller.sync(key)).await;
}

fn wake_on_deletion(sets: &Informer, queue: &WorkQueue) -> impl Fn(&Delta) + Send + Sync + 'static {
    let (sets, queue) = (sets.reader(), queue.clone());
    move |delta| {
        let Delta::Deleted(pod) = delta else { return };
        let Some(key) = crate::shared::controller_key(pod, &kinds::replica_set::KIND) else { return };
        let owner =
            sets.get(&key).and_then(|set| crate::shared::controller_key(&set, &kinds::deployment::KIND));
        if let Some(owner) = owner {
            queue.add(&owner);
        }
    }
}

impl Controller<'_> {
    async fn sync(&self, key: String) -> Result<(), Error> {
        let seen = self.sets.cache().version();
        if !self.written().is_in(&key, seen) {
            return Ok(()); // the cache wakes us when it has caught up
        }
        if let Some(wait) = self.unsure(&key) {
            self.queue.add_after(&key, wait); // or earlier, when the cache tells
            return Ok(());
        }
        let Some(deployment) = self.deployments.get(&key) else { return Ok(()) };
        let sets = self.sets_of(&deployment);
        if deployment.deletion_timestamp().is_some() {
            reached!("deployment: it is being deleted and only reported on");
            return self.report(&deployment, &plan::observe(&deployment, &sets, rt::wall().0)).await;
        }
        if self.adopt(&deployment, &sets).await? {
            return Ok(()); // the adopted sets come back through the cache
        }
        let plan = self.plan(&deployment, &sets).await?;
        self.create_set(&deployment, &plan).await?;
        self.scale(&deployment, &plan).await?;
        for set in &plan.drop {
            reached!("deployment: an old replica set is dropped");
            let options = DeleteOptions { uid: set.uid().to_string(), ..Default::default() };
            let client = &self.context.client;
            ignore_gone(
                client.delete(&kinds::replica_set::KIND, set.namespace(), set.name(), &options).await,
            )?;
        }
        if let Some(delay) = plan.look_again {
            reached!("deployment: it is looked at again when its deadline may pass");
            self.queue.add_after(&key, delay);
        }
        self.report(&deployment, &plan).await
    }

    /// What there is to do. Sets tell how many of their pods are available, and are wrong for as long as nobody here
    /// sees the pods, or has counted them: before any are sent away they are counted here. Upstream trusts the sets.
    async fn plan(&self, deployment: &Object, sets: &[Arc<Object>]) -> Result<Plan, Error> {
        let old_pods = self.old_pods_left(sets, deployment);
        let plan = plan::plan(deployment, sets, old_pods, rt::wall().0);
        // P01 is trust in what a set tells, too
        if !plan.counts || bug!("P04") || bug!("P01") {
            return Ok(plan);
        }
        let pods = self.pods_of(deployment, sets).await?;
        let now = rt::wall().0;
        let sets: Vec<_> = sets.iter().map(|set| Arc::new(plan::recounted(set, &pods, now))).collect();
        Ok(plan::plan(deployment, &sets, old_pods, now))
    }

    /// The pods of these sets, from the cache unless that may be older than what the plan is made for.
    async fn pods_of(&self, deployment: &Object, sets: &[Arc<Object>]) -> Result<Vec<Arc<Object>>, Error> {
        if self.sees_pods(deployment, sets) {
            let cache = self.pods.cache();
            return Ok(sets.iter().flat_map(|set| cache.by_index("controller", set.uid())).collect());
        }
        reached!("deployment: pods are asked for because its view of them may be old");
        let all = ListOptions::default();
        let list = self.context.client.list(&kinds::pod::KIND, deployment.namespace(), &all).await?;
        Ok(list.items.into_iter().map(Arc::new).collect())
    }

    /// True when the pods are seen as late as what the plan is made for, or as they happen: versions of all objects
    /// are revisions of one store, but where no pod changes that of its cache stays behind.
    fn sees_pods(&self, deployment: &Object, sets: &[Arc<Object>]) -> bool {
        let newest = sets.iter().map(|set| version_of(set)).fold(version_of(deployment), u64::max);
        self.pods.cache().version() >= newest || self.pods.unseen().is_zero()
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().expect("no one panics while holding it")
    }

    /// How long to wait at the most until it is known what became of sets that were written for this deployment.
    fn unsure(&self, key: &str) -> Option<Duration> {
        let version = |set: &str| self.sets.get(set).map(|set| version_of(&set));
        self.written().unsure(key, rt::now() - self.epoch, self.sets.unseen(), version)
    }

    /// Passes on what came of writing a set; one that got no answer can still be carried out.
    fn noted(
        &self,
        deployment: &Object,
        sent: &Object,
        answer: Result<Object, Error>,
    ) -> Result<Object, Error> {
        if answer.as_ref().is_err_and(Error::is_unknown_outcome) && !bug!("C09") {
            let until = rt::now() - self.epoch + self.context.longest_request();
            self.written().doubt(&key_of(deployment), sent, until);
        }
        let answer = answer?;
        self.written().wrote(&key_of(deployment), &answer);
        Ok(answer)
    }

    /// The deployment's own sets, and those it may adopt.
    fn sets_of(&self, deployment: &Object) -> Vec<Arc<Object>> {
        let all = self.sets.cache().by_index("namespace", deployment.namespace().unwrap_or_default());
        let ours = |set: &Arc<Object>| match objects::owner::controller_ref(set) {
            Some(owner) => owner.uid == deployment.uid(),
            None => selects(deployment, set) && set.deletion_timestamp().is_none(),
        };
        all.into_iter().filter(ours).collect()
    }

    /// True when a set was adopted.
    async fn adopt(&self, deployment: &Object, sets: &[Arc<Object>]) -> Result<bool, Error> {
        let mut adopted = false;
        for set in sets.iter().filter(|set| objects::owner::controller_ref(set).is_none()) {
            reached!("deployment: a replica set is adopted");
            let owner = OwnerRef::controller_of(deployment).to_value();
            let patch = json!({ "metadata": { "uid": set.uid(), "ownerReferences": [owner] } });
            let patch = (PatchType::Strategic, &patch);
            let client = &self.context.client;
            let done = client.patch(&kinds::replica_set::KIND, set.namespace(), set.name(), "", patch).await;
            ignore_gone(done.map(drop))?;
            adopted = true;
        }
        Ok(adopted)
    }

    /// Pods of sets other than the new one that have not gone yet, those being deleted included.
    fn old_pods_left(&self, sets: &[Arc<Object>], deployment: &Object) -> bool {
        let cache = self.pods.cache();
        let old = sets.iter().filter(|set| !plan::is_new(deployment, set));
        old.into_iter().any(|set| !cache.by_index("owner", set.uid()).is_empty())
    }

    async fn create_set(&self, deployment: &Arc<Object>, plan: &Plan) -> Result<(), Error> {
        let Some(set) = &plan.create else { return Ok(()) };
        let created = self.context.client.create(&kinds::replica_set::KIND, set).await;
        match self.noted(deployment, set, created) {
            Ok(_) => {
                self.tell_scaled(deployment, set.name(), 0, set.get_i64(&["spec", "replicas"]).unwrap_or(0))
            }
            // Ours, created before an answer was lost; or a collision of hashes: count it, so that the next
            // name is another.
            Err(error) if error.is_already_exists() => self.collided(deployment, set).await?,
            Err(error) => {
                reached!(
                    "deployment: the outcome of making a replica set is unknown",
                    error.is_unknown_outcome()
                );
                return Err(error);
            }
        }
        Ok(())
    }

    async fn collided(&self, deployment: &Arc<Object>, set: &Object) -> Result<(), Error> {
        let there = self.context.client.get(&kinds::replica_set::KIND, set.namespace(), set.name()).await?;
        let ours = objects::owner::controller_ref(&there).is_some_and(|owner| owner.uid == deployment.uid());
        if ours && plan::is_new(deployment, &there) {
            reached!("deployment: its new replica set was there already");
            self.written().wrote(&key_of(deployment), &there);
            return Ok(());
        }
        reached!("deployment: a hash collision");
        let count = deployment.get_i64(&["status", "collisionCount"]).unwrap_or(0);
        let mut next = (**deployment).clone();
        next.set(&["status", "collisionCount"], count + 1);
        self.context.client.update_status(&kinds::deployment::KIND, &next).await.map(drop)
    }

    async fn scale(&self, deployment: &Arc<Object>, plan: &Plan) -> Result<(), Error> {
        for change in &plan.updates {
            let before = change.old.get_i64(&["spec", "replicas"]).unwrap_or(0);
            let after = change.new.get_i64(&["spec", "replicas"]).unwrap_or(0);
            // With the resourceVersion of the set that the plan was made from: a conflict means plan anew.
            let updated = self.context.client.update(&kinds::replica_set::KIND, &change.new).await;
            reached!("deployment: scaling lost a race", updated.as_ref().is_err_and(Error::is_conflict));
            self.noted(deployment, &change.new, updated)?;
            if before != after {
                reached!("deployment: a replica set is scaled to nothing", after == 0);
                reached!("deployment: a replica set is scaled up again", before == 0);
                self.tell_scaled(deployment, change.new.name(), before, after);
            }
        }
        Ok(())
    }

    fn tell_scaled(&self, deployment: &Arc<Object>, set: &str, before: i64, after: i64) {
        let way = if after > before { "up" } else { "down" };
        let text = format!("Scaled {way} replica set {set} from {before} to {after}");
        self.context.recorder.normal(deployment, "ScalingReplicaSet", text);
    }

    async fn report(&self, deployment: &Arc<Object>, plan: &Plan) -> Result<(), Error> {
        if let Some(revision) = &plan.revision
            && deployment.annotation(plan::REVISION) != Some(revision)
        {
            let patch = json!({ "metadata": { "annotations": { plan::REVISION: revision } } });
            let patch = (PatchType::Merge, &patch);
            let (namespace, name) = (deployment.namespace(), deployment.name());
            let client = &self.context.client;
            return ignore_gone(
                client.patch(&kinds::deployment::KIND, namespace, name, "", patch).await.map(drop),
            );
        }
        let mut wanted = (**deployment).clone();
        wanted.set(&["status"], plan.status.clone());
        if wanted.get(&["status"]) == deployment.get(&["status"]) {
            return Ok(());
        }
        match self.context.client.update_status(&kinds::deployment::KIND, &wanted).await {
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) if error.is_conflict() => {
                reached!("deployment: its status lost a race");
                self.queue.add_after(&key_of(deployment), Duration::from_millis(50));
                Ok(())
            }
            answer => answer.map(drop),
        }
    }
}

fn ignore_gone(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(error) if error.is_not_found() => Ok(()),
        done => done,
    }
}
