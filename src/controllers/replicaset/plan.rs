//! What a ReplicaSet needs, from the set and the pods of its namespace. Pure.

use crate::{
    pods::ranked,
    shared::{is_active, ready_since},
};
use base::reached;
use objects::{Object, owner, selector::LabelSelector, time};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Creations or deletions in one sync (upstream: BurstReplicas).
const BURST: usize = 500;

#[derive(Debug, Default)]
pub struct Plan {
    pub adopt: Vec<Arc<Object>>,
    pub release: Vec<Arc<Object>>,
    pub create: usize,
    pub delete: Vec<Arc<Object>>,
    /// How long to wait for the cache before anything is created or deleted.
    pub wait: Option<Duration>,
    /// When a pod will have been ready for minReadySeconds.
    pub look_again: Option<Duration>,
    /// Why the last creation or deletion failed.
    pub failure: Option<String>,
    active: i64,
    labelled: i64,
    ready: i64,
    available: i64,
}

/// The set's selector; None, which matches nothing, when there is none that can be read.
pub fn selector(set: &Object) -> Option<LabelSelector> {
    let selector = set.get(&["spec", "selector"]);
    selector.and_then(|_| LabelSelector::from_value(selector).ok())
}

/// `pods`: at least those that the set controls and, of its namespace, those that nothing controls. `now`: nanoseconds since 1970.
pub fn plan(set: &Object, pods: &[Arc<Object>], now: u64) -> Plan {
    let mut plan = Plan::default();
    let mut mine: Vec<Arc<Object>> = vec![];
    let selector = selector(set);
    let selects = |pod: &Object| selector.as_ref().is_some_and(|selector| selector.matches(pod));
    for pod in pods {
        let controller = owner::controller_uid(pod);
        let ours = controller.is_some_and(|uid| uid == set.uid());
        match (ours, controller.is_some(), selects(pod)) {
            (true, _, true) => mine.push(pod.clone()),
            (true, _, false) if pod.deletion_timestamp().is_none() => plan.release.push(pod.clone()),
            (false, false, true) if is_active(pod) => {
                plan.adopt.push(pod.clone());
                mine.push(pod.clone());
            }
            _ => {}
        }
    }
    mine.retain(|pod| is_active(pod));
    plan.count(set, &mine, now);
    let wanted = set.get_i64(&["spec", "replicas"]).unwrap_or(1).max(0) as usize;
    if mine.len() < wanted {
        plan.create = (wanted - mine.len()).min(BURST);
    } else if mine.len() > wanted {
        let surplus = (mine.len() - wanted).min(BURST);
        plan.delete = ranked(&mine).into_iter().take(surplus).collect();
        let ready = plan.delete.iter().filter(|pod| ready_since(pod).is_some()).count();
        reached!("replicaset: a pod that is not ready is sent away", ready < plan.delete.len());
        reached!("replicaset: a pod that is ready is sent away", ready > 0);
    }
    plan
}

/// How many of these pods the set has and are available.
pub fn available(set: &Object, pods: &[Arc<Object>], now: u64) -> i64 {
    let selector = selector(set);
    let selects = |pod: &Object| selector.as_ref().is_some_and(|selector| selector.matches(pod));
    let own =
        |pod: &&Arc<Object>| owner::controller_uid(pod) == Some(set.uid()) && selects(pod) && is_active(pod);
    let mut plan = Plan::default();
    plan.count(set, &pods.iter().filter(own).cloned().collect::<Vec<_>>(), now);
    plan.available
}

impl Plan {
    /// Takes the counts, and no more, of a later plan.
    pub fn recount(&mut self, later: Plan) {
        let Plan { active, labelled, ready, available, look_again, .. } = later;
        (self.active, self.labelled, self.ready, self.available) = (active, labelled, ready, available);
        self.look_again = look_again;
    }

