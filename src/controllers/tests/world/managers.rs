//! Managers: one of two works; pods are made in growing steps; a node that falls silent is emptied.

use crate::{all, deployed, deployment, eventually, with_managers};
use base::knobs::ms;
use client::PatchType;
use objects::kinds::{self, node, pod, replica_set};
use serde_json::json;
use std::time::Duration;
use world::Death;

const NAMESPACE: Option<&str> = Some("default");

#[test]
fn one_of_two_works_and_the_other_takes_over() {
    with_managers(2, 2, |api, seen| async move {
        deployed(&api, "a", 2).await;
        let who = || -> Vec<String> {
            let seen = seen.lock().unwrap();
            let who = seen.iter().map(|(_, who, _)| who.clone()).filter(|who| who.starts_with("manager"));
            let mut who: Vec<String> = who.collect();
            who.dedup();
            who
        };
        let first = who();
        assert_eq!(first.len(), 1, "{first:?}");
        world::process::kill(&first[0], Death::Power);
        deployed(&api, "b", 2).await;
        let now = who();
        assert!(now.len() == 2 && now[0] == first[0] && now[1] != first[0], "{now:?}");
    });
}

/// It sleeps past its lease in the middle of its work; the other does the rest, and when it wakes it writes nothing.
#[test]
fn who_slept_past_its_lease_writes_nothing() {
    with_managers(2, 2, |api, seen| async move {
        deployed(&api, "a", 2).await;
        let is_manager = |who: &str| who.starts_with("manager");
        let first = seen.lock().unwrap().iter().map(|(_, who, _)| who.clone()).find(|who| is_manager(who));
        let first = first.expect("one of them works");
        api.create(&kinds::deployment::KIND, &deployment("b", 12)).await.expect("made");
        eventually(5, async || all(&api, &pod::KIND).await.len() > 2).await;
        world::process::pause(&first);
        let available = async || {
            let made = api.get(&kinds::deployment::KIND, NAMESPACE, "b").await;
            made.is_ok_and(|made| made.get_i64(&["status", "availableReplicas"]) == Some(12))
        };
        eventually(60, available).await;
        assert_eq!(
            all(&api, &pod::KIND).await.len(),
            14,
            "what the first had asked for is not asked for again"
        );
        let asleep = seen.lock().unwrap().len();
        world::process::resume(&first);
        rt::sleep(ms(20_000)).await;
        let seen = seen.lock().unwrap();
        let late: Vec<_> = seen[asleep..].iter().filter(|(_, who, _)| *who == first).collect();
        assert!(late.is_empty(), "{late:?}");
    });
}

#[test]
fn pods_are_made_in_steps_that_double() {
    with_managers(1, 0, |api, seen| async move {
        api.create(&kinds::deployment::KIND, &deployment("web", 11)).await.expect("made");
        eventually(30, async || all(&api, &pod::KIND).await.len() == 11).await;
        rt::sleep(ms(5_000)).await;
        assert_eq!(all(&api, &pod::KIND).await.len(), 11, "and not one more");
        let mut steps: Vec<(Duration, usize)> = vec![];
        for (at, _, what) in seen.lock().unwrap().iter() {
            if what != "POST /api/v1/namespaces/default/pods" {
                continue;
            }
            match steps.last_mut() {
                Some((last, count)) if last == at => *count += 1,
                _ => steps.push((*at, 1)),
            }
        }
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 2, 4, 4]);
    });
}

#[test]
fn a_silent_node_is_marked_tainted_and_emptied_and_welcomed_back() {
    with_managers(1, 3, |api, _| async move {
        deployed(&api, "web", 6).await;
        let on = async |name: &str| {
            let pods = all(&api, &pod::KIND).await;
            pods.iter()
                .filter(|pod| {
                    pod.get_str(&["spec", "nodeName"]) == name && pod.deletion_timestamp().is_none()
                })
                .count()
        };
        assert_eq!((on("node-1").await, on("node-2").await, on("node-3").await), (2, 2, 2), "spread");
        world::process::kill("node-1", Death::Power);
        let there = async || api.get(&node::KIND, None, "node-1").await.expect("the node");
        let ready = async || {
            let node = there().await;
            let conditions = node.get_array(&["status", "conditions"]).to_vec();
            conditions.iter().find(|has| has["type"] == "Ready").map(|has| has["status"].clone())
        };
        let began = rt::now();
        eventually(20, async || ready().await == Some(json!("Unknown"))).await;
        assert!(began.elapsed() > ms(7_000), "not before its grace is over: {:?}", began.elapsed());
        eventually(5, async || there().await.get_array(&["spec", "taints"]).len() == 2).await;
        eventually(30, async || on("node-1").await == 0).await;
        eventually(30, async || on("node-2").await + on("node-3").await == 6).await;
        world::process::restart("node-1");
        eventually(20, async || ready().await == Some(json!("True"))).await;
        eventually(10, async || there().await.get_array(&["spec", "taints"]).is_empty()).await;
    });
}

#[test]
fn nothing_is_evicted_when_all_nodes_fall_silent() {
    with_managers(1, 2, |api, _| async move {
        deployed(&api, "web", 4).await;
        for node in ["node-1", "node-2"] {
            assert!(world::process::kill(node, Death::Power));
        }
        rt::sleep(ms(60_000)).await;
        let pods = all(&api, &pod::KIND).await;
        assert_eq!(pods.iter().filter(|pod| pod.deletion_timestamp().is_none()).count(), 4);
        assert_eq!(all(&api, &pod::KIND).await.len(), 4);
    });
}

#[test]
fn a_rollout_goes_on_and_back_and_is_scaled() {
    with_managers(1, 3, |api, _| async move {
        deployed(&api, "web", 4).await;
        let settled = async |image: &str, replicas: i64| {
            eventually(60, async || {
                let pods = all(&api, &pod::KIND).await;
                let of = |pod: &&objects::Object| pod.get_array(&["spec", "containers"])[0]["image"] == image;
                let d = api.get(&kinds::deployment::KIND, NAMESPACE, "web").await.expect("there");
                pods.len() as i64 == replicas
                    && pods.iter().filter(of).count() as i64 == replicas
                    && d.get_i64(&["status", "availableReplicas"]) == Some(replicas)
            })
            .await;
        };
        let image = |image: &str| json!({ "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": image }] } } } });
        let change = async |body: serde_json::Value| {
            let patch = (PatchType::Strategic, &body);
            api.patch(&kinds::deployment::KIND, NAMESPACE, "web", "", patch).await.expect("patched");
        };
        for next in ["v2", "v3"] {
            change(image(next)).await;
            settled(next, 4).await;
        }
        assert_eq!(all(&api, &replica_set::KIND).await.len(), 3, "history");
        change(image("v1")).await;
        settled("v1", 4).await;
        let sets = all(&api, &replica_set::KIND).await;
        assert_eq!(sets.len(), 3, "the old set again");
        let mut revisions: Vec<_> =
            sets.iter().filter_map(|set| set.annotation("deployment.kubernetes.io/revision")).collect();
        revisions.sort();
        assert_eq!(revisions, ["2", "3", "4"]);
        change(json!({ "spec": { "revisionHistoryLimit": 1, "replicas": 7 } })).await;
        settled("v1", 7).await;
        eventually(20, async || all(&api, &replica_set::KIND).await.len() == 2).await;
    });
}
