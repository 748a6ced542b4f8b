//! What the two ends of a TCP connection see. Each test is one behaviour; each simulation has its own thread.
#![cfg(madsim)]

mod handshakes;
mod links;

use futures::future::{Either, select};
use std::{
    io::{ErrorKind, Result},
    net::SocketAddr,
    ops::Range,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::{Death, Profile, TcpListener, TcpStream, World, clock, tcp::WINDOW, timers};

const MS: fn(u64) -> Duration = Duration::from_millis;
const SERVER: [u8; 4] = [10, 0, 0, 1];
const CLIENT: [u8; 4] = [10, 0, 0, 2];

fn addr() -> SocketAddr {
    (SERVER, 80).into()
}

/// What the processes of a test tell it, with the time.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Duration, String)>>>);

impl Log {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push((clock::elapsed(), what.into()));
    }
    /// When this was said first.
    #[track_caller]
    fn when(&self, what: &str) -> Duration {
        let log = self.0.lock().unwrap();
        let found = log.iter().find(|(_, said)| said == what);
        found.unwrap_or_else(|| panic!("nobody said {what:?} but {log:?}")).0
    }
    #[track_caller]
    fn said_within(&self, what: &str, range: Range<u64>) {
        let at = self.when(what);
        assert!(
            at >= MS(range.start) && at < MS(range.end),
            "{what:?} was said at {at:?}, not within {range:?} ms"
        );
    }
    fn heard(&self, what: &str) -> bool {
        self.0.lock().unwrap().iter().any(|(_, said)| said == what)
    }
}

/// A world of two processes: a server that treats each connection as told, and a client. Latency: 1 to 5 ms.
fn simulate<S, C>(
    seed: u64,
    server: impl Fn(TcpStream, Log) -> S + Copy + Send + Sync + 'static,
    client: impl Fn(Log) -> C + Copy + Send + Sync + 'static,
    nemesis: impl AsyncFnOnce(&World, &Log) + Send + 'static,
) -> Log
where
    S: Future<Output = Result<()>> + Send + 'static,
    C: Future<Output = Result<()>> + Send + 'static,
{
    World::run(seed, move |world| async move {
        world.net().set_profile(Profile::steady(MS(1)..MS(5)));
        let log = Log::default();
        let server_log = log.clone();
        world.create("server", SERVER.into(), move || {
            let log = server_log.clone();
            async move {
                let listener = TcpListener::bind(addr()).await.map_err(|error| error.to_string())?;
                log.say("listening");
                loop {
                    let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
                    let log = log.clone();
                    log.say("accepted");
                    madsim::task::spawn(async move {
                        let outcome = server(stream, log.clone()).await;
                        log.say(format!(
                            "server: {}",
                            outcome.map_or_else(|e| format!("{:?}", e.kind()), |()| "ok".into())
                        ));
                    });
                }
            }
        });
        timers::wait(MS(10)).await;
        let client_log = log.clone();
        world.create("client", CLIENT.into(), move || {
            let log = client_log.clone();
            async move {
                let outcome = client(log.clone()).await;
                log.say(format!(
                    "client: {}",
                    outcome.map_or_else(|e| format!("{:?}", e.kind()), |()| "ok".into())
                ));
                std::future::pending().await
            }
        });
        nemesis(&world, &log).await;
        log
    })
}

async fn until(at: u64) {
    timers::wait(MS(at).saturating_sub(clock::elapsed())).await;
}

async fn echo(mut stream: TcpStream, _: Log) -> Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length]).await?,
        }
    }
}

async fn silent(mut stream: TcpStream, _: Log) -> Result<()> {
    stream.read_u8().await.map(drop)
}

async fn hold(stream: TcpStream, _: Log) -> Result<()> {
    let _stream = stream;
    std::future::pending().await
}

/// One byte there and back.
async fn ping(stream: &mut TcpStream) -> Result<()> {
    stream.write_u8(1).await?;
    stream.read_u8().await.map(drop)
}

async fn connect_and_read(log: Log) -> Result<()> {
    let mut stream = TcpStream::connect(addr()).await?;
    log.say("connected");
    stream.read_u8().await.map(drop)
}

