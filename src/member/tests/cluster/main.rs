//! Whole members in a world: acknowledged writes outlive crashes, losses of power and lost leaders; a proposal is
//! done once however often the network delivers it.
#![cfg(madsim)]

mod boot;
mod comparison;
mod disks;
mod forged;
mod group;
mod membership;
mod sole;

use base::{Knobs, knobs::ms};
use group::{Group, config, name, put, put_for, read_all};
use std::time::Duration;
use world::{Death, Profile, World, disk, disk_harm::Op, process, record};

const SECOND: Duration = Duration::from_secs(1);
/// Clients that write at the same time, so that proposals gather behind a sync.
const WRITERS: u8 = 3;

fn knobs() -> Knobs {
    Knobs { snapshot_every: 100, snapshot_keep: 20, request_timeout_ms: 3_000, ..Knobs::default() }
}

/// Writers, harm beside them; then everything that was acknowledged must be there, once.
fn survives<F>(seed: u64, size: u64, harm: impl FnOnce(std::rc::Rc<Group>) -> F + Send + 'static) -> Verdict
where
    F: Future<Output = ()> + 'static,
{
    World::run(seed, move |world| async move {
        let group = std::rc::Rc::new(Group::start(world, size, knobs()));
        let harmed = group.clone();
        let writer =
            |id: u8| group.client(id, move |client| put_for(client, format!("key-{id}"), 30 * SECOND));
        let writing = futures::future::join_all((1..=WRITERS).map(writer));
        let harming = async move {
            madsim::time::sleep(2 * SECOND).await;
            harm(harmed).await;
        };
        let (written, ()) = futures::join!(writing, harming);
        let done: Vec<String> = written.iter().flat_map(|(done, _)| done.iter().cloned()).collect();
        let unknown: usize = written.iter().map(|(_, unknown)| unknown.len()).sum();
        let found = group.client(WRITERS + 1, read_all).await;
        let lost = done.iter().filter(|key| !found.contains_key(*key)).cloned().collect();
        let doubled =
            found.iter().filter(|(_, version)| **version != 1).map(|(key, _)| key.clone()).collect();
        let faults = std::mem::take(&mut group.seen.lock().unwrap().faults);
        let restored = group.seen.lock().unwrap().restored;
        let terms = group.seen.lock().unwrap().leaders.len();
        Verdict {
            done: done.len(),
            unknown,
            lost,
            doubled,
            faults,
            restored,
            terms,
            digest: record::digest(),
        }
    })
}

#[derive(Debug)]
struct Verdict {
    done: usize,
    unknown: usize,
    lost: Vec<String>,
    doubled: Vec<String>,
    faults: Vec<String>,
    restored: u64,
    terms: usize,
    digest: String,
}

impl Verdict {
    fn holds(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.faults.is_empty()
    }

    /// Nothing broken, and enough done for that to mean something. What is unknown may be there or not.
    #[track_caller]
    fn assert(&self, least: usize) {
        assert!(self.holds(), "{self:?}");
        assert!(
            self.done >= least && self.unknown < self.done,
            "expected at least {least} writes to be done: {self:?}"
        );
    }
}

async fn power_cuts(group: std::rc::Rc<Group>) {
    for round in 0..6 {
        madsim::time::sleep(ms(1_000 + 137 * round)).await;
        let death = if round % 2 == 0 { Death::Power } else { Death::Process };
        group.bounce(&name(1), death, ms(500)).await;
    }
}

#[test]
fn one_member_keeps_what_it_acknowledged() {
    let verdict = survives(1, 1, power_cuts);
    verdict.assert(500);
    assert!(verdict.restored > 0, "a snapshot was never restored: {verdict:?}");
}

#[test]
fn an_acknowledgement_before_the_sync_is_found_out() {
    let found = |seed| {
        survives(seed, 1, |group| {
            base::marks::plant(Some("S01"));
            power_cuts(group)
        })
    };
    let verdicts: Vec<_> = (0..5).map(found).collect();
    assert!(verdicts.iter().any(|verdict| !verdict.holds()), "{verdicts:?}");
}

#[test]
fn three_members_go_on_without_their_leader() {
    let verdict = survives(2, 3, |group| async move {
        for round in 0..5 {
            madsim::time::sleep(4 * SECOND).await;
            let death = if round % 2 == 0 { Death::Power } else { Death::Process };
            let leader = group.leader().expect("a leader");
            group.bounce(&leader, death, SECOND).await;
        }
    });
    verdict.assert(800);
    assert!(verdict.terms >= 5, "the leader was not replaced: {verdict:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let verdict = survives(seed, 3, |group| async move {
            let leader = group.leader().expect("a leader");
            group.bounce(&leader, Death::Power, SECOND).await;
        });
        (verdict.done, verdict.digest)
    };
    assert_eq!(run(8), run(8));
    assert_ne!(run(8), run(9));
}

#[test]
fn all_members_lose_power_at_once() {
    survives(3, 3, |group| async move {
        for _ in 0..3 {
            madsim::time::sleep(5 * SECOND).await;
            for id in 1..=3 {
                group.world.kill(&name(id), Death::Power);
            }
            madsim::time::sleep(SECOND).await;
            for id in 1..=3 {
                group.world.restart(&name(id));
            }
        }
    })
    .assert(500);
}

#[test]
fn a_proposal_is_done_once_over_a_network_that_loses_doubles_and_reorders() {
    for seed in 10..13 {
        let verdict = survives(seed, 3, |group| async move {
            let profile = Profile { loss: 0.1, duplicate: 0.2, reorder: 0.2, ..Profile::default() };
            group.world.net().set_profile(profile);
            madsim::time::sleep(20 * SECOND).await;
            group.world.net().set_profile(Profile::default());
        });
        verdict.assert(100);
    }
}

