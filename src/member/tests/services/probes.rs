//! What etcd's end-to-end tests claim of probes and metrics and no other test here holds (`src/clients/claims-e2e.md`).

use super::{core::Core, gateway::open, operations::metrics, users, users::with_users, with_member};
use base::Knobs;
use etcd::pb;
use rt::{
    grpc::{Channel, ChannelOptions},
    http::{Client, ClientOptions},
};
use std::{collections::BTreeMap, time::Duration};

/// The status and what is said.
async fn get(member: &Core, path: &str) -> (u16, String) {
    let request = http::Request::get(path).header("host", "member").body(bytes::Bytes::new()).unwrap();
    let response = Client::new(ClientOptions::default()).request(member.addr, request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn raise(member: &Core, alarm: &str) {
    let body = format!(r#"{{"action": "ACTIVATE", "memberID": 1, "alarm": "{alarm}"}}"#);
    assert_eq!(open(member, "/v3/maintenance/alarm", &body, "").await.status(), 200, "{alarm}");
}

/// Up to when it holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..100 {
        if holds().await {
            return;
        }
        rt::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

#[test]
fn a_member_that_reaches_nobody_is_well_for_what_it_answers_by_itself() {
    with_member(Knobs { request_timeout_ms: 500, ..Knobs::default() }, async |member: Core| {
        let well = (200, r#"{"health":"true","reason":""}"#.to_string());
        let by_itself = "/health?serializable=true";
        for path in ["/health", "/health?serializable=false", by_itself] {
            assert_eq!(get(&member, path).await, well, "{path}");
        }
        // first it does not know so yet
        *member.reachable.lock().unwrap() = false;
        for leads in [true, false] {
            member.lead(leads);
            assert_eq!(get(&member, by_itself).await, well);
            assert_eq!(get(&member, "/livez").await.0, 200);
            assert_eq!(get(&member, "/readyz/serializable_read").await.0, 200);
            for path in ["/health", "/health?serializable=false"] {
                let (status, said) = get(&member, path).await;
                assert!(status == 503 && said.starts_with(r#"{"health":"false","reason":"R"#), "{said}");
            }
            assert_eq!(get(&member, "/readyz").await.0, 503);
        }
    });
}

#[test]
fn want_of_space_is_no_want_of_readiness_and_damage_is() {
    with_member(Knobs::default(), async |member: Core| {
        let live = (200, "[+]serializable_read ok\nlivez check passed\n".to_string());
        let others = "[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\n";
        raise(&member, "NOSPACE").await;
        assert_eq!(get(&member, "/livez?verbose").await, live);
        let ready = format!("[+]data_corruption ok\n{others}readyz check passed\n");
        assert_eq!(get(&member, "/readyz?verbose").await, (200, ready));
        raise(&member, "CORRUPT").await;
        assert_eq!(get(&member, "/livez?verbose").await, live);
        let ready =
            format!("[-]data_corruption failed: alarm activated: CORRUPT\n{others}readyz check failed\n");
        // a check that fails is named unasked
        for path in ["/readyz", "/readyz?verbose"] {
            assert_eq!(get(&member, path).await, (503, ready.clone()), "{path}");
        }
        assert_eq!(get(&member, "/readyz?exclude=data_corruption").await, (200, "ok\n".into()));
    });
}

#[test]
fn versions_are_told_as_they_are_counted() {
    with_member(Knobs::default(), async |member: Core| {
        let said: BTreeMap<String, String> =
            serde_json::from_str(&get(&member, "/version").await.1).expect("JSON");
        let (values, _) = metrics(&member).await;
        let is_one =
            |metric: String| assert_eq!(values.get(&metric).map(String::as_str), Some("1"), "{metric}");
        is_one(format!("etcd_server_version{{server_version=\"{}\"}}", said["etcdserver"]));
        is_one(format!("etcd_cluster_version{{cluster_version=\"{}\"}}", said["etcdcluster"]));
    });
}

#[test]
fn changes_are_counted_one_by_one_whatever_made_them() {
    with_member(Knobs::default(), async |member: Core| {
        use pb::request_op::Request;
        let client = member.client();
        let put = |key: &'static str| pb::PutRequest::of(key, "1");
        client.put(put("a")).await.unwrap();
        let success = ["b", "c"].map(|key| pb::RequestOp { request: Some(Request::RequestPut(put(key))) });
        client.txn(pb::TxnRequest { success: success.into(), ..Default::default() }).await.unwrap();
        client.delete_range(pb::DeleteRangeRequest::of_key("none")).await.unwrap();
        client.lease_grant(pb::LeaseGrantRequest { id: 7, ttl: 60 }).await.unwrap();
        client.put(pb::PutRequest { lease: 7, ..put("d") }).await.unwrap();
        client.lease_revoke(pb::LeaseRevokeRequest { id: 7 }).await.unwrap();
        client.delete_range(pb::DeleteRangeRequest::of_key("a")).await.unwrap();
        let (values, kinds) = metrics(&member).await;
        for (name, expected) in [("etcd_mvcc_put_total", "4"), ("etcd_mvcc_delete_total", "2")] {
            assert_eq!((values[name].as_str(), kinds[name].as_str()), (expected, "counter"), "{name}");
        }
    });
}

#[test]
fn hashes_are_counted_by_what_they_are_of() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let counts = async || {
            let (values, kinds) = metrics(&member).await;
            ["etcd_mvcc_hash_duration_seconds", "etcd_mvcc_hash_rev_duration_seconds"].map(|name| {
                assert_eq!(kinds.get(name).map(String::as_str), Some("histogram"), "{name}");
                let buckets = values.keys().filter(|key| key.starts_with(&format!("{name}_bucket")));
                assert_eq!(buckets.count(), 16, "{name}");
                for end in ["0.01", "163.84", "+Inf"] {
                    assert!(values.contains_key(&format!("{name}_bucket{{le=\"{end}\"}}")), "{name} {end}");
                }
                values[&format!("{name}_count")].clone()
            })
        };
        assert_eq!(counts().await, ["0", "0"]);
        client.put(pb::PutRequest::of("a", "1")).await.unwrap();
        let channel = Channel::connect(member.addr, ChannelOptions::default()).await.unwrap();
        pb::maintenance_client::MaintenanceClient::new(channel).hash(pb::HashRequest {}).await.unwrap();
        assert_eq!(counts().await, ["1", "0"]);
        for revision in [0, 2] {
            client.hash_kv(pb::HashKvRequest { revision }).await.unwrap();
        }
        client.hash_kv(pb::HashKvRequest { revision: 77 }).await.expect_err("it is to come yet");
        assert_eq!(counts().await, ["1", "2"]);
    });
}

/// etcd-io/etcd#19577: what is counted goes back with who watched.
#[test]
fn watches_that_ended_are_counted_as_such_and_no_more_as_there() {
    with_member(Knobs::default(), async |member: Core| {
        let gauges = async || {
            let (values, _) = metrics(&member).await;
            ["etcd_debugging_mvcc_watcher_total", "etcd_debugging_mvcc_watch_stream_total"]
                .map(|name| values[name].clone())
        };
        let mut stream = member.client().watch().await.unwrap();
        for _ in 0..2 {
            stream.send(pb::WatchCreateRequest::of_prefix("a", 0)).await.unwrap();
            assert!(stream.recv().await.unwrap().created);
        }
        assert_eq!(gauges().await, ["2", "1"]);
        stream.send(pb::WatchRequest::cancel(0)).await.unwrap();
        assert!(stream.recv().await.unwrap().canceled);
        assert_eq!(gauges().await, ["1", "1"]);
        drop(stream);
        until("the stream is gone", async || gauges().await == ["0", "0"]).await;
        let labels = r#"grpc_code="Canceled",grpc_method="Watch",grpc_service="etcdserverpb.Watch""#;
        let (values, _) = metrics(&member).await;
        let ended = format!("grpc_server_handled_total{{{labels},grpc_type=\"bidi_stream\"}}");
        assert_eq!(values.get(&ended).map(String::as_str), Some("1"), "{values:?}");
    });
}

/// CVE-2021-28235: requests are shown nowhere, and nothing that is told names a password.
#[test]
fn passwords_are_told_nowhere() {
    with_member(users::knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        root.put(pb::PutRequest::of("b", "1")).await.unwrap();
        alice.range(pb::RangeRequest::of_key("b")).await.unwrap();
        for path in
            ["/debug/requests", "/debug/requests?fam=grpc.Recv.etcdserverpb.Auth&b=0&exp=1", "/metrics"]
        {
            let (status, said) = get(&member, path).await;
            // what is no path of ours is answered as a call that nobody knows, with nothing
            assert_eq!(status == 200 && !said.is_empty(), path == "/metrics", "{path}: {status}");
            assert!(!said.contains("secret"), "{path}: {said}");
        }
    });
}
