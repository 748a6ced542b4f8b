//! Who is answered how when a connection begins: by a connection, a refusal, or silence.

use crate::{Log, MS, SERVER, addr, connect_and_read, echo, hold, ping, simulate, until};
use world::{Death, TcpStream, stream::BACKLOG, timers};

#[test]
fn a_refusal_has_to_cross_the_link_as_well() {
    let connect = |_| async { TcpStream::connect((SERVER, 81).into()).await.map(drop) };
    simulate(1, hold, connect, async |world, log| {
        world.net().cut("server", "client");
        until(5_000).await;
        assert!(!log.heard("client: ConnectionRefused"), "the refusals met the cut");
        world.net().heal("server", "client");
        until(20_000).await;
        log.said_within("client: ConnectionRefused", 7_000..7_050); // SYNs at 0, 1, 3 and 7 s
        assert_eq!(world.net().counters().refused, 1);
    });
}

#[test]
fn a_machine_that_is_back_refuses_until_its_process_listens() {
    simulate(1, echo, connect_and_read, async |world, log| {
        world.kill("server", Death::Power);
        until(2_000).await;
        assert!(!log.heard("client: ConnectionRefused"), "no power, no refusal");
        world.restart("server");
        until(4_000).await;
        log.said_within("connected", 3_010..3_050); // the SYN of 3 s
    });
}

#[test]
fn a_paused_process_is_spoken_for_by_its_kernel() {
    let connect = |log: Log| async move {
        let mut stream = TcpStream::connect(addr()).await?;
        log.say("connected");
        ping(&mut stream).await
    };
    simulate(1, echo, connect, async |world, log| {
        world.pause("server");
        until(5_000).await;
        log.said_within("connected", 12..30);
        assert!(!log.heard("accepted") && !log.heard("client: ok"));
        world.resume("server");
        until(6_000).await;
        log.said_within("client: ok", 5_001..5_050);
    });
}

#[test]
fn a_full_backlog_is_silence_not_a_refusal() {
    let many = |log: Log| async move {
        let mut open = vec![];
        for _ in 0..BACKLOG {
            open.push(TcpStream::connect(addr()).await?);
        }
        log.say("the backlog is full");
        let mut last = TcpStream::connect(addr()).await?;
        log.say("one more");
        ping(&mut last).await
    };
    simulate(1, echo, many, async |world, log| {
        world.pause("server");
        until(20_000).await;
        let full = log.when("the backlog is full").as_millis() as u64;
        assert!(!log.heard("one more") && !log.heard("client: ConnectionRefused"));
        world.resume("server");
        until(40_000).await;
        // SYNs after 1, 3, 7 and 15 s.
        let next = [1_000, 3_000, 7_000, 15_000].map(|wait| full + wait);
        let next = next.into_iter().find(|at| *at > 20_000).expect("a SYN after the pause");
        log.said_within("one more", next..next + 50);
        log.when("client: ok");
    });
}

#[test]
fn who_gives_up_connecting_is_told_so_after_all_tries() {
    let connect = |_| async { TcpStream::connect(addr()).await.map(drop) };
    simulate(1, hold, connect, async |world, log| {
        world.net().cut("client", "server");
        until(60_000).await;
        assert_eq!(world.net().link_counters("client", "server").segments_cut, world::tcp::SYN_TRIES.into());
        timers::wait(MS(20_000)).await;
        log.said_within("client: TimedOut", 63_000..63_100);
        assert_eq!(world.net().link_counters("client", "server").segments_cut, world::tcp::SYN_TRIES.into());
    });
}