#[test]
fn bytes_arrive_in_order_and_close_is_seen() {
    let log = simulate(
        1,
        |mut stream, log| async move {
            let mut all = vec![];
            stream.read_to_end(&mut all).await?;
            let expected: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
            assert_eq!(all, expected);
            stream.write_all(b"bye").await?; // half closed: this way is still open
            log.say("answered");
            Ok(())
        },
        |_| async move {
            let mut stream = TcpStream::connect(addr()).await?;
            let bytes: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
            for part in bytes.chunks(777) {
                stream.write_all(part).await?;
            }
            stream.shutdown().await?;
            assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            let mut answer = vec![];
            stream.read_to_end(&mut answer).await?;
            assert_eq!(answer, b"bye");
            Ok(())
        },
        async |world, log| {
            until(5_000).await;
            log.said_within("client: ok", 10..1_000);
            until(90_000).await;
            assert_eq!(world.net().open_ends(), 0, "closed connections are forgotten");
        },
    );
    log.when("server: ok");
}

#[test]
fn loss_delays_but_loses_nothing() {
    for seed in 0..10 {
        let log = simulate(seed, echo, ping_many, async |world, log| {
            world.net().set_profile(Profile { loss: 0.1, ..Profile::steady(MS(1)..MS(5)) });
            until(120_000).await;
            let counters = world.net().counters();
            assert!(counters.segments_lost > 0 && counters.segments_retransmitted > 0, "{counters:?}");
            log.when("client: ok");
        });
        drop(log);
    }
}

async fn ping_many(_: Log) -> Result<()> {
    let mut stream = TcpStream::connect(addr()).await?;
    for _ in 0..100 {
        ping(&mut stream).await?;
    }
    Ok(())
}

#[test]
fn a_lossy_link_carries_a_long_stream() {
    for seed in 0..10 {
        simulate(
            seed,
            |mut stream, _| async move {
                let mut all = vec![];
                stream.read_to_end(&mut all).await?;
                assert!(all == (0..2_000_000u32).map(|n| (n >> 3) as u8).collect::<Vec<_>>());
                Ok(())
            },
            |_| async move {
                let mut stream = TcpStream::connect(addr()).await?;
                let bytes: Vec<u8> = (0..2_000_000u32).map(|n| (n >> 3) as u8).collect();
                stream.write_all(&bytes).await
            },
            async |world, log| {
                world.net().set_profile(Profile { loss: 0.2, ..Profile::steady(MS(1)..MS(20)) });
                until(300_000).await;
                log.when("server: ok");
            },
        );
    }
}

#[test]
fn a_writer_is_held_back_by_a_peer_that_does_not_read() {
    simulate(
        1,
        |mut stream, log| async move {
            timers::wait(MS(200_000)).await;
            log.say("reading");
            let mut buffer = vec![0; 1 << 20];
            while stream.read(&mut buffer).await? > 0 {}
            Ok(())
        },
        |log| async move {
            let mut stream = TcpStream::connect(addr()).await?;
            let mut written = 0;
            let writing = pin!(async {
                while let Ok(count) = stream.write(&[0; 8192]).await {
                    written += count;
                }
            });
            let full = matches!(select(writing, timers::wait(MS(150_000))).await, Either::Right(_));
            assert!(full, "the connection failed though its peer's kernel answers");
            log.say(if written as u64 == 2 * WINDOW { "full" } else { "not the windows" });
            stream.write_all(&[0; 1 << 20]).await?;
            log.say("written");
            Ok(())
        },
        async |_, log| {
            until(230_000).await;
            log.when("full");
            assert!(log.when("written") > log.when("reading"));
            log.said_within("written", 200_000..211_000);
        },
    );
}

