//! Pods of nodes that no longer exist go: no kubelet will ever end them. Upstream: pkg/controller/podgc.

use crate::shared::Context;
use base::{knobs::ms, reached};
use client::DeleteOptions;
use objects::{Object, kinds};
use std::{collections::BTreeMap, sync::Arc};

/// Looks a node may be missing from the cache before its pods go: a cache may lag.
const PATIENCE: u32 = 2;

pub async fn run(context: &Context) {
    let nodes = context.follow(&kinds::node::KIND, |_| {});
    let pods = context.follow(&kinds::pod::KIND, |_| {});
    nodes.synced().await;
    pods.synced().await;
    let mut missing: BTreeMap<String, u32> = BTreeMap::new();
    loop {
        rt::sleep(ms(context.client.knobs().node_monitor_ms * 4)).await;
        let orphans: Vec<Arc<Object>> = {
            let (nodes, pods) = (nodes.cache(), pods.cache());
            let lost = |pod: &&Arc<Object>| {
                let node = pod.get_str(&["spec", "nodeName"]);
                !node.is_empty() && nodes.get(node).is_none()
            };
            pods.iter().filter(lost).cloned().collect()
        };
        missing.retain(|uid, _| orphans.iter().any(|pod| pod.uid() == uid));
        for pod in orphans {
            let looks = missing.entry(pod.uid().to_string()).or_insert(0);
            *looks += 1;
            reached!("podgc: the node of a pod is not in the cache");
            if *looks >= PATIENCE {
                end(context, &pod).await;
            }
        }
    }
}

async fn end(context: &Context, pod: &Object) {
    let node = pod.get_str(&["spec", "nodeName"]);
    // The API server has the last word on whether the node is gone.
    let asked = context.client.get(&kinds::node::KIND, None, node).await;
    reached!("podgc: a node that is not in the cache is there", asked.is_ok());
    if asked.is_err_and(|error| error.is_not_found()) {
        reached!("podgc: a pod of a node that is gone was ended");
        let options =
            DeleteOptions { grace_seconds: Some(0), uid: pod.uid().to_string(), ..Default::default() };
        let _ = context.client.delete(&kinds::pod::KIND, pod.namespace(), pod.name(), &options).await;
    }
}
