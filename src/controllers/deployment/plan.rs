//! What a Deployment needs, from the deployment and its replica sets. Pure.

use super::{rollout, status};
use crate::replicaset;
use base::reached;
use objects::{Object, OwnerRef, owner::pod_template_hash, selector::LabelSelector};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub const REVISION: &str = "deployment.kubernetes.io/revision";
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub const MAX: &str = "deployment.kubernetes.io/max-replicas";
pub const HASH: &str = "pod-template-hash";

/// A set as it is, and as it should be.
#[derive(Clone, Debug)]
pub struct Update {
    pub old: Arc<Object>,
    pub new: Object,
}

#[derive(Debug, Default)]
pub struct Plan {
    /// The new set, when there is none.
    pub create: Option<Object>,
    pub updates: Vec<Update>,
    /// Old sets beyond the history limit.
    pub drop: Vec<Arc<Object>>,
    pub revision: Option<String>,
    pub status: Value,
    pub look_again: Option<Duration>,
    /// It takes pods away because enough others are counted as available.
    pub counts: bool,
}

pub fn selects(deployment: &Object, object: &Object) -> bool {
    let selector = deployment.get(&["spec", "selector"]);
    selector.is_some() && LabelSelector::from_value(selector).is_ok_and(|selector| selector.matches(object))
}

/// True when the set's template is the deployment's, but for the hash label.
pub fn is_new(deployment: &Object, set: &Object) -> bool {
    let mut template = set.get(&["spec", "template"]).cloned().unwrap_or(Value::Null);
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    deployment.get(&["spec", "template"]).is_some_and(|wanted| same(wanted, &template))
}

/// Equal, an absent field and an empty one being the same.
fn same(a: &Value, b: &Value) -> bool {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys());
            keys.into_iter()
                .all(|key| same(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => a == b || (empty(a) && empty(b)),
    }
}

pub fn replicas(object: &Object) -> i64 {
    object.get_i64(&["spec", "replicas"]).unwrap_or(1).max(0)
}

pub fn available(set: &Object) -> i64 {
    set.get_i64(&["status", "availableReplicas"]).unwrap_or(0)
}

/// The set, with what its own among these pods say of how many are available.
pub fn recounted(set: &Object, pods: &[Arc<Object>], now: u64) -> Object {
    let available = replicaset::plan::available(set, pods, now);
    reached!(
        "deployment: a set does not tell yet which pods are available",
        available != self::available(set)
    );
    let mut set = set.clone();
    set.set(&["status", "availableReplicas"], available);
    set
}

/// True when the status was counted for the size the set has now. The ReplicaSet controller counts without the
/// pods it has sent away, so that such a status promises no pod that is about to go.
pub fn is_counted(set: &Object) -> bool {
    set.get_i64(&["status", "observedGeneration"]).unwrap_or(0) >= set.generation()
}

