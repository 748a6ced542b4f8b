//! Writes as clients mean them: dry runs, generated names, patches in every language, unknown fields, parts with
//! a path of their own, deletions that wait; and what is refused, in upstream's words.

use crate::{DEPLOYMENTS, PODS, config_map, deployment, names, pod, with_servers};
use base::Knobs;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

#[test]
fn a_dry_run_answers_as_if_and_changes_nothing() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let one = format!("{DEPLOYMENTS}/d");
        let (code, made) = api.send("POST", &format!("{DEPLOYMENTS}?dryRun=All"), &deployment("d")).await;
        assert_eq!((code, &made["spec"]["revisionHistoryLimit"]), (201, &json!(10)), "{made}");
        assert!(made["metadata"]["uid"].is_string() && made["metadata"]["resourceVersion"].is_null());
        assert_eq!(api.get(&one).await.0, 404);
        let wrong = json!({ "metadata": { "name": "d" }, "spec": {} });
        assert_eq!(api.send("POST", &format!("{DEPLOYMENTS}?dryRun=All"), &wrong).await.0, 422);
        let made = api.send("POST", DEPLOYMENTS, &deployment("d")).await.1;
        assert_eq!(api.send("POST", &format!("{DEPLOYMENTS}?dryRun=All"), &deployment("d")).await.0, 409);
        let mut changed = made.clone();
        changed["spec"]["replicas"] = json!(7);
        let (code, answer) = api.send("PUT", &format!("{one}?dryRun=All"), &changed).await;
        assert_eq!((code, &answer["spec"]["replicas"]), (200, &json!(7)));
        assert_eq!(answer["metadata"]["generation"], 2);
        let patch = json!({ "spec": { "replicas": 8 } });
        let answer = api.patch(&format!("{one}?dryRun=All"), MERGE, &patch).await.1;
        assert_eq!(answer["spec"]["replicas"], 8);
        let answer = api.patch(&format!("{one}/scale?dryRun=All"), MERGE, &patch).await.1;
        assert_eq!(answer["spec"]["replicas"], 8);
        let status = json!({ "status": { "replicas": 9 } });
        assert_eq!(api.patch(&format!("{one}/status?dryRun=All"), MERGE, &status).await.0, 200);
        assert_eq!(api.send("DELETE", &format!("{one}?dryRun=All"), &json!({})).await.0, 200);
        assert_eq!(api.send("DELETE", &one, &json!({ "dryRun": ["All"] })).await.0, 200);
        assert_eq!(api.get(&one).await.1, made);
        assert_eq!(api.send("POST", &format!("{MAPS}?dryRun=Some"), &config_map("m")).await.0, 400);
        api.send("POST", PODS, &pod("p")).await;
        let binding = json!({ "target": { "kind": "Node", "name": "x" } });
        assert_eq!(api.send("POST", &format!("{PODS}/p/binding?dryRun=All"), &binding).await.0, 201);
        assert_eq!(api.get(&format!("{PODS}/p")).await.1["spec"]["nodeName"], Value::Null);
    });
}

#[test]
fn a_generated_name_begins_as_asked_and_is_new() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let wish = json!({ "metadata": { "generateName": "web-" } });
        let first = api.send("POST", MAPS, &wish).await.1;
        let second = api.send("POST", MAPS, &wish).await.1;
        let name = |made: &Value| made["metadata"]["name"].as_str().unwrap().to_string();
        for made in [&first, &second] {
            assert!(name(made).starts_with("web-") && name(made).len() == 9, "{made}");
        }
        assert_ne!(name(&first), name(&second));
        assert_eq!(api.get(&format!("{MAPS}/{}", name(&first))).await.1, first);
    });
}

#[test]
fn a_patch_is_read_in_the_language_it_names() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        api.send("POST", DEPLOYMENTS, &deployment("d")).await;
        let one = format!("{DEPLOYMENTS}/d");
        let images = |d: &Value| d["spec"]["template"]["spec"]["containers"].as_array().unwrap().len();
        let container = |name: &str| json!({ "spec": { "template": { "spec": { "containers": [{ "name": name, "image": "i" }] } } } });
        let merged = api.patch(&one, STRATEGIC, &container("side")).await.1;
        assert_eq!(images(&merged), 2, "containers are merged by name: {merged}");
        let replaced = api.patch(&one, MERGE, &container("only")).await.1;
        assert_eq!(images(&replaced), 1, "a list is replaced as a whole");
        let operations = json!([
            { "op": "test", "path": "/spec/replicas", "value": 2 },
            { "op": "replace", "path": "/spec/replicas", "value": 5 },
        ]);
        assert_eq!(api.patch(&one, JSON, &operations).await.1["spec"]["replicas"], 5);
        assert_eq!(api.patch(&one, JSON, &operations).await.0, 422, "the test no longer holds");
        assert_eq!(api.get(&one).await.1["spec"]["replicas"], 5);
        let (code, what) = api.patch(&one, "application/json", &json!({})).await;
        assert_eq!((code, what["reason"].as_str()), (415, Some("UnsupportedMediaType")));
        let stale = json!({ "metadata": { "resourceVersion": "1" }, "spec": { "replicas": 6 } });
        assert_eq!(api.patch(&one, MERGE, &stale).await.1["reason"], "Conflict");
        assert_eq!(api.patch(&format!("{DEPLOYMENTS}/none"), MERGE, &json!({})).await.0, 404);
    });
}

