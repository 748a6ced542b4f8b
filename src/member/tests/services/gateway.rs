//! The gateway, as one asks it with curl. Bodies are etcd's own examples, or of their kind.

use super::{core::Core, users::user, with_member};
use base::Knobs;
use rt::http::{Client, ClientOptions};
use serde_json::{Value, json};

/// As curl sends it.
pub async fn open(member: &Core, path: &str, body: &str, token: &str) -> http::Response<rt::http::Body> {
    let request = http::Request::post(path).header("host", "member");
    let request = if token.is_empty() { request } else { request.header("authorization", token) };
    Client::new(ClientOptions::default())
        .request(member.addr, request.body(body.to_string().into()).unwrap())
        .await
        .unwrap()
}

/// The status and the answer, without its header.
pub async fn ask_as(member: &Core, path: &str, body: &str, token: &str) -> (u16, Value) {
    let response = open(member, path, body, token).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap();
    let mut value: Value = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{body:?}"));
    // who answers, and in which term, is another matter
    value.as_object_mut().map(|answer| answer.remove("header"));
    (status, value)
}

pub async fn ask(member: &Core, path: &str, body: &str) -> (u16, Value) {
    ask_as(member, path, body, "").await
}

#[test]
fn keys_are_put_and_got_as_base64() {
    with_member(Knobs::default(), async |member: Core| {
        let put = ask(&member, "/v3/kv/put", r#"{"key": "Zm9v", "value": "YmFy"}"#).await;
        assert_eq!(put, (200, json!({})));
        let foo = json!({ "key": "Zm9v", "value": "YmFy", "create_revision": "2", "mod_revision": "2", "version": "1" });
        let got = ask(&member, "/v3/kv/range", r#"{"key": "Zm9v"}"#).await;
        assert_eq!(got, (200, json!({ "kvs": [foo], "count": "1" })));
        // all keys from one on, under either name; numbers as numbers
        for body in
            [r#"{"key": "Zm9v", "range_end": "AA=="}"#, r#"{"key": "Zm9v", "rangeEnd": "AA==", "limit": 5}"#]
        {
            assert_eq!(ask(&member, "/v3/kv/range", body).await.1["count"], "1");
        }
        let txn = r#"{"compare": [{"target": "CREATE", "key": "Zm9v", "createRevision": "2"}],
            "success": [{"requestPut": {"key": "Zm9v", "value": "YmFy"}}]}"#;
        let answer = ask(&member, "/v3/kv/txn", txn).await;
        assert_eq!(answer.1["succeeded"], true, "{answer:?}");
        assert_eq!(answer.1["responses"], json!([{ "response_put": { "header": { "revision": "3" } } }]));
        let deleted = ask(&member, "/v3/kv/deleterange", r#"{"key": "Zm9v"}"#).await;
        assert_eq!(deleted.1, json!({ "deleted": "1" }));
        assert_eq!(ask(&member, "/v3/kv/compaction", r#"{"revision": 3}"#).await, (200, json!({})));
    });
}

#[test]
fn names_are_the_protocols() {
    with_member(Knobs::default(), async |member: Core| {
        let granted = ask(&member, "/v3/lease/grant", r#"{"TTL": 60, "ID": 7}"#).await;
        assert_eq!(granted.1, json!({ "ID": "7", "TTL": "60" }));
        let left = ask(&member, "/v3/lease/timetolive", r#"{"ID": "7", "keys": true}"#).await;
        assert_eq!((&left.1["grantedTTL"], &left.1["ID"]), (&json!("60"), &json!("7")));
        let kept = ask(&member, "/v3/lease/keepalive", r#"{"ID": 7}"#).await;
        assert_eq!(kept.1["result"]["TTL"], "60");
        assert_eq!(ask(&member, "/v3/kv/lease/leases", "").await.1, json!({ "leases": [{ "ID": "7" }] }));
        let members = ask(&member, "/v3/cluster/member/list", "{}").await.1;
        let one = &members["members"][0];
        assert!(one["peerURLs"].is_array() && one["clientURLs"].is_array() && one["ID"] == "1", "{members}");
        let status = ask(&member, "/v3/maintenance/status", "{}").await.1;
        assert!(status["dbSize"].is_string() && status["raftTerm"] == "2", "{status}");
        let raise = r#"{"action": "ACTIVATE", "memberID": 1, "alarm": "NOSPACE"}"#;
        let alarms = json!({ "alarms": [{ "memberID": "1", "alarm": "NOSPACE" }] });
        assert_eq!(ask(&member, "/v3/maintenance/alarm", raise).await, (200, alarms));
    });
}

#[test]
fn errors_come_with_their_code_and_their_text() {
    with_member(Knobs::default(), async |member: Core| {
        let error = |code: i32, text: &str| json!({ "error": text, "code": code, "message": text });
        let empty = ask(&member, "/v3/kv/put", "{}").await;
        assert_eq!(empty, (400, error(3, "etcdserver: key is not provided")));
        let gone = ask(&member, "/v3/lease/revoke", r#"{"ID": "9"}"#).await;
        assert_eq!(gone, (404, error(5, "etcdserver: requested lease not found")));
        for (body, says) in [
            ("{", "expected JSON: EOF"),
            ("[1]", "expected a map"),
            (r#"{"key": "not base64!"}"#, "base64"),
            (r#"{"kez": "Zm9v"}"#, "kez"),
            (r#"{"limit": "many"}"#, "invalid digit"),
        ] {
            let (status, answer) = ask(&member, "/v3/kv/range", body).await;
            let text = answer["message"].as_str().unwrap();
            assert!(status == 400 && answer["code"] == 3 && text.contains(says), "{body}: {text}");
        }
        let unknown = open(&member, "/v3/kv/nothing", "{}", "").await;
        assert!(unknown.status() == 404 || unknown.headers().contains_key("grpc-status"));
    });
}

#[test]
fn a_watch_is_a_line_for_each_answer() {
    with_member(Knobs::default(), async |member: Core| {
        let watch = r#"{"create_request": {"key": "Zm9v"}}"#;
        let mut lines = open(&member, "/v3/watch", watch, "").await.into_body();
        let mut next = async || {
            let line = lines.frame().await.unwrap().unwrap();
            assert!(line.ends_with(b"\n"));
            let mut value: Value = serde_json::from_slice(&line).unwrap();
            value["result"].as_object_mut().map(|answer| answer.remove("header"));
            value["result"].take()
        };
        assert_eq!(next().await, json!({ "created": true }));
        ask(&member, "/v3/kv/put", r#"{"key": "Zm9v", "value": "YmFy"}"#).await;
        let kv = json!({ "key": "Zm9v", "value": "YmFy", "create_revision": "2", "mod_revision": "2", "version": "1" });
        assert_eq!(next().await, json!({ "events": [{ "kv": kv }] }));
        ask(&member, "/v3/kv/deleterange", r#"{"key": "Zm9v"}"#).await;
        assert_eq!(next().await["events"][0]["type"], "DELETE");
    });
}

#[test]
fn a_token_comes_in_the_header_for_it() {
    with_member(Knobs { bcrypt_cost: 4, ..Knobs::default() }, async |member: Core| {
        let client = member.client();
        client.user_add(user("root", "secret")).await.unwrap();
        ask(&member, "/v3/auth/user/grant", r#"{"user": "root", "role": "root"}"#).await;
        assert_eq!(ask(&member, "/v3/auth/enable", "{}").await, (200, json!({})));
        let put = r#"{"key": "Zm9v", "value": "YmFy"}"#;
        assert_eq!(ask(&member, "/v3/kv/put", put).await.1["message"], "etcdserver: user name is empty");
        let wrong = ask(&member, "/v3/auth/authenticate", r#"{"name": "root", "password": "x"}"#).await;
        assert_eq!(wrong.0, 400);
        let right = ask(&member, "/v3/auth/authenticate", r#"{"name": "root", "password": "secret"}"#).await;
        let token = right.1["token"].as_str().unwrap();
        assert_eq!(ask_as(&member, "/v3/kv/put", put, token).await, (200, json!({})));
        assert_eq!(ask_as(&member, "/v3/kv/put", put, "nonsense").await.0, 401);
    });
}

#[test]
fn a_lock_and_an_election_go_by_json_too() {
    with_member(Knobs::default(), async |member: Core| {
        let locked = ask(&member, "/v3/lock/lock", r#"{"name": "Zm9v"}"#).await.1;
        let key = locked["key"].as_str().unwrap().to_string();
        assert!(key.starts_with("Zm9vL"), "{locked}");
        let body = json!({ "key": key }).to_string();
        assert_eq!(ask(&member, "/v3/lock/unlock", &body).await, (200, json!({})));
        let none = ask(&member, "/v3/election/leader", r#"{"name": "ZQ=="}"#).await;
        assert_eq!((none.0, &none.1["message"]), (500, &json!("election: no leader")));
        let won = ask(&member, "/v3/election/campaign", r#"{"name": "ZQ==", "value": "YQ=="}"#).await.1;
        assert_eq!(won["leader"]["name"], "ZQ==", "{won}");
        let leader = ask(&member, "/v3/election/leader", r#"{"name": "ZQ=="}"#).await.1;
        assert_eq!(leader["kv"]["value"], "YQ==");
        let body = json!({ "leader": won["leader"] }).to_string();
        assert_eq!(ask(&member, "/v3/election/resign", &body).await, (200, json!({})));
        let resigned = ask(&member, "/v3/election/proclaim", r#"{"value": "YQ=="}"#).await;
        assert_eq!(resigned.1["message"], "\"leader\" field must be provided");
    });
}

/// What probes ask.
#[test]
fn a_member_says_whether_it_lives_and_is_ready() {
    with_member(Knobs { request_timeout_ms: 500, ..Knobs::default() }, async |member: Core| {
        let get = async |path: &str| {
            let request =
                http::Request::get(path).header("host", "member").body(bytes::Bytes::new()).unwrap();
            let response = Client::new(ClientOptions::default()).request(member.addr, request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(get("/livez").await, (200, "ok\n".into()));
        assert_eq!(get("/readyz").await, (200, "ok\n".into()));
        assert_eq!(get("/readyz/linearizable_read").await, (200, "ok\n".into()));
        let all =
            "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\n";
        assert_eq!(get("/readyz?verbose").await, (200, format!("{all}readyz check passed\n")));
        let unknown = get("/livez/nothing").await;
        assert_eq!(unknown, (404, "nothing: expected one of serializable_read\n".into()));
        member.lead(false);
        let (status, said) = get("/readyz").await;
        assert!(status == 503 && said.contains("[-]linearizable_read failed: "), "{said}");
        assert_eq!(get("/livez").await.0, 200);
        assert_eq!(get("/readyz?exclude=linearizable_read").await.0, 200);
        assert_eq!(get("/health").await, (503, r#"{"health":"false","reason":"RAFT NO LEADER"}"#.into()));
        member.lead(true);
        let raise = r#"{"action": "ACTIVATE", "memberID": 1, "alarm": "NOSPACE"}"#;
        ask(&member, "/v3/maintenance/alarm", raise).await;
        assert_eq!(get("/health").await, (503, r#"{"health":"false","reason":"ALARM NOSPACE"}"#.into()));
        assert_eq!(get("/health?exclude=NOSPACE").await.0, 200);
        assert_eq!(get("/readyz").await.0, 200);
        let raise = r#"{"action": "ACTIVATE", "memberID": 1, "alarm": "CORRUPT"}"#;
        ask(&member, "/v3/maintenance/alarm", raise).await;
        assert_eq!(get("/readyz/data_corruption").await.0, 503);
    });
}
