//! What a stream of watches promises beyond the single watch: what one watch suffers does not touch its neighbours, no
//! change is missed between history and presence, no answer is larger than a client can read, and what ends is gone.

use super::{
    core::Core,
    error,
    operations::metrics,
    turns::channel,
    users::{self, with_users},
    watch::{create, created, next, put, quiet, seen},
    with_member,
};
use base::{Knobs, knobs::ms};
use etcd::{Error, WatchStream, pb};
use pb::{event::EventType, watch_client::WatchClient, watch_create_request::FilterType};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

/// The next events of a stream with one watch, in however many answers they come.
async fn events(stream: &mut WatchStream, count: usize) -> Vec<pb::Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(next(stream).await.events);
    }
    assert_eq!(events.len(), count, "{events:?}");
    events
}

/// A refused watch has no number, so that its end cannot be taken for that of watch 0 of the same stream.
#[test]
fn a_watch_that_is_refused_leaves_the_others_of_its_stream_alone() {
    with_member(users::knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        let mut stream = alice.watch().await.unwrap();
        assert_eq!(created(&mut stream, create("a/", 0)).await, 0);
        let end_before_key = pb::WatchCreateRequest {
            key: "a/2".into(),
            range_end: "a/1".into(),
            ..pb::WatchCreateRequest::default()
        };
        for refused in [create("c", 0), end_before_key] {
            stream.send(refused).await.unwrap();
            let answer = next(&mut stream).await;
            assert!(answer.created && answer.canceled && answer.watch_id == -1, "{answer:?}");
        }
        put(&root, "c").await;
        put(&root, "a/1").await;
        assert_eq!(seen(&next(&mut stream).await), (0, vec![3]));
        assert_eq!(created(&mut stream, create("a/", 0)).await, 1);
    });
}

#[test]
fn a_range_without_keys_cannot_be_watched() {
    with_member(Knobs::default(), async |member: Core| {
        let mut stream = member.client().watch().await.unwrap();
        let range = |key: &'static [u8], end: &'static [u8]| pb::WatchCreateRequest {
            key: key.into(),
            range_end: end.into(),
            ..pb::WatchCreateRequest::default()
        };
        for (key, end) in [(&b"b"[..], &b"b"[..]), (b"b", b"a"), (b"a1", b"a")] {
            stream.send(range(key, end)).await.unwrap();
            let answer = next(&mut stream).await;
            assert!(answer.created && answer.canceled && answer.watch_id == -1, "{answer:?}");
            assert_eq!(answer.cancel_reason, etcd::error::EMPTY_WATCHER_RANGE);
        }
        for (key, end) in [(&b"b"[..], &b""[..]), (b"b", b"c"), (b"b", b"\0"), (b"", b"\0"), (b"", b"b")] {
            created(&mut stream, range(key, end)).await;
        }
    });
}

/// Who cancels a lot at once may well not read meanwhile, and what is put meanwhile has to go somewhere.
#[test]
fn a_burst_of_cancellations_leaves_the_other_watches_working() {
    const ALL: i64 = 500;
    const CANCELED: i64 = 480;
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        for id in 0..ALL {
            assert_eq!(created(&mut stream, create("a", 0)).await, id);
        }
        let burst: Vec<_> = (0..CANCELED).map(|id| stream.send(pb::WatchRequest::cancel(id))).collect();
        let burst = rt::spawn(async move {
            for request in burst {
                request.await.unwrap();
            }
        });
        put(&client, "a").await;
        let (mut open, mut heard): (BTreeSet<i64>, _) = ((0..ALL).collect(), BTreeSet::new());
        while open.len() as i64 > ALL - CANCELED {
            let answer = next(&mut stream).await;
            let (id, revisions) = seen(&answer);
            assert!(open.contains(&id), "a watch speaks after its end: {answer:?}");
            heard.extend(revisions.into_iter().map(|revision| (id, revision)));
            if answer.canceled {
                open.remove(&id);
            }
        }
        burst.await.unwrap();
        put(&client, "a").await;
        let whole: BTreeSet<_> = open.iter().flat_map(|id| [(*id, 2), (*id, 3)]).collect();
        while !whole.is_subset(&heard) {
            let (id, revisions) = seen(&next(&mut stream).await);
            heard.extend(revisions.into_iter().map(|revision| (id, revision)));
        }
        assert!(heard.iter().all(|(id, revision)| open.contains(id) || *revision == 2), "{heard:?}");
        quiet(&mut stream).await;
    });
}

/// Watches of one key on streams of their own: what one asks for beside the events is not given to another.
#[test]
fn every_stream_is_shown_what_it_asked_for() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut streams = Vec::new();
        for n in 0..10 {
            let mut stream = client.watch().await.unwrap();
            let request = pb::WatchCreateRequest { prev_kv: n % 2 == 0, ..create("a", 0) };
            assert_eq!(created(&mut stream, request).await, 0, "a stream counts from 0");
            streams.push(stream);
        }
        put(&client, "a").await;
        put(&client, "a").await;
        for (n, stream) in streams.iter_mut().enumerate() {
            let events = events(stream, 2).await;
            let before: Vec<bool> = events.iter().map(|event| event.prev_kv.is_some()).collect();
            assert_eq!(before, [false, n % 2 == 0], "stream {n}");
        }
    });
}

