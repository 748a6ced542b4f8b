//! What single links do to those who use them: distance, long tails, loss; and what is sent over them when nothing
//! is said, or nothing comes back.

use crate::{CLIENT, Log, MS, SERVER, addr, echo, hold, ping, simulate, until};
use std::{
    collections::BTreeMap,
    io::Result,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::{Counters, Net, Profile, TcpListener, TcpStream, World, clock, net, timers};

/// The round trips that two clients of one server measure, `far` over links treated as told and `near` over
/// ordinary ones (1 to 5 ms), and what happened on the way from `far` to the server.
fn round_trips(count: u32, harm: fn(Net)) -> (Vec<Duration>, Vec<Duration>, Counters) {
    World::run(1, move |world| async move {
        world.net().set_profile(Profile::steady(MS(1)..MS(5)));
        world.create("server", SERVER.into(), || async {
            let listener = TcpListener::bind(addr()).await.map_err(|error| error.to_string())?;
            loop {
                let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
                madsim::task::spawn(echo(stream, Log::default()));
            }
        });
        let measured: Arc<Mutex<BTreeMap<&str, Vec<Duration>>>> = Arc::default();
        for (name, ip) in [("far", CLIENT), ("near", [10, 0, 0, 3])] {
            let measured = measured.clone();
            world.create(name, IpAddr::from(ip), move || {
                let measured = measured.clone();
                async move {
                    timers::wait(MS(10)).await;
                    let error = |error: std::io::Error| error.to_string();
                    let mut stream = TcpStream::connect(addr()).await.map_err(error)?;
                    for _ in 0..count {
                        let begun = clock::elapsed();
                        ping(&mut stream).await.map_err(error)?;
                        let took = clock::elapsed() - begun;
                        measured.lock().unwrap().entry(name).or_default().push(took);
                    }
                    std::future::pending().await
                }
            });
        }
        harm(world.net());
        timers::wait(MS(600_000)).await;
        let mut measured = measured.lock().unwrap();
        let mut of = |name| measured.remove(name).unwrap_or_default();
        let (far, near) = (of("far"), of("near"));
        assert_eq!((far.len(), near.len()), (count as usize, count as usize), "every ping was answered");
        (far, near, world.net().link_counters("far", "server"))
    })
}

/// Nobody but `far` notices.
fn is_near(times: &[Duration]) -> bool {
    times.iter().all(|time| *time >= MS(2) && *time < MS(11))
}

#[test]
fn a_far_link_is_far_for_its_own_client_only() {
    let (far, near, _) = round_trips(100, |net| {
        net.set_link("far", "server", Some(Profile::steady(MS(100)..MS(120))));
    });
    assert!(far.iter().all(|time| *time >= MS(101) && *time < MS(126)), "{far:?}");
    assert!(far.iter().max() > far.iter().min().map(|least| *least + MS(8)).as_ref(), "not all the same");
    assert!(is_near(&near), "{near:?}");
}

#[test]
fn a_long_tail_is_a_few_slow_answers() {
    let (far, near, counters) = round_trips(400, |net| {
        let tail = Profile { tail: 0.05, tail_latency: MS(100)..MS(150), ..Profile::steady(MS(1)..MS(5)) };
        net.set_link("far", "server", Some(tail));
    });
    let slow: Vec<_> = far.iter().filter(|time| **time >= MS(100)).collect();
    assert!((8..40).contains(&slow.len()), "{} of 400 were slow", slow.len());
    assert!(slow.iter().all(|time| **time < MS(160)), "{slow:?}");
    assert!(far.iter().all(|time| *time < MS(11) || *time >= MS(100)), "nothing between: {far:?}");
    assert!(counters.delayed >= slow.len() as u64, "{counters:?}");
    assert!(is_near(&near), "{near:?}");
}

#[test]
fn a_lossy_link_slows_its_own_client_only() {
    let (far, near, counters) = round_trips(200, |net| {
        net.set_link("far", "server", Some(Profile { loss: 0.2, ..Profile::steady(MS(1)..MS(5)) }));
    });
    let slow = far.iter().filter(|time| **time >= MS(200)).count();
    assert!((20..80).contains(&slow), "{slow} of 200 waited for a retransmission");
    assert!(counters.segments_lost >= slow as u64 && counters.segments_retransmitted >= slow as u64);
    assert!(is_near(&near), "{near:?}");
}

/// The times, to the millisecond, at which segments are sent again from now until `end`.
async fn sent_again(end: u64) -> Vec<u64> {
    let count = || net().link_counters("client", "server").segments_retransmitted;
    let (mut known, mut times) = (count(), vec![]);
    while clock::elapsed() < MS(end) {
        timers::wait(MS(1)).await;
        for _ in known..count() {
            times.push(clock::elapsed().as_millis() as u64);
        }
        known = count();
    }
    times
}

#[track_caller]
fn are_about(times: &[u64], expected: &[u64]) {
    let fits = times.len() == expected.len()
        && times.iter().zip(expected).all(|(time, expected)| (*expected..expected + 10).contains(time));
    assert!(fits, "{times:?}, not {expected:?}");
}

#[test]
fn what_is_held_is_sent_again_less_and_less_often() {
    let client = |log: Log| async move {
        let mut stream = TcpStream::connect(addr()).await?;
        for second in [2, 27] {
            until(second * 1_000).await;
            ping(&mut stream).await?;
            log.say(format!("pong {second}"));
        }
        Ok(())
    };
    simulate(1, echo, client, async |world, log| {
        until(1_000).await;
        world.net().cut("client", "server");
        // 0.2 s after it was sent, then after twice as long each time.
        are_about(&sent_again(15_000).await, &[2_200, 2_600, 3_400, 5_000, 8_200, 14_600]);
        world.net().heal("client", "server");
        // The heal is not noticed by itself: the next try, 10 s (the longest wait) later, gets through.
        are_about(&sent_again(26_000).await, &[24_600]);
        log.said_within("pong 2", 24_600..24_630);
        // An answer has come: patience begins anew.
        world.net().cut("client", "server");
        are_about(&sent_again(28_000).await, &[27_200, 27_600]);
        world.net().heal("client", "server");
        until(30_000).await;
        log.said_within("pong 27", 28_400..28_430);
    });
}

#[test]
fn flushing_sends_nothing() {
    async fn flush(stream: &mut TcpStream) -> Result<()> {
        for _ in 0..1_000 {
            stream.flush().await?;
        }
        Ok(())
    }
    let client = |log: Log| async move {
        let mut stream = TcpStream::connect(addr()).await?;
        ping(&mut stream).await?;
        timers::wait(MS(1_000)).await;
        let before = net().counters().segments;
        flush(&mut stream).await?;
        timers::wait(MS(1_000)).await;
        assert_eq!(net().counters().segments, before);
        // Written, flushed a lot, and answered: the two segments, and at most one bare acknowledgement each.
        stream.write_u8(1).await?;
        flush(&mut stream).await?;
        stream.read_u8().await?;
        flush(&mut stream).await?;
        timers::wait(MS(1_000)).await;
        assert!(net().counters().segments - before <= 4);
        log.say("flushed");
        Ok(())
    };
    simulate(1, echo, client, async |_, log| {
        until(10_000).await;
        log.when("flushed");
    });
}

#[test]
fn a_full_window_is_probed_rarely() {
    let client = |_| async {
        let mut stream = TcpStream::connect(addr()).await?;
        stream.write_all(&[0; 1 << 20]).await
    };
    simulate(1, hold, client, async |world, log| {
        until(20_000).await;
        let before = world.net().counters().segments;
        until(320_000).await;
        let segments = world.net().counters().segments - before;
        assert!(!log.heard("client: ok"), "nobody reads");
        // A probe and its answer every 10 s.
        assert!((40..=62).contains(&segments), "{segments} segments in 300 s");
    });
}

/// A server that says a byte every 100 ms on each connection, and a client that hears on one from the beginning
/// (`old`) and on one it opens after 1.5 s (`new`): what is heard, and when.
fn hears(world: &World) -> Arc<Mutex<Vec<(&'static str, Duration)>>> {
    world.create("server", SERVER.into(), || async {
        let listener = TcpListener::bind(addr()).await.map_err(|error| error.to_string())?;
        loop {
            let (mut stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
            madsim::task::spawn(async move {
                while stream.write_all(b"x").await.is_ok() {
                    timers::wait(MS(100)).await;
                }
            });
        }
    });
    let heard: Arc<Mutex<Vec<(&str, Duration)>>> = Arc::default();
    let told = heard.clone();
    world.create("client", CLIENT.into(), move || {
        for (name, from) in [("old", 10), ("new", 1_500)] {
            let told = told.clone();
            madsim::task::spawn(async move {
                until(from).await;
                let mut stream = TcpStream::connect(addr()).await.expect("the server listens");
                while stream.read_u8().await.is_ok() {
                    told.lock().unwrap().push((name, clock::elapsed()));
                }
            });
        }
        std::future::pending()
    });
    heard
}

#[test]
fn a_held_connection_is_alive_and_silent_while_new_ones_are_free() {
    World::run(1, |world| async move {
        world.net().set_profile(Profile::steady(MS(1)..MS(5)));
        let heard = hears(&world);
        let count = |name: &str, from, to| {
            let heard = heard.lock().unwrap();
            heard.iter().filter(|(who, at)| *who == name && (MS(from)..MS(to)).contains(at)).count()
        };
        until(1_000).await;
        let (held, none) = (net().hold("server", "client"), net().hold("client", "server"));
        assert_eq!((held.count(), none.count()), (1, 1));
        assert_eq!(net().release(&none), (0, 0));
        until(3_000).await;
        assert_eq!(count("old", 1_001, 3_000), 0);
        assert!(count("new", 1_500, 3_000) >= 14);
        let (late, gone) = net().release(&held);
        assert!((18..=20).contains(&late) && gone == 0, "{late} {gone}");
        until(3_050).await;
        assert!(count("old", 3_000, 3_050) as u64 >= late);
        // twice held is held until both have ended, or all is healed
        let (one, _two) = (net().hold("server", "client"), net().hold("server", "client"));
        net().release(&one);
        until(4_000).await;
        assert_eq!(count("old", 3_100, 4_000), 0);
        net().heal_all();
        until(5_000).await;
        assert!(count("old", 4_000, 5_000) >= 17);
    });
}
