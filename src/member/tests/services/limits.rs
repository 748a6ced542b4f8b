//! What a member refuses because it is too much, and what it still takes.

use super::{core::Core, error, with_member};
use base::{Index, Knobs, Term};
use etcd::{Error, pb};
use member::{ProposeError, View};
use pb::request_op::Request as Op;

/// The largest request, and what gRPC may carry.
const REQUEST: usize = 1_536 << 10;
const MESSAGE: usize = REQUEST + (512 << 10);

fn op(request: Op) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn puts(count: usize) -> Vec<pb::RequestOp> {
    (0..count).map(|key| op(Op::RequestPut(pb::PutRequest::of(key.to_string(), "v")))).collect()
}

#[test]
fn a_request_has_a_largest_size() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let value = |bytes: usize| pb::PutRequest::of("a", vec![0; bytes]);
        client.put(value(REQUEST - 100)).await.unwrap();
        assert_eq!(error(client.put(value(REQUEST)).await), Some(Error::RequestTooLarge));
        let halves =
            (0..2).map(|key| op(Op::RequestPut(pb::PutRequest::of(key.to_string(), vec![0; REQUEST / 2]))));
        let txn = pb::TxnRequest { success: halves.collect(), ..Default::default() };
        assert_eq!(error(client.txn(txn).await), Some(Error::RequestTooLarge));
        // What is larger than a message may be is not read at all.
        let refused = client.put(value(MESSAGE)).await.unwrap_err();
        assert!(refused.message().contains("too large: found"), "{refused}");
        assert_eq!(member.handle.with_store(|store| store.revision().0), 2);
    });
}

/// An answer has no such limit: all of a store may be read at once.
#[test]
fn an_answer_may_be_larger_than_any_request() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for key in ["a", "b", "c", "d"] {
            client.put(pb::PutRequest::of(key, vec![0; REQUEST - 100])).await.unwrap();
        }
        let all = client.range(pb::RangeRequest::of_prefix("")).await.unwrap();
        assert_eq!(all.kvs.iter().map(|kv| kv.value.len()).sum::<usize>(), 4 * (REQUEST - 100));
    });
}

#[test]
fn a_watch_request_is_no_larger_than_another() {
    with_member(Knobs::default(), async |member: Core| {
        let ask = async |bytes: usize| {
            let mut stream = member.client().watch().await.unwrap();
            let create = pb::WatchCreateRequest { key: vec![1; bytes].into(), ..Default::default() };
            stream.send(create).await.unwrap();
            stream.recv().await.map(|response| response.created)
        };
        assert!(ask(MESSAGE - 100).await.unwrap());
        ask(MESSAGE + 100).await.unwrap_err();
    });
}

#[test]
fn a_txn_has_as_many_operations_as_the_protocol_allows() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let txn = |success| pb::TxnRequest { success, ..Default::default() };
        assert_eq!(client.txn(txn(puts(128))).await.unwrap().responses.len(), 128);
        assert_eq!(error(client.txn(txn(puts(129))).await), Some(Error::TooManyOps));
        // What the outer one uses is not there for the inner one.
        let nested = |inner: usize| txn(vec![op(Op::RequestTxn(txn(puts(inner))))]);
        client.txn(nested(127)).await.unwrap();
        assert_eq!(error(client.txn(nested(128)).await), Some(Error::TooManyOps));
        // A txn that only reads is no exception.
        let reads = vec![op(Op::RequestRange(pb::RangeRequest::of_key("a"))); 129];
        assert_eq!(error(client.txn(txn(reads)).await), Some(Error::TooManyOps));
    });
}

#[test]
fn a_member_that_lags_in_applying_takes_no_more() {
    let knobs = Knobs { client_timeout_ms: 1_000, ..Knobs::default() };
    with_member(knobs, async |member: Core| {
        let client = member.client();
        let lag = |entries: u64| {
            let committed = Index(member.handle.applied().0 + entries);
            member.handle.set_view(View { leader: Some(member.handle.member()), term: Term(2), committed });
        };
        lag(5_000);
        client.put(pb::PutRequest::of("a", "1")).await.unwrap();
        lag(5_001);
        let put = store::PutRequest { key: "a".into(), ..Default::default() };
        let refused = member.handle.propose(store::Command::Put(put)).await;
        assert_eq!(refused.unwrap_err(), ProposeError::TooManyRequests);
        let refused = client.put(pb::PutRequest::of("a", "2")).await;
        assert_eq!(error(refused), Some(Error::TooManyRequests));
        let kept = client.range(pb::RangeRequest::of_key("a")).await.unwrap();
        assert_eq!(&kept.kvs[0].value[..], b"1");
    });
}