#[test]
fn unknown_fields_are_refused_warned_of_or_ignored_as_asked() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let misspelt = |name: &str| {
            format!(r#"{{"metadata":{{"name":"{name}"}},"date":{{}},"data":{{"k":"a"}},"data":{{"k":"b"}}}}"#)
        };
        let post = async |name: &str, validation: &str| {
            let path = format!("{MAPS}?fieldValidation={validation}");
            let (code, headers, body) =
                api.full("POST", &path, &[("content-type", "application/json")], &misspelt(name)).await;
            let warnings = headers.get_all("warning").iter();
            let warnings: Vec<String> = warnings.map(|text| text.to_str().unwrap().to_string()).collect();
            (code, warnings, serde_json::from_str::<Value>(&body).unwrap())
        };
        let (code, _, refused) = post("a", "Strict").await;
        assert_eq!((code, &refused["reason"]), (400, &json!("BadRequest")), "{refused}");
        let why = refused["message"].as_str().unwrap();
        assert!(
            why.contains(r#"strict decoding error: unknown field "date", duplicate field "data""#),
            "{why}"
        );
        for (name, validation) in [("b", "Warn"), ("c", "")] {
            let (code, warnings, _) = post(name, validation).await;
            let wanted = [r#"299 - "unknown field \"date\"""#, r#"299 - "duplicate field \"data\"""#];
            assert_eq!((code, warnings), (201, wanted.map(String::from).to_vec()));
        }
        let (code, warnings, _) = post("d", "Ignore").await;
        assert_eq!((code, warnings.len()), (201, 0));
        assert_eq!(post("e", "Maybe").await.0, 400);
        assert_eq!(names(&api.get(MAPS).await.1), ["b", "c", "d"]);
        let kept = api.get(&format!("{MAPS}/b")).await.1;
        assert_eq!((&kept["date"], &kept["data"]["k"]), (&Value::Null, &json!("b")));
        let strict = format!("{MAPS}/b?fieldValidation=Strict");
        let (code, refused) = api.patch(&strict, MERGE, &json!({ "date": {} })).await;
        assert_eq!((code, &refused["reason"]), (422, &json!("Invalid")), "{refused}");
        let put = json!({ "metadata": { "name": "b" }, "date": {} });
        assert_eq!(api.send("PUT", &strict, &put).await.0, 400);
    });
}

#[test]
fn status_is_written_by_its_own_path_and_the_rest_is_not() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let mut made = api.send("POST", DEPLOYMENTS, &deployment("d")).await.1;
        let (one, status) = (format!("{DEPLOYMENTS}/d"), format!("{DEPLOYMENTS}/d/status"));
        made["status"]["replicas"] = json!(3);
        made["spec"]["replicas"] = json!(4);
        let told = api.send("PUT", &status, &made).await.1;
        assert_eq!((&told["status"]["replicas"], &told["spec"]["replicas"]), (&json!(3), &json!(2)));
        assert_eq!(told["metadata"]["generation"], 1);
        let both = json!({ "status": { "replicas": 9 }, "spec": { "replicas": 5 } });
        let changed = api.patch(&one, MERGE, &both).await.1;
        assert_eq!((&changed["status"]["replicas"], &changed["spec"]["replicas"]), (&json!(3), &json!(5)));
        assert_eq!(changed["metadata"]["generation"], 2);
        let told = api.patch(&status, STRATEGIC, &both).await.1;
        assert_eq!((&told["status"]["replicas"], &told["spec"]["replicas"]), (&json!(9), &json!(5)));
        assert_eq!(api.get(&status).await.1, told);
        assert_eq!(api.send("PUT", &status, &made).await.1["reason"], "Conflict");
        api.send("POST", MAPS, &config_map("m")).await;
        assert_eq!(api.get(&format!("{MAPS}/m/status")).await.0, 404, "a ConfigMap has none");
    });
}