#[test]
fn nobody_listens_is_a_refusal_and_nobody_there_a_long_silence() {
    let connect = |log: Log| async move {
        for port in [81, 80] {
            let error = TcpStream::connect((SERVER, port).into()).await.unwrap_err();
            log.say(format!("{port} {:?}", error.kind()));
            timers::wait(MS(30)).await; // the power goes meanwhile
        }
        let error = TcpStream::connect(([10, 9, 9, 9], 80).into()).await.unwrap_err();
        log.say(format!("{:?}", error.kind()));
        Ok(())
    };
    simulate(1, hold, connect, async |world, log| {
        until(25).await;
        world.kill("server", Death::Power);
        until(100_000).await;
        log.said_within("81 ConnectionRefused", 12..25);
        log.said_within("80 TimedOut", 63_030..63_100);
        log.when("HostUnreachable");
    });
}

#[test]
fn a_machine_whose_process_died_refuses() {
    simulate(1, hold, connect_and_read, async |world, log| {
        world.kill("server", Death::Process);
        until(100).await;
        log.said_within("client: ConnectionRefused", 10..30);
    });
}

#[test]
fn a_cut_makes_connecting_slow_not_refused() {
    simulate(1, echo, connect_and_read, async |world, log| {
        world.net().cut("client", "server");
        until(4_000).await;
        world.net().heal("client", "server");
        until(8_000).await;
        log.said_within("connected", 7_000..7_100); // SYNs at 0, 1, 3 and 7 s
    });
}

#[test]
fn a_lost_answer_to_the_handshake_opens_one_connection() {
    simulate(1, echo, connect_and_read, async |world, log| {
        world.net().cut("server", "client");
        until(2_000).await;
        world.net().heal("server", "client");
        until(10_000).await;
        log.said_within("connected", 2_000..3_100);
        assert_eq!(world.net().counters().connections, 1);
    });
}

#[test]
fn a_crash_is_a_reset_that_crosses_the_link() {
    simulate(1, silent, connect_and_read, async |world, log| {
        until(1_000).await;
        world.kill("server", Death::Process);
        until(1_100).await;
        log.said_within("client: ConnectionReset", 1_001..1_006);
    });
}

#[test]
fn a_crash_behind_a_cut_is_seen_after_the_heal() {
    simulate(1, silent, connect_and_read, async |world, log| {
        until(1_000).await;
        world.net().cut("server", "client");
        world.kill("server", Death::Process);
        until(5_000).await;
        assert!(!log.heard("client: ConnectionReset"));
        world.net().heal("server", "client");
        until(12_000).await;
        log.said_within("client: ConnectionReset", 5_000..8_000);
    });
}

#[test]
fn power_loss_leaves_the_peer_half_open() {
    simulate(1, silent, connect_and_read, async |world, log| {
        until(1_000).await;
        world.kill("server", Death::Power);
        until(2_000).await;
        world.restart("server");
        until(600_000).await;
        assert!(!log.heard("client: ConnectionReset"), "who only reads never learns");
    });
}

#[test]
fn who_writes_learns_of_a_power_loss_from_the_rebooted_machine() {
    simulate(
        1,
        echo,
        |_| async move {
            let mut stream = TcpStream::connect(addr()).await?;
            timers::wait(MS(2_000)).await;
            ping(&mut stream).await
        },
        async |world, log| {
            until(1_000).await;
            world.kill("server", Death::Power);
            until(5_000).await;
            world.restart("server");
            until(60_000).await;
            log.said_within("client: ConnectionReset", 5_000..10_000);
        },
    );
}

#[test]
fn who_only_writes_times_out() {
    simulate(
        1,
        echo,
        |_| async move {
            let mut stream = TcpStream::connect(addr()).await?;
            loop {
                stream.write_all(&[0; 100]).await?;
                timers::wait(MS(500)).await;
            }
        },
        async |world, log| {
            until(2_000).await;
            world.kill("server", Death::Power);
            until(60_000).await;
            log.said_within("client: TimedOut", 32_000..45_000);
        },
    );
}

