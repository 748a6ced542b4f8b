//! A kubelet against an API server, in a world: what it says of itself and of its pods, and what outlives it.
#![cfg(madsim)]

#[path = "../../../api/tests/world/stack.rs"]
mod stack;

use base::{Knobs, Note, knobs::ms};
use client::{Client, DeleteOptions, Error, PatchType};
use objects::{
    Object,
    kinds::{lease, node, pod},
};
use serde_json::{Value, json};
use stack::eventually;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use world::{Death, World};

/// Every start and end of a container that was told: pod, running.
type Seen = Arc<Mutex<Vec<(Duration, String, bool)>>>;

fn knobs() -> Knobs {
    Knobs { node_lease_ms: 2_000, pod_resync_ms: 10_000, client_timeout_ms: 2_000, ..Knobs::default() }
}

/// Starts an API server and a node called `n`, and runs a client once the node is Ready.
fn with_node<F>(act: impl FnOnce(Client, Seen) -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    World::run(11, move |world| async move {
        let seen = Seen::default();
        let keep = seen.clone();
        world::set_note_sink(Box::new(move |at, _, note| {
            if let Note::Container { pod, running, .. } = note {
                keep.lock().unwrap().push((at, pod, running));
            }
        }));
        stack::start(&world, 1, 1, &knobs());
        world.create("n", [10, 0, 3, 1].into(), || {
            let config = kubelet::Config {
                node: "n".into(),
                apiservers: vec![stack::server_addr(1)],
                data_dir: "/kubelet".into(),
                knobs: Knobs { node_cpu_milli: 1_000, node_memory_bytes: 1 << 30, node_pods: 5, ..knobs() },
            };
            async move { kubelet::run(config).await.map_err(|error| error.to_string()) }
        });
        stack::process(&world, "client", move || async move {
            let api = Client::new(vec![stack::server_addr(1)], "client", &knobs());
            eventually(10, async || {
                api.get(&node::KIND, None, "n").await.is_ok_and(|n| is_true(&n, "Ready"))
            })
            .await;
            act(api, seen).await;
        })
        .await;
    });
}

fn is_true(object: &Object, condition: &str) -> bool {
    let conditions = object.get_array(&["status", "conditions"]);
    conditions.iter().any(|has| has["type"] == condition && has["status"] == "True")
}

fn phase(pod: &Object) -> &str {
    pod.get_str(&["status", "phase"])
}

async fn get(api: &Client, name: &str) -> Result<Object, Error> {
    api.get(&pod::KIND, Some("default"), name).await
}

/// Makes a pod and binds it to the node.
async fn bound(api: &Client, name: &str, cpu: &str) -> Object {
    let container = json!({ "name": "c", "image": "i", "resources": { "requests": { "cpu": cpu } } });
    let value = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "default" },
        "spec": { "containers": [container] },
    });
    let made = api.create(&pod::KIND, &Object::from_value(value).expect("a pod")).await.expect("made");
    api.bind("default", name, made.uid(), "n").await.expect("bound");
    made
}

async fn running(api: &Client, name: &str) -> Object {
    eventually(10, async || {
        get(api, name).await.is_ok_and(|pod| phase(&pod) == "Running" && is_true(&pod, "Ready"))
    })
    .await;
    get(api, name).await.expect("the pod")
}

fn restarts(pod: &Object) -> i64 {
    pod.get_array(&["status", "containerStatuses"])[0]["restartCount"].as_i64().expect("a count")
}

#[test]
fn a_node_registers_and_renews_its_lease() {
    with_node(|api, _| async move {
        let there = api.get(&node::KIND, None, "n").await.expect("the node");
        assert_eq!(there.get(&["status", "allocatable", "pods"]), Some(&json!("5")));
        assert_eq!(there.label("kubernetes.io/hostname"), Some("n"));
        let look = async || api.get(&lease::KIND, Some("kube-node-lease"), "n").await;
        eventually(5, async || look().await.is_ok()).await;
        let first = look().await.expect("the Lease");
        assert_eq!(first.get_str(&["spec", "holderIdentity"]), "n");
        assert_eq!(first.owner_refs()[0].uid, there.uid());
        rt::sleep(ms(5_000)).await;
        let later = look().await.expect("the Lease");
        assert_ne!(first.get_str(&["spec", "renewTime"]), later.get_str(&["spec", "renewTime"]));
        // Someone says that the node is not Ready: it contradicts at once, long before its next post is due.
        let unknown = json!({ "status": { "conditions": [{ "type": "Ready", "status": "Unknown" }] } });
        let patch = (PatchType::Strategic, &unknown);
        api.patch(&node::KIND, None, "n", "status", patch).await.expect("patched");
        eventually(3, async || is_true(&api.get(&node::KIND, None, "n").await.expect("the node"), "Ready"))
            .await;
    });
}

