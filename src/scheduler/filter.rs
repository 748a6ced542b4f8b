//! Which nodes could run a pod. Pure. Reasons are upstream's (kube-scheduler's plugins), because people and
//! scripts read them in Events and conditions.

use crate::view::{NodeView, Resources, requests};
use base::reached;
use objects::Object;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a pod wants of its node, read once for all nodes.
pub struct Wants<'a> {
    pod: &'a Object,
    pub asks: Resources,
    /// It names nodes by labels or fields; hardly any does.
    picky: bool,
}

const AFFINITY: [&str; 4] =
    ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];

impl<'a> Wants<'a> {
    pub fn of(pod: &'a Object) -> Self {
        let picky = pod.get(&["spec", "nodeSelector"]).is_some() || pod.get(&AFFINITY).is_some();
        Wants { pod, asks: requests(pod), picky }
    }

    /// Why a node cannot run the pod; None when it can.
    pub fn refusal(&self, view: &NodeView) -> Option<String> {
        let (pod, node) = (self.pod, view.node.as_ref()?);
        let cordoned = view.repels.then(|| unschedulable(pod, node)).flatten();
        let unselected = || self.picky.then(|| not_selected(pod, node)).flatten();
        let tainted = || view.repels.then(|| untolerated(pod, node)).flatten();
        cordoned.or_else(unselected).or_else(tainted).or_else(|| too_full(&self.asks, view))
    }
}

/// The message for a pod that fits nowhere: how many nodes, and each reason with its count.
pub fn summary(nodes: usize, reasons: &BTreeMap<String, usize>) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".into();
    }
    let mut parts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    format!("0/{nodes} nodes are available: {}.", parts.join(", "))
}

fn unschedulable(pod: &Object, node: &Object) -> Option<String> {
    let cordoned = node.get_bool(&["spec", "unschedulable"]);
    let taint = serde_json::json!({ "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" });
    (cordoned && !tolerated(pod, &taint)).then(|| "node(s) were unschedulable".into())
}

fn not_selected(pod: &Object, node: &Object) -> Option<String> {
    let labels = node.labels();
    let selected = pod.strings(&["spec", "nodeSelector"]).iter().all(|(k, v)| labels.get(k) == Some(v));
    let terms = pod.get(&AFFINITY).and_then(|value| value.get("nodeSelectorTerms")).and_then(Value::as_array);
    let affine = terms.is_none_or(|terms| terms.iter().any(|term| term_matches(term, node, &labels)));
    (!selected || !affine).then(|| "node(s) didn't match Pod's node affinity/selector".into())
}

/// An empty term matches nothing (core/v1 NodeSelectorTerm).
fn term_matches(term: &Value, node: &Object, labels: &BTreeMap<&str, &str>) -> bool {
    let list = |name: &str| term.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (expressions, fields) = (list("matchExpressions"), list("matchFields"));
    let by_name = BTreeMap::from([("metadata.name", node.name())]);
    (!expressions.is_empty() || !fields.is_empty())
        && expressions.iter().all(|wanted| requirement(wanted, labels))
        && fields.iter().all(|wanted| requirement(wanted, &by_name))
}

fn requirement(wanted: &Value, labels: &BTreeMap<&str, &str>) -> bool {
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).unwrap_or_default();
    let values: Vec<&str> = match wanted.get("values").and_then(Value::as_array) {
        Some(values) => values.iter().filter_map(Value::as_str).collect(),
        None => vec![],
    };
    let label = labels.get(text("key")).copied();
    let compared = |greater: bool| {
        let (label, bound) =
            (label.and_then(|l| l.parse::<i64>().ok()), values.first().and_then(|v| v.parse().ok()));
        matches!((label, bound), (Some(l), Some(b)) if if greater { l > b } else { l < b })
    };
    match text("operator") {
        "In" => label.is_some_and(|label| values.contains(&label)),
        "NotIn" => label.is_none_or(|label| !values.contains(&label)),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        "Gt" => compared(true),
        "Lt" => compared(false),
        _ => false,
    }
}

