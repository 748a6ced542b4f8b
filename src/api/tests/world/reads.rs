//! Reads: which version a list is of, what is selected, how it is shown; and what else clients ask for.

use crate::{DEPLOYMENTS, PODS, config_map, deployment, names, pod, with_servers};
use base::{Knobs, knobs::ms};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

fn version(object: &Value) -> i64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_list_is_of_the_version_asked_for() {
    with_servers(2, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let first = version(&api.send("POST", MAPS, &config_map("a")).await.1);
        let second = version(&api.send("POST", MAPS, &config_map("b")).await.1);
        api.send("DELETE", &format!("{MAPS}/a"), &json!({})).await;
        let now = api.get(MAPS).await.1;
        assert_eq!(names(&now), ["b"]);
        let exact = |version: i64| format!("{MAPS}?resourceVersionMatch=Exact&resourceVersion={version}");
        for api in &clients {
            let old = api.get(&exact(first)).await.1;
            assert_eq!((names(&old), version(&old)), (vec!["a"], first));
            assert_eq!(names(&api.get(&exact(second)).await.1), ["a", "b"]);
            let cut = api.get(&format!("{MAPS}?limit=1&resourceVersion={second}")).await.1;
            assert_eq!((names(&cut), version(&cut)), (vec!["a"], second));
            let newer = api.get(&format!("{MAPS}?resourceVersion={first}")).await.1;
            assert!(version(&newer) >= first);
            let least = format!("resourceVersionMatch=NotOlderThan&resourceVersion={}", version(&now));
            assert_eq!(names(&api.get(&format!("{MAPS}?{least}")).await.1), ["b"]);
        }
        let began = rt::now();
        assert_eq!(names(&api.get(&format!("{MAPS}?resourceVersion=0&limit=1")).await.1), ["b"]);
        assert!(began.elapsed() < ms(50), "whatever is there is given at once");
        let ahead = version(&now) + 1_000;
        for path in [format!("{MAPS}?resourceVersion={ahead}"), format!("{MAPS}/b?resourceVersion={ahead}")] {
            let (code, late) = api.get(&path).await;
            assert_eq!((code, &late["reason"]), (504, &json!("Timeout")), "{late}");
            assert_eq!(late["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
            assert!(late["message"].as_str().unwrap().starts_with("Too large resource version: "), "{late}");
        }
        assert_eq!(api.get(&format!("{MAPS}/b?resourceVersion=0")).await.1["metadata"]["name"], "b");
        assert_eq!(api.get(&format!("{MAPS}?resourceVersionMatch=Exact")).await.0, 400);
        assert_eq!(api.get(&format!("{MAPS}?continue=nonsense")).await.0, 400);
    });
}

#[test]
fn a_version_that_was_compacted_away_is_gone() {
    let knobs = Knobs { compact_every_ms: 10_000, ..Knobs::default() };
    with_servers(1, knobs, |clients| async move {
        let api = &clients[0];
        let old = version(&api.send("POST", MAPS, &config_map("a")).await.1);
        for _ in 0..5 {
            rt::sleep(ms(10_000)).await;
            api.send(
                "PUT",
                &format!("{MAPS}/a"),
                &json!({ "metadata": { "name": "a" }, "data": { "k": rt::wall().rfc3339() } }),
            )
            .await;
        }
        let (code, gone) = api.get(&format!("{MAPS}?resourceVersionMatch=Exact&resourceVersion={old}")).await;
        assert_eq!((code, &gone["reason"]), (410, &json!("Expired")), "{gone}");
    });
}

/// Nothing happens to nodes, and yet a consistent list of them, from the cache, does not wait out its time: the
/// store is asked how far it has got.
#[test]
fn a_consistent_list_of_a_quiet_kind_comes_at_once() {
    let knobs = Knobs { bookmark_ms: 60_000, cache_wait_ms: 3_000, ..Knobs::default() };
    with_servers(1, knobs, |clients| async move {
        let api = &clients[0];
        api.get("/api/v1/nodes").await;
        base::marks::take_reached();
        for count in 0..20 {
            let made = api.send("POST", MAPS, &config_map(&format!("m{count}"))).await.1;
            let began = rt::now();
            let list = api.get("/api/v1/nodes").await.1;
            assert!(version(&list) >= version(&made), "{list} is older than {made}");
            assert!(began.elapsed() < ms(200), "it took {:?}", began.elapsed());
        }
        let late = base::marks::take_reached().contains_key("a watch cache stayed behind a reader");
        assert!(!late, "a list was read from the store instead");
    });
}

#[test]
fn a_list_holds_what_is_selected() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        api.send("POST", "/api/v1/namespaces", &json!({ "metadata": { "name": "other" } })).await;
        for name in ["a", "b", "c"] {
            api.send("POST", PODS, &pod(name)).await;
        }
        api.send("POST", "/api/v1/namespaces/other/pods", &pod("d")).await;
        api.patch(
            &format!("{PODS}/b"),
            "application/merge-patch+json",
            &json!({ "metadata": { "labels": { "tier": "db" } } }),
        )
        .await;
        let binding = json!({ "target": { "kind": "Node", "name": "x" } });
        api.send("POST", &format!("{PODS}/c/binding"), &binding).await;
        let cases = [
            (PODS, "labelSelector=name%3Da", vec!["a"]),
            (PODS, "labelSelector=name!%3Da", vec!["b", "c"]),
            (PODS, "labelSelector=name+in+(a,b),!tier", vec!["a"]),
            (PODS, "labelSelector=name+notin+(a,b)", vec!["c"]),
            (PODS, "labelSelector=tier", vec!["b"]),
            (PODS, "fieldSelector=metadata.name%3Db", vec!["b"]),
            (PODS, "fieldSelector=spec.nodeName%3D", vec!["a", "b"]),
            (PODS, "fieldSelector=spec.nodeName%3Dx", vec!["c"]),
            (PODS, "fieldSelector=status.phase!%3DPending", vec![]),
            ("/api/v1/pods", "", vec!["a", "b", "c", "d"]),
            ("/api/v1/pods", "fieldSelector=metadata.namespace%3Dother", vec!["d"]),
            ("/api/v1/namespaces/other/pods", "fieldSelector=spec.nodeName%3Dx", vec![]),
        ];
        for (path, selector, wanted) in cases {
            for at in ["", "&resourceVersion=0", "&limit=500"] {
                let list = api.get(&format!("{path}?{selector}{at}")).await.1;
                assert_eq!(names(&list), wanted, "{selector}{at}");
            }
        }
        let first = api.get(&format!("{PODS}?labelSelector=name+in+(a,c)&limit=1")).await.1;
        let token = first["metadata"]["continue"].as_str().unwrap();
        assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a"], &Value::Null));
        let rest = format!("{PODS}?labelSelector=name+in+(a,c)&limit=1&continue={token}");
        let rest = api.get(&rest).await.1;
        assert_eq!((names(&rest), &rest["metadata"]["continue"]), (vec!["c"], &Value::Null));
        for wrong in ["labelSelector=a+in", "fieldSelector=spec.color%3Dred"] {
            assert_eq!(api.get(&format!("{PODS}?{wrong}")).await.0, 400, "{wrong}");
        }
    });
}

