//! One pod at a time: decide from the view, assume, bind. The bind runs beside the next decision; the
//! assumption keeps the two from giving the same room away twice. A bind that failed takes its assumption
//! back (bug museum K01); one whose outcome is unknown asks the API server what became of the pod.

use crate::{
    NAME,
    filter::{self, Wants},
    queue::Queue,
    score,
    view::View,
};
use base::{Note, bug, knobs::ms, reached};
use client::{Client, Delta, Error, Informer, PatchType, Recorder, informer::Scope};
use objects::{Object, kinds};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// What handlers and the cycle share.
struct State {
    view: View,
    queue: Queue,
    turn: u64,
}

struct Scheduler {
    client: Client,
    state: Arc<Mutex<State>>,
    changed: Arc<rt::sync::Notify>,
    pods: Informer,
    /// Feeds the view for as long as the scheduler lives.
    _nodes: Informer,
    recorder: Recorder,
    epoch: rt::Mono,
}

/// The active replica's work, until the lock is lost.
pub async fn lead(client: Client) {
    let scheduler = Scheduler::start(client).await;
    scheduler.serve().await;
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no one panics while holding the scheduler's state")
}

impl Scheduler {
    async fn start(client: Client) -> Arc<Self> {
        let knobs = client.knobs();
        let queue = Queue::new(ms(knobs.schedule_backoff_ms), ms(knobs.schedule_backoff_max_ms));
        let state = Arc::new(Mutex::new(State { view: View::default(), queue, turn: 0 }));
        let changed = Arc::new(rt::sync::Notify::new());
        let epoch = rt::now();
        let nodes = {
            let (state, changed) = (state.clone(), changed.clone());
            let told =
                move |delta: &Delta| node_changed(&mut lock(&state), delta, rt::now() - epoch, &changed);
            Informer::start(&client, Scope::all(&kinds::node::KIND), &[], vec![Box::new(told)])
        };
        nodes.synced().await;
        let pods = {
            let (state, changed) = (state.clone(), changed.clone());
            let told =
                move |delta: &Delta| pod_changed(&mut lock(&state), delta, rt::now() - epoch, &changed);
            Informer::start(&client, Scope::all(&kinds::pod::KIND), &[], vec![Box::new(told)])
        };
        pods.synced().await;
        let recorder = Recorder::new(&client, NAME);
        Arc::new(Scheduler { client, state, changed, pods, _nodes: nodes, recorder, epoch })
    }

    async fn serve(self: Arc<Self>) {
        loop {
            let now = rt::now() - self.epoch;
            let (key, due) = {
                let mut state = lock(&self.state);
                (state.queue.pop(now), state.queue.next_due())
            };
            match (key, due) {
                (Some(key), _) => self.schedule(&key).await,
                (None, Some(due)) => {
                    let _ = rt::timeout(due.saturating_sub(now), self.changed.notified()).await;
                }
                (None, None) => self.changed.notified().await,
            }
        }
    }

    async fn schedule(self: &Arc<Self>, key: &str) {
        let Some(pod) = self.pods.get(key).filter(|pod| is_pending(pod)) else {
            reached!("scheduler: a pod that waited is pending no more");
            lock(&self.state).queue.remove(key);
            return;
        };
        match self.decide(&pod) {
            Ok(node) => {
                // Binding runs on its own; a lost lock drops this task's client fence, not the task.
                let scheduler = self.clone();
                rt::spawn(async move { scheduler.bind(pod, node).await });
            }
            Err(message) => {
                let now = rt::now() - self.epoch;
                reached!("scheduler: a pod fits nowhere");
                lock(&self.state).queue.unschedulable(key, now);
                self.worked(key, true);
                self.say_unschedulable(&pod, message).await;
            }
        }
    }

    /// Chooses and assumes a node, or says why there is none.
    fn decide(&self, pod: &Arc<Object>) -> Result<String, String> {
        let mut state = lock(&self.state);
        state.turn += 1;
        let (mut fitting, mut reasons, mut all) = (vec![], BTreeMap::new(), 0);
        let wants = Wants::of(pod);
        for (name, node) in state.view.nodes() {
            all += 1;
            match wants.refusal(node) {
                None => fitting.push((name, node)),
                Some(reason) => *reasons.entry(reason).or_insert(0) += 1,
            }
        }
        let owner = objects::owner::controller_ref(pod).map_or(String::new(), |owner| owner.uid);
        let best = score::best(&fitting, &wants.asks, &owner, state.turn).map(str::to_string);
        reached!("scheduler: there are no nodes", all == 0);
        reached!("scheduler: some nodes are left out", !fitting.is_empty() && !reasons.is_empty());
        let node = best.ok_or_else(|| filter::summary(all, &reasons))?;
        if !bug!("K02") {
            state.view.assume(pod, &node);
        }
        Ok(node)
    }

