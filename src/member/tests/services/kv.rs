use super::{core::Core, error, with_member};
use base::Knobs;
use bytes::Bytes;
use etcd::{Client, Error, pb};
use pb::{compare, request_op::Request as Op, response_op::Response as Answer};
use rt::Mono;

fn op(request: Op) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn put_op(key: &'static str) -> pb::RequestOp {
    op(Op::RequestPut(pb::PutRequest::of(key, "v")))
}

/// Compares a key's mod revision for equality.
fn unchanged_since(key: &'static str, revision: i64) -> pb::Compare {
    pb::Compare {
        target: compare::CompareTarget::Mod.into(),
        target_union: Some(compare::TargetUnion::ModRevision(revision)),
        key: key.into(),
        ..Default::default()
    }
}

/// Parts put together are what the range gives at once; only the last has header and count.
#[test]
fn a_range_comes_in_parts() {
    with_member(Knobs { request_bytes: 1_000, ..Knobs::default() }, async |member: Core| {
        let client = member.client();
        for n in 0..10 {
            client.put(pb::PutRequest::of(format!("key-{n}"), vec![n; 300])).await.unwrap();
        }
        let ask = async |request: pb::RangeRequest| {
            let mut stream = client.range_stream(request).await?;
            let mut parts = Vec::new();
            while let Some(part) = stream.message().await? {
                parts.push(part.range_response.unwrap());
            }
            Ok::<_, tonic::Status>(parts)
        };
        for limit in [0, 3, 7] {
            let request = pb::RangeRequest { limit, ..pb::RangeRequest::of_prefix("key-") };
            let parts = ask(request.clone()).await.unwrap();
            assert!(limit == 3 || parts.len() > 1, "{limit}: {}", parts.len());
            let (last, before) = parts.split_last().unwrap();
            assert!(before.iter().all(|part| part.header.is_none() && part.count == 0 && !part.more));
            let kvs = parts.iter().flat_map(|part| part.kvs.clone()).collect();
            let whole = pb::RangeResponse { kvs, ..last.clone() };
            assert_eq!(whole, client.range(request).await.unwrap());
        }
        assert_eq!(ask(pb::RangeRequest::of_key("none")).await.unwrap().len(), 1);
        let descending = pb::RangeRequest { sort_order: 2, ..pb::RangeRequest::of_prefix("key-") };
        let filtered = pb::RangeRequest { min_mod_revision: 3, ..pb::RangeRequest::of_prefix("key-") };
        for request in [descending, filtered] {
            assert_eq!(ask(request).await.unwrap_err().code(), tonic::Code::Unimplemented);
        }
        let future = pb::RangeRequest { revision: 99, ..pb::RangeRequest::of_prefix("key-") };
        assert_eq!(etcd::kind(&ask(future).await.unwrap_err()), Some(Error::FutureRev));
    });
}

#[test]
fn writes_are_read_back_with_their_revisions() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        assert_eq!(client.put(pb::PutRequest::of("a", "1")).await.unwrap().header.unwrap().revision, 2);
        client.put(pb::PutRequest::of("a", "2")).await.unwrap();
        let answer = client.range(pb::RangeRequest::of_key("a")).await.unwrap();
        let header = answer.header.unwrap();
        assert_eq!((header.cluster_id, header.member_id, header.revision, header.raft_term), (9, 1, 3, 2));
        let kv = &answer.kvs[0];
        let numbers = (kv.create_revision, kv.mod_revision, kv.version);
        assert_eq!((&kv.value[..], numbers), (&b"2"[..], (2, 3, 2)));
        let old = pb::RangeRequest { revision: 2, serializable: true, ..pb::RangeRequest::of_key("a") };
        assert_eq!(client.range(old).await.unwrap().kvs[0].value, Bytes::from_static(b"1"));
        let deleted = client.delete_range(pb::DeleteRangeRequest::of_prefix("")).await.unwrap();
        assert_eq!(deleted.deleted, 1);
        assert_eq!(client.range(pb::RangeRequest::of_prefix("")).await.unwrap().count, 0);
    });
}

#[test]
fn a_txn_takes_one_branch_at_one_revision() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let txn = pb::TxnRequest {
            compare: vec![unchanged_since("a", 0)],
            success: vec![put_op("a"), put_op("b")],
            failure: vec![op(Op::RequestRange(pb::RangeRequest::of_key("a")))],
        };
        let first = client.txn(txn.clone()).await.unwrap();
        assert!(first.succeeded && first.header.unwrap().revision == 2);
        let second = client.txn(txn).await.unwrap();
        let Some(Answer::ResponseRange(range)) = &second.responses[0].response else { panic!() };
        assert!(!second.succeeded && range.kvs[0].mod_revision == 2);
    });
}

