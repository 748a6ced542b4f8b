//! Revisions tell one story: the header of an answer is the revision at which it was true, what a txn read and when it
//! read agree, and equal stores have equal hashes whenever they are asked.

use super::{core::Core, error, turns::channel, with_member};
use base::{Knobs, knobs::ms};
use etcd::{Client, Error, pb};
use pb::{
    compare, maintenance_client::MaintenanceClient, request_op::Request as Op,
    response_op::Response as Answer,
};

fn op(request: Op) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn put(key: impl Into<bytes::Bytes>) -> pb::RequestOp {
    op(Op::RequestPut(pb::PutRequest::of(key, "v")))
}

fn get(key: &'static str) -> pb::RequestOp {
    op(Op::RequestRange(pb::RangeRequest::of_key(key)))
}

/// Holds while there is no such key, or while there is one.
fn exists(key: &'static str, there: bool) -> pb::Compare {
    pb::Compare {
        result: if there { compare::CompareResult::Greater } else { compare::CompareResult::Equal }.into(),
        target: compare::CompareTarget::Create.into(),
        target_union: Some(compare::TargetUnion::CreateRevision(0)),
        key: key.into(),
        ..pb::Compare::default()
    }
}

fn revision(header: Option<pb::ResponseHeader>) -> i64 {
    header.unwrap().revision
}

async fn txn(client: &Client, compare: Vec<pb::Compare>, success: Vec<pb::RequestOp>) -> pb::TxnResponse {
    client.txn(pb::TxnRequest { compare, success, ..Default::default() }).await.unwrap()
}

#[test]
fn a_txn_is_answered_at_the_revision_it_made_or_found() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        assert_eq!(revision(client.put(pb::PutRequest::of("a", "1")).await.unwrap().header), 2);
        assert_eq!(revision(txn(&client, vec![], vec![get("a")]).await.header), 2);
        assert_eq!(revision(txn(&client, vec![], vec![]).await.header), 2);
        assert_eq!(revision(txn(&client, vec![], vec![put("b"), put("c")]).await.header), 3);
        let delete =
            |key: &'static str| vec![op(Op::RequestDeleteRange(pb::DeleteRangeRequest::of_key(key)))];
        assert_eq!(revision(txn(&client, vec![], delete("none")).await.header), 3);
        assert_eq!(revision(txn(&client, vec![], delete("b")).await.header), 4);
        assert_eq!(revision(client.range(pb::RangeRequest::of_key("a")).await.unwrap().header), 4);
    });
}

/// However a txn and a put fall, the revision says which of them was first, and the compares say the same.
#[test]
fn a_txn_saw_what_its_revision_says() {
    with_member(Knobs::default(), async |member: Core| {
        for round in 0..10_i64 {
            let (writer, reader) = (member.client(), member.client());
            let putting = rt::spawn(async move { writer.put(pb::PutRequest::of("a", "1")).await.unwrap() });
            let looking =
                rt::spawn(async move { txn(&reader, vec![exists("a", false)], vec![get("a")]).await });
            let (written, looked) = (putting.await.unwrap(), looking.await.unwrap());
            let (written, looked_at) = (revision(written.header), revision(looked.header));
            assert_eq!(looked.succeeded, looked_at < written, "round {round}: {looked_at} and {written}");
            member.client().delete_range(pb::DeleteRangeRequest::of_key("a")).await.unwrap();
        }
    });
}

/// Each txn puts a key of the way it took, and goes on in a txn of the branch that was chosen.
fn way(choices: &[bool], so_far: String) -> pb::TxnRequest {
    let Some((choice, rest)) = choices.split_first() else { return pb::TxnRequest::default() };
    let branch = |taken: bool| {
        let name = format!("{so_far}{}", if taken { 'y' } else { 'n' });
        let mut ops = vec![put(name.clone())];
        if taken == *choice && !rest.is_empty() {
            ops.push(op(Op::RequestTxn(way(rest, name))));
        }
        ops
    };
    pb::TxnRequest { compare: vec![exists("there", *choice)], success: branch(true), failure: branch(false) }
}

