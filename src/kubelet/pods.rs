//! Carries plans out: follows the pods bound to this node, starts and stops their containers with drawn
//! delays, says in the pod's status what is, and ends a deleted pod when nothing of it runs.

use crate::{
    Config,
    machine::{Fate, Machine},
    plan::{self, Doing, Step},
    status,
};
use base::{bug, knobs::ms, reached};
use client::{Client, DeleteOptions, Delta, Error, Informer, PatchType, WorkQueue, informer::Scope};
use objects::{Object, kinds, quantity::Quantity};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// An annotation of a pod: in how many of a hundred runs its containers fail.
const FAILS: &str = "wavetank/fails";

/// A pod the kubelet knows of: the key it had, and what its containers do.
struct Known {
    key: String,
    doing: Doing,
}

struct Worker {
    client: Client,
    config: Config,
    machine: Machine,
    /// By uid: a pod deleted and made again under its name is another pod.
    known: BTreeMap<String, Known>,
    pods: Informer,
    queue: WorkQueue,
    epoch: rt::Mono,
}

/// Follows the node's pods, for ever.
pub async fn keep(client: &Client, config: &Config, machine: Machine) {
    let queue = WorkQueue::new("pods", &config.knobs);
    let told = {
        let queue = queue.clone();
        move |delta: &Delta| {
            if let Delta::Modified { old, .. } = delta {
                queue.add(old.uid());
            }
            queue.add(delta.object().uid());
        }
    };
    let scope = Scope::all(&kinds::pod::KIND).fields(&format!("spec.nodeName={}", config.node));
    let pods = Informer::start(client, scope, &[("uid", by_uid)], vec![Box::new(told)]);
    pods.synced().await; // before this, a pod that is not in the cache would look deleted
    let mut known = BTreeMap::new();
    for (uid, container) in machine.running() {
        reached!("kubelet: containers were found running after a restart");
        let key = format!("{}/{}", container.namespace, container.pod);
        let until = container.fate.map(|fate| rest_of(fate, &container.started));
        known.insert(uid.clone(), Known { key, doing: Doing::Running { until } });
        queue.add(uid);
    }
    for (uid, remains) in machine.ended() {
        let key = format!("{}/{}", remains.container.namespace, remains.container.pod);
        known.insert(uid.clone(), Known { key, doing: Doing::Ended { code: remains.code } });
        queue.add(uid);
    }
    let (client, config) = (client.clone(), config.clone());
    let mut worker = Worker { client, config, machine, known, pods, queue, epoch: rt::now() };
    worker.serve().await;
}

/// How much of their time is left to containers that began at `started`, by this machine's clock.
fn rest_of(fate: Fate, started: &str) -> Duration {
    let began = objects::time::parse_rfc3339(started).unwrap_or(0);
    let ran = Duration::from_nanos(rt::wall().0.saturating_sub(began));
    ms(fate.runs).saturating_sub(ran)
}

fn by_uid(pod: &Object) -> Vec<String> {
    vec![pod.uid().to_string()]
}

impl Worker {
    async fn serve(&mut self) {
        let mut resync = rt::now() + ms(self.config.knobs.pod_resync_ms);
        loop {
            let left = resync - rt::now();
            let Ok(uid) = rt::timeout(left, self.queue.pop()).await else {
                resync = rt::now() + ms(self.config.knobs.pod_resync_ms);
                reached!("kubelet: all pods are looked at again");
                self.look_at_all();
                continue;
            };
            let result = self.sync(&uid).await;
            reached!("kubelet: what it had to do for a pod failed", result.is_err());
            self.queue.finish(&uid, &result);
        }
    }

    fn look_at_all(&self) {
        for pod in self.pods.cache().iter() {
            self.queue.add(pod.uid());
        }
        for uid in self.known.keys() {
            self.queue.add(uid);
        }
    }

    fn doing(&self, uid: &str) -> Doing {
        self.known.get(uid).map_or(Doing::Nothing, |known| known.doing)
    }