#[test]
fn errors_have_the_protocols_texts() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        assert_eq!(error(client.put(pb::PutRequest::of("", "1")).await), Some(Error::EmptyKey));
        let ahead = pb::RangeRequest { revision: 9, ..pb::RangeRequest::of_key("a") };
        assert_eq!(error(client.range(ahead).await), Some(Error::FutureRev));
        let leased = pb::PutRequest { lease: 5, ..pb::PutRequest::of("a", "1") };
        assert_eq!(error(client.put(leased).await), Some(Error::LeaseNotFound));
        let large = pb::PutRequest::of("a", vec![0; 1_600 << 10]);
        assert_eq!(error(client.put(large).await), Some(Error::RequestTooLarge));
        let twice = pb::TxnRequest { success: vec![put_op("a"), put_op("a")], ..Default::default() };
        assert_eq!(error(client.txn(twice).await), Some(Error::DuplicateKey));
        let many = pb::TxnRequest { success: vec![put_op("a"); 129], ..Default::default() };
        assert_eq!(error(client.txn(many).await), Some(Error::TooManyOps));
        for key in ["a", "b"] {
            client.put(pb::PutRequest::of(key, "1")).await.unwrap();
        }
        let compaction = |revision| pb::CompactionRequest { revision, physical: true };
        client.compact(compaction(3)).await.unwrap();
        assert_eq!(error(client.compact(compaction(3)).await), Some(Error::Compacted));
        assert_eq!(error(client.compact(compaction(4)).await), Some(Error::FutureRev));
        let gone = pb::RangeRequest { revision: 2, ..pb::RangeRequest::of_key("a") };
        assert_eq!(error(client.range(gone).await), Some(Error::Compacted));
    });
}

#[test]
fn a_client_moves_on_from_a_member_without_a_leader() {
    with_member(Knobs::default(), async |member: Core| {
        let alone = Core::start(Knobs::default()).await;
        alone.lead(false);
        for _ in 0..8 {
            let client = Client::new(vec![alone.addr, member.addr], &Knobs::default());
            client.put(pb::PutRequest::of("a", "1")).await.unwrap();
            assert_eq!(client.endpoint(), Some(member.addr.into()));
        }
        let local = pb::RangeRequest { serializable: true, ..pb::RangeRequest::of_key("a") };
        assert!(alone.client().range(local).await.unwrap().kvs.is_empty());
    });
}

#[test]
fn only_what_is_serializable_is_answered_without_a_leader() {
    let knobs = Knobs { client_timeout_ms: 1_000, ..Knobs::default() };
    with_member(knobs, async |member: Core| {
        let client = member.client();
        client.put(pb::PutRequest::of("a", "1")).await.unwrap();
        member.lead(false);
        let range = |serializable| pb::RangeRequest { serializable, ..pb::RangeRequest::of_key("a") };
        assert_eq!(client.range(range(true)).await.unwrap().count, 1);
        assert_eq!(error(client.range(range(false)).await), Some(Error::NoLeader));
        let txn = |kinds: &[bool]| pb::TxnRequest {
            success: kinds.iter().map(|serializable| op(Op::RequestRange(range(*serializable)))).collect(),
            ..Default::default()
        };
        assert_eq!(client.txn(txn(&[true, true])).await.unwrap().responses.len(), 2);
        assert_eq!(error(client.txn(txn(&[true, false])).await), Some(Error::NoLeader));
        let inner = pb::TxnRequest { success: vec![op(Op::RequestTxn(txn(&[false])))], ..Default::default() };
        assert_eq!(error(client.txn(inner).await), Some(Error::NoLeader));
        let list = |linearizable| pb::MemberListRequest { linearizable };
        assert_eq!(client.member_list(list(false)).await.unwrap().members.len(), 1);
        assert_eq!(error(client.member_list(list(true)).await), Some(Error::NoLeader));
    });
}

#[test]
fn a_call_ends_at_its_deadline() {
    let knobs = Knobs { client_timeout_ms: 1_000, ..Knobs::default() };
    with_member(knobs, async |member: Core| {
        member.lead(false);
        let (before, client) = (rt::now(), member.client());
        let put = client.put(pb::PutRequest::of("a", "1")).await;
        assert_eq!(error(put), Some(Error::NoLeader));
        let took = |since: Mono| (rt::now() - since).as_millis();
        assert!(took(before) <= 1_500, "took {} ms", took(before));
    });
}

#[test]
fn a_member_tells_of_itself() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        client.put(pb::PutRequest::of("a", "1")).await.unwrap();
        member.lead(true);
        let status = client.status(pb::StatusRequest {}).await.unwrap();
        assert_eq!((status.leader, status.raft_index, status.raft_applied_index), (1, 1, 1));
        let members = client.member_list(pb::MemberListRequest::default()).await.unwrap().members;
        assert_eq!((members.len(), members[0].name.as_str()), (1, "m1"));
        let hash = client.hash_kv(pb::HashKvRequest { revision: 2 }).await.unwrap();
        assert!(hash.hash != 0 && hash.hash_revision == 2);
        assert!(client.alarm(pb::AlarmRequest::default()).await.unwrap().alarms.is_empty());
    });
}

#[test]
fn health_and_version_are_on_the_same_port() {
    with_member(Knobs::default(), async |member: Core| {
        let client = rt::http::Client::new(Default::default());
        let ask = async |path: &'static str| {
            let request = http::Request::get(path).body(Bytes::new()).unwrap();
            let response = client.request(member.addr, request).await.unwrap();
            (response.status().as_u16(), response.into_body().collect().await.unwrap())
        };
        assert_eq!(ask("/health").await, (200, Bytes::from_static(b"{\"health\":\"true\",\"reason\":\"\"}")));
        assert_eq!(ask("/version").await.0, 200);
        assert!(ask("/metrics").await.1.starts_with(b"# HELP etcd_server_version "));
        member.lead(false);
        assert_eq!(ask("/health").await.0, 503);
    });
}