#[test]
fn an_event_tells_what_became_of_its_key() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        created(&mut stream, create("", 0)).await;
        client.lease_grant(pb::LeaseGrantRequest { id: 7, ttl: 60 }).await.unwrap();
        client.put(pb::PutRequest::of("a", "")).await.unwrap();
        client.put(pb::PutRequest::of("a", "2")).await.unwrap();
        client.delete_range(pb::DeleteRangeRequest::of_key("a")).await.unwrap();
        client.put(pb::PutRequest { lease: 7, ..pb::PutRequest::of("b", "1") }).await.unwrap();
        client.lease_revoke(pb::LeaseRevokeRequest { id: 7 }).await.unwrap();
        let events = events(&mut stream, 5).await;
        let kinds: Vec<_> = events.iter().map(pb::Event::r#type).collect();
        use EventType::{Delete, Put};
        assert_eq!(kinds, [Put, Put, Delete, Put, Delete]);
        let kv = |n: usize| events[n].kv.clone().unwrap();
        let numbers = |kv: pb::KeyValue| (kv.create_revision, kv.mod_revision, kv.version, kv.lease);
        assert_eq!(numbers(kv(0)), (2, 2, 1, 0));
        assert_eq!(numbers(kv(1)), (2, 3, 2, 0));
        assert_eq!(numbers(kv(3)), (5, 5, 1, 7));
        assert!(kv(0).value.is_empty() && kv(1).value == "2");
        // of a key that is gone there is nothing but its name, and when it went
        let gone = |key: &'static str, mod_revision| pb::KeyValue {
            key: key.into(),
            mod_revision,
            ..pb::KeyValue::default()
        };
        assert_eq!((kv(2), kv(4)), (gone("a", 4), gone("b", 6)));
    });
}

#[test]
fn a_filter_leaves_out_one_kind_of_event() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for n in 0..2 {
            put(&client, "a").await;
            client.delete_range(pb::DeleteRangeRequest::of_key("a")).await.unwrap();
            // the same from history and, the second time, as it happens
            for (filter, kept) in [(FilterType::Noput, [3, 5]), (FilterType::Nodelete, [2, 4])] {
                let mut stream = client.watch().await.unwrap();
                let filters = vec![filter.into()];
                created(&mut stream, pb::WatchCreateRequest { filters, ..create("a", 2) }).await;
                let events = events(&mut stream, n + 1).await;
                let revisions: Vec<i64> =
                    events.iter().map(|e| e.kv.as_ref().unwrap().mod_revision).collect();
                assert_eq!(revisions, kept[..=n]);
                quiet(&mut stream).await;
            }
        }
    });
}

#[test]
fn what_one_txn_changed_comes_in_one_answer() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut live = client.watch().await.unwrap();
        created(&mut live, create("a", 0)).await;
        let put = |key: &'static str| pb::RequestOp {
            request: Some(pb::request_op::Request::RequestPut(pb::PutRequest::of(key, "v"))),
        };
        let success = vec![put("a0"), put("a1"), put("b"), put("a2")];
        client.txn(pb::TxnRequest { success, ..Default::default() }).await.unwrap();
        let mut late = client.watch().await.unwrap();
        created(&mut late, create("a", 2)).await;
        for stream in [&mut live, &mut late] {
            assert_eq!(seen(&next(stream).await), (0, vec![2, 2, 2]));
        }
    });
}

/// From the revision that its creation names on, a watch misses nothing, however it falls between the puts.
#[test]
fn a_watch_made_between_two_puts_misses_none_after_it() {
    const PUTS: i64 = 32;
    const WATCHES: usize = 6;
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        let creating: Vec<_> = (0..WATCHES).map(|_| stream.send(create("a", 0))).collect();
        let creating = rt::spawn(async move {
            for request in creating {
                request.await.unwrap();
                rt::sleep(ms(2)).await;
            }
        });
        let writer = client.clone();
        let writing = rt::spawn(async move {
            for _ in 0..PUTS {
                put(&writer, "a").await;
            }
        });
        let (mut from, mut got): (BTreeMap<i64, i64>, BTreeMap<i64, Vec<i64>>) = Default::default();
        let whole = |from: &BTreeMap<i64, i64>| -> BTreeMap<i64, Vec<i64>> {
            from.iter().map(|(id, start)| (*id, (*start..=PUTS + 1).collect())).collect()
        };
        while from.len() < WATCHES || got != whole(&from) {
            let answer = next(&mut stream).await;
            let (id, revisions) = seen(&answer);
            if answer.created {
                from.insert(id, answer.header.unwrap().revision + 1);
            }
            got.entry(id).or_default().extend(revisions);
        }
        creating.await.unwrap();
        writing.await.unwrap();
        quiet(&mut stream).await;
    });
}