    /// Takes steps until there is nothing to do now.
    async fn sync(&mut self, uid: &str) -> Result<(), Problem> {
        loop {
            let pod = self.pods.cache().by_index("uid", uid).pop();
            let now = rt::now() - self.epoch;
            match plan::next(pod.as_deref(), self.doing(uid), now) {
                Step::Rest => return self.report(uid, pod.as_deref()).await,
                Step::Wait(until) => {
                    self.queue.add_after(uid, until.saturating_sub(now) + Duration::from_millis(1));
                    return self.report(uid, pod.as_deref()).await;
                }
                Step::Admit => {
                    let Some(pod) = pod else { return Ok(()) };
                    if !self.admit(&pod, now).await? {
                        return Ok(());
                    }
                }
                Step::Started => {
                    let Some(pod) = pod else { return Ok(()) };
                    let fate = self.fate_of(&pod);
                    let name = (pod.namespace().unwrap_or_default(), pod.name());
                    self.machine.start(uid, name, fate).await?;
                    self.set(uid, Doing::Running { until: fate.map(|fate| now + ms(fate.runs)) });
                }
                Step::Expire => {
                    let Some(pod) = pod else { return Ok(()) };
                    self.expire(&pod).await?;
                }
                Step::Lose => {
                    let Some(pod) = pod else { return Ok(()) };
                    reached!("kubelet: a pod that is never restarted lost its containers");
                    return self.patch(&pod, status::lost(&pod, &rt::wall().rfc3339())).await.map(drop);
                }
                Step::Stop => {
                    reached!("kubelet: containers run of a pod that is gone", pod.is_none());
                    reached!(
                        "kubelet: a pod was asked to go while it was starting",
                        pod.is_some() && matches!(self.doing(uid), Doing::Starting { .. })
                    );
                    let until = now + self.stopping_time(pod.as_deref());
                    self.set(uid, Doing::Stopping { until });
                }
                Step::Stopped => {
                    self.machine.stop(uid).await?;
                    self.set(uid, Doing::Nothing);
                }
                Step::Finish => {
                    let Some(pod) = pod else { return Ok(()) };
                    return self.finish(&pod).await;
                }
                Step::Forget => {
                    self.machine.forget(uid).await?;
                    self.known.remove(uid);
                    return Ok(());
                }
            }
        }
    }

    fn set(&mut self, uid: &str, doing: Doing) {
        if let Some(known) = self.known.get_mut(uid) {
            known.doing = doing;
        }
    }

    /// Containers that are not always restarted run for a drawn while and succeed, or fail as often as the pod's
    /// annotation says, in percent.
    fn fate_of(&self, pod: &Object) -> Option<Fate> {
        if plan::restarts(pod) == "Always" {
            return None;
        }
        let knobs = &self.config.knobs;
        let least = knobs.container_run_min_ms;
        let runs = rt::random_range(least..knobs.container_run_max_ms.max(least + 1));
        let percent: u64 = pod.annotation(FAILS).and_then(|text| text.parse().ok()).unwrap_or(0);
        let code = i32::from(rt::random_range(0..100) < percent);
        Some(Fate { runs, code })
    }

    /// The containers' time is over. Those that failed and are restarted on failure start again.
    async fn expire(&mut self, pod: &Object) -> Result<(), Problem> {
        let uid = pod.uid();
        let fate = self.machine.get(uid).and_then(|container| container.fate);
        let code = fate.map_or(0, |fate| fate.code);
        if code != 0 && plan::restarts(pod) == "OnFailure" {
            reached!("kubelet: containers that failed start again");
            self.machine.stop(uid).await?;
            self.set(uid, Doing::Nothing);
        } else {
            self.machine.expire(uid, code).await?;
            self.set(uid, Doing::Ended { code });
        }
        Ok(())
    }

    /// Begins to start a pod that fits, and refuses one that does not. False: nothing more to do. An older
    /// pod of the same name must have ended first.
    async fn admit(&mut self, pod: &Arc<Object>, now: Duration) -> Result<bool, Problem> {
        let key = client::key_of(pod);
        if self.known.iter().any(|(uid, known)| known.key == key && uid != pod.uid()) {
            reached!("kubelet: a pod waits until its namesake has ended");
            self.queue.add_after(pod.uid(), Duration::from_millis(500));
            return Ok(false);
        }
        if let Some(resource) = self.lacking(pod) {
            reached!("kubelet: a pod was refused for lack of room");
            return self.patch(pod, status::refused(resource)).await.map(|_| false);
        }
        let knobs = &self.config.knobs;
        let delay = rt::random_range(
            knobs.container_start_min_ms..knobs.container_start_max_ms.max(knobs.container_start_min_ms + 1),
        );
        let until = now + ms(delay);
        self.known.insert(pod.uid().to_string(), Known { key, doing: Doing::Starting { until } });
        Ok(true)
    }

