//! What every node has and has given away. Pure, kept up to date change by change: a scheduling decision
//! costs a look at the nodes, not at every pod.

use base::reached;
use objects::{Object, quantity::Quantity};
use std::{collections::BTreeMap, sync::Arc};

/// CPU in thousandths, memory in bytes, pods in ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    pub cpu_milli: i64,
    pub memory: i64,
    pub pods: i64,
}

impl Resources {
    fn add(&mut self, other: &Resources, sign: i64) {
        self.cpu_milli += sign * other.cpu_milli;
        self.memory += sign * other.memory;
        self.pods += sign * other.pods;
    }

    /// What a map like `status.allocatable` or `resources.requests` says; what cannot be read counts as 0.
    fn of(map: Option<&serde_json::Map<String, serde_json::Value>>) -> Resources {
        let quantity = |name: &str| {
            let value = map.and_then(|map| map.get(name));
            value.and_then(|value| Quantity::from_value(value).ok()).unwrap_or(Quantity::from_units(0))
        };
        Resources {
            cpu_milli: quantity("cpu").milli(),
            memory: quantity("memory").units(),
            pods: quantity("pods").units(),
        }
    }
}

/// What a pod asks for: the sum of its containers, or the largest init container if that is more.
pub fn requests(pod: &Object) -> Resources {
    let of = |container: &serde_json::Value| {
        Resources::of(objects::object::get(container, &["resources", "requests"]).and_then(|v| v.as_object()))
    };
    let mut sum = Resources { pods: 1, ..Default::default() };
    for container in pod.get_array(&["spec", "containers"]) {
        sum.add(&of(container), 1);
    }
    for init in pod.get_array(&["spec", "initContainers"]) {
        let one = of(init);
        sum.cpu_milli = sum.cpu_milli.max(one.cpu_milli);
        sum.memory = sum.memory.max(one.memory);
    }
    sum
}

/// A pod that runs, or will, on some node.
#[derive(Clone, Debug)]
struct Placed {
    node: String,
    asks: Resources,
    /// The uid of its controller: pods of one owner are spread.
    owner: String,
    /// Placed by us, and not yet seen so in the cache.
    assumed: bool,
}

#[derive(Clone, Debug, Default)]
pub struct NodeView {
    pub node: Option<Arc<Object>>,
    pub allocatable: Resources,
    pub requested: Resources,
    /// It is cordoned or has taints: not every pod may run here.
    pub repels: bool,
    owners: BTreeMap<String, u32>,
}

impl NodeView {
    /// Pods of this owner on the node.
    pub fn of_owner(&self, owner: &str) -> u32 {
        self.owners.get(owner).copied().unwrap_or(0)
    }
}

#[derive(Debug, Default)]
pub struct View {
    nodes: BTreeMap<String, NodeView>,
    pods: BTreeMap<String, Placed>,
}

impl View {
    /// The nodes that exist, in the order of names.
    pub fn nodes(&self) -> impl Iterator<Item = (&String, &NodeView)> {
        self.nodes.iter().filter(|(_, view)| view.node.is_some())
    }

    pub fn set_node(&mut self, node: &Arc<Object>) {
        let view = self.nodes.entry(node.name().to_string()).or_default();
        view.allocatable = Resources::of(node.get_map(&["status", "allocatable"]));
        view.repels =
            node.get_bool(&["spec", "unschedulable"]) || !node.get_array(&["spec", "taints"]).is_empty();
        view.node = Some(node.clone());
    }

    pub fn remove_node(&mut self, name: &str) {
        if let Some(view) = self.nodes.get_mut(name) {
            view.node = None; // its pods stay until they are seen to go
        }
    }

    /// The cache shows this pod. A pod that has ended, or is on no node, takes nothing; an assumption stays
    /// until the cache shows the pod on a node.
    pub fn set_pod(&mut self, pod: &Object) {
        let node = pod.get_str(&["spec", "nodeName"]);
        let ended = matches!(pod.get_str(&["status", "phase"]), "Succeeded" | "Failed");
        let assumed = self.pods.get(pod.uid()).is_some_and(|placed| placed.assumed);
        if node.is_empty() && assumed {
            reached!("scheduler: a pod it has placed is not seen there yet");
            return;
        }
        self.remove_pod(pod.uid());
        if !node.is_empty() && !ended {
            self.place(pod, node, false);
        }
    }

    /// The pod is gone, or its assumption is taken back.
    pub fn remove_pod(&mut self, uid: &str) {
        let Some(placed) = self.pods.remove(uid) else { return };
        let view = self.nodes.entry(placed.node).or_default();
        view.requested.add(&placed.asks, -1);
        if let Some(count) = view.owners.get_mut(&placed.owner) {
            *count -= 1;
            if *count == 0 {
                view.owners.remove(&placed.owner);
            }
        }
    }

    /// Counts the pod as placed before the API server says so.
    pub fn assume(&mut self, pod: &Object, node: &str) {
        self.place(pod, node, true);
    }

    /// Takes back an assumption; a pod seen on its node stays.
    pub fn forget(&mut self, uid: &str) {
        if self.pods.get(uid).is_some_and(|placed| placed.assumed) {
            reached!("scheduler: a place it had given was taken back");
            self.remove_pod(uid);
        }
    }

    pub fn is_placed(&self, uid: &str) -> bool {
        self.pods.contains_key(uid)
    }

    fn place(&mut self, pod: &Object, node: &str, assumed: bool) {
        let owner = objects::owner::controller_ref(pod).map_or(String::new(), |owner| owner.uid);
        let placed = Placed { node: node.to_string(), asks: requests(pod), owner, assumed };
        let view = self.nodes.entry(placed.node.clone()).or_default();
        view.requested.add(&placed.asks, 1);
        *view.owners.entry(placed.owner.clone()).or_insert(0) += 1;
        self.pods.insert(pod.uid().to_string(), placed);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub fn node(name: &str, cpu: &str, memory: &str) -> Arc<Object> {
        let allocatable = json!({ "cpu": cpu, "memory": memory, "pods": "3" });
        let value = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "uid": name },
            "status": { "allocatable": allocatable } });
        Arc::new(Object::from_value(value).expect("a node"))
    }

    pub fn pod(uid: &str, cpu: &str, node: &str) -> Object {
        let container = json!({ "name": "c", "resources": { "requests": { "cpu": cpu, "memory": "1Mi" } } });
        let mut value = json!({ "apiVersion": "v1", "kind": "Pod", "spec": { "containers": [container] },
            "metadata": { "name": uid, "namespace": "d", "uid": uid } });
        if !node.is_empty() {
            value["spec"]["nodeName"] = node.into();
        }
        Object::from_value(value).expect("a pod")
    }

    #[test]
    fn an_assumption_counts_until_it_is_confirmed_or_forgotten() {
        let mut view = View::default();
        view.set_node(&node("n", "1", "1Gi"));
        view.assume(&pod("p", "250m", ""), "n");
        view.set_pod(&pod("p", "250m", "")); // an old state arrives: the assumption stays
        assert_eq!(view.nodes["n"].requested.cpu_milli, 250);
        view.set_pod(&pod("p", "250m", "n"));
        view.forget("p"); // confirmed: no longer an assumption
        assert_eq!(view.nodes["n"].requested.cpu_milli, 250);
        view.remove_pod("p");
        assert_eq!(view.nodes["n"].requested, Resources::default());
        view.assume(&pod("q", "100m", ""), "n");
        view.forget("q");
        assert_eq!(view.nodes["n"].requested, Resources::default());
    }
}