#[test]
fn a_partition_holds_what_is_sent_and_delivers_it_after_the_heal() {
    for seconds in [1, 5, 20] {
        simulate(
            seconds,
            echo,
            |log| async move {
                let mut stream = TcpStream::connect(addr()).await?;
                timers::wait(MS(2_000)).await;
                ping(&mut stream).await?;
                log.say("pong");
                Ok(())
            },
            async move |world, log| {
                until(1_000).await;
                world.net().cut("client", "server");
                world.net().cut("server", "client");
                until(2_000 + seconds * 1_000).await;
                assert!(!log.heard("pong"));
                world.net().heal_all();
                until(60_000).await;
                let late = log.when("pong").as_millis() as u64 - 2_000 - seconds * 1_000;
                assert!(late < 10_100, "back-off is bounded: {late} ms");
                assert!(world.net().counters().segments_cut > 0);
            },
        );
    }
}

#[test]
fn a_long_partition_ends_the_connection_on_each_side_that_waits_for_an_answer() {
    let ends = |server_speaks: bool| {
        simulate(
            1,
            if server_speaks { speak_late } else { listen_only },
            |log| async move {
                let mut stream = TcpStream::connect(addr()).await?;
                timers::wait(MS(2_000)).await;
                let outcome = ping(&mut stream).await;
                log.say("gave up");
                outcome
            },
            async move |world, log| {
                until(1_000).await;
                world.net().cut("client", "server");
                world.net().cut("server", "client");
                until(50_000).await;
                log.said_within("client: TimedOut", 32_000..45_000);
                assert_eq!(world.net().counters().timeouts, 1 + u64::from(server_speaks));
                world.net().heal_all();
                until(200_000).await;
            },
        )
    };
    ends(true).said_within("server: TimedOut", 32_000..45_000);
    let silent = ends(false);
    assert!(!silent.heard("server: TimedOut"), "who has nothing to send never learns, also after the heal");
}

type Serving = futures::future::BoxFuture<'static, Result<()>>;

fn speak_late(mut stream: TcpStream, _: Log) -> Serving {
    Box::pin(async move {
        timers::wait(MS(2_000)).await;
        ping(&mut stream).await
    })
}

fn listen_only(stream: TcpStream, log: Log) -> Serving {
    Box::pin(silent(stream, log))
}

#[test]
fn with_one_way_cut_the_request_is_executed_and_the_answer_held() {
    simulate(
        1,
        |mut stream, log| async move {
            stream.read_u8().await?;
            log.say("executed");
            stream.write_u8(1).await?;
            stream.read_u8().await.map(drop)
        },
        |log| async move {
            let mut stream = TcpStream::connect(addr()).await?;
            timers::wait(MS(2_000)).await;
            ping(&mut stream).await?;
            log.say("pong");
            Ok(())
        },
        async |world, log| {
            until(1_000).await;
            world.net().cut("server", "client");
            until(10_000).await;
            log.said_within("executed", 2_010..2_040);
            assert!(!log.heard("pong"));
            world.net().heal("server", "client");
            until(25_000).await;
            log.said_within("pong", 10_000..20_000);
        },
    );
}

#[test]
fn a_paused_peer_answers_when_it_runs_again() {
    simulate(
        1,
        echo,
        |log| async move {
            let mut stream = TcpStream::connect(addr()).await?;
            timers::wait(MS(2_000)).await;
            ping(&mut stream).await?;
            log.say("pong");
            Ok(())
        },
        async |world, log| {
            until(1_000).await;
            world.pause("server");
            until(100_000).await;
            assert!(!log.heard("pong"));
            world.resume("server");
            until(101_000).await;
            log.said_within("pong", 100_001..100_020);
        },
    );
}

#[test]
fn loopback_is_quick_and_never_cut() {
    simulate(
        1,
        hold,
        |log| async move {
            let own = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = TcpListener::bind(own).await?;
            let own = listener.local_addr()?;
            madsim::task::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                echo(stream, Log::default()).await
            });
            let start = clock::elapsed();
            let mut stream = TcpStream::connect(own).await?;
            ping(&mut stream).await?;
            assert!(clock::elapsed() - start < MS(1), "{:?}", clock::elapsed() - start);
            log.say("fine");
            Ok(())
        },
        async |world, log| {
            world.net().cut("client", "client");
            world.net().set_profile(Profile { loss: 1.0, ..Profile::default() });
            until(100).await;
            log.when("fine");
        },
    );
}