/// What a client reads by default, 4 MiB, is enough for a history of any size: it comes in several answers.
#[test]
fn a_long_history_comes_in_answers_that_every_client_can_read() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for n in 0..10 {
            client.put(pb::PutRequest::of(format!("k{n}"), vec![n; 1 << 20])).await.unwrap();
        }
        for fragment in [false, true] {
            let mut stream = client.watch().await.unwrap();
            created(&mut stream, pb::WatchCreateRequest { fragment, ..create("k", 2) }).await;
            let mut revisions = Vec::new();
            while revisions.len() < 10 {
                let answer = next(&mut stream).await;
                assert!(answer.encoded_len() <= 4 << 20, "{}", answer.encoded_len());
                revisions.extend(seen(&answer).1);
            }
            assert_eq!(revisions, (2..12).collect::<Vec<_>>());
        }
    });
}

/// Progress that was asked for with the watch itself is no promise made before the history was told.
#[test]
fn progress_waits_for_the_history_of_every_watch() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for _ in 0..100 {
            client.put(pb::PutRequest::of("a", vec![1; 30_000])).await.unwrap();
        }
        // histories of one watch, of none of two, and of one of two
        for (keys, told) in [(vec!["a"], 100), (vec!["b"], 0), (vec!["b", "a"], 100)] {
            let mut stream = client.watch().await.unwrap();
            for key in &keys {
                stream.send(create(key, 2)).await.unwrap();
            }
            stream.send(pb::WatchRequest::progress()).await.unwrap();
            let mut events = 0;
            let progress = loop {
                let answer = next(&mut stream).await;
                events += answer.events.len();
                if answer.watch_id == -1 {
                    break answer;
                }
            };
            assert_eq!((events, progress.header.unwrap().revision), (told, 101), "{keys:?}");
            quiet(&mut stream).await;
        }
    });
}

/// History needs no leader; who wants to know that there is one says so.
#[test]
fn only_a_stream_that_requires_a_leader_is_refused_without_one() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        put(&client, "a").await;
        member.lead(false);
        let mut strict = client.watch().await.unwrap();
        strict.send(create("a", 2)).await.unwrap();
        let refused = loop {
            match rt::timeout(ms(10_000), strict.recv()).await.expect("an end in time") {
                Ok(_) => {}
                Err(refused) => break refused,
            }
        };
        assert_eq!(etcd::kind(&refused), Some(Error::NoLeader));
        let mut open = WatchClient::new(channel(&member).await);
        let once = futures::stream::iter([pb::WatchRequest::from(create("a", 2))]);
        let requests = futures::StreamExt::chain(once, futures::stream::pending());
        let mut answers = open.watch(requests).await.unwrap().into_inner();
        assert!(answers.message().await.unwrap().unwrap().created);
        assert_eq!(seen(&answers.message().await.unwrap().unwrap()), (0, vec![2]));
        let still = rt::timeout(ms(5_000), answers.message()).await;
        assert!(still.is_err(), "a stream that requires no leader goes on: {still:?}");
        member.lead(true);
        put(&client, "a").await;
        assert_eq!(seen(&answers.message().await.unwrap().unwrap()), (0, vec![3]));
        created(&mut client.watch().await.unwrap(), create("a", 0)).await;
    });
}

#[test]
fn watches_that_ended_are_counted_no_more() {
    with_member(Knobs::default(), async |member: Core| {
        let counted = async |streams: &str, watches: &str| {
            for _ in 0..50 {
                let (values, _) = metrics(&member).await;
                let value = |name: &str| values[&format!("etcd_debugging_mvcc_{name}_total")].clone();
                if (value("watch_stream"), value("watcher")) == (streams.into(), watches.into()) {
                    return true;
                }
                rt::sleep(ms(100)).await;
            }
            false
        };
        let client = member.client();
        let (mut kept, mut left) = (client.watch().await.unwrap(), client.watch().await.unwrap());
        for stream in [&mut kept, &mut left] {
            for _ in 0..3 {
                created(stream, create("a", 0)).await;
            }
        }
        assert!(counted("2", "6").await);
        // who cancels twice is told once, and nothing else happens
        for _ in 0..2 {
            kept.send(pb::WatchRequest::cancel(1)).await.unwrap();
        }
        assert!(next(&mut kept).await.canceled);
        quiet(&mut kept).await;
        assert!(counted("2", "5").await);
        drop(left);
        assert!(counted("1", "2").await);
        drop(kept);
        assert!(counted("0", "0").await);
        let mut stream = client.watch().await.unwrap();
        created(&mut stream, create("a", 0)).await;
        assert_eq!(error(client.put(pb::PutRequest::of("", "")).await), Some(Error::EmptyKey));
        put(&client, "a").await;
        assert_eq!(seen(&next(&mut stream).await), (0, vec![2]));
    });
}
