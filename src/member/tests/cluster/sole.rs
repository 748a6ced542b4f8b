//! What is left of a cluster whose others are lost for good goes on alone, with all that it has.

use crate::boot::{boot, members, peer, three};
use crate::group::{Group, name, put, put_for, read_all};
use base::MemberId;
use etcd::pb;
use member::{Boot, boot::State};
use std::{collections::BTreeMap, time::Duration};
use world::{Death, World, disk, process};

const SECOND: Duration = Duration::from_secs(1);

fn sole(id: u64, size: u64) -> Boot {
    Boot { force_new_cluster: true, ..boot(id, size, State::New) }
}

fn lose(group: &Group, ids: impl IntoIterator<Item = u64>) {
    ids.into_iter().for_each(|id| {
        group.world.kill(&name(id), Death::Power);
    });
}

/// The member that has the most on its disk.
fn longest(group: &Group) -> u64 {
    let seen = group.seen.lock().unwrap();
    seen.synced.iter().max_by_key(|(_, last)| **last).expect("members").0.0
}

fn ids(list: &BTreeMap<u64, (String, Vec<String>)>) -> Vec<u64> {
    list.keys().copied().collect()
}

async fn added(group: &Group, client: u8, number: u64) -> u64 {
    let add = move |client: etcd::Client| async move {
        let add = pb::MemberAddRequest { peer_urls: vec![peer(number).to_string()], is_learner: true };
        client.member_add(add).await.expect("a learner").member.expect("it is named").id
    };
    group.client(client, add).await
}

async fn learner(group: &Group, client: u8) -> u64 {
    let id = added(group, client, 4).await;
    group.boot(boot(4, 4, State::Existing));
    madsim::time::sleep(3 * SECOND).await;
    id
}

/// How a process ended.
fn end(id: u64) -> String {
    format!("{:?}", process::status(&name(id)).expect("a process").exit)
}

/// What was acknowledged, and is not there once the one that has the most goes on alone; and what else it does wrong.
fn lost(seed: u64, bug: Option<&'static str>) -> Vec<String> {
    World::run(seed, move |world| async move {
        base::marks::plant(bug);
        let group = three(world).await;
        group.members_change();
        let (done, _) = group.client(2, |client| put_for(client, "key".into(), 3 * SECOND)).await;
        assert!(done.len() > 100, "the store takes writes");
        let left = longest(&group);
        lose(&group, 1..=3);
        group.boot(sole(left, 3));
        let there = group.client(3, read_all).await;
        assert_eq!(ids(&members(&group, 4).await), [left]);
        group.client(5, |client| async move { client.put(put("a", "2")).await.expect("a put") }).await;
        let faults = group.seen.lock().unwrap().faults.clone();
        let lost = done.into_iter().filter(|key| !there.contains_key(key));
        lost.chain(faults).collect()
    })
}

#[test]
fn what_is_left_of_a_cluster_goes_on_alone_and_has_what_was_acknowledged() {
    for seed in 31..36 {
        assert_eq!(lost(seed, None), Vec::<String>::new(), "seed {seed}");
    }
    let without_the_tail = lost(31, Some("TAIL"));
    assert_eq!(!without_the_tail.is_empty(), base::marks::COUNTED, "planted, it is seen");
}

/// The others are back so long after it began, and were a quorum before.
fn others_come_back(after: Duration) {
    World::run(36, move |world| async move {
        let group = three(world).await;
        group.members_change();
        lose(&group, 1..=3);
        group.boot(sole(2, 3));
        madsim::time::sleep(after).await;
        group.world.restart(&name(1));
        group.world.restart(&name(3));
        madsim::time::sleep(5 * SECOND).await;
        assert_eq!(group.seen.lock().unwrap().faults, Vec::<String>::new(), "after {after:?}");
        only_the_second_is_left(&group, &format!("after {after:?}")).await;
    });
}

async fn only_the_second_is_left(group: &Group, case: &str) {
    assert!(end(1).contains("was removed"), "{case}: {}", end(1));
    assert!(end(3).contains("was removed"), "{case}: {}", end(3));
    assert_eq!(ids(&members(group, 3).await), [2], "{case}");
    assert_eq!(group.client(4, read_all).await.len(), 1, "{case}: what only the others agreed on is lost");
}