#[test]
fn txns_within_txns_choose_each_for_itself() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        client.put(pb::PutRequest::of("there", "1")).await.unwrap();
        let choices = [true, false, false, true, true, false, true, false, true, true];
        let mut answer = client.txn(way(&choices, "w".into())).await.unwrap();
        for (depth, choice) in choices.iter().enumerate() {
            assert_eq!(answer.succeeded, *choice, "depth {depth}");
            match answer.responses.pop().unwrap().response.unwrap() {
                Answer::ResponseTxn(inner) => answer = inner,
                other => assert!(depth == 9 && matches!(other, Answer::ResponsePut(_)), "{other:?}"),
            }
        }
        let kept = client.range(pb::RangeRequest::of_prefix("w")).await.unwrap();
        let ways: String = choices.iter().map(|choice| if *choice { 'y' } else { 'n' }).collect();
        let expected: Vec<String> = (1..=10).map(|depth| format!("w{}", &ways[..depth])).collect();
        assert_eq!(kept.kvs.iter().map(|kv| kv.key.clone()).collect::<Vec<_>>(), expected);
        assert!(kept.kvs.iter().all(|kv| kv.mod_revision == 3), "one revision for all of them");
    });
}

#[test]
fn who_asks_how_many_is_told_no_keys() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        txn(&client, vec![], vec![put("a1"), put("a2"), put("a3")]).await;
        let ask = |count_only, keys_only| pb::RangeRequest {
            count_only,
            keys_only,
            limit: 1,
            ..pb::RangeRequest::of_prefix("a")
        };
        for keys_only in [false, true] {
            let answer = client.range(ask(true, keys_only)).await.unwrap();
            assert_eq!((answer.kvs.len(), answer.count), (0, 3));
        }
        let answer = client.range(ask(false, true)).await.unwrap();
        assert_eq!((answer.kvs.len(), answer.count, answer.more), (1, 3, true));
        assert!(answer.kvs[0].value.is_empty() && answer.kvs[0].version == 1);
    });
}

#[test]
fn a_range_in_parts_is_refused_what_is_compacted() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for _ in 0..5 {
            txn(&client, vec![], vec![put("a")]).await;
        }
        client.compact(pb::CompactionRequest { revision: 4, physical: true }).await.unwrap();
        let ask = async |revision: i64| {
            let request = pb::RangeRequest { revision, ..pb::RangeRequest::of_prefix("a") };
            client.range_stream(request).await?.message().await
        };
        assert_eq!(error(ask(3).await), Some(Error::Compacted));
        assert!(ask(4).await.unwrap().is_some());
    });
}

#[test]
fn a_hash_is_the_same_until_something_changes() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let maintenance = MaintenanceClient::new(channel(&member).await);
        let hashes = || {
            let (mut whole, mut keys) = (maintenance.clone(), maintenance.clone());
            async move {
                let whole = whole.hash(pb::HashRequest {}).await.unwrap().into_inner();
                let keys = keys.hash_kv(pb::HashKvRequest { revision: 0 }).await.unwrap().into_inner();
                assert_eq!(revision(whole.header), revision(keys.header));
                (whole.hash, keys.hash, keys.hash_revision)
            }
        };
        let mut before = hashes().await;
        for n in 0..3 {
            txn(&client, vec![], vec![put(format!("a{n}"))]).await;
            let now = hashes().await;
            assert!(now.0 != before.0 && now.1 != before.1 && now.2 == before.2 + 1, "{now:?} {before:?}");
            rt::sleep(ms(300)).await;
            assert_eq!(hashes().await, now);
            before = now;
        }
        let at = |revision| {
            let mut maintenance = maintenance.clone();
            async move { maintenance.hash_kv(pb::HashKvRequest { revision }).await.map(|a| a.into_inner().hash) }
        };
        let then = at(3).await.unwrap();
        txn(&client, vec![], vec![put("b")]).await;
        assert_eq!(at(3).await.unwrap(), then, "what comes later is none of its business");
        assert_eq!(error(at(9).await), Some(Error::FutureRev));
    });
}

/// What a request may take is the operator's to say; what is read back is what was put.
#[test]
fn requests_are_as_large_as_the_operator_allows() {
    const MIB: usize = 1 << 20;
    let at_most = |request_bytes: usize, good: usize, bad: Vec<usize>| {
        let knobs = Knobs { request_bytes: request_bytes as u64, ..Knobs::default() };
        with_member(knobs, async move |member: Core| {
            let client = member.client();
            client.put(pb::PutRequest::of("a", vec![7; good])).await.unwrap();
            for bytes in bad {
                let refused = client.put(pb::PutRequest::of("a", vec![8; bytes])).await;
                assert_eq!(error(refused), Some(Error::RequestTooLarge), "{bytes} of {request_bytes}");
            }
            let kept = client.range(pb::RangeRequest::of_key("a")).await.unwrap();
            assert!(kept.kvs[0].value == vec![7; good] && kept.kvs[0].version == 1);
        });
    };
    at_most(256, 200, vec![256, 1_024]);
    at_most(10 * MIB, 9 * MIB, vec![10 * MIB, 10 * MIB + 5]);
}
