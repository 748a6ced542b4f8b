use super::{core::Core, with_member};
use base::Knobs;
use etcd::{Client, Error, WatchStream, pb};
use std::time::Duration;

pub async fn put(client: &Client, key: &'static str) {
    client.put(pb::PutRequest::of(key, "v")).await.unwrap();
}

pub fn create(prefix: &'static str, start_revision: i64) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest::of_prefix(prefix, start_revision)
}

pub async fn next(stream: &mut WatchStream) -> pb::WatchResponse {
    rt::timeout(Duration::from_secs(5), stream.recv()).await.expect("an answer in time").unwrap()
}

/// The next response must be this watch's creation.
pub async fn created(stream: &mut WatchStream, request: pb::WatchCreateRequest) -> i64 {
    stream.send(request).await.unwrap();
    let response = next(stream).await;
    assert!(response.created && !response.canceled, "{response:?}");
    response.watch_id
}

/// (watch, mod revisions) of a response with events.
pub fn seen(response: &pb::WatchResponse) -> (i64, Vec<i64>) {
    let revision = |event: &pb::Event| event.kv.as_ref().unwrap().mod_revision;
    (response.watch_id, response.events.iter().map(revision).collect())
}

pub async fn quiet(stream: &mut WatchStream) {
    let silence = rt::timeout(Duration::from_millis(300), stream.recv()).await;
    assert!(silence.is_err(), "expected silence, got {silence:?}");
}

#[test]
fn many_watches_share_a_stream() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        put(&client, "a").await;
        let mut stream = client.watch().await.unwrap();
        let all = created(&mut stream, create("", 2)).await;
        assert_eq!(seen(&next(&mut stream).await), (all, vec![2]));
        let b = created(&mut stream, create("b", 0)).await;
        assert_eq!((all, b), (0, 1));
        put(&client, "b").await;
        let mut both = vec![seen(&next(&mut stream).await), seen(&next(&mut stream).await)];
        both.sort();
        assert_eq!(both, [(all, vec![3]), (b, vec![3])]);
        stream.send(pb::WatchRequest::cancel(all)).await.unwrap();
        let canceled = next(&mut stream).await;
        assert!(canceled.canceled && canceled.watch_id == all);
        put(&client, "a").await;
        quiet(&mut stream).await;
    });
}

#[test]
fn ids_may_be_chosen_once() {
    with_member(Knobs::default(), async |member: Core| {
        let mut stream = member.client().watch().await.unwrap();
        let chosen = pb::WatchCreateRequest { watch_id: 7, ..create("a", 0) };
        assert_eq!(created(&mut stream, chosen.clone()).await, 7);
        stream.send(chosen).await.unwrap();
        let refused = next(&mut stream).await;
        assert!(refused.created && refused.canceled && refused.watch_id == -1);
        assert_eq!(refused.cancel_reason, etcd::error::DUPLICATE_WATCH_ID);
    });
}

#[test]
fn a_watch_behind_the_compaction_is_canceled() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for _ in 0..3 {
            put(&client, "a").await;
        }
        client.compact(pb::CompactionRequest { revision: 4, physical: false }).await.unwrap();
        let mut stream = client.watch().await.unwrap();
        let id = created(&mut stream, create("a", 2)).await;
        let canceled = next(&mut stream).await;
        assert!(canceled.canceled && (canceled.watch_id, canceled.compact_revision) == (id, 4));
        let id = created(&mut stream, create("a", 4)).await;
        assert_eq!(seen(&next(&mut stream).await), (id, vec![4]));
        stream.send(create("a", -1)).await.unwrap();
        let refused = next(&mut stream).await;
        assert!(refused.created && refused.canceled);
        assert_eq!(refused.cancel_reason, Error::Compacted.text());
    });
}

#[test]
fn progress_is_told_after_the_events_before_it() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        created(&mut stream, create("a", 0)).await;
        put(&client, "a").await;
        put(&client, "b").await;
        stream.send(pb::WatchRequest::progress()).await.unwrap();
        assert_eq!(seen(&next(&mut stream).await).1, [2]);
        let progress = next(&mut stream).await;
        assert_eq!((progress.watch_id, progress.header.unwrap().revision), (-1, 3));
        created(&mut stream, create("z", 9)).await;
        stream.send(pb::WatchRequest::progress()).await.unwrap();
        quiet(&mut stream).await;
    });
}

