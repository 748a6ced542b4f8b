//! Reads on any member, and what becomes of a stream whose other end is gone.

use super::{SECOND, cut_leader, knobs, ms};
use crate::group::{Group, client_of, name, put};
use bytes::Bytes;
use etcd::{Client, pb};
use std::{collections::BTreeSet, net::SocketAddr, rc::Rc, time::Duration};
use world::{Death, World};

fn key(serializable: bool) -> pb::RangeRequest {
    pb::RangeRequest { serializable, ..pb::RangeRequest::of_key("a") }
}

/// A client of each member alone.
fn clients() -> Vec<Client> {
    let knobs = base::Knobs { client_timeout_ms: 2_000, ..knobs() };
    (1..=3).map(|id| Client::new(vec![client_of(id)], &knobs)).collect()
}

fn value(answer: &pb::RangeResponse) -> String {
    answer.kvs.first().map(|kv| String::from_utf8_lossy(&kv.value).into_owned()).unwrap_or_default()
}

/// A write through one member is read through each other at once; and then all have the same hash there.
#[test]
fn a_linearizable_read_of_any_member_sees_what_was_written_through_another() {
    World::run(21, |world| async move {
        let group = Group::start(world, 3, knobs());
        group
            .client(1, |client| async move {
                client.put(put("first", "x")).await.expect("a put");
                let clients = clients();
                for round in 0..60 {
                    let written = clients[round % 3].put(put("a", round.to_string())).await.expect("a put");
                    let revision = written.header.expect("a header").revision;
                    let mut hashes = BTreeSet::new();
                    for other in [1, 2, 0].map(|step| &clients[(round + step) % 3]) {
                        let read = other.range(key(false)).await.expect("a read");
                        assert_eq!(
                            (value(&read), read.header.expect("a header").revision),
                            (round.to_string(), revision)
                        );
                        let hash = other.hash_kv(pb::HashKvRequest { revision }).await.expect("a hash");
                        assert_eq!(hash.hash_revision, revision);
                        hashes.insert((hash.hash, hash.compact_revision));
                    }
                    assert_eq!(hashes.len(), 1, "members differ at {revision}");
                }
            })
            .await;
        group.assert_no_faults();
    });
}

/// A leader that is cut off answers serializable reads from what it has, and linearizable ones not at all.
#[test]
fn a_member_cut_off_answers_only_what_may_be_old() {
    World::run(22, |world| async move {
        let group = Rc::new(Group::start(world, 3, knobs()));
        group.client(1, |client| async move { client.put(put("a", "old")).await.expect("a put") }).await;
        let leader = group.leader().expect("a leader");
        let (cut, rest): (Vec<_>, Vec<_>) = (0..3).partition(|place| name(place + 1) == leader);
        let reading = group.client(2, move |_| async move {
            let clients = clients();
            let (cut, other) = (&clients[cut[0] as usize], &clients[rest[0] as usize]);
            rt::sleep(SECOND).await;
            let mut attempts = 0;
            while other.put(put("a", "new")).await.is_err() {
                attempts += 1;
                assert!(attempts < 50, "the others elect a leader");
            }
            assert_eq!(value(&other.range(key(false)).await.expect("a read")), "new");
            assert_eq!(value(&cut.range(key(true)).await.expect("a serializable read")), "old");
            cut.range(key(false)).await.expect_err("a linearizable read of a member that is cut off");
            rt::sleep(30 * SECOND).await; // the cut has healed
            assert_eq!(value(&cut.range(key(false)).await.expect("a read")), "new");
        });
        futures::join!(reading, cut_leader(&group, 20 * SECOND));
        group.assert_no_faults();
    });
}

/// The first answer of the first member alone.
async fn first_answer() -> String {
    let client = clients().remove(0);
    loop {
        match client.range(key(true)).await {
            Ok(answer) => return value(&answer),
            Err(_) => rt::sleep(ms(1)).await,
        }
    }
}

/// It waits until it is where it was before it answers by itself; where the others are gone it waits only so long.
#[test]
fn a_member_that_was_killed_says_by_itself_what_it_had_acknowledged() {
    for size in [1, 3] {
        World::run(24, move |world| async move {
            let group = Group::start(world, size, knobs());
            for round in 1..=20u8 {
                let put = put("a", round.to_string());
                group.client(2 * round, |_| async move { clients()[0].put(put).await.expect("a put") }).await;
                group.bounce(&name(1), Death::Process, ms(50)).await;
                let said = group.client(2 * round + 1, |_| first_answer()).await;
                assert_eq!(said, round.to_string(), "of {size}");
            }
            (2..=size).for_each(|id| assert!(group.world.kill(&name(id), Death::Process)));
            group.bounce(&name(1), Death::Process, ms(50)).await;
            let alone = rt::timeout(5 * SECOND, group.client(99, |_| first_answer())).await;
            alone.expect("something, in time");
            group.assert_no_faults();
        });
    }
}

/// Watch streams that a member says it serves.
async fn streams(member: SocketAddr) -> u64 {
    let request = http::Request::get("/metrics").body(Bytes::new()).expect("a request");
    let answer = rt::http::Client::new(Default::default()).request(member, request).await.expect("an answer");
    let text = answer.into_body().collect().await.expect("a body");
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("etcd_debugging_mvcc_watch_stream_total "));
    line.expect("a count of streams").parse().expect("a number")
}

/// An idle stream between two machines that no longer hear each other ends at both, by keepalives alone: the
/// client learns of it, and the member keeps nothing of it.
#[test]
fn a_stream_whose_other_end_is_gone_ends_at_both() {
    World::run(23, |world| async move {
        let group = Group::start(world, 1, knobs());
        let member = client_of(1);
        let patience = Duration::from_millis(group.knobs.keepalive_ms + group.knobs.keepalive_timeout_ms);
        group.client(1, |client| async move { client.put(put("a", "1")).await.expect("a put") }).await;
        let idle = group.client(2, move |client| async move {
            let mut watch = client.watch().await.expect("a stream");
            watch.send(pb::WatchCreateRequest::of_prefix("", 0)).await.expect("a request");
            assert!(watch.recv().await.expect("an answer").created);
            let mut leases = client.lease_keep_alive().await.expect("a stream");
            let began = rt::now();
            let ends = async { (watch.recv().await.is_err(), leases.recv().await.is_err()) };
            let ended = rt::timeout(10 * patience, ends).await.expect("both streams end");
            (ended, rt::now() - began)
        });
        let looking = async {
            madsim::time::sleep(SECOND).await;
            let before = group.client(3, move |_| streams(member)).await;
            let net = group.world.net();
            assert!(net.cut("client-2", &name(1)) && net.cut(&name(1), "client-2"));
            madsim::time::sleep(patience + SECOND).await;
            (before, group.client(4, move |_| streams(member)).await)
        };
        let ((ended, took), counts) = futures::join!(idle, looking);
        assert_eq!((ended, counts), ((true, true), (1, 0)));
        assert!(took < patience + 2 * SECOND, "took {took:?}");
    });
}
