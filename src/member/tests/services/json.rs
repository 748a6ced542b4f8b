//! What etcd's end-to-end tests claim of the gateway and no other test here holds (`src/clients/claims-e2e.md`): everything
//! one does to one member, done as curl does it.

use super::{
    core::Core,
    gateway::{ask, ask_as, open},
    users::knobs,
    with_member,
};
use base::Knobs;
use serde_json::{Value, json};

/// Is answered with this.
#[track_caller]
fn is(path: &str, said: (u16, Value), expected: Value) {
    assert_eq!(said, (200, expected), "{path}");
}

/// Is refused with a text, as what is asked for is wrong.
#[track_caller]
fn refused(path: &str, (status, said): (u16, Value), text: &str) {
    assert_eq!((status, said["message"].as_str()), (400, Some(text)), "{path}: {said}");
}

#[test]
fn users_are_added_changed_and_deleted_by_json() {
    with_member(knobs(), async |member: Core| {
        let done = async |path: &str, body: &str| is(path, ask(&member, path, body).await, json!({}));
        let alice = r#"{"name": "alice", "password": "pw"}"#;
        done("/v3/auth/user/add", alice).await;
        done("/v3/auth/user/add", r#"{"name": "bob", "password": "pw"}"#).await;
        refused(
            "add",
            ask(&member, "/v3/auth/user/add", alice).await,
            "etcdserver: user name already exists",
        );
        done("/v3/auth/user/get", r#"{"name": "alice"}"#).await;
        let list = async || ask(&member, "/v3/auth/user/list", "{}").await;
        is("list", list().await, json!({ "users": ["alice", "bob"] }));
        done("/v3/auth/user/changepw", r#"{"name": "alice", "password": "other"}"#).await;
        done("/v3/auth/user/delete", r#"{"name": "alice"}"#).await;
        for (path, body) in [("get", r#"{"name": "alice"}"#), ("changepw", alice), ("delete", alice)] {
            let path = format!("/v3/auth/user/{path}");
            // of a deletion and of a look a name is enough
            let body = if path.ends_with("delete") { r#"{"name": "alice"}"# } else { body };
            refused(&path, ask(&member, &path, body).await, "etcdserver: user name not found");
        }
        is("list", list().await, json!({ "users": ["bob"] }));
    });
}

#[test]
fn roles_are_given_to_users_and_taken_from_them_by_json() {
    with_member(knobs(), async |member: Core| {
        let done = async |path: &str, body: &str| is(path, ask(&member, path, body).await, json!({}));
        done("/v3/auth/user/add", r#"{"name": "alice", "password": "pw"}"#).await;
        let given = r#"{"user": "alice", "role": "r"}"#;
        let no_role = "etcdserver: role name not found";
        refused("grant", ask(&member, "/v3/auth/user/grant", given).await, no_role);
        done("/v3/auth/role/add", r#"{"name": "r"}"#).await;
        done("/v3/auth/role/add", r#"{"name": "s"}"#).await;
        let again = ask(&member, "/v3/auth/role/add", r#"{"name": "r"}"#).await;
        refused("add", again, "etcdserver: role name already exists");
        is("list", ask(&member, "/v3/auth/role/list", "{}").await, json!({ "roles": ["r", "s"] }));
        done("/v3/auth/user/grant", given).await;
        let roles = async || ask(&member, "/v3/auth/user/get", r#"{"name": "alice"}"#).await;
        is("get", roles().await, json!({ "roles": ["r"] }));
        done("/v3/auth/user/revoke", r#"{"name": "alice", "role": "r"}"#).await;
        is("get", roles().await, json!({}));
        let twice = ask(&member, "/v3/auth/user/revoke", r#"{"name": "alice", "role": "r"}"#).await;
        refused("revoke", twice, "etcdserver: role is not granted to the user");
        done("/v3/auth/role/delete", r#"{"role": "s"}"#).await;
        for path in ["get", "delete"] {
            let path = format!("/v3/auth/role/{path}");
            refused(&path, ask(&member, &path, r#"{"role": "s"}"#).await, no_role);
        }
    });
}

#[test]
fn permissions_are_given_to_roles_and_taken_from_them_by_json() {
    with_member(knobs(), async |member: Core| {
        let done = async |path: &str, body: &str| is(path, ask(&member, path, body).await, json!({}));
        done("/v3/auth/role/add", r#"{"name": "r"}"#).await;
        let get = async || ask(&member, "/v3/auth/role/get", r#"{"role": "r"}"#).await;
        is("get", get().await, json!({}));
        let perm = json!({ "permType": "WRITE", "key": "Zm9v", "range_end": "Zm9w" });
        let grant = json!({ "name": "r", "perm": perm }).to_string();
        done("/v3/auth/role/grant", &grant).await;
        is("get", get().await, json!({ "perm": [perm] }));
        // once more, and by number
        let both = r#"{"name": "r", "perm": {"permType": 2, "key": "Zm9v", "range_end": "Zm9w"}}"#;
        done("/v3/auth/role/grant", both).await;
        assert_eq!(get().await.1["perm"][0]["permType"], "READWRITE");
        done("/v3/auth/role/revoke", r#"{"role": "r", "key": "Zm9v", "range_end": "Zm9w"}"#).await;
        is("get", get().await, json!({}));
        let gone =
            ask(&member, "/v3/auth/role/revoke", r#"{"role": "r", "key": "Zm9v", "range_end": "Zm9w"}"#);
        refused("revoke", gone.await, "etcdserver: permission is not granted to the role");
    });
}

#[test]
fn users_are_told_apart_and_are_not_by_json() {
    with_member(knobs(), async |member: Core| {
        let done = async |path: &str, body: &str| is(path, ask(&member, path, body).await, json!({}));
        let status = async |token: &str| ask_as(&member, "/v3/auth/status", "{}", token).await.1;
        let enable = async || ask(&member, "/v3/auth/enable", "{}").await;
        done("/v3/auth/disable", "{}").await;
        refused("enable", enable().await, "etcdserver: root user does not exist");
        for name in ["root", "anna", "bert"] {
            done("/v3/auth/user/add", &json!({ "name": name, "password": "pw" }).to_string()).await;
        }
        refused("enable", enable().await, "etcdserver: root user does not have root role");
        for user in ["root", "anna", "bert"] {
            done("/v3/auth/user/grant", &json!({ "user": user, "role": "root" }).to_string()).await;
        }
        assert_eq!(status("").await["enabled"], Value::Null);
        is("enable", enable().await, json!({}));
        refused("status", ask(&member, "/v3/auth/status", "{}").await, "etcdserver: user name is empty");
        for name in ["root", "anna", "bert"] {
            let body = json!({ "name": name, "password": "pw" }).to_string();
            let token = ask(&member, "/v3/auth/authenticate", &body).await.1["token"].take();
            let token = token.as_str().expect("a token");
            assert_eq!(status(token).await["enabled"], true);
            let put = ask_as(&member, "/v3/kv/put", r#"{"key": "Zm9v", "value": "YmFy"}"#, token).await;
            is(name, put, json!({}));
        }
        let nobody = ask(&member, "/v3/kv/put", r#"{"key": "Zm9v"}"#).await;
        refused("put", nobody, "etcdserver: user name is empty");
    });
}

#[test]
fn leases_are_granted_renewed_and_revoked_by_json() {
    with_member(Knobs::default(), async |member: Core| {
        let chosen = ask(&member, "/v3/lease/grant", r#"{"TTL": 20}"#).await.1;
        assert!(chosen["ID"].as_str().is_some_and(|id| id.parse::<i64>().is_ok_and(|id| id > 0)), "{chosen}");
        // no lease is shorter than it takes to renew it
        let short = ask(&member, "/v3/lease/grant", r#"{"ID": 3, "TTL": 0}"#).await;
        is("grant", short, json!({ "ID": "3", "TTL": "2" }));
        is(
            "grant",
            ask(&member, "/v3/lease/grant", r#"{"ID": 1, "TTL": 20}"#).await,
            json!({ "ID": "1", "TTL": "20" }),
        );
        ask(&member, "/v3/kv/put", r#"{"key": "Zm9v", "value": "YmFy", "lease": 1}"#).await;
        let left = async |body: &str| ask(&member, "/v3/lease/timetolive", body).await.1;
        assert_eq!(left(r#"{"ID": 1, "keys": true}"#).await["keys"], json!(["Zm9v"]));
        assert_eq!(left(r#"{"ID": 1}"#).await["keys"], Value::Null);
        let leases = ask(&member, "/v3/lease/leases", "{}").await.1;
        let there = leases["leases"].as_array().expect("leases");
        assert!(there.contains(&json!({ "ID": "1" })) && there.contains(&json!({ "ID": chosen["ID"] })));
        let kept = ask(&member, "/v3/lease/keepalive", r#"{"ID": 1}"#).await.1;
        assert_eq!((&kept["result"]["ID"], &kept["result"]["TTL"]), (&json!("1"), &json!("20")));
        is("revoke", ask(&member, "/v3/lease/revoke", r#"{"ID": 1}"#).await, json!({}));
        assert_eq!(left(r#"{"ID": 1}"#).await, json!({ "ID": "1", "TTL": "-1" }));
        is("range", ask(&member, "/v3/kv/range", r#"{"key": "Zm9v"}"#).await, json!({}));
    });
}

#[test]
fn maintenance_is_done_by_json() {
    with_member(Knobs::default(), async |member: Core| {
        ask(&member, "/v3/kv/put", r#"{"key": "Zm9v", "value": "YmFy"}"#).await;
        member.lead(true); // it hears how far the log is agreed on
        // which alarm is not said
        let none = ask(&member, "/v3/maintenance/alarm", r#"{"action": "ACTIVATE"}"#).await;
        is("alarm", none, json!({}));
        let status = ask(&member, "/v3/maintenance/status", "{}").await.1;
        let there =
            ["version", "dbSize", "leader", "raftIndex", "raftTerm", "raftAppliedIndex", "dbSizeInUse"];
        assert!(there.iter().all(|name| status[name].is_string()), "{status}");
        is("defragment", ask(&member, "/v3/maintenance/defragment", "{}").await, json!({}));
        let hash = ask(&member, "/v3/maintenance/hash", "{}").await.1;
        assert!(hash["hash"].is_u64(), "{hash}");
        let at = ask(&member, "/v3/maintenance/hashkv", r#"{"revision": 2}"#).await.1;
        assert!(at["hash"].is_u64() && at["hash_revision"] == "2", "{at}");
        ask(&member, "/v3/kv/compaction", r#"{"revision": 2}"#).await;
        let at = ask(&member, "/v3/maintenance/hashkv", "{}").await.1;
        assert!(at["hash"].is_u64() && at["compact_revision"] == "2", "{at}");
        let mut pieces = open(&member, "/v3/maintenance/snapshot", "{}", "").await.into_body();
        let piece = pieces.frame().await.expect("a piece").expect("a piece");
        let piece: Value = serde_json::from_slice(&piece).expect("a line");
        assert!(piece["result"]["blob"].as_str().is_some_and(|blob| blob.len() > 100), "{piece}");
        let back = r#"{"action": "ENABLE", "version": "3.0.0"}"#;
        let said = ask(&member, "/v3/maintenance/downgrade", back).await;
        refused("downgrade", said, "etcdserver: invalid downgrade target version");
    });
}

/// Neither is the member's end, nor is it taken for too much at a time.
#[test]
fn what_is_no_message_or_too_long_a_one_is_refused_and_the_member_lives() {
    with_member(Knobs::default(), async |member: Core| {
        for body in [
            r#"{"compare": [{"target": "VALUE", "value": "YmFy"}], "success": [{"request_put": [{}]}]}"#,
            r#"{"compare": {"target": 0}, "success": 7}"#,
            r#"{"compare": [{"result": "EQUAL", "target": "VALUE", "key": 1}]}"#,
        ] {
            let (status, said) = ask(&member, "/v3/kv/txn", body).await;
            assert!(status == 400 && said["code"] == 3, "{body}: {status} {said}");
        }
        let long = json!({ "key": "Zm9v", "value": "YmFy".repeat(600_000) }).to_string();
        let (status, said) = ask(&member, "/v3/kv/put", &long).await;
        assert!(status == 400 && said["message"].is_string(), "{status} {said}");
        is("range", ask(&member, "/v3/kv/range", r#"{"key": "Zm9v"}"#).await, json!({}));
        let future = ask(&member, "/v3/kv/compaction", r#"{"revision": 10000}"#).await;
        refused("compaction", future, "etcdserver: mvcc: required revision is a future revision");
    });
}

#[test]
fn leaders_are_observed_and_resign_by_json() {
    with_member(Knobs::default(), async |member: Core| {
        let won = ask(&member, "/v3/election/campaign", r#"{"name": "ZQ==", "value": "YQ=="}"#).await.1;
        let mut leaders = open(&member, "/v3/election/observe", r#"{"name": "ZQ=="}"#, "").await.into_body();
        let mut next = async || {
            let line = leaders.frame().await.expect("a line").expect("a line");
            serde_json::from_slice::<Value>(&line).expect("JSON")["result"]["kv"]["value"].take()
        };
        assert_eq!(next().await, "YQ==");
        let body = json!({ "leader": won["leader"], "value": "Yg==" }).to_string();
        is("proclaim", ask(&member, "/v3/election/proclaim", &body).await, json!({}));
        assert_eq!(next().await, "Yg==");
        for path in ["/v3/election/proclaim", "/v3/election/resign"] {
            refused(path, ask(&member, path, "{}").await, "\"leader\" field must be provided");
        }
        let body = json!({ "leader": won["leader"] }).to_string();
        is("resign", ask(&member, "/v3/election/resign", &body).await, json!({}));
    });
}

#[test]
fn however_many_watches_are_open_by_json_others_are_answered() {
    with_member(Knobs::default(), async |member: Core| {
        ask(&member, "/v3/kv/put", r#"{"key": "Zm9v", "value": "YmFy"}"#).await;
        let watch = r#"{"create_request": {"key": "Zm9v", "start_revision": 1}}"#;
        let mut streams = vec![];
        for _ in 0..100 {
            streams.push(open(&member, "/v3/watch", watch, "").await.into_body());
        }
        for stream in &mut streams {
            let mut next = async || {
                let line = stream.frame().await.expect("a line").expect("a line");
                serde_json::from_slice::<Value>(&line).expect("JSON")["result"].take()
            };
            assert_eq!(next().await["created"], true);
            // it was put before
            assert_eq!(next().await["events"][0]["kv"]["value"], "YmFy");
        }
        assert_eq!(ask(&member, "/v3/kv/range", r#"{"key": "Zm9v"}"#).await.1["count"], "1");
    });
}