/// It was not so: the others are there, have had a leader in terms that it never heard of, and speak up at once.
#[test]
fn others_that_were_never_lost_are_told_so_too_and_not_heard() {
    for seed in 41..61 {
        World::run(seed, move |world| async move {
            let group = three(world).await;
            group.members_change();
            lose(&group, [2]);
            if seed % 2 == 0 {
                lose(&group, [1, 3]);
                group.world.restart(&name(1));
                group.world.restart(&name(3));
            }
            group.client(2, |client| async move { client.put(put("b", "1")).await.expect("a put") }).await;
            group.boot(sole(2, 3));
            madsim::time::sleep(5 * SECOND).await;
            // it goes another way than they did where they agreed on more than it had
            let faults = group.seen.lock().unwrap().faults.clone();
            let other: Vec<_> = faults.iter().filter(|fault| !fault.contains("differs at")).collect();
            assert_eq!(other, Vec::<&String>::new(), "seed {seed}");
            only_the_second_is_left(&group, &format!("seed {seed}")).await;
        });
    }
}

/// They added one, in a term that it never heard of.
#[test]
fn no_id_is_given_that_the_others_may_have_given() {
    World::run(61, |world| async move {
        let group = three(world).await;
        group.members_change();
        lose(&group, [2]);
        for client in 10..13 {
            lose(&group, [1, 3]);
            group.world.restart(&name(1));
            group.world.restart(&name(3));
            group
                .client(client, |client| async move { client.put(put("b", "1")).await.expect("a put") })
                .await;
        }
        let remove = |client: etcd::Client| async move {
            client.member_remove(pb::MemberRemoveRequest { id: 2 }).await.expect("one that is down may go")
        };
        group.client(2, remove).await;
        let theirs = added(&group, 4, 4).await;
        lose(&group, [1, 3]);
        group.boot(sole(2, 3));
        let own = added(&group, 3, 5).await;
        assert!(own > theirs, "{own:x} after {theirs:x}");
    });
}

#[test]
fn others_that_come_back_are_told_that_they_were_removed() {
    for millis in [0, 1, 10, 50, 100, 300, 1_000, 3_000] {
        others_come_back(Duration::from_millis(millis));
    }
}

#[test]
fn it_grows_again_and_stands_alone_once_more_where_it_is_told_so_again() {
    World::run(37, |world| async move {
        let group = three(world).await;
        group.members_change();
        lose(&group, 1..=3);
        group.boot(sole(3, 3));
        let four = learner(&group, 2).await;
        let promote = move |client: etcd::Client| async move {
            client.member_promote(pb::MemberPromoteRequest { id: four }).await.expect("promoted")
        };
        group.client(3, promote).await;
        lose(&group, [3]);
        // an ordinary start changes nothing: it needs the other
        group.boot(boot(3, 3, State::New));
        assert_eq!(ids(&members(&group, 4).await), [3, four]);
        lose(&group, [3, 4]);
        group.boot(sole(3, 3));
        assert_eq!(ids(&members(&group, 5).await), [3]);
        assert_eq!(group.client(6, read_all).await.len(), 1);
        group.assert_no_faults();
    });
}

#[test]
fn one_that_only_learned_votes_where_it_is_left() {
    World::run(38, |world| async move {
        let group = Group::empty(world, 4, crate::knobs());
        (1..=3).for_each(|id| group.boot(boot(id, 3, State::New)));
        group.client(1, |client| async move { client.put(put("a", "1")).await.expect("a put") }).await;
        group.members_change();
        let four = learner(&group, 2).await;
        lose(&group, 1..=4);
        group.boot(Boot { force_new_cluster: true, ..boot(4, 4, State::Existing) });
        assert_eq!(group.client(3, read_all).await.len(), 1);
        assert_eq!(ids(&members(&group, 4).await), [four]);
        let leads = group.seen.lock().unwrap().leader();
        assert_eq!(leads, Some(MemberId(four)));
    });
}

#[test]
fn nothing_is_made_of_a_folder_that_holds_nothing_or_not_all() {
    World::run(39, |world| async move {
        let group = Group::empty(world, 3, crate::knobs());
        group.boot(sole(1, 3));
        madsim::time::sleep(SECOND).await;
        assert!(end(1).contains("has no log: expected the folder of a member"), "{}", end(1));
    });
    // a member that lost its disk, at some moment of its return
    let ends = (0..40_u32).map(|step| {
        World::run(40, move |world| async move {
            let group = three(world).await;
            group.world.kill(&name(2), Death::Power);
            disk::control(&name(2)).expect("its disk").wipe();
            group.world.restart(&name(2));
            madsim::time::sleep(step * Duration::from_millis(1)).await;
            lose(&group, 1..=3);
            group.boot(sole(2, 3));
            madsim::time::sleep(3 * SECOND).await;
            end(2)
        })
    });
    let ends: Vec<String> = ends.collect();
    let some = |what: &str| ends.iter().any(|end| end.contains(what));
    assert!(some("has no log"), "{ends:?}");
    assert!(some("does not hold all yet"), "{ends:?}");
}