fn untolerated(pod: &Object, node: &Object) -> Option<String> {
    let hard = |taint: &&Value| matches!(taint["effect"].as_str(), Some("NoSchedule" | "NoExecute"));
    let taint =
        node.get_array(&["spec", "taints"]).iter().filter(hard).find(|taint| !tolerated(pod, taint))?;
    reached!("scheduler: a taint keeps a pod away from a node");
    let text = |name: &str| taint[name].as_str().unwrap_or_default();
    Some(format!("node(s) had untolerated taint {{{}: {}}}", text("key"), text("value")))
}

/// core/v1 Toleration: an empty key with Exists tolerates all; an empty effect all effects.
fn tolerated(pod: &Object, taint: &Value) -> bool {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_string();
    pod.get_array(&["spec", "tolerations"]).iter().any(|toleration| {
        let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
        let exists = text(toleration, "operator") == "Exists";
        (effect.is_empty() || effect == text(taint, "effect"))
            && (key == text(taint, "key") || (key.is_empty() && exists))
            && (exists || text(toleration, "value") == text(taint, "value"))
    })
}

fn too_full(asks: &Resources, view: &NodeView) -> Option<String> {
    let (has, given) = (&view.allocatable, &view.requested);
    if given.pods + 1 > has.pods {
        reached!("scheduler: a node has as many pods as it may");
        return Some("Too many pods".into());
    }
    if asks.cpu_milli > 0 && given.cpu_milli + asks.cpu_milli > has.cpu_milli {
        reached!("scheduler: a node has no room left");
        return Some("Insufficient cpu".into());
    }
    (asks.memory > 0 && given.memory + asks.memory > has.memory).then(|| "Insufficient memory".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{
        View,
        tests::{node, pod},
    };
    use serde_json::json;
    use std::sync::Arc;

    fn refused(pod: &Object, node: Object, taken: &[Object]) -> Option<String> {
        let mut view = View::default();
        view.set_node(&Arc::new(node));
        for other in taken {
            view.set_pod(other);
        }
        let (_, view) = view.nodes().next().expect("one node");
        Wants::of(pod).refusal(view)
    }

    fn plain() -> Object {
        (*node("n", "1", "1Gi")).clone()
    }

    #[test]
    fn a_full_node_refuses_in_upstreams_words() {
        let taken = [pod("a", "600m", "n")];
        assert_eq!(refused(&pod("p", "400m", ""), plain(), &taken), None);
        assert_eq!(refused(&pod("p", "401m", ""), plain(), &taken).as_deref(), Some("Insufficient cpu"));
        let many = [pod("a", "1m", "n"), pod("b", "1m", "n"), pod("c", "1m", "n")];
        assert_eq!(refused(&pod("p", "1m", ""), plain(), &many).as_deref(), Some("Too many pods"));
    }

    #[test]
    fn a_taint_is_refused_unless_tolerated() {
        let mut tainted = plain();
        tainted.set(&["spec", "taints"], json!([{ "key": "k", "value": "v", "effect": "NoSchedule" }]));
        let mut tolerant = pod("p", "1m", "");
        assert_eq!(
            refused(&tolerant, tainted.clone(), &[]).as_deref(),
            Some("node(s) had untolerated taint {k: v}")
        );
        tolerant.set(&["spec", "tolerations"], json!([{ "key": "k", "operator": "Exists" }]));
        assert_eq!(refused(&tolerant, tainted, &[]), None);
    }

    #[test]
    fn a_selector_and_a_cordon_are_honoured() {
        let mut picky = pod("p", "1m", "");
        picky.set(&["spec", "nodeSelector"], json!({ "disk": "ssd" }));
        assert!(refused(&picky, plain(), &[]).is_some());
        let mut labelled = plain();
        labelled.set_label("disk", "ssd");
        assert_eq!(refused(&picky, labelled.clone(), &[]), None);
        labelled.set(&["spec", "unschedulable"], true);
        assert_eq!(refused(&picky, labelled, &[]).as_deref(), Some("node(s) were unschedulable"));
    }

    #[test]
    fn memory_counts_and_so_do_init_containers() {
        let asks = |memory: &str| {
            let mut asks = pod("p", "1m", "");
            let container = json!({ "name": "c", "resources": { "requests": { "memory": memory } } });
            asks.set(&["spec", "containers"], json!([container]));
            asks
        };
        let taken = [pod("a", "1m", "n")]; // and 1Mi
        assert_eq!(refused(&asks("1023Mi"), plain(), &taken), None);
        assert_eq!(refused(&asks("1024Mi"), plain(), &taken).as_deref(), Some("Insufficient memory"));
        let mut hungry = pod("p", "1m", "");
        let init = json!({ "name": "i", "resources": { "requests": { "cpu": "2" } } });
        hungry.set(&["spec", "initContainers"], json!([init]));
        assert_eq!(refused(&hungry, plain(), &[]).as_deref(), Some("Insufficient cpu"));
    }

    #[test]
    fn an_affinity_to_nodes_is_honoured() {
        let wants = |term: Value| {
            let mut picky = pod("p", "1m", "");
            let path = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];
            picky.set(&path, json!({ "nodeSelectorTerms": [term] }));
            let mut labelled = plain();
            labelled.set_label("cores", "8");
            refused(&picky, labelled, &[]).is_none()
        };
        let expression = |operator: &str, values: Value| {
            wants(json!({ "matchExpressions": [{ "key": "cores", "operator": operator, "values": values }] }))
        };
        assert!(expression("In", json!(["4", "8"])) && !expression("In", json!(["4"])));
        assert!(expression("NotIn", json!(["4"])) && !expression("NotIn", json!(["8"])));
        assert!(expression("Exists", json!([])) && !expression("DoesNotExist", json!([])));
        assert!(expression("Gt", json!(["7"])) && !expression("Gt", json!(["8"])));
        assert!(expression("Lt", json!(["9"])) && !expression("Lt", json!(["8"])));
        let by_name = |name: &str| {
            wants(json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [name] }] }))
        };
        assert!(by_name("n") && !by_name("m") && !wants(json!({})));
    }

    #[test]
    fn a_toleration_must_fit_key_value_and_effect() {
        let tolerates = |toleration: Value| {
            let mut tainted = plain();
            tainted.set(&["spec", "taints"], json!([{ "key": "k", "value": "v", "effect": "NoExecute" }]));
            let mut tolerant = pod("p", "1m", "");
            tolerant.set(&["spec", "tolerations"], json!([toleration]));
            refused(&tolerant, tainted, &[]).is_none()
        };
        assert!(
            tolerates(json!({ "key": "k", "value": "v" })) && !tolerates(json!({ "key": "k", "value": "w" }))
        );
        assert!(
            tolerates(json!({ "operator": "Exists" }))
                && !tolerates(json!({ "key": "l", "operator": "Exists" }))
        );
        assert!(!tolerates(json!({ "key": "k", "operator": "Exists", "effect": "NoSchedule" })));
        let mut mild = plain();
        mild.set(&["spec", "taints"], json!([{ "key": "k", "effect": "PreferNoSchedule" }]));
        assert_eq!(refused(&pod("p", "1m", ""), mild, &[]), None, "a preference refuses nobody");
        let mut cordoned = plain();
        cordoned.set(&["spec", "unschedulable"], true);
        let mut daemon = pod("p", "1m", "");
        let toleration = json!([{ "key": "node.kubernetes.io/unschedulable", "operator": "Exists" }]);
        daemon.set(&["spec", "tolerations"], toleration);
        assert_eq!(refused(&daemon, cordoned, &[]), None);
    }

    #[test]
    fn reasons_are_counted_and_told_in_order() {
        let reasons = BTreeMap::from([("Too many pods".to_string(), 1), ("Insufficient cpu".to_string(), 2)]);
        let text = "0/3 nodes are available: 1 Too many pods, 2 Insufficient cpu.";
        assert_eq!(summary(3, &reasons), text);
        assert_eq!(summary(0, &BTreeMap::new()), "no nodes available to schedule pods");
    }
}
