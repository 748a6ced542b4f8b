//! Members compare what they hold: a difference is found, told of the right one, and stops everything; where there is
//! none, nothing is said, whatever else happens.

use crate::group::{Group, client_of, name, put_for};
use crate::knobs;
use base::{Knobs, knobs::ms};
use etcd::{Client, Error, pb};
use pb::request_op::Request;
use std::{collections::BTreeSet, time::Duration};
use world::{Death, World, process};

const SECOND: Duration = Duration::from_secs(1);

fn everyone(group: &Group) -> Client {
    Client::new((1..=3).map(client_of).collect(), &group.knobs)
}

async fn alarms(client: &Client) -> Vec<pb::AlarmMember> {
    client.alarm(pb::AlarmRequest::default()).await.map(|answer| answer.alarms).unwrap_or_default()
}

fn run<F>(more: Knobs, act: impl FnOnce(std::rc::Rc<Group>) -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    World::run(1, move |world| async move {
        act(std::rc::Rc::new(Group::start(world, 3, more))).await;
    });
}

/// What each member holds after a txn that would read what is compacted.
async fn held_after_a_txn_that_is_refused(group: &Group) -> BTreeSet<u32> {
    let client = everyone(group);
    for value in ["1", "2", "3"] {
        client.put(pb::PutRequest::of("a", value)).await.expect("put");
    }
    let op = |request| pb::RequestOp { request: Some(request) };
    let read = pb::RangeRequest { revision: 2, ..pb::RangeRequest::of_key("a") };
    let success =
        vec![op(Request::RequestPut(pb::PutRequest::of("b", "1"))), op(Request::RequestRange(read))];
    client.compact(pb::CompactionRequest { revision: 4, physical: true }).await.expect("compacted");
    let refused = client.txn(pb::TxnRequest { success, ..Default::default() }).await.expect_err("refused");
    assert_eq!(etcd::kind(&refused), Some(Error::Compacted));
    rt::sleep(SECOND).await;
    let mut held = BTreeSet::new();
    for id in 1..=3 {
        let client = Client::new(vec![client_of(id)], &group.knobs);
        held.insert(client.hash_kv(pb::HashKvRequest { revision: 0 }).await.expect("a hash").hash);
    }
    held
}

/// etcd-io/etcd#18667, the bug museum's T01: whoever serves the client must refuse no more than the others.
#[test]
fn what_a_txn_reads_is_asked_for_by_every_member() {
    run(knobs(), |group| async move {
        assert_eq!(held_after_a_txn_that_is_refused(&group).await.len(), 1);
    });
    run(knobs(), |group| async move {
        base::marks::plant(Some("T01"));
        assert_eq!(held_after_a_txn_that_is_refused(&group).await.len(), 2, "planted, it is seen");
    });
}

#[test]
fn a_member_that_holds_something_else_is_found_and_nothing_is_served_any_more() {
    run(Knobs { corrupt_check_ms: 1_000, ..knobs() }, |group| async move {
        base::marks::plant(Some("B08"));
        let client = everyone(&group);
        put_for(client.clone(), "key".into(), 5 * SECOND).await;
        let found = alarms(&client).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].member_id, found[0].alarm()), (2, pb::AlarmType::Corrupt));
        let refused = client.put(pb::PutRequest::of("a", "1")).await.expect_err("refused");
        assert_eq!(etcd::kind(&refused), Some(Error::Corrupt));
    });
}

/// Puts to these keys, of which the second member loses some; the last revision.
async fn spoil(client: &Client, key: impl Fn(u32) -> String) -> i64 {
    base::marks::plant(Some("B08"));
    let mut revision = 0;
    for n in 0..70 {
        let put = client.put(pb::PutRequest::of(key(n), n.to_string())).await.expect("a put");
        revision = put.header.expect("a header").revision;
    }
    base::marks::plant(None);
    revision
}

/// What is gone from history was hashed before; without that nobody could tell any more.
#[test]
fn what_differed_before_it_was_compacted_is_found() {
    for (compact_hash_check_ms, expected) in [(500, 1), (0, 0)] {
        let check = Knobs { compact_hash_check_ms, ..knobs() };
        run(check, move |group| async move {
            let client = everyone(&group);
            let revision = spoil(&client, |_| "a".into()).await;
            let put = client.put(pb::PutRequest::of("a", "at last")).await.expect("a put");
            client.compact(pb::CompactionRequest { revision, physical: true }).await.expect("compacted");
            let last = put.header.expect("a header").revision;
            client
                .compact(pb::CompactionRequest { revision: last, physical: true })
                .await
                .expect("compacted");
            rt::sleep(3 * SECOND).await;
            let found = alarms(&client).await;
            assert_eq!(found.len(), expected, "{found:?}");
            assert!(found.iter().all(|alarm| alarm.member_id == 2), "{found:?}");
        });
    }
}

#[test]
fn a_member_that_holds_something_else_does_not_serve_where_it_has_to_compare_first() {
    let check = Knobs { corrupt_check_at_start: 1, snapshot_every: 20, snapshot_keep: 5, ..knobs() };
    run(check, |group| async move {
        base::marks::plant(Some("B08"));
        let client = everyone(&group);
        put_for(client.clone(), "key".into(), 5 * SECOND).await;
        for id in [1, 2] {
            group.world.kill(&name(id), Death::Process);
            rt::sleep(SECOND).await;
            group.world.restart(&name(id));
            rt::sleep(3 * SECOND).await;
            let up = process::status(&name(id)).expect("a process").up;
            assert_eq!(up, id == 1, "{id} holds what the others do, or not");
        }
    });
}

/// What was hashed when the newest revision was compacted is of before: it says nothing of what is held now.
#[test]
fn what_is_held_is_compared_also_where_the_newest_revision_was_compacted() {
    let check = Knobs { corrupt_check_at_start: 1, snapshot_every: 20, snapshot_keep: 5, ..knobs() };
    run(check, |group| async move {
        let client = everyone(&group);
        let revision = spoil(&client, |n| format!("key{n}")).await;
        client.compact(pb::CompactionRequest { revision, physical: true }).await.expect("compacted");
        // then a snapshot is behind it, and who comes back by that remembers nothing
        for _ in 0..40 {
            client.lease_grant(pb::LeaseGrantRequest { ttl: 100, id: 0 }).await.expect("a lease");
        }
        for id in [2, 1] {
            group.bounce(&name(id), Death::Process, SECOND).await;
            rt::sleep(3 * SECOND).await;
            let up = process::status(&name(id)).expect("a process").up;
            assert_eq!(up, id == 1, "{id} holds what the others do, or not");
        }
    });
}

/// Writes, compactions, and leaders that are lost.
#[test]
fn no_difference_is_found_where_there_is_none() {
    let check = Knobs {
        corrupt_check_ms: 50,
        compact_hash_check_ms: 60,
        corrupt_check_at_start: 1,
        auto_compact_revisions: 10,
        auto_compact_every_ms: 70,
        snapshot_every: 50,
        snapshot_keep: 5,
        ..knobs()
    };
    run(check, |group| async move {
        let client = everyone(&group);
        let writer = rt::spawn(put_for(client.clone(), "key".into(), 20 * SECOND));
        for round in 0..6 {
            rt::sleep(ms(1_500)).await;
            let leader = group.leader().expect("a leader");
            group.bounce(&leader, if round % 2 == 0 { Death::Power } else { Death::Process }, SECOND).await;
        }
        let (done, _) = writer.await.expect("a writer that runs to its end");
        assert!(done.len() > 200, "{}", done.len());
        assert_eq!(alarms(&client).await, []);
        group.assert_no_faults();
    });
}