#[test]
fn an_abandoned_connect_leaves_nothing_at_the_server() {
    for seed in 0..50 {
        simulate(
            seed,
            |mut stream, log| async move {
                let end = stream.read(&mut [0; 1]).await;
                log.say(format!("server saw {:?}", end.as_ref().map_err(|error| error.kind())));
                Ok(())
            },
            |_| async move {
                let patience = timers::wait(MS(1 + u64::from(clock::elapsed().as_nanos() as u32) % 12));
                let _ = select(pin!(TcpStream::connect(addr())), patience).await;
                Ok(())
            },
            async |world, _| {
                until(100_000).await;
                assert_eq!(world.net().open_ends(), 0);
            },
        );
    }
}

#[test]
fn unread_bytes_turn_a_close_into_a_reset() {
    simulate(
        1,
        |stream, _| async move {
            timers::wait(MS(100)).await;
            drop(stream);
            Ok(())
        },
        |_| async move {
            let mut stream = TcpStream::connect(addr()).await?;
            stream.write_all(b"never read").await?;
            stream.read_u8().await.map(drop)
        },
        async |_, log| {
            until(1_000).await;
            log.when("client: ConnectionReset");
        },
    );
}

#[test]
fn writes_fail_after_a_reset() {
    simulate(
        1,
        hold,
        |log| async move {
            let mut stream = TcpStream::connect(addr()).await?;
            let error = stream.read_u8().await.unwrap_err();
            log.say(format!("{:?}", error.kind()));
            assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            log.say("done");
            Ok(())
        },
        async |world, log| {
            until(1_000).await;
            assert_eq!(world.net().reset_connections("client", "server"), 1);
            until(1_100).await;
            log.when("ConnectionReset");
            log.when("done");
        },
    );
}

#[test]
fn a_restarted_process_binds_its_port_again() {
    simulate(1, echo, ping_many, async |world, log| {
        for death in [Death::Process, Death::Power] {
            timers::wait(MS(1_000)).await;
            assert!(world.kill("server", death));
            assert!(world.restart("server"));
        }
        timers::wait(MS(1_000)).await;
        let listening = log.0.lock().unwrap().iter().filter(|(_, said)| said == "listening").count();
        assert_eq!(listening, 3);
    });
}

#[test]
fn an_idle_connection_costs_nothing() {
    simulate(1, echo, ping_and_hold, async |world, _| {
        until(1_000).await;
        let before = world.net().counters().segments;
        assert!(before < 12, "{before} segments for one connection and one ping");
        until(3_600_000).await;
        assert_eq!(world.net().counters().segments, before);
    });
}

async fn ping_and_hold(_: Log) -> Result<()> {
    let mut stream = TcpStream::connect(addr()).await?;
    ping(&mut stream).await?;
    std::future::pending().await
}

#[test]
fn a_slow_link_takes_its_time() {
    simulate(
        1,
        |mut stream, log| async move {
            stream.read_exact(&mut vec![0; 100_000]).await?;
            log.say("all");
            Ok(())
        },
        |_| async move {
            let mut stream = TcpStream::connect(addr()).await?;
            stream.write_all(&[0; 100_000]).await?;
            std::future::pending().await
        },
        async |world, log| {
            let slow = Profile { bytes_per_second: 50_000, ..Profile::steady(MS(1)..MS(2)) };
            world.net().set_link("client", "server", Some(slow));
            until(10_000).await;
            log.said_within("all", 2_000..2_300);
        },
    );
}

#[test]
fn the_same_seed_gives_the_same_digest() {
    let digest = |seed| {
        World::run(seed, |world| async move {
            let _ = &world;
            let listener = async || TcpListener::bind(addr()).await.map_err(|error| error.to_string());
            world.create("server", SERVER.into(), move || async move {
                let listener = listener().await?;
                loop {
                    let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
                    madsim::task::spawn(echo(stream, Log::default()));
                }
            });
            timers::wait(MS(10)).await;
            world.create("client", CLIENT.into(), || async {
                ping_many(Log::default()).await.map_err(|error| error.to_string())
            });
            world.net().set_profile(Profile { loss: 0.05, ..Profile::default() });
            until(60_000).await;
            world::record::digest()
        })
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}