#[test]
fn a_pod_goes_through_its_phases_with_a_delay() {
    with_node(|api, seen| async move {
        bound(&api, "p", "100m").await;
        let began = rt::now();
        let mut was = vec![];
        while was.last().is_none_or(|last| *last != "Running true") {
            let pod = get(&api, "p").await.expect("the pod");
            let now = format!("{} {}", phase(&pod), is_true(&pod, "Ready"));
            if was.last() != Some(&now) {
                was.push(now);
            }
            rt::sleep(ms(5)).await;
        }
        assert_eq!(was, ["Pending false", "Running true"]);
        let took = began.elapsed();
        assert!(took >= ms(100) && took < ms(2_500), "between the shortest and the longest start: {took:?}");
        let pod = get(&api, "p").await.expect("the pod");
        assert!(!pod.get_str(&["status", "podIP"]).is_empty() && is_true(&pod, "ContainersReady"));
        assert_eq!(
            seen.lock().unwrap().iter().map(|(_, pod, runs)| (pod.clone(), *runs)).collect::<Vec<_>>(),
            [("p".to_string(), true)]
        );
    });
}

#[test]
fn a_deleted_pod_gets_its_time_and_is_ended_before_it_goes() {
    with_node(|api, seen| async move {
        bound(&api, "p", "100m").await;
        running(&api, "p").await;
        api.delete(&pod::KIND, Some("default"), "p", &DeleteOptions::default()).await.expect("marked");
        let mut last = get(&api, "p").await.expect("still there: it is asked to go, not taken away");
        assert_eq!(last.deletion_grace_period(), Some(30));
        while let Ok(pod) = get(&api, "p").await {
            assert!(phase(&pod) != "Running" || last.deletion_timestamp().is_some());
            last = pod;
            rt::sleep(ms(5)).await;
        }
        let seen = seen.lock().unwrap();
        assert_eq!(
            seen.iter().map(|(.., runs)| *runs).collect::<Vec<_>>(),
            [true, false],
            "ended, and then gone"
        );
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    with_node(|api, seen| async move {
        bound(&api, "a", "600m").await;
        running(&api, "a").await;
        bound(&api, "b", "600m").await;
        eventually(5, async || phase(&get(&api, "b").await.expect("the pod")) == "Failed").await;
        assert_eq!(get(&api, "b").await.expect("the pod").get_str(&["status", "reason"]), "OutOfcpu");
        assert!(seen.lock().unwrap().iter().all(|(_, pod, _)| pod == "a"));
    });
}

/// The process dies and comes back: nothing was started or ended for it, and no one is told that the pod was
/// not ready. What was deleted meanwhile is ended, what was bound meanwhile is started.
#[test]
fn containers_run_on_while_the_kubelet_is_away() {
    with_node(|api, seen| async move {
        for name in ["stays", "goes"] {
            bound(&api, name, "100m").await;
        }
        let before = running(&api, "stays").await;
        running(&api, "goes").await;
        world::process::kill("n", Death::Process);
        api.delete(&pod::KIND, Some("default"), "goes", &DeleteOptions::default()).await.expect("marked");
        bound(&api, "comes", "100m").await;
        rt::sleep(ms(5_000)).await;
        assert!(get(&api, "goes").await.is_ok(), "no one is there to end it");
        world::process::restart("n");
        running(&api, "comes").await;
        eventually(10, async || get(&api, "goes").await.is_err()).await;
        rt::sleep(ms(15_000)).await;
        let after = get(&api, "stays").await.expect("the pod");
        assert_eq!(after, before, "nothing was said of it, because nothing happened to it");
        let mut told: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        for (_, pod, runs) in seen.lock().unwrap().iter() {
            told.entry(pod.clone()).or_default().push(*runs);
        }
        assert!(!told["stays"].contains(&false), "{told:?}");
        assert_eq!(told["comes"], [true]);
        assert_eq!(told["goes"].last(), Some(&false));
    });
}

/// The machine loses its power: nothing runs any more, the pods are started anew and say so.
#[test]
fn containers_end_with_the_power_and_are_started_again() {
    with_node(|api, seen| async move {
        bound(&api, "p", "100m").await;
        let before = running(&api, "p").await;
        let boot = |node: &Object| node.get_str(&["status", "nodeInfo", "bootID"]).to_string();
        let first = boot(&api.get(&node::KIND, None, "n").await.expect("the node"));
        // The table of containers is on the disk by now, whatever of it survives.
        rt::sleep(ms(1_000)).await;
        world::process::kill("n", Death::Power);
        rt::sleep(ms(2_000)).await;
        world::process::restart("n");
        eventually(10, async || !is_true(&get(&api, "p").await.expect("the pod"), "Ready")).await;
        let after = running(&api, "p").await;
        assert_eq!(after.uid(), before.uid());
        let started = |pod: &Object| -> Value {
            pod.get_array(&["status", "containerStatuses"])[0]["state"]["running"]["startedAt"].clone()
        };
        assert_ne!(started(&after), started(&before));
        assert!(restarts(&after) >= restarts(&before));
        assert_ne!(boot(&api.get(&node::KIND, None, "n").await.expect("the node")), first);
        let starts = seen.lock().unwrap().iter().filter(|(.., runs)| *runs).count();
        assert_eq!(starts, 2);
    });
}

/// Makes a pod that is not always restarted, and binds it to the node.
async fn bound_once(api: &Client, name: &str, policy: &str, fails: &str) -> Object {
    let value = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "default", "annotations": { "wavetank/fails": fails } },
        "spec": { "restartPolicy": policy, "containers": [{ "name": "c", "image": "i" }] },
    });
    let made = api.create(&pod::KIND, &Object::from_value(value).expect("a pod")).await.expect("made");
    api.bind("default", name, made.uid(), "n").await.expect("bound");
    made
}

