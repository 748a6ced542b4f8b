//! The client library against whole API servers, in a world.
#![cfg(madsim)]

mod elections;
mod follows;
mod requests;
#[path = "../../../api/tests/world/stack.rs"]
mod stack;

use base::Knobs;
use client::Client;
use objects::Object;
use serde_json::{Value, json};
use std::net::SocketAddr;
use world::World;

/// A client that knows the first `servers` API servers and begins with the first.
fn client(servers: u8, agent: &str, knobs: &Knobs) -> Client {
    let servers: Vec<SocketAddr> = (1..=servers).map(stack::server_addr).collect();
    Client::new(servers, agent, knobs)
}

/// Waits until each of the servers answers.
async fn ready(servers: u8, knobs: &Knobs) {
    for id in 1..=servers {
        let one = Client::new(vec![stack::server_addr(id)], "ready", knobs);
        let namespace = &objects::kinds::namespace::KIND;
        while one.get(namespace, None, "kube-node-lease").await.is_err() {
            rt::sleep(base::knobs::ms(100)).await;
        }
    }
}

/// Runs a client against some API servers over one member.
fn with_client<F>(servers: u8, knobs: Knobs, act: impl FnOnce(Client) -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    World::run(7, move |world| async move {
        stack::start(&world, 1, servers, &knobs);
        stack::process(&world, "client", move || async move {
            ready(servers, &knobs).await;
            act(client(servers, "client", &knobs)).await;
        })
        .await;
    });
}

fn map(name: &str, value: &str) -> Object {
    let metadata: Value = match name.strip_suffix('-') {
        Some(_) => json!({ "generateName": name, "namespace": "default" }),
        None => json!({ "name": name, "namespace": "default" }),
    };
    let value =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "k": value } });
    Object::from_value(value).expect("a ConfigMap")
}
