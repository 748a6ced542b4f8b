//! What clients of a whole group are promised while it is harmed: a watch shows every revision once and in
//! order, progress never overtakes events, and a lease that is renewed in time does not end.
#![cfg(madsim)]

#[path = "../cluster/group.rs"]
#[allow(dead_code)]
mod group;
mod reads;

use base::{Knobs, knobs::ms};
use etcd::{Client, pb};
use group::{Group, name, put, put_for};
use std::{rc::Rc, time::Duration};
use world::{Death, World};

const SECOND: Duration = Duration::from_secs(1);

fn knobs() -> Knobs {
    Knobs { snapshot_every: 100, snapshot_keep: 20, request_timeout_ms: 3_000, ..Knobs::default() }
}

/// Cuts the leader off from the other members, but not from clients.
async fn cut_leader(group: &Group, time: Duration) {
    let leader = group.leader().expect("a leader");
    let net = group.world.net();
    for other in (1..=3).map(name).filter(|name| *name != leader) {
        net.cut(&leader, &other);
        net.cut(&other, &leader);
    }
    madsim::time::sleep(time).await;
    net.heal_all();
}

/// What a watch of all keys, taken up again after each failure, saw against its promises.
#[derive(Debug, Default)]
struct Watched {
    last: i64,
    streams: u32,
    progress: u32,
    faults: Vec<String>,
}

impl Watched {
    fn see(&mut self, response: &pb::WatchResponse) {
        for event in &response.events {
            let revision = event.kv.as_ref().expect("a key").mod_revision;
            if revision != self.last + 1 && self.last != 0 {
                self.faults.push(format!("revision {revision} after {}", self.last));
            }
            self.last = revision;
        }
        let reached = response.header.as_ref().expect("a header").revision;
        if response.watch_id == -1 {
            self.progress += 1;
            if reached > self.last && self.last != 0 {
                self.faults.push(format!("progress to {reached} before the events after {}", self.last));
            }
        }
    }
}

/// Watches all keys for a while, asking for progress again and again.
async fn watch_for(client: Client, time: Duration) -> Watched {
    let mut watched = Watched::default();
    let end = rt::now() + time;
    while rt::now() < end {
        let Ok(mut stream) = client.watch().await else {
            rt::sleep(ms(100)).await;
            continue;
        };
        watched.streams += 1;
        let from = if watched.last == 0 { 0 } else { watched.last + 1 };
        let create = pb::WatchCreateRequest::of_prefix("", from);
        if stream.send(create).await.is_err() {
            continue;
        }
        let mut ask = rt::now(); // at once: while it still catches up
        while rt::now() < end {
            if ask <= rt::now() {
                ask = rt::now() + ms(20);
                let _ = stream.send(pb::WatchRequest::progress()).await;
            }
            match rt::timeout(ms(20), stream.recv()).await {
                Ok(Ok(response)) => watched.see(&response),
                Ok(Err(_)) => break,
                Err(_) => {}
            }
        }
    }
    watched
}

fn watched(seed: u64, bug: Option<&'static str>) -> Watched {
    World::run(seed, move |world| async move {
        let group = Rc::new(Group::start(world, 3, knobs()));
        let writer = |id: u8| group.client(id, move |client| put_for(client, format!("k{id}"), 25 * SECOND));
        let watching = group.client(9, |client| watch_for(client, 30 * SECOND));
        let harming = async {
            base::marks::plant(bug);
            madsim::time::sleep(5 * SECOND).await;
            for round in 0..2 {
                let leader = group.leader().expect("a leader");
                let death = if round == 0 { Death::Power } else { Death::Process };
                group.bounce(&leader, death, SECOND).await;
                madsim::time::sleep(2 * SECOND).await;
                cut_leader(&group, 4 * SECOND).await;
            }
        };
        let (watched, (), _, _) = futures::join!(watching, harming, writer(1), writer(2));
        group.assert_no_faults();
        watched
    })
}

#[test]
fn a_watch_sees_every_revision_once_over_lost_leaders() {
    for seed in 1..4 {
        let watched = watched(seed, None);
        assert!(watched.faults.is_empty(), "seed {seed}: {watched:?}");
        assert!(watched.last > 500 && watched.progress > 20 && watched.streams > 1, "{watched:?}");
    }
}

#[test]
fn progress_that_overtakes_events_is_found_out() {
    let found = (1..4).map(|seed| watched(seed, Some("W03"))).any(|watched| !watched.faults.is_empty());
    assert!(found);
}

/// Renewals of a lease, until it is said to be gone or the time is up.
async fn keep_alive(client: Client, id: i64, time: Duration) -> (u32, bool) {
    let end = rt::now() + time;
    let mut renewed = 0;
    while rt::now() < end {
        let Ok(mut stream) = client.lease_keep_alive().await else {
            rt::sleep(ms(100)).await;
            continue;
        };
        while rt::now() < end && stream.send(pb::LeaseKeepAliveRequest { id }).await.is_ok() {
            match rt::timeout(4 * SECOND, stream.recv()).await {
                Ok(Ok(answer)) if answer.ttl == 0 => return (renewed, true),
                Ok(Ok(_)) => renewed += 1,
                Ok(Err(_)) | Err(_) => break,
            }
            rt::sleep(ms(500)).await;
        }
        rt::sleep(ms(100)).await;
    }
    (renewed, false)
}

/// A leader is cut off for longer than a lease lives, which is renewed at its successor. Gives how often it was
/// renewed, and whether it ended.
fn renewed_elsewhere(seed: u64, bug: Option<&'static str>) -> (u32, bool) {
    World::run(seed, move |world| async move {
        let group = Rc::new(Group::start(world, 3, knobs()));
        let keeping = group.client(1, |client| async move {
            while client.lease_grant(pb::LeaseGrantRequest { ttl: 15, id: 7 }).await.is_err() {}
            client.put(pb::PutRequest { lease: 7, ..put("held", "x") }).await.expect("a put");
            let (renewed, gone) = keep_alive(client.clone(), 7, 40 * SECOND).await;
            let held = client.range(pb::RangeRequest::of_key("held")).await.expect("a read").count;
            (renewed, gone || held == 0)
        });
        let harming = async {
            base::marks::plant(bug);
            madsim::time::sleep(4 * SECOND).await;
            cut_leader(&group, 25 * SECOND).await;
        };
        futures::join!(keeping, harming).0
    })
}

#[test]
fn a_lease_renewed_at_the_new_leader_is_not_ended_by_the_old_one() {
    for seed in 1..4 {
        let (renewed, ended) = renewed_elsewhere(seed, None);
        assert!(renewed > 40 && !ended, "seed {seed}: renewed {renewed} times, ended: {ended}");
    }
}

#[test]
fn a_deposed_leader_that_ends_leases_is_found_out() {
    assert!((1..4).any(|seed| renewed_elsewhere(seed, Some("L01")).1));
}