#[test]
fn people_are_shown_a_table() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        api.send("POST", PODS, &pod("a")).await;
        let shown = async |path: &str, accept: &str| {
            let (code, _, body) = api.full("GET", path, &[("accept", accept)], "").await;
            (code, serde_json::from_str::<Value>(&body).unwrap())
        };
        let (_, list) = shown(PODS, TABLE).await;
        assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
        let columns = list["columnDefinitions"].as_array().unwrap();
        let columns: Vec<&str> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
        assert_eq!(columns[..5], ["Name", "Ready", "Status", "Restarts", "Age"]);
        let row = &list["rows"][0];
        assert_eq!(
            (&row["cells"][0], &row["cells"][1], &row["cells"][2]),
            (&json!("a"), &json!("0/1"), &json!("Pending"))
        );
        assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
        assert!(version(&list) > 0);
        let (_, one) = shown(&format!("{PODS}/a?includeObject=Object"), TABLE).await;
        assert_eq!(one["rows"][0]["object"]["spec"]["containers"][0]["name"], "c");
        let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
        let (_, bare) = shown(PODS, metadata).await;
        assert_eq!(
            (&bare["kind"], &bare["items"][0]["spec"]),
            (&json!("PartialObjectMetadataList"), &Value::Null)
        );
        assert_eq!(shown(&format!("{PODS}?includeObject=All"), TABLE).await.0, 400);
    });
}