async fn ends(api: &Client, name: &str) -> (String, i64) {
    eventually(20, async || pod::is_finished(&get(api, name).await.expect("the pod"))).await;
    let pod = get(api, name).await.expect("the pod");
    let end = &pod.get_array(&["status", "containerStatuses"])[0]["state"]["terminated"];
    (phase(&pod).to_string(), end["exitCode"].as_i64().expect("a code"))
}

#[test]
fn containers_that_are_not_always_restarted_end_by_themselves() {
    with_node(|api, seen| async move {
        bound_once(&api, "good", "Never", "0").await;
        bound_once(&api, "bad", "Never", "100").await;
        bound_once(&api, "again", "OnFailure", "100").await;
        assert_eq!(ends(&api, "good").await, ("Succeeded".to_string(), 0));
        assert_eq!(ends(&api, "bad").await, ("Failed".to_string(), 1));
        eventually(30, async || restarts(&get(&api, "again").await.expect("the pod")) >= 2).await;
        assert_eq!(phase(&get(&api, "again").await.expect("the pod")), "Running");
        // what has ended takes no room: six more have come and gone where five may be at a time
        for name in ["1", "2", "3", "4", "5", "6"] {
            bound_once(&api, name, "Never", "0").await;
            assert_eq!(ends(&api, name).await, ("Succeeded".to_string(), 0));
        }
        let starts = seen.lock().unwrap().iter().filter(|(_, pod, runs)| pod == "good" && *runs).count();
        assert_eq!(starts, 1);
    });
}

/// They end while the kubelet is away, and it says so when it is back; that a container ran before the power went
/// is known from the pod, and a pod that is never restarted has then failed.
#[test]
fn an_end_is_told_after_a_restart_and_lost_containers_are_a_failure() {
    with_node(|api, seen| async move {
        bound_once(&api, "p", "Never", "0").await;
        running(&api, "p").await;
        world::process::kill("n", Death::Process);
        rt::sleep(ms(8_000)).await;
        assert_eq!(phase(&get(&api, "p").await.expect("the pod")), "Running");
        world::process::restart("n");
        let back = rt::now();
        assert_eq!(ends(&api, "p").await, ("Succeeded".to_string(), 0));
        assert!(back.elapsed() < ms(4_000), "its time was over while the kubelet was away");
        bound_once(&api, "q", "Never", "0").await;
        running(&api, "q").await;
        world::process::kill("n", Death::Power);
        rt::sleep(ms(500)).await;
        world::process::restart("n");
        assert_eq!(ends(&api, "q").await, ("Failed".to_string(), 137));
        let starts = seen.lock().unwrap().iter().filter(|(_, pod, runs)| pod == "q" && *runs).count();
        assert_eq!(starts, 1, "it is never started again");
    });
}

/// Another machine takes the node's name: the Node is the same object and says what it now is; the pods are started
/// anew there and are what they were.
#[test]
fn another_machine_of_the_same_name_takes_up_the_nodes_pods() {
    with_node(|api, seen| async move {
        bound(&api, "p", "100m").await;
        let before = running(&api, "p").await;
        let first = api.get(&node::KIND, None, "n").await.expect("the node");
        world::process::kill("n", Death::Power);
        assert!(world::process::replace("n"));
        world::process::restart("n");
        eventually(10, async || !is_true(&get(&api, "p").await.expect("the pod"), "Ready")).await;
        let after = running(&api, "p").await;
        assert_eq!((after.uid(), restarts(&after)), (before.uid(), 0));
        let second = api.get(&node::KIND, None, "n").await.expect("the node");
        assert_eq!(first.uid(), second.uid());
        for id in ["bootID", "machineID", "systemUUID"] {
            let of = |node: &Object| node.get_str(&["status", "nodeInfo", id]).to_string();
            assert!(!of(&first).is_empty() && of(&first) != of(&second), "{id}");
        }
        let starts = seen.lock().unwrap().iter().filter(|(.., runs)| *runs).count();
        assert_eq!(starts, 2);
    });
}
