//! The node's Lease in kube-node-lease, renewed so that its silence means something (KEP-589).

use crate::Config;
use base::{knobs::ms, reached};
use client::{Client, Error};
use objects::{Object, kinds};
use serde_json::json;
use std::time::Duration;

pub const NAMESPACE: &str = "kube-node-lease";

/// Renews for ever. A renewal that failed is tried again soon, not only at the next interval.
pub async fn keep(client: &Client, config: &Config) {
    let interval = ms(config.knobs.node_lease_ms);
    let mut last: Option<Object> = None;
    loop {
        let renewed = match &last {
            Some(lease) => client.update(&kinds::lease::KIND, &renew(lease.clone())).await,
            None => fetch_or_create(client, config).await,
        };
        let wait = match renewed {
            Ok(lease) => {
                last = Some(lease);
                interval
            }
            Err(_) => {
                reached!("kubelet: a lease renewal failed");
                last = None; // someone else wrote it, or the outcome is unknown: look at it first
                (interval / 10).max(Duration::from_millis(200))
            }
        };
        rt::sleep(wait).await;
    }
}

async fn fetch_or_create(client: &Client, config: &Config) -> Result<Object, Error> {
    match client.get(&kinds::lease::KIND, Some(NAMESPACE), &config.node).await {
        Ok(lease) => client.update(&kinds::lease::KIND, &renew(lease)).await,
        Err(error) if error.is_not_found() => {
            reached!("kubelet: its lease is made for the first time");
            let node = client.get(&kinds::node::KIND, None, &config.node).await?;
            client.create(&kinds::lease::KIND, &new(config, &node)).await
        }
        Err(error) => Err(error),
    }
}

fn renew(mut lease: Object) -> Object {
    lease.set(&["spec", "renewTime"], rt::wall().rfc3339_micros());
    lease
}

/// Owned by the Node, so that it goes with it.
fn new(config: &Config, node: &Object) -> Object {
    let owner = json!({ "apiVersion": "v1", "kind": "Node", "name": config.node, "uid": node.uid() });
    let value = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": config.node, "namespace": NAMESPACE, "ownerReferences": [owner] },
        "spec": {
            "holderIdentity": config.node,
            "leaseDurationSeconds": (config.knobs.node_lease_duration_ms / 1000).max(1),
            "renewTime": rt::wall().rfc3339_micros(),
        },
    });
    Object::from_value(value).expect("a Lease made here")
}