fn revision_of(set: &Object) -> i64 {
    set.annotation(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The deployment's sets, sorted out.
pub struct Sets {
    /// The oldest of those with the deployment's template: two may exist for a moment.
    pub new: Option<Arc<Object>>,
    /// In the order of creation.
    pub old: Vec<Arc<Object>>,
}

impl Sets {
    fn sort_out(deployment: &Object, sets: &[Arc<Object>]) -> Sets {
        let mut sets = sets.to_vec();
        let age = |set: &Arc<Object>| (set.creation_timestamp().to_string(), set.name().to_string());
        sets.sort_by_key(age);
        let new = sets.iter().find(|set| is_new(deployment, set)).cloned();
        let old: Vec<Arc<Object>> =
            sets.into_iter().filter(|set| new.as_ref().is_none_or(|new| new.uid() != set.uid())).collect();
        reached!(
            "deployment: two replica sets have its template",
            old.iter().any(|set| is_new(deployment, set))
        );
        Sets { new, old }
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.old.iter().chain(&self.new)
    }
}

/// Only what can be seen: the status, nothing to do.
pub fn observe(deployment: &Object, sets: &[Arc<Object>], now: u64) -> Plan {
    let sets = Sets::sort_out(deployment, sets);
    let (status, look_again) = status::of(deployment, &sets, now);
    Plan { status, look_again, ..Default::default() }
}

/// `old_pods`: pods of old sets are still there. `now`: nanoseconds since 1970.
pub fn plan(deployment: &Object, all: &[Arc<Object>], old_pods: bool, now: u64) -> Plan {
    let sets = Sets::sort_out(deployment, all);
    let mut plan = observe(deployment, all, now);
    let paused = deployment.get_bool(&["spec", "paused"]);
    let revision = sets.old.iter().map(|set| revision_of(set)).max().unwrap_or(0) + 1;
    let current = sets.new.as_ref().map_or(0, |set| revision_of(set));
    reached!("deployment: a rollout goes back to an older template", current > 0 && current < revision);
    reached!(
        "deployment: a rollout overtakes one that is not done",
        sets.old.iter().filter(|set| replicas(set) > 0).count() > 1
    );
    let revision = revision.max(current);
    if sets.new.is_some() || !paused {
        plan.revision = Some(revision.to_string());
    }
    let (scaling, recreates) = (rollout::is_scaling(deployment, &sets), recreates(deployment));
    if scaling && !paused && !recreates && rollout::must_wait(&sets) {
        reached!("deployment: scaling waits for the pods to be counted");
        return plan;
    }
    let targets = match (paused || scaling, recreates) {
        (true, _) => rollout::scaled(deployment, &sets),
        (false, true) => rollout::recreated(deployment, &sets, old_pods),
        (false, false) => rollout::rolled(deployment, &sets),
    };
    plan.counts = !recreates && sets.old.iter().any(|set| targets.old(set) < replicas(set));
    if sets.new.is_none() && !paused {
        let count = targets.new;
        plan.create = count.map(|count| new_set(deployment, count, revision));
    }
    for set in sets.all() {
        let new = sets.new.as_ref().is_some_and(|new| new.uid() == set.uid());
        let count = if new { targets.new.unwrap_or(replicas(set)) } else { targets.old(set) };
        plan.updates.extend(updated(deployment, set, count, new.then_some(revision)));
    }
    // Scale down comes after scale up: within one sync the pods that exist are never fewer than planned.
    plan.updates.sort_by_key(|update| replicas(&update.new) < replicas(&update.old));
    plan.drop = too_old(deployment, &sets);
    plan
}

fn recreates(deployment: &Object) -> bool {
    deployment.get_str(&["spec", "strategy", "type"]) == "Recreate"
}

/// The set with this count and these annotations, if that changes it.
fn updated(deployment: &Object, set: &Arc<Object>, count: i64, revision: Option<i64>) -> Option<Update> {
    let mut new = (**set).clone();
    if replicas(set) != count {
        new.set(&["spec", "replicas"], count);
    }
    if count > 0 || revision.is_some() {
        annotate(&mut new, deployment);
    }
    if let Some(revision) = revision {
        new.set_annotation(REVISION, &revision.to_string());
        let least = deployment.get_i64(&["spec", "minReadySeconds"]);
        if let Some(least) = least.filter(|least| set.get_i64(&["spec", "minReadySeconds"]) != Some(*least)) {
            new.set(&["spec", "minReadySeconds"], least);
        }
    }
    (new.value() != set.value()).then(|| Update { old: set.clone(), new })
}

fn annotate(set: &mut Object, deployment: &Object) {
    let wanted = replicas(deployment);
    set.set_annotation(DESIRED, &wanted.to_string());
    set.set_annotation(MAX, &(wanted + rollout::Bounds::of(deployment).surge).to_string());
}

fn new_set(deployment: &Object, count: i64, revision: i64) -> Object {
    let mut template = deployment.get(&["spec", "template"]).cloned().unwrap_or_else(|| json!({}));
    let collisions = deployment.get_i64(&["status", "collisionCount"]).unwrap_or(0);
    let hash = pod_template_hash(&template, collisions);
    objects::object::set(&mut template, &["metadata", "labels", HASH], hash.clone().into());
    let mut selector = deployment.get(&["spec", "selector"]).cloned().unwrap_or_else(|| json!({}));
    objects::object::set(&mut selector, &["matchLabels", HASH], hash.clone().into());
    let mut set = Object::new("apps/v1", "ReplicaSet");
    set.set_name(&format!("{}-{hash}", deployment.name()));
    set.set_namespace(deployment.namespace().unwrap_or_default());
    let labels =
        objects::object::get(&template, &["metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
    set.set(&["metadata", "labels"], labels);
    set.set_owner_refs(&[OwnerRef::controller_of(deployment)]);
    set.set(&["spec", "replicas"], count);
    set.set(&["spec", "minReadySeconds"], deployment.get_i64(&["spec", "minReadySeconds"]).unwrap_or(0));
    set.set(&["spec", "selector"], selector);
    set.set(&["spec", "template"], template);
    annotate(&mut set, deployment);
    set.set_annotation(REVISION, &revision.to_string());
    set
}

/// Old sets without pods, beyond spec.revisionHistoryLimit, lowest revisions first.
fn too_old(deployment: &Object, sets: &Sets) -> Vec<Arc<Object>> {
    let limit = deployment.get_i64(&["spec", "revisionHistoryLimit"]).unwrap_or(10).max(0) as usize;
    let idle = |set: &&Arc<Object>| {
        let status = |name| set.get_i64(&["status", name]).unwrap_or(0);
        let seen = status("observedGeneration") >= set.generation();
        replicas(set) == 0 && status("replicas") == 0 && seen && set.deletion_timestamp().is_none()
    };
    let mut idle: Vec<Arc<Object>> = sets.old.iter().filter(idle).cloned().collect();
    if sets.old.len() <= limit {
        return vec![];
    }
    idle.sort_by_key(|set| revision_of(set));
    let surplus = sets.old.len() - limit;
    idle.into_iter().take(surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(image: &str, limit: i64) -> Object {
        let template = json!({ "metadata": { "labels": { "app": "d" } },
            "spec": { "containers": [{ "name": "c", "image": image }] } });
        let value = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "d", "namespace": "n", "uid": "d", "generation": 1 },
            "spec": { "replicas": 2, "revisionHistoryLimit": limit, "template": template,
                "strategy": { "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } }, "selector": { "matchLabels": { "app": "d" } } } });
        Object::from_value(value).expect("a deployment")
    }

    /// The set that a plan makes for this image, of this revision, with so many pods that are all available.
    fn set(image: &str, revision: i64, count: i64) -> Arc<Object> {
        let mut set = new_set(&deployment(image, 10), count, revision);
        set.set(&["metadata", "uid"], image);
        set.set(&["metadata", "creationTimestamp"], format!("2026-01-01T00:00:{revision:02}Z"));
        set.set(&["metadata", "generation"], 1);
        set.set(
            &["status"],
            json!({ "replicas": count, "availableReplicas": count, "observedGeneration": 1 }),
        );
        Arc::new(set)
    }

    fn dropped(plan: &Plan) -> Vec<&str> {
        plan.drop.iter().map(|set| set.uid()).collect()
    }

    #[test]
    fn a_new_template_is_a_new_set_of_the_next_revision() {
        let plan = plan(&deployment("v3", 10), &[set("v1", 1, 0), set("v2", 2, 2)], true, 0);
        let new = plan.create.expect("a set");
        let hash = new.label(HASH).expect("a hash").to_string();
        assert_eq!(new.name(), format!("d-{hash}"));
        assert_eq!(new.get_str(&["spec", "selector", "matchLabels", HASH]), hash);
        assert_eq!(new.get_str(&["spec", "template", "metadata", "labels", HASH]), hash);
        assert_eq!((new.annotation(REVISION), plan.revision.as_deref()), (Some("3"), Some("3")));
        assert!(is_new(&deployment("v3", 10), &new) && !is_new(&deployment("v2", 10), &new));
        assert_eq!(objects::owner::controller_ref(&new).map(|owner| owner.uid).as_deref(), Some("d"));
    }

    #[test]
    fn going_back_takes_the_old_set_again_as_the_newest_revision() {
        let plan = plan(&deployment("v1", 10), &[set("v1", 1, 0), set("v2", 2, 2)], true, 0);
        assert!(plan.create.is_none());
        let update = plan.updates.iter().find(|update| update.old.uid() == "v1").expect("the old set");
        assert_eq!((update.new.annotation(REVISION), plan.revision.as_deref()), (Some("3"), Some("3")));
        assert!(replicas(&update.new) > 0);
    }

    #[test]
    fn history_is_kept_up_to_its_limit_and_the_oldest_go_first() {
        let all = [set("v3", 3, 0), set("v1", 1, 0), set("v2", 2, 0), set("v4", 4, 2)];
        assert_eq!(dropped(&plan(&deployment("v4", 10), &all, false, 0)), [""; 0]);
        assert_eq!(dropped(&plan(&deployment("v4", 1), &all, false, 0)), ["v1", "v2"]);
        assert_eq!(dropped(&plan(&deployment("v4", 0), &all, false, 0)), ["v1", "v2", "v3"]);
        let busy = [set("v1", 1, 1), set("v2", 2, 0), set("v4", 4, 2)];
        assert_eq!(dropped(&plan(&deployment("v4", 0), &busy, true, 0)), ["v2"], "not one that has pods");
        let mut unseen = (*set("v1", 1, 0)).clone();
        unseen.set(&["metadata", "generation"], 2);
        let all = [Arc::new(unseen), set("v4", 4, 2)];
        assert_eq!(dropped(&plan(&deployment("v4", 0), &all, true, 0)), [""; 0], "nor one not counted yet");
    }

    /// Two sets say that none of their pods is available; of the first that is no longer true.
    #[test]
    fn pods_that_are_available_stay_whatever_their_set_tells() {
        let told = |image, revision, count, available: i64| {
            let mut set = (*set(image, revision, count)).clone();
            set.set(&["status", "availableReplicas"], available);
            Arc::new(set)
        };
        let sets = [told("v1", 1, 2, 0), told("v2", 2, 1, 0), told("v3", 3, 0, 0)];
        let sizes = |plan: &Plan| {
            let of = |set: &Arc<Object>| {
                let update = plan.updates.iter().find(|update| update.old.uid() == set.uid());
                replicas(update.map_or(set, |update| &update.new))
            };
            sets.iter().map(of).collect::<Vec<_>>()
        };
        let believed = plan(&deployment("v3", 10), &sets, true, 0);
        assert!(believed.counts);
        assert_eq!(sizes(&believed), [1, 1, 0]);
        let mut pod = crate::pods::pod_of(&sets[0]);
        let ready =
            json!([{ "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z" }]);
        pod.set(&["status", "conditions"], ready);
        let pods = [Arc::new(pod.clone()), Arc::new(pod)];
        let counted = sets.each_ref().map(|set| Arc::new(recounted(set, &pods, 0)));
        assert_eq!(counted.each_ref().map(|set| available(set)), [2, 0, 0]);
        assert_eq!(sizes(&plan(&deployment("v3", 10), &counted, true, 0)), [2, 0, 0]);
    }

    #[test]
    fn a_paused_deployment_is_scaled_and_not_rolled() {
        let mut paused = deployment("v2", 10);
        paused.set(&["spec", "paused"], true);
        paused.set(&["spec", "replicas"], 5);
        let plan = plan(&paused, &[set("v1", 1, 2)], true, 0);
        assert!(plan.create.is_none());
        assert_eq!(plan.updates.iter().map(|update| replicas(&update.new)).collect::<Vec<_>>(), [5]);
    }
}
