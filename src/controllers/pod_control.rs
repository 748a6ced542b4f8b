//! Makes and unmakes pods for their owner, and knows which of that the cache has not shown yet.
//!
//! Upstream: pkg/controller/controller_utils.go. Creations go in batches that double while they succeed (slow
//! start); until the cache has seen what was asked for, the owner must not be planned for again (expectations).

use crate::shared::{Context, controller_key};
use base::{bug, knobs::ms, reached};
use client::{DeleteOptions, Delta, Error, Expectations, Informer};
use objects::{Kind, Object, kinds};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

pub struct PodControl<'a> {
    context: &'a Context,
    pods: Informer,
    expect: Arc<Mutex<Expectations>>,
    epoch: rt::Mono,
}

impl<'a> PodControl<'a> {
    /// For owners of one kind. From now on it sees the pods come and go.
    pub fn of(context: &'a Context, owner: &'static Kind) -> Self {
        let expect = Arc::new(Mutex::new(Expectations::new(ms(context.client.knobs().expectations_ms))));
        let pods = context.follow(&kinds::pod::KIND, see_pod(expect.clone(), owner));
        PodControl { context, pods, expect, epoch: rt::now() }
    }

    /// How long to wait for the cache, and who was asked to go and has not been seen going. To be asked before
    /// the pods are read: a change that comes between makes the caller wait, not act twice.
    pub fn pending(&self, key: &str) -> (Option<Duration>, BTreeSet<String>) {
        let expect = lock(&self.expect);
        (expect.wait(key, rt::now() - self.epoch, self.pods.unseen()), expect.going(key))
    }

    /// The owner is gone.
    pub fn forget(&self, key: &str) {
        lock(&self.expect).forget(key);
    }

    /// Slow start: 1, 2, 4, ... at a time; the first failure ends it, and what was not tried is not expected.
    pub async fn create(&self, key: &str, owner: &Arc<Object>, pods: &[Object]) -> Result<(), Error> {
        lock(&self.expect).expect_creations(key, pods.len() as u64, rt::now() - self.epoch);
        let mut batch = (self.context.client.knobs().slow_start.max(1) as usize).min(pods.len());
        let mut left = pods;
        while !left.is_empty() {
            let (now, later) = left.split_at(batch);
            let wishes = now.iter().map(|pod| self.context.client.create(&kinds::pod::KIND, pod));
            let answers = futures::future::join_all(wishes).await;
            left = later;
            let mut failed = None;
            for answer in answers {
                failed = self.told(key, owner, answer).err().or(failed);
            }
            if let Some(error) = failed {
                reached!("pod control: slow start stops at a failure", !left.is_empty());
                left.iter().for_each(|_| lock(&self.expect).saw_creation(key));
                self.context.recorder.warning(owner, "FailedCreate", format!("Error creating: {error}"));
                return Err(error);
            }
            reached!("pod control: slow start takes a larger step", !left.is_empty());
            batch = (batch * 2).min(left.len());
        }
        Ok(())
    }

    fn told(&self, key: &str, owner: &Arc<Object>, answer: Result<Object, Error>) -> Result<(), Error> {
        match answer {
            Ok(pod) => {
                let text = format!("Created pod: {}", pod.name());
                self.context.recorder.normal(owner, "SuccessfulCreate", text);
                Ok(())
            }
            // It may have been created: the expectation stands until it is seen or given up.
            Err(error) if error.is_unknown_outcome() && !bug!("C05") => {
                reached!("pod control: the outcome of a creation is unknown");
                self.doubt(key);
                Err(error)
            }
            Err(error) => {
                reached!("pod control: a pod could not be made");
                lock(&self.expect).saw_creation(key);
                Err(error)
            }
        }
    }

    fn doubt(&self, key: &str) {
        lock(&self.expect).doubt(key, rt::now() - self.epoch + self.context.longest_request());
    }

    pub async fn delete(&self, key: &str, owner: &Arc<Object>, pods: &[Arc<Object>]) -> Result<(), Error> {
        let uids = pods.iter().map(|pod| pod.uid().to_string());
        lock(&self.expect).expect_deletions(key, uids, rt::now() - self.epoch);
        let wishes = pods.iter().map(|pod| async move {
            let options = DeleteOptions { uid: pod.uid().to_string(), ..Default::default() };
            (pod, self.context.client.delete(&kinds::pod::KIND, pod.namespace(), pod.name(), &options).await)
        });
        let mut outcome = Ok(());
        for (pod, answer) in futures::future::join_all(wishes).await {
            match answer {
                Ok(()) => {
                    let text = format!("Deleted pod: {}", pod.name());
                    self.context.recorder.normal(owner, "SuccessfulDelete", text);
                }
                Err(error) => {
                    reached!(
                        "pod control: a pod to delete was gone or another",
                        error.is_not_found() || error.is_conflict()
                    );
                    reached!("pod control: the outcome of a deletion is unknown", error.is_unknown_outcome());
                    lock(&self.expect).saw_deletion(key, pod.uid());
                    if !error.is_not_found() && !error.is_conflict() {
                        outcome = Err(error);
                    }
                }
            }
        }
        outcome
    }
}

fn lock(expect: &Mutex<Expectations>) -> MutexGuard<'_, Expectations> {
    expect.lock().expect("no one panics while holding expectations")
}

/// Counts what the cache has seen against what was asked for. A pod that is being deleted counts as deleted.
fn see_pod(
    expect: Arc<Mutex<Expectations>>,
    owner: &'static Kind,
) -> impl Fn(&Delta) + Send + Sync + 'static {
    move |delta| {
        let pod = delta.object();
        let Some(key) = controller_key(pod, owner) else { return };
        let mut expect = lock(&expect);
        if matches!(delta, Delta::Added(_)) {
            expect.saw_creation(&key);
        }
        if matches!(delta, Delta::Deleted(_)) || pod.deletion_timestamp().is_some() {
            expect.saw_deletion(&key, pod.uid());
        }
    }
}