#[test]
fn scale_is_read_and_written_as_a_kind_of_its_own() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        api.send("POST", DEPLOYMENTS, &deployment("d")).await;
        api.patch(&format!("{DEPLOYMENTS}/d/status"), MERGE, &json!({ "status": { "replicas": 1 } })).await;
        let scale = format!("{DEPLOYMENTS}/d/scale");
        let mut is = api.get(&scale).await.1;
        assert_eq!((&is["kind"], &is["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
        assert_eq!((&is["spec"]["replicas"], &is["status"]["replicas"]), (&json!(2), &json!(1)));
        assert_eq!(is["status"]["selector"], "app=d");
        is["spec"]["replicas"] = json!(6);
        assert_eq!(api.send("PUT", &scale, &is).await.1["spec"]["replicas"], 6);
        assert_eq!(api.send("PUT", &scale, &is).await.1["reason"], "Conflict", "its version is old by now");
        let answer = api.patch(&scale, MERGE, &json!({ "spec": { "replicas": 0 } })).await.1;
        assert_eq!(answer["spec"], json!({ "replicas": 0 }));
        let of = api.get(&format!("{DEPLOYMENTS}/d")).await.1;
        assert_eq!((&of["spec"]["replicas"], &of["metadata"]["generation"]), (&json!(0), &json!(3)));
        let (code, _) = api.patch(&scale, MERGE, &json!({ "spec": { "replicas": -1 } })).await;
        assert_eq!(code, 422);
    });
}

#[test]
fn an_object_with_finalizers_goes_with_the_last_of_them() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let mut map = config_map("m");
        map["metadata"]["finalizers"] = json!(["a.b/c", "a.b/d"]);
        api.send("POST", MAPS, &map).await;
        let one = format!("{MAPS}/m");
        let (code, marked) = api.send("DELETE", &one, &json!({})).await;
        assert_eq!((code, marked["metadata"]["deletionTimestamp"].is_string()), (200, true), "{marked}");
        assert_eq!(api.send("DELETE", &one, &json!({})).await.1["metadata"], marked["metadata"]);
        let finalizers = |left: Value| json!({ "metadata": { "finalizers": left } });
        let more = api.patch(&one, MERGE, &finalizers(json!(["a.b/c", "a.b/d", "a.b/e"]))).await;
        assert_eq!(more.0, 422, "none may be added any more");
        assert_eq!(api.patch(&one, MERGE, &finalizers(json!(["a.b/d"]))).await.0, 200);
        assert_eq!(api.get(&one).await.0, 200);
        assert_eq!(api.patch(&one, MERGE, &finalizers(json!([]))).await.0, 200);
        assert_eq!(api.get(&one).await.0, 404);
    });
}

#[test]
fn a_deletion_says_what_becomes_of_dependents() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        for (policy, finalizers) in
            [("Foreground", json!(["foregroundDeletion"])), ("Orphan", json!(["orphan"]))]
        {
            api.send("POST", DEPLOYMENTS, &deployment("d")).await;
            let one = format!("{DEPLOYMENTS}/d");
            let marked = api.send("DELETE", &one, &json!({ "propagationPolicy": policy })).await.1;
            assert_eq!(marked["metadata"]["finalizers"], finalizers);
            let background = json!({ "propagationPolicy": "Background" });
            let (code, done) = api.send("DELETE", &one, &background).await;
            assert_eq!((code, &done["status"]), (200, &json!("Success")), "{done}");
            assert_eq!(done["details"]["kind"], "deployments");
            assert_eq!(api.get(&one).await.0, 404);
        }
        assert_eq!(
            api.send("DELETE", &format!("{DEPLOYMENTS}/d?propagationPolicy=Now"), &json!({})).await.0,
            400
        );
    });
}

#[test]
fn a_collection_is_deleted_as_far_as_it_is_selected() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        for name in ["a", "b", "c"] {
            api.send("POST", PODS, &pod(name)).await;
        }
        let deleted = api.send("DELETE", &format!("{PODS}?labelSelector=name+in+(a,c)"), &json!({})).await.1;
        assert_eq!(names(&deleted), ["a", "c"]);
        assert_eq!(names(&api.get(PODS).await.1), ["b"]);
    });
}

