//! Which nodes are silent, and what follows. Pure: what was heard and the time are arguments.

use base::{Knobs, bug, knobs::ms, reached};
use objects::Object;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// The taint this controller sets.
pub fn is_ours(taint: &Value) -> bool {
    taint["key"] == UNREACHABLE
}

#[derive(Clone, Debug)]
pub enum Action {
    /// Ready (and the rest) becomes Unknown.
    MarkUnknown(Arc<Object>),
    Taint(Arc<Object>),
    Untaint(Arc<Object>),
    PodNotReady(Arc<Object>),
    Evict(Arc<Object>),
    /// Nodes are heard of again after all had fallen silent.
    HeardAgain,
    /// A node's turn has come: `silent` of `nodes` have fallen silent.
    Begin {
        node: Arc<Object>,
        silent: usize,
        nodes: usize,
    },
}

/// What was last heard of a node.
#[derive(Debug)]
struct Heard {
    /// The Lease's renewTime and the status's heartbeat: their change is a sign of life, their value is not read.
    sign: (String, String),
    at: Duration,
    /// Since when its pods may not stay.
    silent_since: Option<Duration>,
}

pub struct Monitor {
    knobs: Knobs,
    heard: BTreeMap<String, Heard>,
    /// Nodes whose pods may be evicted, and when the next node may join them.
    evicting: BTreeSet<String>,
    next_eviction: Duration,
    /// Not one node was heard of at the last look.
    all_silent: bool,
}

impl Monitor {
    pub fn new(knobs: &Knobs) -> Self {
        Monitor {
            knobs: knobs.clone(),
            heard: BTreeMap::new(),
            evicting: BTreeSet::new(),
            next_eviction: Duration::ZERO,
            all_silent: false,
        }
    }

    /// Takes note of what the caches say of a node.
    pub fn heard(&mut self, node: &Object, lease: Option<&Object>, now: Duration) {
        let renewed = lease.map_or("", |lease| lease.get_str(&["spec", "renewTime"]));
        let beat =
            condition(node).map_or("", |ready| ready["lastHeartbeatTime"].as_str().unwrap_or_default());
        let sign = (renewed.to_string(), beat.to_string());
        match self.heard.get_mut(node.name()) {
            Some(heard) if heard.sign == sign => {}
            Some(heard) => (heard.sign, heard.at) = (sign, now),
            None => {
                self.heard.insert(node.name().to_string(), Heard { sign, at: now, silent_since: None });
            }
        }
    }

    /// What to do now. `pods` gives the pods of a node.
    pub fn plan(
        &mut self,
        nodes: &[Arc<Object>],
        pods: impl Fn(&str) -> Vec<Arc<Object>>,
        now: Duration,
    ) -> Vec<Action> {
        let names: BTreeSet<&str> = nodes.iter().map(|node| node.name()).collect();
        self.heard.retain(|name, _| names.contains(name.as_str()));
        self.evicting.retain(|name| names.contains(name.as_str()));
        let mut silent: Vec<Arc<Object>> =
            nodes.iter().filter(|node| self.is_silent(node, now)).cloned().collect();
        let mut actions = vec![];
        if self.are_heard_again(nodes.len(), silent.len()) {
            actions.push(Action::HeardAgain);
            if !bug!("N06") {
                self.begin_anew(now);
                silent.clear();
            }
        }
        for node in nodes {
            if silent.iter().any(|other| other.name() == node.name()) {
                self.mark(node, &pods(node.name()), &mut actions);
            } else {
                self.welcome(node, &mut actions);
            }
        }
        if self.most_are_silent(nodes.len(), silent.len()) {
            reached!("nodelifecycle: most nodes are silent, nothing is evicted");
            self.evicting.clear();
            return actions;
        }
        for node in &silent {
            let counts = (silent.len(), nodes.len());
            self.evict(node, &pods(node.name()), (now, counts), &mut actions);
        }
        actions
    }

    fn is_silent(&mut self, node: &Object, now: Duration) -> bool {
        let grace = ms(self.knobs.node_grace_ms);
        let Some(heard) = self.heard.get_mut(node.name()) else { return false };
        let silent = now >= heard.at + grace;
        heard.silent_since = silent.then(|| heard.silent_since.unwrap_or(now));
        silent
    }

    /// All nodes were silent, and one is not: it was we who could not hear.
    fn are_heard_again(&mut self, all: usize, silent: usize) -> bool {
        let were = std::mem::replace(&mut self.all_silent, all > 0 && silent == all);
        let again = were && !self.all_silent;
        reached!("nodelifecycle: nodes are heard again after all were silent", again);
        again
    }

    /// Each node gets its whole grace again.
    fn begin_anew(&mut self, now: Duration) {
        for heard in self.heard.values_mut() {
            (heard.at, heard.silent_since) = (now, None);
        }
    }