    /// The resource that the admitted pods and this one together exceed.
    fn lacking(&self, pod: &Object) -> Option<&'static str> {
        let cache = self.pods.cache();
        let takes = |known: &Known| !matches!(known.doing, Doing::Ended { .. });
        let admitted = cache.iter().filter(|other| self.known.get(other.uid()).is_some_and(takes));
        let ((mut cpu, mut memory), mut count) = (asks(pod), 1);
        for other in admitted {
            let asked = asks(other);
            (cpu, memory, count) = (cpu + asked.0, memory + asked.1, count + 1);
        }
        if count > self.config.knobs.node_pods {
            return Some("pods");
        }
        if cpu > self.config.knobs.node_cpu_milli as i64 {
            return Some("cpu");
        }
        (memory > self.config.knobs.node_memory_bytes as i64).then_some("memory")
    }

    /// Drawn, and never longer than the pod's grace.
    fn stopping_time(&self, pod: Option<&Object>) -> Duration {
        let drawn = ms(rt::random_range(0..self.config.knobs.container_stop_max_ms.max(1)));
        let grace = pod.and_then(Object::deletion_grace_period).unwrap_or(30).max(0);
        drawn.min(Duration::from_secs(grace as u64))
    }

    /// Says in the pod's status what is, unless it already says so.
    async fn report(&mut self, uid: &str, pod: Option<&Object>) -> Result<(), Problem> {
        let Some(pod) = pod else { return Ok(()) };
        if matches!(pod.get_str(&["status", "phase"]), "Succeeded" | "Failed") {
            return Ok(());
        }
        let now = rt::wall().rfc3339();
        let status = match self.machine.ended().get(uid) {
            Some(remains) => status::ended(pod, remains),
            None => status::of(pod, self.doing(uid), self.machine.get(uid), &now),
        };
        if status::says(pod, &status) {
            return Ok(());
        }
        self.patch(pod, status).await.map(drop)
    }

    /// False when the pod is no longer the one that was judged: the cache will tell, and we judge anew.
    async fn patch(&self, pod: &Object, status: Value) -> Result<bool, Problem> {
        // The uid makes the patch fail rather than speak of a namesake. The resourceVersion does so when a
        // word of ours from before a restart is still on the wire and comes last; upstream sends none.
        let mut seen = json!({ "uid": pod.uid() });
        if !bug!("K05") {
            seen["resourceVersion"] = pod.resource_version().into();
        }
        let patch = json!({ "metadata": seen, "status": status });
        let patch = (PatchType::Strategic, &patch);
        match self.client.patch(&kinds::pod::KIND, pod.namespace(), pod.name(), "status", patch).await {
            Err(error) if error.is_not_found() || error.is_conflict() => {
                reached!("kubelet: a status came too late");
                Ok(false)
            }
            sent => Ok(sent.map(|_| true)?),
        }
    }

    /// The last word on a pod: its final status, then the deletion that takes it away.
    async fn finish(&mut self, pod: &Object) -> Result<(), Problem> {
        let ended = matches!(pod.get_str(&["status", "phase"]), "Succeeded" | "Failed");
        let last = match self.machine.ended().get(pod.uid()) {
            Some(remains) => status::ended(pod, remains),
            None => status::stopped(pod, &rt::wall().rfc3339()),
        };
        if !ended && !self.patch(pod, last).await? {
            reached!("kubelet: the last word on a pod came too late");
            return Ok(());
        }
        let options =
            DeleteOptions { grace_seconds: Some(0), uid: pod.uid().to_string(), ..Default::default() };
        gone_is_fine(self.client.delete(&kinds::pod::KIND, pod.namespace(), pod.name(), &options).await)
    }
}

/// The pod, or the pod of this uid, is no longer: nothing is left to say of it.
fn gone_is_fine(sent: Result<(), Error>) -> Result<(), Problem> {
    match sent {
        Err(error) if error.is_not_found() || error.is_conflict() => {
            reached!("kubelet: a pod it lets go is gone already");
            Ok(())
        }
        sent => Ok(sent?),
    }
}

/// What a pod's containers ask for: CPU in thousandths, memory in bytes.
fn asks(pod: &Object) -> (i64, i64) {
    let of = |container: &Value, resource: &str| {
        let asked = objects::object::get(container, &["resources", "requests", resource]);
        asked.and_then(|value| Quantity::from_value(value).ok()).unwrap_or(Quantity::from_units(0))
    };
    pod.get_array(&["spec", "containers"]).iter().fold((0, 0), |(cpu, memory), container| {
        (cpu + of(container, "cpu").milli(), memory + of(container, "memory").units())
    })
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Api(#[from] Error),
    #[error("the table of containers: {0}")]
    Machine(#[from] std::io::Error),
}
