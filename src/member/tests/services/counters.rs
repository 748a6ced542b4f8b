//! What metrics count of what clients did: calls by the version their client speaks and by how they end, reads by how
//! long they took, probes by what they were told; and what a compaction frees.

use super::{core::Core, error, operations::metrics, turns::channel, with_member};
use base::{Knobs, knobs::ms};
use etcd::pb;
use pb::kv_client::KvClient;
use rt::http::{Client, ClientOptions};
use tonic::{Request, metadata::MetadataValue};

/// A metric's value, once; none if there is no such metric.
async fn value(member: &Core, name: &str) -> Option<f64> {
    let (values, _) = metrics(member).await;
    values.get(name).map(|value| value.parse().unwrap())
}

/// A metric's value once it is that one, or what it is in the end: what a client left is noticed later.
async fn becomes(member: &Core, name: &str, expected: f64) {
    for _ in 0..50 {
        if value(member, name).await == Some(expected) {
            return;
        }
        rt::sleep(ms(100)).await;
    }
    assert_eq!(value(member, name).await, Some(expected), "{name}");
}

#[test]
fn calls_are_counted_by_the_version_their_client_speaks() {
    with_member(Knobs::default(), async |member: Core| {
        let mut client = KvClient::new(channel(&member).await);
        let mut ask = async |version: Option<&'static str>| {
            let mut request = Request::new(pb::RangeRequest::of_key("a"));
            if let Some(version) = version {
                request.metadata_mut().insert("client-api-version", MetadataValue::from_static(version));
            }
            client.range(request).await.unwrap();
        };
        for version in [Some("3.5.21"), Some("3.5.21"), Some("3.6.0-rc.1"), None, Some("3\",x=\"")] {
            ask(version).await;
        }
        let count = async |version: &str, kind: &str| {
            let labels = format!("{{client_api_version=\"{version}\",type=\"{kind}\"}}");
            value(&member, &format!("etcd_server_client_requests_total{labels}")).await
        };
        assert_eq!(count("3.5.21", "unary").await, Some(2.0));
        assert_eq!(count("3.6.0-rc.1", "unary").await, Some(1.0));
        // what is no version goes into no label
        assert_eq!(count("unknown", "unary").await, Some(2.0));
        assert_eq!(count("unknown", "stream").await, None);
        let mut stream = member.client().lease_keep_alive().await.unwrap();
        stream.send(pb::LeaseKeepAliveRequest { id: 1 }).await.unwrap();
        stream.recv().await.unwrap();
        assert_eq!(count("unknown", "stream").await, Some(1.0));
        drop(stream);
        let left = "grpc_server_handled_total{grpc_code=\"Canceled\",grpc_method=\"LeaseKeepAlive\",\
                    grpc_service=\"etcdserverpb.Lease\",grpc_type=\"bidi_stream\"}";
        becomes(&member, left, 1.0).await;
    });
}

#[test]
fn ranges_are_timed_apart_from_those_that_were_refused() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for _ in 0..3 {
            client.range(pb::RangeRequest::of_key("a")).await.unwrap();
        }
        error(client.range(pb::RangeRequest::of_key("")).await);
        let of = |part: &str, success: &str| {
            format!("etcd_server_range_duration_seconds_{part}{{success=\"{success}\"}}")
        };
        assert_eq!(value(&member, &of("count", "true")).await, Some(3.0));
        assert_eq!(value(&member, &of("count", "false")).await, Some(1.0));
        let took = value(&member, &of("sum", "true")).await.unwrap();
        assert!((0.0..60.0).contains(&took), "{took}");
        let all = "etcd_server_range_duration_seconds_bucket{success=\"true\",le=\"+Inf\"}";
        assert_eq!(value(&member, all).await, Some(3.0));
    });
}

#[test]
fn probes_of_health_are_counted_by_what_they_were_told() {
    with_member(Knobs::default(), async |member: Core| {
        let probe = async || {
            let request = http::Request::get("/health").body(bytes::Bytes::new()).unwrap();
            let response = Client::new(ClientOptions::default()).request(member.addr, request).await;
            response.unwrap().status().as_u16()
        };
        let counted = async || {
            let of = async |end: &str| value(&member, &format!("etcd_server_health_{end}")).await.unwrap();
            (of("success").await, of("failures").await)
        };
        assert_eq!(counted().await, (0.0, 0.0));
        assert_eq!((probe().await, probe().await), (200, 200));
        assert_eq!(counted().await, (2.0, 0.0));
        member.lead(false);
        assert_eq!(probe().await, 503);
        assert_eq!(counted().await, (2.0, 1.0));
    });
}

#[test]
fn what_a_compaction_frees_is_free_in_the_numbers() {
    const PUTS: i64 = 25;
    const BYTES: usize = 4_096;
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let (total, in_use) = ("etcd_mvcc_db_total_size_in_bytes", "etcd_mvcc_db_total_size_in_use_in_bytes");
        let old_name = "etcd_debugging_mvcc_db_total_size_in_bytes";
        let sizes = async || {
            let (values, _) = metrics(&member).await;
            [total, in_use, old_name].map(|name| values[name].parse::<usize>().unwrap())
        };
        assert!(sizes().await[0] > 0, "an empty store takes something, too");
        for _ in 0..PUTS {
            client.put(pb::PutRequest::of("k", vec![1; BYTES])).await.unwrap();
        }
        let before = sizes().await;
        assert!(before.iter().all(|size| *size >= PUTS as usize * BYTES), "{before:?}");
        client.compact(pb::CompactionRequest { revision: PUTS + 1, physical: true }).await.unwrap();
        client.defragment(pb::DefragmentRequest {}).await.unwrap();
        let after = sizes().await;
        assert!(after.iter().all(|size| (BYTES..2 * BYTES).contains(size)), "{after:?}");
        let quota = value(&member, "etcd_server_quota_backend_bytes").await;
        assert_eq!(quota, Some(2.0 * 1_024.0 * 1_024.0 * 1_024.0));
    });
}
