//! Members come and go while clients write: nothing that was acknowledged is lost, and whoever left stays away.

use crate::group::{Group, all, client_of, name, put, put_for, read_all};
use crate::knobs;
use base::knobs::ms;
use etcd::{Client, pb};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use world::{Death, World, disk, process};

const SECOND: Duration = Duration::from_secs(1);

fn peer_url(id: u64) -> String {
    format!("http://10.0.0.{id}:2380")
}

fn add(id: u64, is_learner: bool) -> pb::MemberAddRequest {
    pb::MemberAddRequest { peer_urls: vec![peer_url(id)], is_learner }
}

/// Repeats what the store refuses for now, as an operator would.
async fn until_done<T, F>(mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, tonic::Status>>,
{
    for _ in 0..100 {
        match attempt().await {
            Ok(done) => return done,
            Err(_) => rt::sleep(ms(300)).await,
        }
    }
    panic!("not done in time: {:?}", attempt().await.err());
}

async fn members(client: &Client) -> BTreeMap<String, pb::Member> {
    let list = until_done(|| client.member_list(pb::MemberListRequest { linearizable: true })).await;
    list.members.into_iter().map(|member| (member.peer_urls[0].clone(), member)).collect()
}

async fn id_of(client: &Client, id: u64) -> u64 {
    members(client).await.get(&peer_url(id)).unwrap_or_else(|| panic!("no member {id}")).id
}

async fn promote(client: &Client, id: u64) {
    let id = id_of(client, id).await;
    until_done(|| client.member_promote(pb::MemberPromoteRequest { id })).await;
}

async fn remove(client: &Client, id: u64) {
    let id = id_of(client, id).await;
    let gone = async || client.member_remove(pb::MemberRemoveRequest { id }).await;
    // an attempt without an answer may have been carried out
    while let Err(error) = gone().await {
        if error.message() == "etcdserver: member not found" {
            return;
        }
        rt::sleep(ms(300)).await;
    }
}

fn of(group: &Group, ids: impl IntoIterator<Item = u64>) -> Client {
    Client::new(ids.into_iter().map(client_of).collect(), &group.knobs)
}

fn run<F>(seed: u64, size: u64, act: impl FnOnce(std::rc::Rc<Group>) -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    World::run(seed, move |world| async move {
        let group = std::rc::Rc::new(Group::start(world, size, knobs()));
        group.members_change();
        act(group.clone()).await;
        group.assert_no_faults();
    });
}

#[test]
fn a_member_is_added_as_a_learner_and_then_gets_a_vote() {
    run(1, 3, |group| async move {
        let client = of(&group, [1, 2, 3]);
        let (done, _) = put_for(client.clone(), "before".into(), SECOND).await;
        let added = client.member_add(add(4, true)).await.expect("added").member.expect("a member");
        assert!(added.is_learner && added.name.is_empty(), "{added:?}");
        let too_early = client.member_promote(pb::MemberPromoteRequest { id: added.id }).await;
        let text = "etcdserver: can only promote a learner member which is in sync with leader";
        assert_eq!(too_early.expect_err("it has not even started").message(), text);
        group.join(4);
        rt::sleep(2 * SECOND).await;
        let four = of(&group, [4]);
        let refused = four.range(all()).await.expect_err("a learner does not answer");
        assert_eq!(refused.message(), "etcdserver: rpc not supported for learner");
        let status = four.status(pb::StatusRequest::default()).await.expect("its status");
        assert!(status.is_learner);
        promote(&client, 4).await;
        let list = members(&client).await;
        let four_now = &list[&peer_url(4)];
        assert!(!four_now.is_learner && four_now.name == "member-4" && !four_now.client_urls.is_empty());
        // with three of four it goes on, and the new one has all that was written
        group.world.kill(&name(1), Death::Process);
        let (more, _) = put_for(of(&group, [2, 3, 4]), "after".into(), 3 * SECOND).await;
        let found = read_all(of(&group, [4])).await;
        assert!(done.iter().chain(&more).all(|key| found.contains_key(key)) && !more.is_empty());
    });
}

/// It has what the others have and no say: what needs a vote, or the newest state, is not to be had from it.
#[test]
fn a_learner_answers_only_what_may_be_old() {
    run(8, 3, |group| async move {
        let client = of(&group, [1, 2, 3]);
        let (done, _) = put_for(client.clone(), "before".into(), SECOND).await;
        let added = client.member_add(add(4, true)).await.expect("added").member.expect("a member");
        group.join(4);
        rt::sleep(2 * SECOND).await;
        let four = of(&group, [4]);
        let old = four.range(pb::RangeRequest { serializable: true, ..all() }).await.expect("what it has");
        assert!(old.kvs.len() >= done.len() && !done.is_empty());
        let compaction = pb::CompactionRequest { revision: 2, physical: false };
        let refused = [
            four.range(all()).await.map(drop),
            four.put(put("a", "1")).await.map(drop),
            four.delete_range(pb::DeleteRangeRequest::of_key("a")).await.map(drop),
            four.txn(pb::TxnRequest::default()).await.map(drop),
            four.compact(compaction).await.map(drop),
            four.lease_grant(pb::LeaseGrantRequest { id: 1, ttl: 60 }).await.map(drop),
        ];
        for refused in refused {
            let text = "etcdserver: rpc not supported for learner";
            assert_eq!(refused.expect_err("a learner has no say").message(), text);
        }
        let leader = group.seen.lock().unwrap().leader().expect("a leader").0;
        let to_four = pb::MoveLeaderRequest { target_id: added.id };
        let refused = of(&group, [leader]).move_leader(to_four).await.expect_err("nor can it lead");
        assert_eq!(refused.message(), "etcdserver: bad leader transferee");
    });
}

#[test]
fn a_member_that_is_removed_ends_and_never_comes_back() {
    run(2, 3, |group| async move {
        let client = of(&group, [1, 2, 3]);
        let _ = put_for(client.clone(), "before".into(), SECOND).await;
        remove(&client, 1).await;
        rt::sleep(3 * SECOND).await;
        let status = process::status(&name(1)).expect("a process");
        assert!(!status.up, "a member that was removed ends");
        group.world.restart(&name(1));
        rt::sleep(3 * SECOND).await;
        assert!(!process::status(&name(1)).expect("a process").up, "and ends again");
        let (more, _) = put_for(of(&group, [2, 3]), "after".into(), SECOND).await;
        assert!(!more.is_empty());
    });
}

/// It is down while it is removed, so that nothing tells it but the others, when it asks for their votes.
#[test]
fn a_member_that_slept_through_its_removal_is_told() {
    run(3, 3, |group| async move {
        let client = of(&group, [2, 3]);
        let _ = put_for(client.clone(), "before".into(), SECOND).await;
        group.world.kill(&name(1), Death::Power);
        rt::sleep(2 * SECOND).await;
        remove(&client, 1).await;
        group.world.restart(&name(1));
        rt::sleep(5 * SECOND).await;
        assert!(!process::status(&name(1)).expect("a process").up);
    });
}

/// A leader that is cut off adds a member, which never is agreed on but reaches the new one's machine; the next leader
/// adds the same one anew. Says how many writes that one served then.
async fn added_twice(group: &Group, learner: bool) -> usize {
    let _ = put_for(of(group, [1, 2, 3]), "before".into(), SECOND).await;
    let lost = group.leader().expect("a leader");
    let (rest, lost): (Vec<u64>, Vec<u64>) = (1..=3).partition(|id| name(*id) != lost);
    let net = group.world.net();
    for (one, other) in rest.iter().map(|id| (name(lost[0]), name(*id))) {
        net.cut(&one, &other);
        net.cut(&other, &one);
    }
    let (lost, rest) = (of(group, lost), of(group, rest));
    let adding = rt::spawn(async move { lost.member_add(add(4, learner)).await });
    group.join(4);
    rt::sleep(4 * SECOND).await;
    assert!(adding.await.expect("a call that ends").is_err(), "nobody agreed");
    net.heal_all();
    until_done(|| async { rest.member_add(add(4, false)).await }).await;
    put_for(of(group, [4]), "after".into(), 4 * SECOND).await.0.len()
}

#[test]
fn a_member_whose_addition_was_lost_with_its_leader_finds_out_who_it_is() {
    let served = |bug, learner| {
        let served = Arc::new(AtomicUsize::new(0));
        let told = served.clone();
        run(1, 3, move |group| async move {
            base::marks::plant(bug);
            told.store(added_twice(&group, learner).await, Relaxed);
        });
        served.load(Relaxed)
    };
    for learner in [true, false] {
        assert!(served(None, learner) > 10);
        assert_eq!(served(Some("B07"), learner), 0, "it goes by its own log");
    }
    assert_eq!(served(Some("B06"), true), 0, "it goes by a leader of which it hears no more");
}

#[test]
fn all_members_are_replaced_one_by_one_under_load() {
    for seed in 0..4 {
        run(seed, 3, |group| async move {
            let everyone = of(&group, 1..=6);
            let writer = rt::spawn(put_for(everyone.clone(), "key".into(), 40 * SECOND));
            for (old, new) in [(1, 4), (2, 5), (3, 6)] {
                // an attempt without an answer may have been carried out
                let exists =
                    |error: &tonic::Status| error.message() == "etcdserver: Peer URLs already exists";
                until_done(|| async {
                    match everyone.member_add(add(new, true)).await {
                        Err(error) if exists(&error) => Ok(()),
                        added => added.map(drop),
                    }
                })
                .await;
                group.join(new);
                promote(&everyone, new).await;
                remove(&everyone, old).await;
            }
            let (done, _) = writer.await.expect("a writer that runs to its end");
            let found = read_all(of(&group, [4, 5, 6])).await;
            assert!(done.len() > 100 && done.iter().all(|key| found.contains_key(key)), "{}", done.len());
            // all at once, with nobody left of those that founded the cluster
            for id in 4..=6 {
                group.world.kill(&name(id), Death::Power);
            }
            for id in 4..=6 {
                group.world.restart(&name(id));
            }
            let again = read_all(of(&group, [4, 5, 6])).await;
            assert!(done.iter().all(|key| again.contains_key(key)));
        });
    }
}

#[test]
fn leadership_is_moved_by_the_leader_alone() {
    run(5, 3, |group| async move {
        let client = of(&group, [1, 2, 3]);
        let _ = put_for(client.clone(), "before".into(), SECOND).await;
        let leader = group.seen.lock().unwrap().leader().expect("a leader").0;
        let (next, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
        let to = |id| pb::MoveLeaderRequest { target_id: id };
        let refused = of(&group, [other]).move_leader(to(next)).await.expect_err("it does not lead");
        assert_eq!(refused.message(), "etcdserver: not leader");
        let refused = of(&group, [leader]).move_leader(to(77)).await.expect_err("there is no such member");
        assert_eq!(refused.message(), "etcdserver: bad leader transferee");
        let moved = of(&group, [leader]).move_leader(to(next)).await.expect("moved");
        assert!(moved.header.is_none());
        assert_eq!(group.seen.lock().unwrap().leader().map(|id| id.0), Some(next));
    });
}

/// What it had promised it does not know, nor whom it should ask: members are others than it was founded with.
#[test]
fn a_member_that_lost_its_disk_where_members_have_changed_says_what_to_do() {
    run(6, 3, |group| async move {
        let client = of(&group, [1, 2, 3]);
        let _ = put_for(client.clone(), "before".into(), SECOND).await;
        until_done(|| client.member_add(add(4, true))).await;
        group.world.kill(&name(3), Death::Power);
        disk::control(&name(3)).expect("a disk").wipe();
        group.world.restart(&name(3));
        rt::sleep(3 * SECOND).await;
        let status = process::status(&name(3)).expect("a process");
        let why = status.exit.and_then(Result::err).unwrap_or_default();
        assert!(!status.up && why.contains("etcdctl member remove"), "{why}");
    });
}