    async fn bind(self: Arc<Self>, pod: Arc<Object>, node: String) {
        let namespace = pod.namespace().unwrap_or_default().to_string();
        let key = client::key_of(&pod);
        let mut bound = self.client.bind(&namespace, pod.name(), pod.uid(), &node).await;
        if bound.as_ref().is_err_and(Error::is_unknown_outcome) {
            reached!("scheduler: the outcome of a bind is unknown");
            bound = self.look_again(&pod, &node).await;
        }
        let now = rt::now() - self.epoch;
        let failed = bound.is_err();
        match bound {
            Ok(()) => {
                lock(&self.state).queue.remove(&key);
                let text = format!("Successfully assigned {key} to {node}");
                self.recorder.normal(&pod, "Scheduled", text);
            }
            Err(_) => {
                reached!("scheduler: a bind failed");
                let mut state = lock(&self.state);
                if !bug!("K01") {
                    state.view.forget(pod.uid());
                }
                state.queue.failed(&key, now);
                self.changed.notify_one();
            }
        }
        self.worked(&key, failed);
    }

    fn worked(&self, key: &str, failed: bool) {
        let waiting = lock(&self.state).queue.waiting() as u64;
        rt::note(Note::Worked { queue: NAME.to_string(), key: key.to_string(), failed, waiting });
    }

    /// What became of a pod whose bind got no answer.
    async fn look_again(&self, pod: &Object, node: &str) -> Result<(), Error> {
        let now = self.client.get(&kinds::pod::KIND, pod.namespace(), pod.name()).await?;
        if now.uid() == pod.uid() && now.get_str(&["spec", "nodeName"]) == node {
            reached!("scheduler: a bind without an answer had been done");
            return Ok(());
        }
        reached!("scheduler: a bind without an answer had not been done");
        Err(Error::NotSent("the pod is not bound".into()))
    }

    /// Sets the PodScheduled condition, unless it already says so, and tells an Event.
    async fn say_unschedulable(&self, pod: &Arc<Object>, message: String) {
        let conditions = pod.get_array(&["status", "conditions"]);
        let scheduled = conditions.iter().find(|condition| condition["type"] == "PodScheduled");
        if scheduled.is_some_and(|condition| condition["message"] == message.as_str()) {
            return;
        }
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastTransitionTime": rt::wall().rfc3339(),
        });
        let patch = json!({ "status": { "conditions": [condition] } });
        let patch = (PatchType::Strategic, &patch);
        let _ = self.client.patch(&kinds::pod::KIND, pod.namespace(), pod.name(), "status", patch).await;
        self.recorder.warning(pod, "FailedScheduling", message);
    }
}

/// True for a pod that waits for this scheduler.
fn is_pending(pod: &Object) -> bool {
    let ended = matches!(pod.get_str(&["status", "phase"]), "Succeeded" | "Failed");
    let named = pod.get_str(&["spec", "schedulerName"]);
    (pod.get_str(&["spec", "nodeName"]).is_empty() || bug!("BOUND"))
        && !ended
        && pod.deletion_timestamp().is_none()
        && (named.is_empty() || named == NAME)
}

fn pod_changed(state: &mut State, delta: &Delta, now: Duration, changed: &rt::sync::Notify) {
    let pod = delta.object();
    let key = client::key_of(pod);
    if let Delta::Modified { old, new } = delta
        && old.uid() != new.uid()
    {
        state.view.remove_pod(old.uid()); // deleted and made again between two looks
        state.queue.remove(&key);
    }
    let gone = matches!(delta, Delta::Deleted(_));
    let freed = state.view.is_placed(pod.uid());
    if gone {
        state.view.remove_pod(pod.uid());
    } else {
        state.view.set_pod(pod);
    }
    if !gone && is_pending(pod) {
        state.queue.add(&key, pod.get_i64(&["spec", "priority"]).unwrap_or(0));
    } else {
        state.queue.remove(&key);
    }
    if freed && !state.view.is_placed(pod.uid()) {
        reached!("scheduler: a pod went and left room");
        state.queue.something_changed(now);
    }
    changed.notify_one();
}

fn node_changed(state: &mut State, delta: &Delta, now: Duration, changed: &rt::sync::Notify) {
    match delta {
        Delta::Deleted(node) => {
            reached!("scheduler: a node went away");
            state.view.remove_node(node.name());
        }
        Delta::Added(node) | Delta::Modified { new: node, .. } => state.view.set_node(node),
    }
    if matters(delta) {
        state.queue.something_changed(now);
        changed.notify_one();
    }
}

/// A heartbeat is no reason to try again; room, labels and taints are.
fn matters(delta: &Delta) -> bool {
    let Delta::Modified { old, new } = delta else { return true };
    let differs = |path: &[&str]| old.get(path) != new.get(path);
    differs(&["spec"]) || differs(&["metadata", "labels"]) || differs(&["status", "allocatable"])
}
