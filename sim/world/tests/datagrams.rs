//! What a receiver of datagrams sees of loss, duplication, reordering, cuts and deaths.
#![cfg(madsim)]

use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use world::{DatagramSocket, Death, Profile, World, timers};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn addr(host: u8) -> SocketAddr {
    ([10, 0, 0, host], 70).into()
}

/// `b` gets the numbers `a` sends, one a millisecond. Gives what arrived.
fn simulate(
    seed: u64,
    profile: Profile,
    count: u32,
    nemesis: impl AsyncFnOnce(&World) + Send + 'static,
) -> (Vec<u32>, world::Counters) {
    World::run(seed, move |world| async move {
        world.net().set_profile(profile);
        let got: Arc<Mutex<Vec<u32>>> = Arc::default();
        let log = got.clone();
        world.create("b", addr(2).ip(), move || {
            let log = log.clone();
            async move {
                let socket = DatagramSocket::bind(addr(2)).await.map_err(|error| error.to_string())?;
                loop {
                    let frame = socket.recv().await.map_err(|error| error.to_string())?;
                    let number = u32::from_le_bytes(frame[..4].try_into().unwrap());
                    log.lock().unwrap().push(number);
                }
            }
        });
        world.create("a", addr(1).ip(), move || async move {
            let socket = DatagramSocket::bind(addr(1)).await.map_err(|error| error.to_string())?;
            timers::wait(MS(10)).await;
            for number in 0..count {
                socket.send(addr(2), Bytes::copy_from_slice(&number.to_le_bytes()));
                timers::wait(MS(1)).await;
            }
            std::future::pending().await
        });
        nemesis(&world).await;
        timers::wait(MS(u64::from(count) + 1_000)).await;
        let got = got.lock().unwrap().clone();
        (got, world.net().counters())
    })
}

#[test]
fn a_good_link_delivers_all_in_order() {
    let (got, counters) = simulate(1, Profile::default(), 500, async |_| {});
    assert_eq!(got, (0..500).collect::<Vec<_>>());
    assert_eq!((counters.datagrams, counters.datagrams_lost, counters.datagrams_reordered), (500, 0, 0));
}

#[test]
fn loss_takes_its_share_and_says_so() {
    let (got, counters) = simulate(1, Profile { loss: 0.2, ..Profile::default() }, 1_000, async |_| {});
    assert_eq!(got.len() as u64, 1_000 - counters.datagrams_lost);
    assert!(got.windows(2).all(|pair| pair[0] < pair[1]), "what is not lost is in order and comes once");
    assert!((150..250).contains(&counters.datagrams_lost), "{counters:?}");
}

#[test]
fn duplicates_come_twice() {
    let (got, counters) = simulate(1, Profile { duplicate: 0.2, ..Profile::default() }, 1_000, async |_| {});
    let mut times = vec![0u64; 1_000];
    got.iter().for_each(|number| times[*number as usize] += 1);
    assert!(times.iter().all(|times| *times == 1 || *times == 2), "each comes, and none more than twice");
    assert_eq!(times.iter().filter(|times| **times == 2).count() as u64, counters.datagrams_duplicated);
    assert!((150..250).contains(&counters.datagrams_duplicated), "{counters:?}");
    assert!(got.windows(2).any(|pair| pair[0] > pair[1]), "a copy may come behind later ones");
}

