//! What operators go by: metrics, gRPC's health, compaction by itself.

use super::{core::Core, error, users, users::with_users, with_member};
use base::{Knobs, knobs::ms};
use etcd::{
    Error, pb,
    pb::grpc_health::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    },
};
use rt::{
    grpc::{Channel, ChannelOptions},
    http::{Client, ClientOptions},
};
use std::collections::BTreeMap;
use tonic::Code;

/// Metrics by name and labels, and the kind of each.
pub async fn metrics(member: &Core) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let request = http::Request::get("/metrics").body(bytes::Bytes::new()).unwrap();
    let response = Client::new(ClientOptions::default()).request(member.addr, request).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    let (mut values, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for line in std::str::from_utf8(&body).unwrap().lines() {
        let pair =
            |text: &str| text.rsplit_once(' ').map(|(name, value)| (name.to_string(), value.to_string()));
        match line.strip_prefix("# TYPE ") {
            Some(kind) => kinds.extend(pair(kind)),
            None if line.starts_with("# HELP ") => {}
            None => values.extend(pair(line)),
        }
    }
    (values, kinds)
}

#[test]
fn metrics_have_the_form_that_prometheus_reads() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        client.put(pb::PutRequest::of("a", "1")).await.unwrap();
        client.put(pb::PutRequest::of("a", "2")).await.unwrap();
        error(client.put(pb::PutRequest::of("", "1")).await);
        client.range(pb::RangeRequest::of_key("a")).await.unwrap();
        let (values, kinds) = metrics(&member).await;
        let value = |name: &str| values.get(name).map(String::as_str);
        assert_eq!(value("etcd_server_has_leader"), Some("1"));
        assert_eq!(value("etcd_debugging_mvcc_current_revision"), Some("3"));
        assert_eq!(value("etcd_debugging_mvcc_keys_total"), Some("1"));
        assert_eq!(value("etcd_server_proposals_pending"), Some("0"));
        let calls = |code: &str, method: &str| {
            let labels = format!(
                "{{grpc_code=\"{code}\",grpc_method=\"{method}\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"}}"
            );
            value(&format!("grpc_server_handled_total{labels}")).map(str::to_string)
        };
        assert_eq!(calls("OK", "Put").as_deref(), Some("2"));
        assert_eq!(calls("InvalidArgument", "Put").as_deref(), Some("1"));
        assert_eq!(calls("OK", "Range").as_deref(), Some("1"));
        assert_eq!(kinds["grpc_server_handled_total"], "counter");
        assert_eq!(kinds["etcd_disk_wal_fsync_duration_seconds"], "histogram");
        let buckets =
            values.keys().filter(|name| name.starts_with("etcd_disk_wal_fsync_duration_seconds_bucket"));
        assert_eq!(buckets.count(), 15);
        // each value is of a metric that was introduced
        let known = |name: &str| {
            let name = name.split('{').next().unwrap_or_default();
            kinds.contains_key(name) || kinds.keys().any(|kind| name.starts_with(&format!("{kind}_")))
        };
        assert_eq!(values.keys().find(|name| !known(name)), None);
    });
}

/// As an etcd that cannot.
#[test]
fn there_is_no_version_to_go_back_to() {
    use pb::downgrade_request::DowngradeAction::{self, Cancel, Enable, Validate};
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let ask = async |action: DowngradeAction, version: &str| {
            let request = pb::DowngradeRequest { action: action.into(), version: version.into() };
            error(client.downgrade(request).await)
        };
        for action in [Validate, Enable] {
            for version in ["3.4", "3.4.0", "3.5.21", "4.0.0-rc.1+x"] {
                let said = ask(action, version).await;
                assert_eq!(said, Some(Error::InvalidDowngradeTargetVersion), "{action:?} {version}");
            }
            for version in ["", "3", "3.4-rc", "3.4.0.0", "3.x", "three"] {
                let said = ask(action, version).await;
                assert_eq!(said, Some(Error::WrongDowngradeVersionFormat), "{action:?} {version}");
            }
        }
        assert_eq!(ask(Cancel, "").await, Some(Error::NoInflightDowngrade));
        let other = pb::DowngradeRequest { action: 9, version: "3.4".into() };
        let said = client.downgrade(other).await.expect_err("there is no such action");
        assert_eq!((said.code(), said.message()), (Code::Unknown, "etcdserver: unknown method"));
    });
}

#[test]
fn a_member_that_answers_serves() {
    with_member(Knobs::default(), async |member: Core| {
        let channel = Channel::connect(member.addr, ChannelOptions::default()).await.unwrap();
        let mut health = HealthClient::new(channel);
        let of = |service: &str| HealthCheckRequest { service: service.into() };
        let answer = health.check(of("")).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
        assert_eq!(health.check(of("other")).await.expect_err("unknown").code(), Code::NotFound);
        let mut watch = health.watch(of("")).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().expect("a status").status(), ServingStatus::Serving);
    });
}

async fn compacted(client: &etcd::Client, revision: i64) -> bool {
    let read = pb::RangeRequest { revision, ..pb::RangeRequest::of_key("a") };
    match client.range(read).await {
        Err(status) => etcd::kind(&status) == Some(Error::Compacted),
        Ok(_) => false,
    }
}

#[test]
fn a_number_of_revisions_is_kept_also_where_users_are_told_apart() {
    let knobs = Knobs { auto_compact_revisions: 10, auto_compact_every_ms: 1_000, ..users::knobs() };
    with_member(knobs, async |member: Core| {
        let (root, _) = with_users(&member).await;
        for _ in 0..30 {
            root.put(pb::PutRequest::of("a", "1")).await.unwrap();
        }
        rt::sleep(ms(1_100)).await;
        assert!(compacted(&root, 20).await && !compacted(&root, 21).await);
        rt::sleep(ms(1_100)).await;
        assert!(!compacted(&root, 21).await, "nothing more was written");
    });
}

/// In the tank only, where a time is what it says.
#[test]
#[cfg(madsim)]
fn a_length_of_time_is_kept() {
    with_member(Knobs { auto_compact_ms: 2_000, ..Knobs::default() }, async |member: Core| {
        let client = member.client();
        client.put(pb::PutRequest::of("a", "1")).await.unwrap();
        rt::sleep(ms(1_000)).await;
        client.put(pb::PutRequest::of("a", "2")).await.unwrap();
        client.put(pb::PutRequest::of("a", "3")).await.unwrap();
        assert!(!compacted(&client, 2).await);
        rt::sleep(ms(1_500)).await;
        assert!(!compacted(&client, 2).await, "of the revision there was, nothing is lost");
        rt::sleep(ms(1_000)).await;
        assert!(compacted(&client, 2).await && compacted(&client, 3).await && !compacted(&client, 4).await);
    });
}

#[test]
fn one_that_does_not_lead_compacts_nothing() {
    let knobs = Knobs { auto_compact_revisions: 1, auto_compact_every_ms: 200, ..Knobs::default() };
    with_member(knobs, async |member: Core| {
        let client = member.client();
        for _ in 0..5 {
            client.put(pb::PutRequest::of("a", "1")).await.unwrap();
        }
        member.follow(None);
        rt::sleep(ms(1_000)).await;
        let read = pb::RangeRequest { revision: 2, serializable: true, ..pb::RangeRequest::of_key("a") };
        client.range(read).await.expect("history is there");
    });
}
