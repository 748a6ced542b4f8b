//! Whole API servers over whole members of the store, in a world.
#![cfg(madsim)]

mod cluster;
mod objects;
mod reads;
mod stack;
mod watches;
mod writes;

use base::Knobs;
use cluster::{Client, Cluster};
use serde_json::{Value, json};
use world::World;

const PODS: &str = "/api/v1/namespaces/default/pods";

/// Runs a client against some API servers over one member.
fn with_servers<F>(servers: u8, knobs: Knobs, test: impl FnOnce(Vec<Client>) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    World::run(7, move |world| async move {
        let cluster = Cluster::start(world, 1, servers, knobs);
        cluster.client(test).await;
    });
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": { "name": name } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    })
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(name: &str) -> Value {
    let template = json!({
        "metadata": { "labels": { "app": name } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": name } }, "template": template },
    })
}

fn config_map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } })
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["metadata"]["name"].as_str().expect("a name")).collect()
}