#[test]
fn a_leader_cut_off_is_replaced_and_comes_back() {
    survives(4, 3, |group| async move {
        for _ in 0..3 {
            let leader = group.leader().expect("a leader");
            let others = (1..=3).map(name).filter(|name| *name != leader);
            let net = group.world.net();
            for other in others {
                net.cut(&leader, &other);
                net.cut(&other, &leader);
            }
            madsim::time::sleep(5 * SECOND).await;
            net.heal_all();
            madsim::time::sleep(2 * SECOND).await;
        }
    })
    .assert(500);
}

#[test]
fn a_member_that_was_away_too_long_gets_a_snapshot() {
    let verdict = survives(5, 3, |group| async move {
        let away = (1..=3).map(name).find(|name| Some(name) != group.leader().as_ref()).expect("a follower");
        group.bounce(&away, Death::Process, 15 * SECOND).await;
        madsim::time::sleep(5 * SECOND).await;
        let (applied, restored) = {
            let seen = group.seen.lock().unwrap();
            (seen.hashes.last_key_value().map(|(index, _)| *index), seen.restored)
        };
        assert!(restored > 0, "no snapshot was installed at {applied:?}");
    });
    verdict.assert(1_000);
}

#[test]
fn a_failed_sync_stops_the_member_and_loses_nothing() {
    let verdict = survives(6, 3, |group| async move {
        let leader = group.leader().expect("a leader");
        disk::control(&leader).expect("a disk").fail_next(Op::Sync, 1);
        madsim::time::sleep(2 * SECOND).await;
        let status = process::status(&leader).expect("a process");
        let error = status.exit.expect("a member that stopped").expect_err("a member that failed");
        assert!(error.contains("sync"), "{error}");
        group.world.restart(&leader);
    });
    verdict.assert(800);
}

/// Writes that come while a sync is running share the next one.
#[test]
fn many_writes_share_a_sync() {
    World::run(9, |world| async move {
        let group = Group::start(world, 1, knobs());
        disk::control(&name(1)).expect("a disk").sync_latency(ms(5)..ms(6));
        group.client(1, |client| async move { client.put(put("first", "1")).await.expect("a put") }).await;
        let before = group.seen.lock().unwrap().syncs;
        group
            .client(2, |client| async move {
                // A little apart, so that each comes to the log by itself.
                let one = async |key: u64| {
                    rt::sleep(Duration::from_micros(100 * key)).await;
                    client.put(put(format!("key-{key}"), "1")).await
                };
                let done = futures::future::join_all((0..300).map(one)).await;
                assert!(done.iter().all(Result::is_ok), "{done:?}");
            })
            .await;
        let syncs = group.seen.lock().unwrap().syncs - before;
        assert!(syncs <= 30, "{syncs} syncs for 300 writes within 30 ms");
        group.assert_no_faults();
    });
}

#[test]
fn a_log_does_not_grow_for_ever() {
    let knobs = Knobs { wal_segment_bytes: 4_096, ..knobs() };
    World::run(10, move |world| async move {
        let group = Group::start(world, 1, knobs);
        let (done, _) = group.client(1, |client| put_for(client, "key".into(), 20 * SECOND)).await;
        let files = disk::control(&name(1)).expect("a disk").files();
        let of = |kind: &str| files.iter().filter(|(path, _)| path.ends_with(kind)).collect::<Vec<_>>();
        let logged: u64 = of(".wal").iter().map(|(_, bytes)| bytes).sum();
        assert!(done.len() > 1_000 && of(".snap").len() == 2, "{} writes, {files:?}", done.len());
        assert!(
            !of(".wal")[0].0.ends_with("0000000000000001.wal"),
            "the first segment is still there: {files:?}"
        );
        assert!(
            logged < 100 * done.len() as u64,
            "{logged} bytes of log for {} writes: {files:?}",
            done.len()
        );
        group.bounce(&name(1), Death::Power, SECOND).await;
        let found = group.client(2, read_all).await;
        assert!(done.iter().all(|key| found.contains_key(key)));
        group.assert_no_faults();
    });
}

#[test]
fn a_folder_of_another_member_or_cluster_is_refused() {
    World::run(7, |world| async move {
        let group = Group::start(world, 1, knobs());
        group.client(1, |client| async move { client.put(put("a", "1")).await.expect("a put") }).await;
        group.assert_no_faults();
        group.world.kill(&name(1), Death::Process);
        // The same machine, hence the same disk, and a configuration that is not its own.
        let mine = config(1, 1, &knobs());
        let wrong_cluster = member::Config { cluster_id: 78, ..mine.clone() };
        let mut wrong_member = config(2, 2, &knobs());
        wrong_member.data_dir = mine.data_dir.clone();
        let errors = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (sink, configs) = (errors.clone(), [wrong_cluster, wrong_member]);
        group.world.create("first", [10, 0, 0, 9].into(), move || {
            let (sink, configs, mine) = (sink.clone(), configs.clone(), mine.clone());
            async move {
                let listen = |config: member::Config| member::Config {
                    listen: member::Listen::plain(
                        "10.0.0.9:2380".parse().unwrap(),
                        "10.0.0.9:2379".parse().unwrap(),
                    ),
                    ..config
                };
                let started = rt::timeout(SECOND, member::run(listen(mine))).await;
                assert!(started.is_err(), "its own folder is good: {started:?}");
                for config in configs {
                    let error = member::run(listen(config)).await.expect_err("a folder that is refused");
                    sink.lock().unwrap().push(error.to_string());
                }
                Ok(())
            }
        });
        madsim::time::sleep(3 * SECOND).await;
        let errors = errors.lock().unwrap();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].contains("cluster"), "{errors:?}");
        assert!(errors[1].contains("member"), "{errors:?}");
    });
}
