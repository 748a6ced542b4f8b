//! A namespace that is asked to go takes its content with it: everything in it is deleted, and only when
//! nothing is left is the `kubernetes` finalizer taken from its spec. Upstream: pkg/controller/namespace.

use crate::shared::{Context, queue_key};
use base::reached;
use client::{DeleteOptions, Error, ListOptions};
use objects::{Kind, kinds};
use std::time::Duration;

pub async fn run(context: &Context) {
    let queue = context.queue("namespace");
    let namespaces = context.follow(&kinds::namespace::KIND, queue_key(&queue));
    namespaces.synced().await;
    let (queue_ref, namespaces) = (&queue, &namespaces);
    let sync = |name: String| async move {
        let Some(namespace) = namespaces.get(&name) else { return Ok(()) };
        if namespace.deletion_timestamp().is_none() || namespace.get_array(&["spec", "finalizers"]).is_empty()
        {
            return Ok(());
        }
        let mut left = 0;
        for kind in kinds::KINDS.iter().filter(|kind| kind.namespaced) {
            left += empty(context, kind, &name).await?;
        }
        if left > 0 {
            reached!("namespace: content has not gone yet");
            queue_ref.add_after(&name, Duration::from_secs(2));
            return Ok(());
        }
        reached!("namespace: it is empty and may go");
        let mut done = (*namespace).clone();
        done.set(&["spec", "finalizers"], serde_json::json!([]));
        match context.client.finalize(&done).await {
            Err(error) if error.is_not_found() => Ok(()),
            answer => answer.map(drop),
        }
    };
    context.work(queue_ref, sync).await;
}

/// Deletes what is there, asked of the API server and not of a cache; returns how much was found.
async fn empty(context: &Context, kind: &Kind, namespace: &str) -> Result<usize, Error> {
    let found = context.client.list(kind, Some(namespace), &ListOptions::default()).await?;
    for object in &found.items {
        if object.deletion_timestamp().is_some() {
            continue;
        }
        let propagation = "Background".to_string(); // a Job would let its pods go
        let options = DeleteOptions { uid: object.uid().to_string(), propagation, ..Default::default() };
        match context.client.delete(kind, Some(namespace), object.name(), &options).await {
            Err(error) if !error.is_not_found() && !error.is_conflict() => return Err(error),
            _ => {}
        }
    }
    Ok(found.items.len())
}
