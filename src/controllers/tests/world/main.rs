//! The controllers against a whole control plane, in a world.
#![cfg(madsim)]

mod garbage;
mod jobs;
mod managers;
#[path = "../../../api/tests/world/stack.rs"]
mod stack;

use base::{Knobs, Note};
use client::{Client, ListOptions};
use objects::{Kind, Object, kinds};
use serde_json::{Value, json};
use stack::eventually;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use world::World;

/// A write under the lock: when, who, what.
type Seen = Arc<Mutex<Vec<(Duration, String, String)>>>;

fn knobs() -> Knobs {
    Knobs {
        elect_lease_ms: 6_000,
        elect_renew_ms: 4_000,
        elect_retry_ms: 1_000,
        client_timeout_ms: 2_000,
        node_lease_ms: 2_000,
        node_grace_ms: 10_000,
        node_monitor_ms: 1_000,
        eviction_after_ms: 5_000,
        eviction_per_1000s: 100,
        container_start_max_ms: 500,
        ..Knobs::default()
    }
}

/// Starts an API server, managers, a scheduler and nodes; runs a client once the API server answers.
fn with_managers<F>(managers: u8, nodes: u8, act: impl FnOnce(Client, Seen) -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    World::run(13, move |world| async move {
        let seen = Seen::default();
        let keep = seen.clone();
        world::set_note_sink(Box::new(move |at, _, note| {
            if let Note::FencedWrite { identity, what, .. } = note {
                keep.lock().unwrap().push((at, identity, what));
            }
        }));
        stack::start(&world, 1, 1, &knobs());
        let apiservers = vec![stack::server_addr(1)];
        for number in 1..=managers {
            let (identity, apiservers) = (format!("manager-{number}"), apiservers.clone());
            world.create(&identity.clone(), [10, 0, 3, number].into(), move || {
                let (identity, apiservers) = (identity.clone(), apiservers.clone());
                let config = controllers::Config { identity, apiservers, knobs: knobs() };
                async move { controllers::run(config).await.map_err(|error| error.to_string()) }
            });
        }
        let scheduling = apiservers.clone();
        world.create("scheduler", [10, 0, 4, 1].into(), move || {
            let (identity, apiservers) = ("scheduler".to_string(), scheduling.clone());
            let config = scheduler::Config { identity, apiservers, knobs: knobs() };
            async move { scheduler::run(config).await.map_err(|error| error.to_string()) }
        });
        for number in 1..=nodes {
            let (node, apiservers) = (format!("node-{number}"), apiservers.clone());
            world.create(&node.clone(), [10, 0, 5, number].into(), move || {
                let (node, apiservers) = (node.clone(), apiservers.clone());
                let config =
                    kubelet::Config { node, apiservers, data_dir: "/kubelet".into(), knobs: knobs() };
                async move { kubelet::run(config).await.map_err(|error| error.to_string()) }
            });
        }
        let client = stack::process(&world, "client", move || async move {
            let api = Client::new(apiservers, "client", &knobs());
            let namespace = &kinds::namespace::KIND;
            eventually(20, async || api.get(namespace, None, "kube-node-lease").await.is_ok()).await;
            act(api, seen).await;
        });
        client.await;
    });
}

async fn all(api: &Client, kind: &Kind) -> Vec<Object> {
    api.list(kind, Some("default"), &ListOptions::default()).await.map(|list| list.items).unwrap_or_default()
}

fn object(value: Value) -> Object {
    Object::from_value(value).expect("an object")
}

fn deployment(name: &str, replicas: i64) -> Object {
    let template = json!({ "metadata": { "labels": { "app": name } },
        "spec": { "terminationGracePeriodSeconds": 1, "containers": [{ "name": "c", "image": "v1" }] } });
    object(json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": name } }, "template": template } }))
}

/// Makes a deployment and waits until all of it is available.
async fn deployed(api: &Client, name: &str, replicas: i64) -> Object {
    api.create(&kinds::deployment::KIND, &deployment(name, replicas)).await.expect("made");
    let available = async || {
        let made = api.get(&kinds::deployment::KIND, Some("default"), name).await;
        made.is_ok_and(|made| made.get_i64(&["status", "availableReplicas"]) == Some(replicas))
    };
    eventually(60, available).await;
    api.get(&kinds::deployment::KIND, Some("default"), name).await.expect("there")
}
