//! Schedulers against an API server, in a world. Nodes are only objects here.
#![cfg(madsim)]

#[path = "../../../api/tests/world/stack.rs"]
mod stack;

use base::{Knobs, Note, knobs::ms};
use client::{Client, PatchType};
use objects::{
    Object,
    kinds::{event, node, pod},
};
use serde_json::json;
use stack::eventually;
use std::sync::{Arc, Mutex};
use world::{Death, World};

/// Writes under the lock: who, and what.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

fn knobs() -> Knobs {
    Knobs {
        elect_lease_ms: 12_000,
        elect_renew_ms: 10_000,
        elect_retry_ms: 1_000,
        client_timeout_ms: 2_000,
        ..Knobs::default()
    }
}

/// Starts an API server and some schedulers, and runs a client once the API server answers. `told` hears of each
/// write under the lock while it is sent.
fn with_schedulers<F>(
    schedulers: u8,
    bug: Option<&'static str>,
    told: impl Fn(&str) + Send + 'static,
    act: impl FnOnce(Client, Seen) -> F + Send + 'static,
) where
    F: Future<Output = ()> + 'static,
{
    World::run(5, move |world| async move {
        base::marks::plant(bug);
        let seen = Seen::default();
        let keep = seen.clone();
        world::set_note_sink(Box::new(move |_, _, note| {
            if let Note::FencedWrite { identity, what, .. } = note {
                told(&what);
                keep.lock().unwrap().push((identity, what));
            }
        }));
        stack::start(&world, 1, 1, &knobs());
        for number in 1..=schedulers {
            let identity = format!("scheduler-{number}");
            world.create(&identity.clone(), [10, 0, 3, number].into(), move || {
                let apiservers = vec![stack::server_addr(1)];
                let config = scheduler::Config { identity: identity.clone(), apiservers, knobs: knobs() };
                async move { scheduler::run(config).await.map_err(|error| error.to_string()) }
            });
        }
        stack::process(&world, "client", move || async move {
            let api = Client::new(vec![stack::server_addr(1)], "client", &knobs());
            eventually(20, async || {
                api.get(&objects::kinds::namespace::KIND, None, "kube-node-lease").await.is_ok()
            })
            .await;
            act(api, seen).await;
        })
        .await;
    });
}

async fn make_node(api: &Client, name: &str, cpu: &str) {
    let room = json!({ "cpu": cpu, "memory": "1Gi", "pods": "10" });
    let value = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name },
        "status": { "capacity": room, "allocatable": room } });
    let made = Object::from_value(value.clone()).expect("a node");
    api.create(&node::KIND, &made).await.expect("made");
    let status = json!({ "status": value["status"] });
    api.patch(&node::KIND, None, name, "status", (PatchType::Strategic, &status)).await.expect("patched");
}

async fn make_pod(api: &Client, name: &str, cpu: &str) {
    let container = json!({ "name": "c", "image": "i", "resources": { "requests": { "cpu": cpu } } });
    let value = json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "default" }, "spec": { "containers": [container] } });
    api.create(&pod::KIND, &Object::from_value(value).expect("a pod")).await.expect("made");
}

async fn get(api: &Client, name: &str) -> Object {
    api.get(&pod::KIND, Some("default"), name).await.expect("the pod")
}

async fn is_bound(api: &Client, name: &str) -> bool {
    !get(api, name).await.get_str(&["spec", "nodeName"]).is_empty()
}

#[test]
fn one_of_two_binds_and_the_other_takes_over() {
    with_schedulers(
        2,
        None,
        |_| {},
        |api, seen| async move {
            make_node(&api, "n", "4").await;
            make_pod(&api, "a", "100m").await;
            eventually(20, async || is_bound(&api, "a").await).await;
            let who = || -> Vec<String> {
                let mut who: Vec<String> = seen.lock().unwrap().iter().map(|(who, _)| who.clone()).collect();
                who.dedup();
                who
            };
            let first = who();
            assert_eq!(first.len(), 1, "only one of them writes: {first:?}");
            world::process::kill(&first[0], Death::Power);
            make_pod(&api, "b", "100m").await;
            eventually(30, async || is_bound(&api, "b").await).await;
            let now = who();
            assert!(now.len() == 2 && now[0] == first[0] && now[1] != first[0], "{now:?}");
        },
    );
}