#[test]
fn clients_find_out_what_is_served() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let version = api.get("/version").await.1;
        assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("33")));
        for path in ["/healthz", "/livez", "/readyz"] {
            let (code, _, text) = api.full("GET", path, &[], "").await;
            assert_eq!((code, text.as_str()), (200, "ok"), "{path}");
        }
        let (_, _, text) = api.full("GET", "/readyz?verbose", &[], "").await;
        assert!(text.contains("[+]watch-caches ok\n") && text.ends_with("readyz check passed\n"), "{text}");
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        let (_, headers, text) = api.full("GET", "/apis", &[("accept", accept)], "").await;
        assert_eq!(
            headers["content-type"],
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        );
        let groups: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(groups["items"].as_array().unwrap().len(), 3);
        assert_eq!(api.get("/apis").await.1["groups"].as_array().unwrap().len(), 3);
        // Every resource of the old form can be listed where it says it is.
        for (path, below) in [
            ("/api/v1", "/api/v1"),
            ("/apis/apps/v1", "/apis/apps/v1"),
            ("/apis/batch/v1", "/apis/batch/v1"),
            ("/apis/coordination.k8s.io/v1", "/apis/coordination.k8s.io/v1"),
        ] {
            let resources = api.get(path).await.1;
            for resource in resources["resources"].as_array().unwrap() {
                let name = resource["name"].as_str().unwrap();
                if !name.contains('/') {
                    let (code, list) = api.get(&format!("{below}/{name}")).await;
                    let kind = format!("{}List", resource["kind"].as_str().unwrap());
                    assert_eq!((code, &list["kind"]), (200, &json!(kind)));
                }
            }
        }
        let index = api.get("/openapi/v3").await.1;
        for (path, place) in index["paths"].as_object().unwrap() {
            let (code, document) = api.get(place["serverRelativeURL"].as_str().unwrap()).await;
            assert_eq!((code, document["openapi"].as_str()), (200, Some("3.0.0")), "{path}");
        }
        assert!(index["paths"].get("apis/apps/v1").is_some(), "{index}");
    });
}

#[test]
fn every_kind_is_served_under_its_path() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        api.send("POST", DEPLOYMENTS, &deployment("d")).await;
        let set = json!({ "metadata": { "name": "x" }, "spec": deployment("x")["spec"] });
        let event = json!({ "metadata": { "name": "x" }, "involvedObject": { "kind": "Pod", "namespace": "default", "name": "p" }, "reason": "R" });
        let named = json!({ "metadata": { "name": "x" } });
        let service = json!({ "metadata": { "name": "x" }, "spec": { "ports": [{ "port": 80 }], "selector": { "app": "x" } } });
        let cases = [
            ("/api/v1/namespaces", &named),
            ("/api/v1/nodes", &named),
            ("/api/v1/namespaces/default/pods", &pod("x")),
            ("/api/v1/namespaces/default/configmaps", &named),
            ("/api/v1/namespaces/default/serviceaccounts", &named),
            ("/api/v1/namespaces/default/services", &service),
            ("/api/v1/namespaces/default/events", &event),
            ("/apis/coordination.k8s.io/v1/namespaces/default/leases", &named),
            ("/apis/apps/v1/namespaces/default/deployments", &deployment("x")),
            ("/apis/apps/v1/namespaces/default/replicasets", &set),
        ];
        for (path, object) in cases {
            let (code, made) = api.send("POST", path, object).await;
            assert_eq!(code, 201, "{path}: {made}");
            let one = format!("{path}/x");
            assert_eq!(api.get(&one).await.1, made, "{path}");
            let labelled =
                api.send("PATCH", &one, &json!({ "metadata": { "labels": { "k": "v" } } })).await.1;
            assert_eq!(labelled["metadata"]["labels"]["k"], "v", "{path}: {labelled}");
            assert!(names(&api.get(path).await.1).contains(&"x"), "{path}");
            assert_eq!(api.send("DELETE", &one, &json!({})).await.0, 200, "{path}");
        }
    });
}
