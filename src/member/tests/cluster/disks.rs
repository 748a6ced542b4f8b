//! Disks that are lost: the member comes back empty, asks all others, and has no say until it has caught up.

use crate::group::{Group, name, put};
use crate::{SECOND, knobs, survives};
use base::knobs::ms;
use world::{Death, World, disk, process};

/// A member loses its power and its disk, and is started again.
async fn replace(group: &Group, name: &str) {
    group.world.kill(name, Death::Power);
    disk::control(name).expect("a disk").wipe();
    madsim::time::sleep(ms(300)).await;
    group.world.restart(name);
}

fn holds_note(name: &str) -> bool {
    disk::control(name).expect("a disk").files().iter().any(|(path, _)| path.ends_with("/rejoin"))
}

#[test]
fn a_member_that_lost_its_disk_takes_part_again() {
    let verdict = survives(21, 3, |group| async move {
        for id in [1, 2, 3, 1] {
            replace(&group, &name(id)).await;
            madsim::time::sleep(5 * SECOND).await;
            let log = disk::control(&name(id)).expect("a disk").files();
            assert!(log.iter().any(|(path, bytes)| path.ends_with(".wal") && *bytes > 1_000), "{log:?}");
            assert!(!holds_note(&name(id)), "it has caught up: {log:?}");
        }
    });
    verdict.assert(800);
}

#[test]
fn it_waits_for_every_other_member() {
    let verdict = survives(22, 3, |group| async move {
        let away = (1..=3).map(name).find(|name| Some(name) != group.leader().as_ref()).expect("a follower");
        let lost = (1..=3).map(name).find(|name| *name != away && Some(name) != group.leader().as_ref());
        let lost = lost.expect("another follower");
        group.world.kill(&away, Death::Process);
        replace(&group, &lost).await;
        madsim::time::sleep(5 * SECOND).await;
        let files = disk::control(&lost).expect("a disk").files();
        assert!(process::status(&lost).is_some_and(|status| status.up) && files.is_empty(), "{files:?}");
        group.world.restart(&away);
        madsim::time::sleep(5 * SECOND).await;
        assert!(!disk::control(&lost).expect("a disk").files().is_empty() && !holds_note(&lost));
    });
    verdict.assert(500);
}

/// What a follower needs of the log is compacted, and the snapshot that stands for it has rotted on the leader's disk: the
/// leader takes another of the state that it has in memory.
#[test]
fn a_snapshot_that_rotted_is_not_sent() {
    let verdict = survives(24, 3, |group| async move {
        let leader = group.leader().expect("a leader");
        let away = (1..=3).map(name).find(|name| *name != leader).expect("a follower");
        group.world.kill(&away, Death::Process);
        madsim::time::sleep(15 * SECOND).await;
        let disk = disk::control(&leader).expect("a disk");
        let snapshots = disk.files().into_iter().map(|(path, _)| path).filter(|path| path.ends_with(".snap"));
        snapshots.for_each(|path| assert!(disk.flip_byte(&path, 100)));
        group.world.restart(&away);
        madsim::time::sleep(5 * SECOND).await;
        let seen = group.seen.lock().unwrap();
        assert!(seen.restored > 0, "a snapshot was installed");
        let tells = |what: &String| {
            what.starts_with("a new snapshot is taken, as /data/")
                && what.ends_with(
                    ".snap is damaged at byte 71: the checksum of a block of the snapshot does not match",
                )
        };
        assert!(!seen.repairs.is_empty() && seen.repairs.iter().all(tells), "{:?}", seen.repairs);
    });
    verdict.assert(1_000);
}

#[test]
fn a_single_member_that_lost_its_disk_does_not_begin_anew() {
    World::run(23, |world| async move {
        let group = Group::start(world, 1, knobs());
        group.client(1, |client| async move { client.put(put("a", "1")).await.expect("a put") }).await;
        replace(&group, &name(1)).await;
        madsim::time::sleep(SECOND).await;
        let exit = process::status(&name(1)).expect("a process").exit.expect("it ended");
        let error = exit.expect_err("an error");
        assert!(error.contains("/data is empty, and of 1 members none can be spared"), "{error}");
    });
}
