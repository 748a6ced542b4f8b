//! The Node object: registered once, then its status kept true (posted when someone says otherwise) and
//! fresh (posted now and then although nothing changed).

use crate::Config;
use base::{knobs::ms, reached};
use client::{Client, Delta, Error, Informer, PatchType, informer::Scope};
use objects::{Object, kinds};
use serde_json::{Value, json};
use std::sync::Arc;

/// Registers the node and keeps its status, for ever.
pub async fn keep(client: &Client, config: &Config) {
    register(client, config).await;
    let doubted = Arc::new(rt::sync::Notify::new());
    let scope = Scope::all(&kinds::node::KIND).fields(&format!("metadata.name={}", config.node));
    let told = {
        let doubted = doubted.clone();
        move |delta: &Delta| {
            if !matches!(delta, Delta::Deleted(_)) && !is_ready(delta.object()) {
                doubted.notify_one();
            }
        }
    };
    let _informer = Informer::start(client, scope, &[], vec![Box::new(told)]);
    loop {
        if rt::timeout(ms(config.knobs.node_status_ms), doubted.notified()).await.is_ok() {
            reached!("kubelet: someone said the node is not ready");
        }
        if post(client, config).await.is_err() {
            reached!("kubelet: the status of its node could not be posted");
            doubted.notify_one();
            rt::sleep(ms(config.knobs.backoff_min_ms.max(1_000))).await;
        }
    }
}

async fn register(client: &Client, config: &Config) {
    let mut wait = ms(config.knobs.backoff_min_ms);
    loop {
        let done = match client.create(&kinds::node::KIND, &node(config)).await {
            Err(error) if error.is_already_exists() => {
                reached!("kubelet: its node was there already");
                post(client, config).await
            }
            Err(error) => Err(error),
            // Status is not taken from a creation: it is posted.
            Ok(_) => post(client, config).await,
        };
        if done.is_ok() {
            return;
        }
        reached!("kubelet: its node could not be registered");
        rt::sleep(wait).await;
        wait = (wait * 2).min(ms(7_000)); // upstream's longest wait between attempts to register
    }
}

async fn post(client: &Client, config: &Config) -> Result<(), Error> {
    let patch = json!({ "status": status(config) });
    let patch = (PatchType::Strategic, &patch);
    client.patch(&kinds::node::KIND, None, &config.node, "status", patch).await.map(drop)
}

fn is_ready(node: &Object) -> bool {
    let conditions = node.get_array(&["status", "conditions"]);
    conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn node(config: &Config) -> Object {
    let labels = json!({
        "kubernetes.io/hostname": config.node, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64",
    });
    let value = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": config.node, "labels": labels }, "spec": {},
    });
    Object::from_value(value).expect("a Node made here")
}

fn status(config: &Config) -> Value {
    let now = rt::wall().rfc3339();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({ "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now })
    };
    let knobs = &config.knobs;
    let room = json!({
        "cpu": format!("{}m", knobs.node_cpu_milli), "memory": knobs.node_memory_bytes.to_string(),
        "pods": knobs.node_pods.to_string(),
    });
    let machine = rt::machine_id();
    json!({
        "capacity": room, "allocatable": room,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "addresses": [{ "type": "Hostname", "address": config.node }],
        "nodeInfo": {
            "kubeletVersion": "v1.33.0-wavetank", "kubeProxyVersion": "", "operatingSystem": "linux",
            "architecture": "amd64", "osImage": "hollow", "kernelVersion": "",
            "machineID": machine, "systemUUID": machine, "bootID": rt::boot_id(), "containerRuntimeVersion": "hollow://1",
        },
    })
}