    fn mark(&self, node: &Arc<Object>, pods: &[Arc<Object>], actions: &mut Vec<Action>) {
        if condition(node).is_none_or(|ready| ready["status"] != "Unknown") {
            actions.push(Action::MarkUnknown(node.clone()));
        }
        let ours = node.get_array(&["spec", "taints"]).iter().filter(|taint| is_ours(taint)).count();
        if ours < 2 {
            actions.push(Action::Taint(node.clone()));
        }
        let ready = pods.iter().filter(|pod| crate::shared::ready_since(pod).is_some());
        actions.extend(ready.map(|pod| Action::PodNotReady(pod.clone())));
    }

    /// The taint goes when the kubelet says Ready again, which it does once it can speak.
    fn welcome(&mut self, node: &Arc<Object>, actions: &mut Vec<Action>) {
        reached!(
            "nodelifecycle: a node came back while its pods were evicted",
            self.evicting.contains(node.name())
        );
        if self.evicting.remove(node.name()) && bug!("N05") {
            self.next_eviction = Duration::ZERO;
        }
        let ready = condition(node).is_some_and(|ready| ready["status"] == "True");
        if ready && node.get_array(&["spec", "taints"]).iter().any(is_ours) {
            actions.push(Action::Untaint(node.clone()));
        }
    }

    /// Upstream's zone states, for one zone: none ready, or more than two silent and their share too large.
    fn most_are_silent(&self, all: usize, silent: usize) -> bool {
        if bug!("N01") {
            return false;
        }
        let percent = (silent * 100).checked_div(all).unwrap_or(0) as u64;
        silent > 0 && (silent == all || (silent > 2 && percent >= self.knobs.eviction_stop_percent))
    }

    fn evict(
        &mut self,
        node: &Arc<Object>,
        pods: &[Arc<Object>],
        (now, (silent, nodes)): (Duration, (usize, usize)),
        actions: &mut Vec<Action>,
    ) {
        let since = self.heard.get(node.name()).and_then(|heard| heard.silent_since).unwrap_or(now);
        let due = |pod: &&Arc<Object>| {
            let stays = stays_for(pod, ms(self.knobs.eviction_after_ms));
            pod.deletion_timestamp().is_none() && stays.is_some_and(|stays| now >= since + stays)
        };
        let due: Vec<Arc<Object>> = pods.iter().filter(due).cloned().collect();
        if due.is_empty() {
            return;
        }
        if !self.evicting.contains(node.name()) {
            if now < self.next_eviction {
                reached!("nodelifecycle: an eviction waits for its turn");
                return;
            }
            let rate = self.knobs.eviction_per_1000s.max(1);
            self.next_eviction = now + Duration::from_millis(1_000_000 / rate);
            self.evicting.insert(node.name().to_string());
            actions.push(Action::Begin { node: node.clone(), silent, nodes });
        }
        actions.extend(due.into_iter().map(Action::Evict));
    }
}

fn condition(node: &Object) -> Option<&Value> {
    node.get_array(&["status", "conditions"]).iter().find(|condition| condition["type"] == "Ready")
}

