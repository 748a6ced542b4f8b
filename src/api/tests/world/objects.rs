//! What happens to objects: create, read, change, delete, and what is refused.

use crate::{Cluster, PODS, config_map, names, pod, with_servers};
use base::{Knobs, knobs::ms};
use serde_json::json;
use world::{Profile, World, record};

#[test]
fn an_object_is_made_changed_and_deleted() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let (code, made) = api.send("POST", PODS, &pod("a")).await;
        assert_eq!(code, 201, "{made}");
        assert_eq!(made["status"]["phase"], "Pending");
        assert_eq!(api.send("POST", PODS, &pod("a")).await.1["message"], r#"pods "a" already exists"#);
        let one = format!("{PODS}/a");
        let (_, patched) = api.send("PATCH", &one, &json!({ "metadata": { "labels": { "x": "y" } } })).await;
        assert_eq!(patched["metadata"]["labels"]["x"], "y");
        let (code, stale) = api.send("PUT", &one, &made).await;
        assert_eq!((code, stale["reason"].as_str()), (409, Some("Conflict")));
        let same = api.send("PUT", &one, &patched).await.1;
        assert_eq!(same["metadata"]["resourceVersion"], patched["metadata"]["resourceVersion"]);
        let (code, gone) = api.send("DELETE", &one, &json!({})).await;
        assert_eq!((code, gone["metadata"]["name"].as_str()), (200, Some("a")));
        assert_eq!(api.get(&one).await.1["message"], r#"pods "a" not found"#);
        let (code, nowhere) = api.send("POST", "/api/v1/namespaces/x/pods", &pod("a")).await;
        assert_eq!((code, nowhere["message"].as_str()), (404, Some(r#"namespaces "x" not found"#)));
    });
}

#[test]
fn a_bound_pod_gets_its_time() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        api.send("POST", PODS, &pod("a")).await;
        let binding = json!({ "target": { "kind": "Node", "name": "x" } });
        let one = format!("{PODS}/a");
        assert_eq!(api.send("POST", &format!("{one}/binding"), &binding).await.0, 201);
        assert_eq!(api.send("POST", &format!("{one}/binding"), &binding).await.0, 409);
        let on_x = api.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dx").await.1;
        assert_eq!(names(&on_x), ["a"]);
        let marked = api.send("DELETE", &one, &json!({})).await.1;
        assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
        assert_eq!(api.get(&one).await.0, 200);
        let wrong = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": "other" } });
        assert_eq!(api.send("DELETE", &one, &wrong).await.0, 409);
        let version = marked["metadata"]["resourceVersion"].clone();
        let right = json!({ "gracePeriodSeconds": 0, "preconditions": { "resourceVersion": version } });
        assert_eq!(api.send("DELETE", &one, &right).await.0, 200);
        assert_eq!(api.get(&one).await.0, 404);
    });
}

#[test]
fn a_namespace_goes_when_it_is_finalized() {
    with_servers(1, Knobs::default(), |clients| async move {
        let (api, all) = (&clients[0], "/api/v1/namespaces");
        api.send("POST", all, &json!({ "metadata": { "name": "x" } })).await;
        let mut ending = api.send("DELETE", "/api/v1/namespaces/x", &json!({})).await.1;
        assert_eq!(ending["status"]["phase"], "Terminating");
        assert_eq!(api.send("POST", "/api/v1/namespaces/x/pods", &pod("a")).await.0, 403);
        ending["spec"]["finalizers"] = json!([]);
        assert_eq!(api.send("PUT", "/api/v1/namespaces/x/finalize", &ending).await.0, 200);
        assert_eq!(api.get("/api/v1/namespaces/x").await.0, 404);
        assert_eq!(api.send("DELETE", "/api/v1/namespaces/default", &json!({})).await.0, 403);
    });
}

#[test]
fn pages_of_a_list_are_of_one_revision_and_expire_with_it() {
    let knobs = Knobs { compact_every_ms: 20_000, ..Knobs::default() };
    with_servers(2, knobs, |clients| async move {
        let (api, maps) = (&clients[0], "/api/v1/namespaces/default/configmaps");
        for name in ["a", "b", "c", "d", "e"] {
            api.send("POST", maps, &config_map(name)).await;
        }
        let first = api.get(&format!("{maps}?limit=2")).await.1;
        assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a", "b"], &json!(3)));
        api.send("DELETE", &format!("{maps}/d"), &json!({})).await;
        let token = first["metadata"]["continue"].as_str().unwrap();
        let second = clients[1].get(&format!("{maps}?limit=2&continue={token}")).await.1;
        assert_eq!(names(&second), ["c", "d"]);
        assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        rt::sleep(ms(90_000)).await;
        let (code, gone) = api.get(&format!("{maps}?limit=2&continue={token}")).await;
        assert_eq!((code, gone["reason"].as_str()), (410, Some("Expired")));
        let token = gone["metadata"]["continue"].as_str().unwrap();
        assert_eq!(names(&api.get(&format!("{maps}?continue={token}")).await.1), ["c", "e"]);
    });
}

/// Each write through one server is looked for, at once, through another. Gives how often it was not there.
fn missed(bug: Option<&'static str>) -> usize {
    World::run(1, move |world| async move {
        base::marks::plant(bug);
        let cluster = Cluster::start(world, 1, 2, Knobs::default());
        let far = Profile::steady(ms(20)..ms(30));
        cluster.world.net().set_link("member-1", "api-2", Some(far));
        cluster
            .client(|clients| async move {
                let mut missed = 0;
                for count in 0..100 {
                    let maps = "/api/v1/namespaces/default/configmaps";
                    let name = format!("m{count}");
                    clients[0].send("POST", maps, &config_map(&name)).await;
                    let list = clients[1].get(maps).await.1;
                    missed += usize::from(!names(&list).contains(&name.as_str()));
                }
                missed
            })
            .await
    })
}

#[test]
fn a_list_has_what_was_written_through_another_server() {
    assert_eq!(missed(None), 0);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let digest = |seed| {
        World::run(seed, |world| async move {
            let cluster = Cluster::start(world, 1, 1, Knobs::default());
            cluster.client(|clients| async move { clients[0].send("POST", PODS, &pod("a")).await }).await;
            record::digest()
        })
    };
    assert_eq!(digest(3), digest(3));
    assert_ne!(digest(3), digest(4));
}

/// The bug museum's A01, planted: who reads their own writes finds it.
#[test]
fn a_list_from_a_lagging_cache_is_found_out() {
    assert!(missed(Some("A01")) > 0);
}