#[test]
fn who_fits_nowhere_is_told_why_and_bound_when_there_is_room() {
    with_schedulers(
        1,
        None,
        |_| {},
        |api, _| async move {
            make_node(&api, "n", "1").await;
            make_pod(&api, "big", "2").await;
            let why = "0/1 nodes are available: 1 Insufficient cpu.";
            eventually(20, async || {
                let pod = get(&api, "big").await;
                let conditions = pod.get_array(&["status", "conditions"]).to_vec();
                conditions.iter().any(|has| {
                    has["type"] == "PodScheduled"
                        && has["status"] == "False"
                        && has["reason"] == "Unschedulable"
                        && has["message"] == why
                })
            })
            .await;
            let told = async |reason: &str| {
                let events =
                    api.list(&event::KIND, Some("default"), &Default::default()).await.expect("events");
                events.items.iter().any(|event| event.get_str(&["reason"]) == reason)
            };
            eventually(5, async || told("FailedScheduling").await).await;
            rt::sleep(ms(20_000)).await;
            assert!(!is_bound(&api, "big").await);
            make_node(&api, "bigger", "4").await;
            eventually(15, async || is_bound(&api, "big").await).await;
            assert_eq!(get(&api, "big").await.get_str(&["spec", "nodeName"]), "bigger");
            eventually(5, async || told("Scheduled").await).await;
        },
    );
}

/// The first binding never arrives. The room that was assumed for the pod must be there for the second.
fn is_bound_after_a_failed_bind(bug: Option<&'static str>) -> bool {
    let (bound, result) = std::sync::mpsc::channel();
    let broken = Mutex::new(false);
    let breaks = move |what: &str| {
        let mut broken = broken.lock().unwrap();
        if what.ends_with("/binding") && !*broken {
            *broken = true;
            world::net().cut("scheduler-1", &stack::server(1));
            world::net().cut(&stack::server(1), "scheduler-1");
        }
    };
    with_schedulers(1, bug, breaks, |api, seen| async move {
        make_node(&api, "n", "1").await;
        make_pod(&api, "p", "600m").await;
        eventually(20, async || !seen.lock().unwrap().is_empty()).await;
        rt::sleep(ms(3_500)).await; // the client has given up; and the lock is still held
        world::net().reset_connections("scheduler-1", &stack::server(1));
        world::net().heal_all();
        for _ in 0..600 {
            if is_bound(&api, "p").await {
                break;
            }
            rt::sleep(ms(100)).await;
        }
        bound.send(is_bound(&api, "p").await).expect("someone asks");
    });
    result.recv().expect("an answer")
}

#[test]
fn a_bind_that_failed_gives_its_room_back() {
    assert!(is_bound_after_a_failed_bind(None));
}

/// The bug museum's K01, planted.
#[test]
fn an_assumption_that_is_never_taken_back_is_found_out() {
    assert!(!is_bound_after_a_failed_bind(Some("K01")));
}

#[test]
fn what_names_another_scheduler_is_left_alone() {
    with_schedulers(
        1,
        None,
        |_| {},
        |api, seen| async move {
            make_node(&api, "n", "1").await;
            let value = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "namespace": "default" },
            "spec": { "schedulerName": "other", "containers": [{ "name": "c", "image": "i" }] } });
            api.create(&pod::KIND, &Object::from_value(value).expect("a pod")).await.expect("made");
            rt::sleep(ms(20_000)).await;
            assert!(!is_bound(&api, "p").await && seen.lock().unwrap().is_empty());
        },
    );
}