#[test]
fn reordering_delays_some_behind_later_ones() {
    let profile = Profile { reorder: 0.1, ..Profile::steady(MS(5)..MS(10)) };
    let (mut got, counters) = simulate(1, profile, 1_000, async |_| {});
    assert!(got.windows(2).filter(|pair| pair[0] > pair[1]).count() > 30, "{counters:?}");
    got.sort_unstable();
    assert_eq!(got, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_long_tail_is_rare_and_long() {
    let profile = Profile { tail: 0.02, tail_latency: MS(400)..MS(500), ..Profile::steady(MS(1)..MS(2)) };
    let (got, counters) = simulate(1, profile, 1_000, async |_| {});
    assert_eq!(got.len(), 1_000);
    assert!((5..60).contains(&counters.delayed), "{counters:?}");
}

#[test]
fn a_cut_takes_what_is_sent_meanwhile() {
    let (got, counters) = simulate(1, Profile::default(), 300, async |world| {
        timers::wait(MS(110)).await;
        world.net().cut("a", "b");
        timers::wait(MS(100)).await;
        world.net().heal("a", "b");
    });
    assert!((90..=101).contains(&counters.datagrams_cut), "{counters:?}");
    assert_eq!(got.len() as u64, 300 - counters.datagrams_cut);
}

#[test]
fn a_dead_process_gets_nothing_and_a_restarted_one_what_comes_then() {
    for death in [Death::Process, Death::Power] {
        let (got, counters) = simulate(1, Profile::default(), 300, async move |world| {
            timers::wait(MS(110)).await;
            world.kill("b", death);
            timers::wait(MS(100)).await;
            world.restart("b");
        });
        assert!((90..110).contains(&counters.datagrams_unread), "{counters:?}");
        assert_eq!(got.len() as u64, 300 - counters.datagrams_unread);
    }
}

#[test]
fn one_link_is_harmed_without_moving_another() {
    let arrivals = |harm: bool| {
        World::run(3, move |world| async move {
            for host in [2, 3] {
                world.create(&format!("p{host}"), addr(host).ip(), move || async move {
                    let socket = DatagramSocket::bind(addr(host)).await.map_err(|error| error.to_string())?;
                    while socket.recv().await.is_ok() {}
                    Ok(())
                });
            }
            world.create("p1", addr(1).ip(), || async {
                let socket = DatagramSocket::bind(addr(1)).await.map_err(|error| error.to_string())?;
                for number in 0..200u32 {
                    timers::wait(MS(1)).await;
                    socket.send(addr(2), Bytes::copy_from_slice(&number.to_le_bytes()));
                    socket.send(addr(3), Bytes::copy_from_slice(&number.to_le_bytes()));
                }
                std::future::pending().await
            });
            if harm {
                let bad = Profile { loss: 0.5, duplicate: 0.1, reorder: 0.1, ..Profile::default() };
                world.net().set_link("p1", "p2", Some(bad));
            }
            timers::wait(MS(2_000)).await;
            (world.net().link_counters("p1", "p3"), world.net().link_counters("p1", "p2"))
        })
    };
    let (calm, harmed) = (arrivals(false), arrivals(true));
    assert_eq!(calm.0, harmed.0, "the link to p3 behaves as if nothing had happened to p2's");
    assert!(harmed.1.datagrams_lost > 50);
}

#[test]
fn a_socket_nobody_reads_holds_so_many_and_drops_the_rest() {
    const SENT: u32 = 10_000;
    let (read, unread) = World::run(1, |world| async move {
        let read: Arc<Mutex<Vec<u32>>> = Arc::default();
        let log = read.clone();
        world.create("b", addr(2).ip(), move || {
            let log = log.clone();
            async move {
                let socket = DatagramSocket::bind(addr(2)).await.map_err(|error| error.to_string())?;
                timers::wait(MS(1_000)).await;
                loop {
                    let frame = socket.recv().await.map_err(|error| error.to_string())?;
                    log.lock().unwrap().push(u32::from_le_bytes(frame[..4].try_into().unwrap()));
                }
            }
        });
        world.create("a", addr(1).ip(), || async {
            let socket = DatagramSocket::bind(addr(1)).await.map_err(|error| error.to_string())?;
            timers::wait(MS(10)).await;
            for number in 0..SENT {
                socket.send(addr(2), Bytes::copy_from_slice(&number.to_le_bytes()));
            }
            std::future::pending().await
        });
        timers::wait(MS(2_000)).await;
        let read = read.lock().unwrap().clone();
        (read, world.net().counters().datagrams_unread)
    });
    assert_eq!(read, (0..read.len() as u32).collect::<Vec<_>>(), "the first ones are kept");
    assert!(unread > 0 && read.len() as u64 + unread == SENT.into(), "{} read, {unread} dropped", read.len());
}
