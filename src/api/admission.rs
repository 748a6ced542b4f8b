//! What may be made and unmade where: nothing is made in a namespace that is not there or is going away, and
//! the namespaces that every cluster has stay.

use crate::{cache::item::Item, refusal::Refusal, registry::create, request::Target, server::Server};
use base::{knobs::ms, reached};
use objects::{Kind, Object, kinds::by_kind, status::Status};
use std::{sync::Arc, time::Duration};

/// Made by every API server that finds them missing.
const SYSTEM_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The namespace must be there and stay. What the cache says of it is enough if it says yes.
pub async fn admit_create(server: &Server, kind: &Kind, object: &Object) -> Result<(), Refusal> {
    let Some(namespace) = object.namespace().filter(|_| kind.namespaced) else { return Ok(()) };
    let of = namespaces();
    let active = |item: &Arc<Item>| item.object().deletion_timestamp().is_none();
    if server.cache(of).peek(namespace).is_some_and(|item| active(&item)) {
        return Ok(());
    }
    reached!("api: a namespace was looked up past the watch cache");
    match server.storage.get(of, namespace).await? {
        None => Err(Status::not_found(of, namespace).into()),
        Some(item) if active(&item) => Ok(()),
        Some(_) => Err(Status::namespace_terminating(kind, object.name(), namespace).into()),
    }
}

pub fn admit_delete(kind: &Kind, name: &str) -> Result<(), Refusal> {
    if kind == namespaces() && IMMORTAL.contains(&name) {
        return Err(Status::forbidden(kind, name, "this namespace may not be deleted").into());
    }
    Ok(())
}

fn namespaces() -> &'static Kind {
    by_kind("v1", "Namespace").expect("namespaces are served")
}

/// Makes the system namespaces, and tries until they are there.
pub async fn bootstrap(server: Arc<Server>) {
    let knobs = server.config.knobs.clone();
    let mut pause = ms(knobs.backoff_min_ms);
    for name in SYSTEM_NAMESPACES {
        while !make(&server, name).await {
            reached!("api: the first namespaces wait for the store");
            rt::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
    server.set_bootstrapped();
}

/// True when the namespace is there.
async fn make(server: &Server, name: &str) -> bool {
    let kind = namespaces();
    match server.storage.get(kind, name).await {
        Ok(Some(_)) => return true,
        Ok(None) => {}
        Err(_) => return false,
    }
    let target = Target {
        kind,
        namespace: String::new(),
        name: String::new(),
        subresource: String::new(),
        watch: false,
    };
    let mut object = Object::new("v1", "Namespace");
    object.set_name(name);
    match create::create(server, &target, object, false).await {
        Ok(_) => true,
        Err(refusal) => {
            let there = refusal.status.reason == "AlreadyExists";
            reached!("api: two servers made the same namespace", there);
            there
        }
    }
}