#[test]
fn an_update_without_a_version_stands_and_one_with_an_old_version_does_not() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let mut first = api.send("POST", MAPS, &config_map("m")).await.1;
        let one = format!("{MAPS}/m");
        let mut map = config_map("m");
        map["data"] = json!({ "k": "1" });
        assert_eq!(api.send("PUT", &one, &map).await.0, 200);
        first["data"] = json!({ "k": "2" });
        let (code, conflict) = api.send("PUT", &one, &first).await;
        let wanted = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Conflict",
            "message": "Operation cannot be fulfilled on configmaps \"m\": the object has been modified; \
                        please apply your changes to the latest version and try again",
            "details": { "name": "m", "kind": "configmaps" }, "code": 409,
        });
        assert_eq!((code, conflict), (409, wanted));
        assert_eq!(api.get(&one).await.1["data"]["k"], "1");
        let mut of_another = map.clone();
        of_another["metadata"]["uid"] = json!("other");
        assert_eq!(api.send("PUT", &one, &of_another).await.0, 409);
    });
}

/// Who names no version has no conflict to solve, however many write at the same time.
#[test]
fn writes_without_a_version_all_stand() {
    with_servers(2, Knobs::default(), |clients| async move {
        let one = format!("{MAPS}/m");
        clients[0].send("POST", MAPS, &config_map("m")).await;
        let writer = async |number: usize| {
            for count in 0..40 {
                let mut map = config_map("m");
                map["data"] = json!({ "k": format!("{number} {count}") });
                let method = if number < 4 { "PUT" } else { "PATCH" };
                let (code, answer) = clients[number % 2].send(method, &one, &map).await;
                assert_eq!((code, &answer["data"]), (200, &map["data"]), "{answer}");
            }
        };
        futures::future::join_all((0..8).map(writer)).await;
    });
}

#[test]
fn every_fault_of_an_object_is_named_with_its_field() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let mut wrong = deployment("d");
        wrong["spec"]["selector"]["matchLabels"] = json!({ "app": "other" });
        let (code, invalid) = api.send("POST", DEPLOYMENTS, &wrong).await;
        assert_eq!((code, &invalid["reason"]), (422, &json!("Invalid")));
        let mut details = invalid["details"].clone();
        let causes = details["causes"].take();
        let named = json!({ "name": "d", "group": "apps", "kind": "Deployment", "causes": null });
        assert_eq!(details, named);
        assert_eq!(causes[0]["field"], "spec.template.metadata.labels");
        assert_eq!(causes[0]["reason"], "FieldValueInvalid");
        let message = invalid["message"].as_str().unwrap();
        let begins = r#"Deployment.apps "d" is invalid: spec.template.metadata.labels: Invalid value: "#;
        assert!(message.starts_with(begins), "{message}");
    });
}

#[test]
fn what_is_wrong_is_told_as_upstream_tells_it() {
    with_servers(1, Knobs::default(), |clients| async move {
        let json_type = "application/json";
        let not_found = "the server could not find the requested resource";
        let not_allowed = "the server does not allow this method";
        let elsewhere = r#"{"metadata":{"name":"m","namespace":"x"}}"#;
        let number = r#"{"metadata":{"name":"m"},"data":{"k":1}}"#;
        let version = r#"{"metadata":{"name":"m","resourceVersion":"3"}}"#;
        let large = format!(r#"{{"metadata":{{"name":"m"}},"data":{{"k":"{}"}}}}"#, "x".repeat(3 << 20));
        let cases = [
            ("GET", "/api/v1/things", json_type, "", 404, "NotFound", not_found),
            ("GET", "/nothing", json_type, "", 404, "NotFound", not_found),
            ("PUT", MAPS, json_type, "{}", 405, "MethodNotAllowed", not_allowed),
            ("POST", MAPS, "text/plain", "x", 415, "UnsupportedMediaType", "application/json"),
            ("POST", MAPS, json_type, "{", 400, "BadRequest", "unrecognized"),
            (
                "POST",
                MAPS,
                json_type,
                r#"{"kind":"Pod"}"#,
                400,
                "BadRequest",
                "the expected kind (ConfigMap)",
            ),
            ("POST", MAPS, json_type, elsewhere, 400, "BadRequest", "does not match the namespace"),
            ("POST", MAPS, json_type, number, 400, "BadRequest", "cannot unmarshal number"),
            ("POST", MAPS, json_type, version, 400, "BadRequest", "should not be set"),
            ("POST", MAPS, json_type, &large, 413, "RequestEntityTooLarge", "limit"),
        ];
        for (method, path, media, body, code, reason, text) in cases {
            let (answered, _, body) = clients[0].full(method, path, &[("content-type", media)], body).await;
            let status: Value = serde_json::from_str(&body).unwrap_or_else(|why| panic!("{why}: {body}"));
            assert_eq!((answered, &status["code"]), (code, &json!(code)), "{status}");
            assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Failure")));
            assert_eq!(status["reason"], reason, "{status}");
            assert!(status["message"].as_str().unwrap().contains(text), "{status}");
        }
    });
}