/// How long a pod stays on an unreachable node; None: for ever. `most` caps what it tolerates.
fn stays_for(pod: &Object, most: Duration) -> Option<Duration> {
    let matching = pod.get_array(&["spec", "tolerations"]).iter().filter(|toleration| {
        let text = |name: &str| toleration[name].as_str().unwrap_or_default();
        let key = text("key") == UNREACHABLE || (text("key").is_empty() && text("operator") == "Exists");
        key && matches!(text("effect"), "" | "NoExecute")
    });
    let mut stays = Some(Duration::ZERO);
    let mut any = false;
    let mut least: Option<Duration> = None;
    for toleration in matching {
        any = true;
        if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
            let seconds = Duration::from_secs(seconds.max(0) as u64);
            least = Some(least.map_or(seconds, |other| other.min(seconds)));
        }
    }
    if any {
        stays = least.map(|least| least.min(most));
    }
    stays
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn node(name: &str, beat: u64) -> Arc<Object> {
        let ready = json!({ "type": "Ready", "status": "True", "lastHeartbeatTime": beat.to_string() });
        let value = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name },
            "status": { "conditions": [ready] } });
        Arc::new(Object::from_value(value).expect("a node"))
    }

    fn pod(name: &str) -> Arc<Object> {
        let toleration = json!({ "key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute",
            "tolerationSeconds": 300 });
        let value = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "uid": name },
            "spec": { "tolerations": [toleration] } });
        Arc::new(Object::from_value(value).expect("a pod"))
    }

    fn evicted(actions: &[Action]) -> usize {
        actions.iter().filter(|action| matches!(action, Action::Evict(_))).count()
    }

    /// `alive` of `all` nodes beat once a second; the plan at the end of `seconds`.
    fn run(all: usize, alive: usize, seconds: u64) -> (usize, usize) {
        let mut monitor = Monitor::new(&Knobs::default());
        let (mut evictions, mut marked) = (0, 0);
        for second in 0..=seconds {
            let beat = |i: usize| if i < alive { second } else { 0 };
            let nodes: Vec<_> = (0..all).map(|i| node(&format!("n{i}"), beat(i))).collect();
            nodes.iter().for_each(|node| monitor.heard(node, None, S(second)));
            let actions = monitor.plan(&nodes, |name| vec![pod(name)], S(second));
            evictions += evicted(&actions);
            marked = actions.iter().filter(|action| matches!(action, Action::MarkUnknown(_))).count();
        }
        (marked, evictions)
    }

    #[test]
    fn a_silent_node_is_marked_after_its_grace_and_evicted_after_the_pods_toleration() {
        assert_eq!(run(3, 2, 49), (0, 0));
        assert_eq!(run(3, 2, 50), (1, 0));
        assert_eq!(run(3, 2, 349), (1, 0));
        assert_eq!(run(3, 2, 350), (1, 1));
    }

    #[test]
    fn nothing_is_evicted_when_most_nodes_fall_silent() {
        assert_eq!(run(5, 2, 1000), (3, 0));
        assert_eq!(run(2, 0, 1000), (2, 0));
    }

    #[test]
    fn nodes_are_evicted_one_by_one_at_the_given_rate() {
        let (_, at_once) = run(20, 10, 350);
        assert_eq!(at_once, 1, "one node in ten seconds");
    }

    fn words(actions: &[Action]) -> Vec<&'static str> {
        let word = |action: &Action| match action {
            Action::MarkUnknown(_) => "unknown",
            Action::Taint(_) => "taint",
            Action::Untaint(_) => "untaint",
            Action::PodNotReady(_) => "pod not ready",
            Action::Evict(_) => "evict",
            Action::Begin { .. } => "begin",
            Action::HeardAgain => "heard again",
        };
        actions.iter().map(word).collect()
    }

    fn with(object: &Arc<Object>, path: &[&str], value: Value) -> Arc<Object> {
        let mut changed = (**object).clone();
        changed.set(path, value);
        Arc::new(changed)
    }

    #[test]
    fn a_silent_node_is_tainted_its_pods_are_not_ready_and_all_that_once() {
        let mut monitor = Monitor::new(&Knobs::default());
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        let runs = with(&pod("p"), &["status", "conditions"], ready);
        let (quiet, other) = (node("n", 1), node("other", 1));
        monitor.heard(&quiet, None, S(0));
        let beats = |monitor: &mut Monitor, second: u64| {
            monitor.heard(&node("other", second), None, S(second));
        };
        beats(&mut monitor, 60);
        let on = |name: &str| if name == "n" { vec![runs.clone()] } else { vec![] };
        let first = monitor.plan(&[quiet.clone(), other.clone()], on, S(60));
        assert_eq!(words(&first), ["unknown", "taint", "pod not ready"]);
        let unknown = json!([{ "type": "Ready", "status": "Unknown", "lastHeartbeatTime": "1" }]);
        let taints = json!([{ "key": UNREACHABLE, "effect": "NoSchedule" },
            { "key": UNREACHABLE, "effect": "NoExecute" }]);
        let marked =
            with(&with(&quiet, &["status", "conditions"], unknown), &["spec", "taints"], taints.clone());
        beats(&mut monitor, 61);
        assert_eq!(
            words(&monitor.plan(&[marked.clone(), other.clone()], |_| vec![pod("p")], S(61))),
            [""; 0]
        );
        // It speaks again, and says that it is ready.
        let back = with(&node("n", 62), &["spec", "taints"], taints);
        monitor.heard(&back, None, S(62));
        beats(&mut monitor, 62);
        assert_eq!(words(&monitor.plan(&[back, other], on, S(62))), ["untaint"]);
    }

    #[test]
    fn a_lease_that_is_renewed_is_a_sign_of_life() {
        let mut monitor = Monitor::new(&Knobs::default());
        let lease = |renewed: u64| {
            let value = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": { "name": "n" }, "spec": { "renewTime": renewed.to_string() } });
            Object::from_value(value).expect("a Lease")
        };
        let n = [node("n", 0)];
        for second in 0..200 {
            monitor.heard(&n[0], Some(&lease(second)), S(second));
            assert_eq!(words(&monitor.plan(&n, |_| vec![], S(second))), [""; 0]);
        }
        monitor.heard(&n[0], Some(&lease(199)), S(249));
        assert_eq!(words(&monitor.plan(&n, |_| vec![], S(249))), ["unknown", "taint"]);
    }

    #[test]
    fn a_pod_stays_as_long_as_it_tolerates() {
        let tolerates = |toleration: Value| {
            let pod = with(&pod("p"), &["spec", "tolerations"], json!([toleration]));
            stays_for(&pod, S(300))
        };
        let seconds =
            |seconds: u64| json!({ "key": UNREACHABLE, "operator": "Exists", "tolerationSeconds": seconds });
        assert_eq!(tolerates(seconds(20)), Some(S(20)));
        assert_eq!(tolerates(seconds(900)), Some(S(300)), "no longer than the knob says");
        assert_eq!(tolerates(json!({ "operator": "Exists" })), None, "for ever");
        assert_eq!(tolerates(json!({ "key": "other", "operator": "Exists" })), Some(S(0)), "not at all");
        let effect = json!({ "key": UNREACHABLE, "operator": "Exists", "effect": "NoSchedule" });
        assert_eq!(tolerates(effect), Some(S(0)));
    }

    #[test]
    fn the_next_node_waits_for_its_turn_and_the_share_of_silent_nodes_decides() {
        let mut monitor = Monitor::new(&Knobs::default());
        // Whose pods were evicted up to this second, when so many of twenty nodes beat until then.
        let mut evicted_by = |from: u64, to: u64, alive: usize| {
            let mut whose = BTreeSet::new();
            for second in from..to {
                let beat = |i: usize| if i < alive { second } else { 0 };
                let nodes: Vec<_> = (0..20).map(|i| node(&format!("n{i:02}"), beat(i))).collect();
                nodes.iter().for_each(|node| monitor.heard(node, None, S(second)));
                for action in monitor.plan(&nodes, |name| vec![pod(name)], S(second)) {
                    if let Action::Evict(pod) = action {
                        whose.insert(pod.name().to_string());
                    }
                }
            }
            whose.len()
        };
        assert_eq!(evicted_by(0, 350, 10), 0);
        assert_eq!(evicted_by(350, 360, 10), 1, "one node in ten seconds");
        assert_eq!(evicted_by(360, 361, 10), 2, "then the next");
        assert_eq!(evicted_by(361, 400, 10), 5);
        // Two more fall silent: 60 of 100 are too many, and it stops.
        assert!(evicted_by(400, 449, 8) > 5, "as long as they are not missed");
        assert_eq!(evicted_by(450, 1_000, 8), 0);
        assert!(evicted_by(1_000, 1_010, 12) > 0, "when they are back, it goes on");
        assert!(run(3, 1, 400).1 > 0, "two of three may be two failures");
    }

    /// Of `all` nodes none beats from second 0 on, and `back` beat again from `again` on: who is evicted, and when.
    fn after_silence(all: usize, back: usize, again: u64, seconds: u64) -> Vec<(u64, String)> {
        let mut monitor = Monitor::new(&Knobs::default());
        let mut evicted = vec![];
        for second in 0..seconds {
            let beat = |i: usize| if i < back && second >= again { second } else { 0 };
            let nodes: Vec<_> = (0..all).map(|i| node(&format!("n{i}"), beat(i))).collect();
            nodes.iter().for_each(|node| monitor.heard(node, None, S(second)));
            for action in monitor.plan(&nodes, |name| vec![pod(name)], S(second)) {
                if let Action::Evict(pod) = action {
                    evicted.push((second, pod.name().to_string()));
                }
            }
        }
        evicted
    }

    #[test]
    fn after_all_were_silent_each_has_its_whole_grace_again() {
        assert_eq!(after_silence(4, 3, 1_000, 1_349), []);
        let (first, who) = after_silence(4, 3, 1_000, 1_400).swap_remove(0);
        assert_eq!((first, who.as_str()), (1_350, "n3"), "50 s until it is silent, 300 s that its pods stay");
    }

    #[test]
    fn a_node_that_comes_back_gives_no_other_its_turn() {
        let mut monitor = Monitor::new(&Knobs::default());
        let taints = json!([{ "key": UNREACHABLE, "effect": "NoSchedule" },
            { "key": UNREACHABLE, "effect": "NoExecute" }]);
        let mut begun = vec![];
        for second in 0..370 {
            let beats = [second, 0, 0, if second >= 352 { second } else { 0 }, second, second, second];
            let nodes = beats.iter().enumerate().map(|(i, beat)| node(&format!("n{i}"), *beat));
            let nodes: Vec<_> = nodes.map(|node| with(&node, &["spec", "taints"], taints.clone())).collect();
            nodes.iter().for_each(|node| monitor.heard(node, None, S(second)));
            for action in monitor.plan(&nodes, |name| vec![pod(name)], S(second)) {
                if let Action::Begin { node, .. } = action {
                    begun.push((second, node.name().to_string()));
                }
            }
        }
        assert_eq!(begun, [(350, "n1".to_string()), (360, "n2".to_string())]);
    }
}
