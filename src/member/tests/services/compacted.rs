//! What etcd's end-to-end tests claim of histories that are compacted and no other test here holds
//! (`src/clients/claims-e2e.md`).

use super::{core::Core, error, with_member};
use base::Knobs;
use etcd::{Client, Error, pb};
use pb::request_op::Request;
use std::time::Duration;

fn put(key: &'static str, value: String) -> pb::PutRequest {
    pb::PutRequest::of(key, value)
}

/// What a change was: its revision, whether the key is there after it, and the value.
type Change = (i64, bool, String);

/// Of a hundred changes of one key each tenth is a deletion; says which revisions there were.
async fn change(client: &Client) -> Vec<Change> {
    let mut made = vec![];
    for n in 1..=100 {
        let (header, value) = match n % 10 {
            0 => (
                client.delete_range(pb::DeleteRangeRequest::of_key("a")).await.unwrap().header,
                String::new(),
            ),
            _ => (client.put(put("a", n.to_string())).await.unwrap().header, n.to_string()),
        };
        made.push((header.expect("a header").revision, n % 10 != 0, value));
    }
    made
}

/// What a watch that begins at a revision shows until it has shown the newest.
async fn watch(client: &Client, start_revision: i64, newest: i64) -> Vec<Change> {
    let mut stream = client.watch().await.unwrap();
    let create = pb::WatchCreateRequest { key: "a".into(), start_revision, ..Default::default() };
    stream.send(create).await.unwrap();
    assert!(stream.recv().await.unwrap().created);
    let mut seen: Vec<Change> = vec![];
    while seen.last().is_none_or(|(revision, ..)| *revision < newest) {
        let answer = stream.recv().await.unwrap();
        assert!(!answer.canceled, "from {start_revision}: {}", answer.cancel_reason);
        seen.extend(answer.events.iter().map(|event| {
            let kv = event.kv.as_ref().expect("what changed");
            let value = String::from_utf8_lossy(&kv.value).into_owned();
            (kv.mod_revision, event.r#type() == pb::event::EventType::Put, value)
        }));
    }
    seen
}

/// etcd-io/etcd#18089 and #19179: whether a put or a deletion stands at the compaction.
#[test]
fn a_watch_that_begins_anew_at_each_compaction_misses_nothing() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let made = change(&client).await;
        let newest = made[99].0;
        for (at, (revision, ..)) in made.iter().enumerate().step_by(7) {
            client.compact(pb::CompactionRequest { revision: *revision, physical: true }).await.unwrap();
            assert_eq!(watch(&client, *revision, newest).await, made[at..], "compacted at {revision}");
        }
        // of a deletion
        let revision = made[99].0;
        client.compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
        assert_eq!(watch(&client, revision, newest).await, made[99..]);
    });
}

/// How often a watch that begins at what is compacted is told so, within a while.
async fn told(client: &Client) -> usize {
    let mut stream = client.watch().await.unwrap();
    stream
        .send(pb::WatchCreateRequest { key: "a".into(), start_revision: 5, ..Default::default() })
        .await
        .unwrap();
    let mut told = 0;
    while let Ok(answer) = rt::timeout(Duration::from_millis(200), stream.recv()).await {
        told += usize::from(answer.unwrap().compact_revision > 0);
        if told > 10 {
            break;
        }
    }
    told
}

/// etcd-io/etcd#21174, the bug museum's W06.
#[test]
fn a_watch_of_what_is_compacted_is_told_so_once() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        change(&client).await;
        client.compact(pb::CompactionRequest { revision: 50, physical: true }).await.unwrap();
        assert_eq!(told(&client).await, 1);
        base::marks::plant(Some("W06"));
        assert_eq!(told(&client).await > 1, base::marks::COUNTED, "planted, it is seen");
        base::marks::plant(None);
    });
}

/// What the first so many compactions of twelve are told of: whether the hash of each is the one from before it.
async fn remembered(client: &etcd::Client) -> Vec<bool> {
    let hash = async |revision| {
        let answer = client.hash_kv(pb::HashKvRequest { revision }).await.unwrap();
        (answer.hash, answer.compact_revision, answer.hash_revision)
    };
    change(client).await;
    let mut before = vec![];
    for revision in (10..=32).step_by(2) {
        before.push((revision, hash(revision).await));
        client.compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
        assert_eq!(hash(0).await.1, revision, "now");
    }
    let mut same = vec![];
    for (revision, of) in before {
        let now = client.hash_kv(pb::HashKvRequest { revision }).await;
        same.push(now.is_ok_and(|now| (now.hash, now.compact_revision, now.hash_revision) == of));
    }
    same
}

#[test]
fn a_hash_is_the_same_before_and_after_the_compaction_of_its_revision() {
    with_member(Knobs::default(), async |member: Core| {
        let ten_of_twelve: Vec<bool> = (0..12).map(|n| n >= 2).collect();
        assert_eq!(remembered(&member.client()).await, ten_of_twelve);
    });
    with_member(Knobs::default(), async |member: Core| {
        base::marks::plant(Some("HASHED"));
        let all = remembered(&member.client()).await;
        base::marks::plant(None);
        assert_eq!(all.contains(&true), !base::marks::COUNTED, "planted, it is seen: {all:?}");
    });
}

/// etcd-io/etcd#18667: what cannot be read must not leave half of a txn behind.
#[test]
fn a_txn_that_reads_what_is_compacted_changes_nothing() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        change(&client).await;
        client.compact(pb::CompactionRequest { revision: 50, physical: true }).await.unwrap();
        let op = |request| pb::RequestOp { request: Some(request) };
        let read = pb::RangeRequest { revision: 20, ..pb::RangeRequest::of_key("a") };
        let success = vec![op(Request::RequestPut(put("b", "1".into()))), op(Request::RequestRange(read))];
        let hash = async || client.hash_kv(pb::HashKvRequest { revision: 0 }).await.unwrap().hash;
        let before = hash().await;
        let txn = pb::TxnRequest { success, ..Default::default() };
        assert_eq!(error(client.txn(txn).await), Some(Error::Compacted));
        let there = client.range(pb::RangeRequest::of_key("b")).await.unwrap();
        assert_eq!((there.count, there.header.expect("a header").revision), (0, 101));
        assert_eq!(hash().await, before);
    });
}
