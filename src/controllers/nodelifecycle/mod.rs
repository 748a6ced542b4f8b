//! Silent nodes are marked NotReady and tainted, and their pods moved; but when most nodes fall silent at
//! once, nothing is evicted: then it is rather we who cannot hear.
//!
//! Upstream: pkg/controller/nodelifecycle and tainteviction. Silence is measured by our own monotonic clock
//! from when a change of the node's Lease or status was last *seen*: clocks of machines are not compared. While we
//! hear nothing of leases nobody is judged; upstream goes on, and takes all nodes for silent when its watch of leases
//! comes back later than its connection.

mod plan;

use crate::shared::Context;
use base::{Note, bug, knobs::ms, reached};
use client::{Client, DeleteOptions, Error, PatchType};
use objects::{Object, kinds};
use plan::{Action, Monitor};
use serde_json::{Value, json};
use std::sync::Arc;

const LEASES: &str = "kube-node-lease";

pub async fn run(context: &Context) {
    let nodes = context.follow(&kinds::node::KIND, |_| {});
    let leases = context.follow(&kinds::lease::KIND, |_| {});
    let pods = context.follow(&kinds::pod::KIND, |_| {});
    nodes.synced().await;
    leases.synced().await;
    pods.synced().await;
    let knobs = context.client.knobs().clone();
    let mut monitor = Monitor::new(&knobs);
    let (epoch, every) = (rt::now(), ms(knobs.node_monitor_ms));
    loop {
        // The locks of managers and schedulers are leases as well: a watch that works has something to say.
        if leases.heard_for() < every && !bug!("N02") {
            reached!("nodelifecycle: nobody is judged while nothing is heard of leases");
            rt::sleep(every).await;
            continue;
        }
        let now = rt::now() - epoch;
        let all: Vec<Arc<Object>> = nodes.cache().iter().cloned().collect();
        for node in &all {
            let lease = leases.get(&format!("{LEASES}/{}", node.name()));
            monitor.heard(node, lease.as_deref(), now);
        }
        let actions = {
            let pods = pods.cache();
            monitor.plan(&all, |node| pods.by_index("node", node), now)
        };
        for action in actions {
            // What fails is planned again at the next look.
            let done = carry_out(context, &action).await;
            reached!("nodelifecycle: what it did lost a race", done.as_ref().is_err_and(Error::is_conflict));
            reached!("nodelifecycle: what it did failed and is planned again", done.is_err());
        }
        rt::sleep(every).await;
    }
}

async fn carry_out(context: &Context, action: &Action) -> Result<(), Error> {
    let client = &context.client;
    match action {
        Action::MarkUnknown(node) => {
            reached!("nodelifecycle: a node fell silent");
            let text = format!("Node {} status is now: NodeNotReady", node.name());
            context.recorder.normal(node, "NodeNotReady", text);
            mark_unknown(client, node).await
        }
        Action::Taint(node) => {
            reached!("nodelifecycle: a silent node is tainted");
            set_taints(client, node, true).await
        }
        Action::Untaint(node) => {
            reached!("nodelifecycle: a silent node came back");
            set_taints(client, node, false).await
        }
        Action::PodNotReady(pod) => {
            reached!("nodelifecycle: a pod of a silent node is said not to be ready");
            pod_not_ready(client, pod).await
        }
        Action::HeardAgain => {
            rt::note(Note::HeardAgain);
            Ok(())
        }
        Action::Begin { node, silent, nodes } => {
            let (node, silent, nodes) = (node.name().to_string(), *silent as u64, *nodes as u64);
            rt::note(Note::Evicting { node, silent, nodes });
            Ok(())
        }
        Action::Evict(pod) => {
            reached!("nodelifecycle: a pod was evicted from a silent node");
            context.recorder.normal(
                pod,
                "TaintManagerEviction",
                format!("Marking for deletion Pod {}", pod.key()),
            );
            let options = DeleteOptions { uid: pod.uid().to_string(), ..Default::default() };
            client.delete(&kinds::pod::KIND, pod.namespace(), pod.name(), &options).await
        }
    }
}

async fn mark_unknown(client: &Client, node: &Object) -> Result<(), Error> {
    let now = rt::wall().rfc3339();
    let kinds_of = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
    let condition = |kind: &&str| {
        json!({ "type": kind, "status": "Unknown", "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.", "lastTransitionTime": now })
    };
    let conditions: Vec<Value> = kinds_of.iter().map(condition).collect();
    let patch = json!({ "status": { "conditions": conditions } });
    client
        .patch(&kinds::node::KIND, None, node.name(), "status", (PatchType::Strategic, &patch))
        .await
        .map(drop)
}

/// Both effects of the unreachable taint; with the resourceVersion seen, as others set taints too.
async fn set_taints(client: &Client, node: &Object, on: bool) -> Result<(), Error> {
    let others = node.get_array(&["spec", "taints"]).iter().filter(|taint| !plan::is_ours(taint));
    let mut taints: Vec<Value> = others.cloned().collect();
    if on {
        let now = rt::wall().rfc3339();
        taints.push(json!({ "key": plan::UNREACHABLE, "effect": "NoSchedule", "timeAdded": now }));
        taints.push(json!({ "key": plan::UNREACHABLE, "effect": "NoExecute", "timeAdded": now }));
    }
    let mut next = node.clone();
    next.set(&["spec", "taints"], taints);
    client.update(&kinds::node::KIND, &next).await.map(drop)
}

async fn pod_not_ready(client: &Client, pod: &Object) -> Result<(), Error> {
    let now = rt::wall().rfc3339();
    let condition = json!({ "type": "Ready", "status": "False", "lastTransitionTime": now });
    let patch = json!({ "metadata": { "uid": pod.uid() }, "status": { "conditions": [condition] } });
    let patch = (PatchType::Strategic, &patch);
    client.patch(&kinds::pod::KIND, pod.namespace(), pod.name(), "status", patch).await.map(drop)
}
