//! What befalls real machines befalls three real members under load, one harm a test: nothing that was acknowledged is
//! lost, and service is back within seconds. Each says how long nothing was acknowledged; with `--nocapture` the lines
//! are the table of the README.

mod load;
mod trio;

use crate::certificates::Valid;
use load::Load;
use std::{thread, time::Duration};
use trio::{Ground, Trio};

/// Until when service must be back, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Harms three members under load, and has them looked at.
fn under_load(what: &str, mut trio: Trio, harm: impl FnOnce(&mut Trio, &Load)) -> Trio {
    let load = Load::start(&trio);
    wait(1_000);
    let since = rt::now();
    harm(&mut trio, &load);
    load.serves_within(PATIENCE, &trio);
    wait(1_000);
    let (acked, gap) = load.stop(since);
    trio.holds(&acked);
    println!("| {what} | {} | {:.2} s |", acked.len(), gap.as_secs_f64());
    trio
}

#[allow(clippy::disallowed_methods)] // real members, real time
fn wait(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

#[test]
fn a_leader_is_killed() {
    let trio = Trio::start("leader-killed", Ground::Plain, Valid::ForLong);
    under_load("`kill -9` of the leader, three times", trio, |trio, load| {
        for _ in 0..3 {
            let leader = trio.leader();
            trio.kill(leader);
            load.serves_within(PATIENCE, trio);
            trio.restart(leader);
            wait(1_000);
        }
    });
}

#[test]
fn all_are_killed_at_once() {
    let trio = Trio::start("all-killed", Ground::Plain, Valid::ForLong);
    under_load("`kill -9` of all three at once", trio, |trio, _| {
        (1..=3).for_each(|number| trio.kill(number));
        (1..=3).for_each(|number| trio.restart(number));
    });
}

#[test]
fn the_disk_of_the_leader_is_full() {
    let trio = Trio::start("disk-full", Ground::SmallDisks(64), Valid::ForLong);
    under_load("the leader's disk full for 5 s", trio, |trio, load| {
        let leader = trio.leader();
        trio.fill(leader);
        wait(5_000);
        load.serves_within(PATIENCE, trio);
        trio.free(leader);
        trio.restart_ended();
        assert!(trio.log().contains("No space left on device"), "{}", trio.log());
    });
}

#[test]
fn all_disks_are_full() {
    let trio = Trio::start("disks-full", Ground::SmallDisks(64), Valid::ForLong);
    under_load("all three disks full for 5 s", trio, |trio, _| {
        (1..=3).for_each(|number| trio.fill(number));
        wait(5_000);
        (1..=3).for_each(|number| trio.free(number));
        trio.restart_ended();
        assert!(trio.log().contains("No space left on device"), "{}", trio.log());
    });
}

#[test]
fn clocks_jump() {
    let trio = Trio::start("clocks", Ground::OwnClocks, Valid::ForLong);
    under_load("the leader's clock an hour ahead, then all an hour behind", trio, |trio, load| {
        let lease = trio.lease(60);
        trio.set_clock(trio.leader(), 3_600);
        wait(3_000);
        load.serves_within(PATIENCE, trio);
        (1..=3).for_each(|number| trio.set_clock(number, -3_600));
        wait(3_000);
        let left = trio.left(lease);
        assert!((30..60).contains(&left), "a lease of 60 s has {left} s after 6");
    });
}

#[test]
fn certificates_expire() {
    let trio = Trio::start("expiry", Ground::Plain, Valid::For(Duration::from_secs(12)));
    under_load("all certificates expire, and are replaced 5 s later", trio, |trio, _| {
        let leader = trio.leader();
        wait(12_000);
        // what is connected stays so; one that comes back does not get in
        trio.kill(leader);
        trio.restart(leader);
        wait(5_000);
        trio.certify(Valid::ForLong);
    });
}