#[test]
fn an_idle_watch_hears_of_progress_if_it_wants_to() {
    let knobs = Knobs { watch_progress_ms: 500, ..Knobs::default() };
    with_member(knobs, async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        let request = pb::WatchCreateRequest { progress_notify: true, ..create("a", 0) };
        let id = created(&mut stream, request).await;
        put(&client, "b").await;
        let progress = next(&mut stream).await;
        assert!(progress.events.is_empty());
        assert_eq!((progress.watch_id, progress.header.unwrap().revision), (id, 2));
    });
}

#[test]
fn filters_and_previous_values() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        let no_puts = vec![pb::watch_create_request::FilterType::Noput.into()];
        created(&mut stream, pb::WatchCreateRequest { filters: no_puts, prev_kv: true, ..create("a", 0) })
            .await;
        put(&client, "a").await;
        client.delete_range(pb::DeleteRangeRequest::of_key("a")).await.unwrap();
        let response = next(&mut stream).await;
        let event = &response.events[0];
        assert_eq!((response.events.len(), event.r#type()), (1, pb::event::EventType::Delete));
        assert_eq!(event.prev_kv.as_ref().unwrap().mod_revision, 2);
    });
}

#[test]
fn a_slow_client_misses_nothing() {
    let knobs = Knobs { watch_queue: 4, ..Knobs::default() };
    with_member(knobs, async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        created(&mut stream, create("a", 0)).await;
        let value = vec![0; 10_000];
        for _ in 0..300 {
            client.put(pb::PutRequest::of("a", value.clone())).await.unwrap();
        }
        let mut revisions = Vec::new();
        while revisions.len() < 300 {
            revisions.extend(seen(&next(&mut stream).await).1);
        }
        assert_eq!(revisions, (2..302).collect::<Vec<_>>());
    });
}

#[test]
fn large_revisions_come_in_fragments_to_those_who_can_join_them() {
    let knobs = Knobs { request_bytes: 1_000, ..Knobs::default() };
    with_member(knobs, async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        created(&mut stream, pb::WatchCreateRequest { fragment: true, prev_kv: true, ..create("", 0) }).await;
        // One revision, whose events with the values before them are larger than any single put may be.
        let store = member.handle.clone();
        let put = |key: String| store::PutRequest {
            key: key.into(),
            value: vec![1; 200_000].into(),
            ..Default::default()
        };
        let ops = (0..4).map(|n| store::TxnOp::Put(put(format!("k{n}")))).collect();
        let txn = store::TxnRequest { success: ops, ..Default::default() };
        store.propose(store::Command::Txn(txn)).await.unwrap();
        let (mut events, mut parts) = (0, 0);
        loop {
            let response = next(&mut stream).await;
            events += response.events.len();
            parts += 1;
            if !response.fragment {
                break;
            }
        }
        assert_eq!((events, parts), (4, 2));
    });
}

#[test]
fn a_stream_that_requires_a_leader_ends_without_one() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        created(&mut stream, create("a", 0)).await;
        member.lead(false);
        let ended = rt::timeout(Duration::from_secs(5), stream.recv()).await.expect("an end in time");
        assert_eq!(etcd::kind(&ended.unwrap_err()), Some(Error::NoLeader));
    });
}

#[test]
fn a_watch_goes_on_over_a_snapshot() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        let now = created(&mut stream, create("a", 0)).await;
        let later = created(&mut stream, create("a", 5)).await;
        put(&client, "a").await;
        assert_eq!(seen(&next(&mut stream).await), (now, vec![2]));
        let mut ahead = member.handle.store();
        for _ in 0..3 {
            let put = store::PutRequest { key: "a".into(), ..Default::default() };
            ahead.apply(ahead.applied().next(), &store::Command::Put(put));
        }
        member.handle.restore(ahead, base::Term(2));
        assert_eq!(seen(&next(&mut stream).await), (now, vec![3, 4, 5]));
        assert_eq!(seen(&next(&mut stream).await), (later, vec![5]));
        quiet(&mut stream).await;
    });
}