    fn count(&mut self, set: &Object, mine: &[Arc<Object>], now: u64) {
        let least = set.get_i64(&["spec", "minReadySeconds"]).unwrap_or(0).max(0) as u64 * 1_000_000_000;
        let labels = set.strings(&["spec", "template", "metadata", "labels"]);
        for pod in mine {
            self.active += 1;
            self.labelled += i64::from(labels.iter().all(|(key, value)| pod.label(key) == Some(*value)));
            let Some(since) = ready_since(pod) else { continue };
            self.ready += 1;
            let due = time::parse_rfc3339(since).unwrap_or(now) + least;
            if least == 0 || due <= now {
                self.available += 1;
            } else {
                let wait = Duration::from_nanos(due - now);
                self.look_again = Some(self.look_again.map_or(wait, |other| other.min(wait)));
            }
        }
    }

    /// The set's status, as upstream counts it.
    pub fn status(&self, set: &Object) -> Value {
        let mut status = json!({ "replicas": self.active, "observedGeneration": set.generation() });
        let counts = [
            ("fullyLabeledReplicas", self.labelled),
            ("readyReplicas", self.ready),
            ("availableReplicas", self.available),
        ];
        for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
            status[*name] = (*count).into();
        }
        if let Some(failure) = &self.failure {
            let reason = if self.create > 0 { "FailedCreate" } else { "FailedDelete" };
            status["conditions"] = json!([{ "type": "ReplicaFailure", "status": "True", "reason": reason,
                "message": failure }]);
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use objects::OwnerRef;

    fn set(replicas: i64) -> Object {
        let value = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": { "name": "rs", "namespace": "d", "uid": "rs-uid" },
            "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [] } } } });
        Object::from_value(value).expect("a set")
    }

    fn pod(name: &str, node: &str, ready: &str) -> Arc<Object> {
        let mut value = json!({ "apiVersion": "v1", "kind": "Pod", "spec": {},
            "metadata": { "name": name, "namespace": "d", "uid": name, "labels": { "app": "web" },
                "creationTimestamp": "2026-01-01T00:00:00Z" },
            "status": { "phase": "Running" } });
        if !node.is_empty() {
            value["spec"]["nodeName"] = node.into();
        }
        if !ready.is_empty() {
            value["status"]["conditions"] =
                json!([{ "type": "Ready", "status": "True", "lastTransitionTime": ready }]);
        }
        let mut pod = Object::from_value(value).expect("a pod");
        pod.set_owner_refs(&[OwnerRef::controller_of(&set(1))]);
        Arc::new(pod)
    }

    fn names(pods: &[Arc<Object>]) -> Vec<&str> {
        pods.iter().map(|pod| pod.name()).collect()
    }

    #[test]
    fn a_shortfall_is_created_and_a_surplus_deleted() {
        assert_eq!(plan(&set(3), &[pod("a", "n", "")], 0).create, 2);
        let pods = [pod("a", "n", "2026-01-01T00:00:09Z"), pod("b", "n", ""), pod("c", "", "")];
        let plan = plan(&set(1), &pods, 0);
        assert_eq!(names(&plan.delete), ["c", "b"], "first the one without a node, then the one not ready");
    }

    #[test]
    fn pods_that_end_or_leave_do_not_count() {
        let mut leaving = (*pod("a", "n", "")).clone();
        leaving.set(&["metadata", "deletionTimestamp"], "2026-01-01T00:00:00Z");
        let mut failed = (*pod("b", "n", "")).clone();
        failed.set(&["status", "phase"], "Failed");
        assert_eq!(plan(&set(2), &[Arc::new(leaving), Arc::new(failed)], 0).create, 2);
    }

    #[test]
    fn an_orphan_is_adopted_and_a_stranger_released() {
        let mut orphan = (*pod("a", "n", "")).clone();
        orphan.set_owner_refs(&[]);
        let mut stranger = (*pod("b", "n", "")).clone();
        stranger.set_label("app", "other");
        let plan = plan(&set(1), &[Arc::new(orphan), Arc::new(stranger)], 0);
        assert_eq!((names(&plan.adopt), names(&plan.release), plan.create), (vec!["a"], vec!["b"], 0));
    }

    /// One pair for each step of the ranking; of each the first goes first, whatever the steps after it say.
    #[test]
    fn whom_to_delete_first_is_ranked_as_upstream_ranks() {
        let at = |second: u8| format!("2026-01-01T00:00:{second:02}Z");
        let ready = |name: &str, node: &str| (*pod(name, node, &at(10))).clone();
        let set_in = |mut pod: Object, path: &[&str], value: serde_json::Value| {
            pod.set(path, value);
            pod
        };
        let cost = |pod: Object, cost: &str| {
            let annotation = ["metadata", "annotations", "controller.kubernetes.io/pod-deletion-cost"];
            set_in(pod, &annotation, json!(cost))
        };
        let restarted = |pod: Object, count: u64| {
            set_in(pod, &["status", "containerStatuses"], json!([{ "restartCount": count }]))
        };
        let made =
            |pod: Object, second: u8| set_in(pod, &["metadata", "creationTimestamp"], json!(at(second)));
        let pending =
            |name: &str| set_in((*pod(name, "n", "")).clone(), &["status", "phase"], json!("Pending"));
        let pairs = [
            ("not bound", (*pod("z", "", "")).clone(), pending("a")),
            ("pending", pending("z"), (*pod("a", "n", "")).clone()),
            ("not ready", cost((*pod("z", "n", "")).clone(), "9"), ready("a", "n")),
            ("cheap", cost(made(ready("z", "n"), 1), "-5"), cost(made(ready("a", "n"), 2), "5")),
            (
                "ready for a short time",
                restarted((*pod("z", "n", &at(20))).clone(), 0),
                restarted(ready("a", "n"), 5),
            ),
            (
                "restarted often",
                made(restarted(ready("z", "n"), 5), 1),
                made(restarted(ready("a", "n"), 1), 2),
            ),
            ("young", made(ready("z", "n"), 2), made(ready("a", "n"), 1)),
            ("by name", ready("a", "n"), ready("z", "n")),
        ];
        for (why, first, second) in pairs {
            let goes = first.name().to_string();
            for pods in [[first.clone(), second.clone()], [second, first]] {
                let pods = pods.map(Arc::new);
                assert_eq!(names(&plan(&set(1), &pods, 0).delete), [goes.as_str()], "{why}");
            }
        }
        let crowd =
            [made(ready("a", "x"), 1), made(ready("b", "y"), 1), made(ready("c", "y"), 1)].map(Arc::new);
        assert_eq!(names(&plan(&set(2), &crowd, 0).delete), ["b"], "of many on one node");
    }

    #[test]
    fn a_pod_is_available_when_it_was_ready_for_long_enough() {
        let mut set = set(2);
        set.set(&["spec", "minReadySeconds"], 10);
        let pods = [pod("a", "n", "2026-01-01T00:00:00Z"), pod("b", "n", "2026-01-01T00:00:07Z")];
        let now = time::parse_rfc3339("2026-01-01T00:00:12Z").unwrap();
        let early = plan(&set, &pods, now);
        let status = early.status(&set);
        assert_eq!((&status["readyReplicas"], &status["availableReplicas"]), (&json!(2), &json!(1)));
        assert_eq!(early.look_again, Some(Duration::from_secs(5)));
        assert_eq!(plan(&set, &pods, now + 5_000_000_000).status(&set)["availableReplicas"], 2);
        assert_eq!([now, now + 5_000_000_000].map(|now| available(&set, &pods, now)), [1, 2]);
        set.set(&["metadata", "uid"], "another");
        assert_eq!(available(&set, &pods, now), 0, "they are not its own");
    }
}
