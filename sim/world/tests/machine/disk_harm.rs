//! Disks that fail, fill up, stall, rot and lie, and the count of it.

use crate::{pass, run, start};
use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use world::{
    clock,
    disk::{self, Control, File, Lapse, Loss, control},
    disk_harm::Op,
    process::{self, Death},
};

/// Runs `act` on a process's disk, with the nemesis's hand on it.
fn harmed<Fut>(act: impl Fn(Control) -> Fut + Send + Sync + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    run(1, move || async move {
        let done: Arc<Mutex<bool>> = Arc::default();
        let told = done.clone();
        start("a", move || {
            let (act, told) = (act(control("a").unwrap()), told.clone());
            async move {
                act.await;
                *told.lock().unwrap() = true;
                std::future::pending::<()>().await;
            }
        });
        pass(60_000).await;
        assert!(*done.lock().unwrap(), "it came to its end");
    });
}

async fn file() -> File {
    File::create(Path::new("/f")).await.unwrap()
}

fn code(outcome: std::io::Result<()>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

#[test]
fn injected_errors_hit_their_kind_and_are_counted() {
    harmed(|control| async move {
        let file = file().await;
        control.fail_next(Op::Sync, 1);
        file.append(b"x").await.unwrap();
        assert_eq!(code(file.sync().await), Some(5));
        file.sync().await.unwrap();
        control.fail(Op::Read, 1.0);
        assert_eq!(file.read_at(0, 1).await.unwrap_err().raw_os_error(), Some(5));
        file.append(b"y").await.unwrap();
        control.fail_next(Op::Write, 2);
        assert_eq!(code(file.append(b"z").await), Some(5));
        assert_eq!(code(disk::remove(Path::new("/f")).await), Some(5));
        control.heal();
        file.read_at(0, 1).await.unwrap();
        let counters = control.counters();
        assert_eq!((counters.failed_reads, counters.failed_writes, counters.failed_syncs), (1, 2, 1));
    });
}

#[test]
fn a_failed_write_leaves_a_part() {
    harmed(|control| async move {
        let file = file().await;
        let mut lengths = std::collections::BTreeSet::new();
        for _ in 0..20 {
            file.set_len(0).await.unwrap();
            control.fail_next(Op::Write, 1);
            file.append(&[7; 100]).await.unwrap_err();
            lengths.insert(file.len().await.unwrap());
        }
        assert!(lengths.len() > 5 && lengths.iter().all(|len| *len <= 100));
    });
}

#[test]
fn a_full_disk_says_so() {
    harmed(|control| async move {
        let file = file().await;
        control.capacity(Some(1_000));
        file.append(&[1; 900]).await.unwrap();
        assert_eq!(code(file.append(&[2; 200]).await), Some(28));
        assert_eq!(file.len().await.unwrap(), 1_000);
        assert_eq!(code(file.set_len(2_000).await), Some(28));
        file.set_len(900).await.unwrap();
        control.capacity(None);
        file.append(&[2; 200]).await.unwrap();
        assert_eq!((control.counters().no_space, control.used()), (2, 1_100));
    });
}

#[test]
fn stalls_and_slowness_take_their_time() {
    harmed(|control| async move {
        let file = file().await;
        let begun = clock::elapsed();
        control.stall(Duration::from_secs(2));
        file.append(b"x").await.unwrap();
        assert_eq!((clock::elapsed() - begun).as_millis(), 2_000);
        control.stall(Duration::from_secs(2));
        let begun = clock::elapsed();
        file.sync().await.unwrap();
        assert!((2_000..2_004).contains(&(clock::elapsed() - begun).as_millis()), "a stalled sync");
        control.stall(Duration::from_secs(100));
        control.heal();
        let begun = clock::elapsed();
        file.append(b"x").await.unwrap();
        assert!(clock::elapsed() - begun < Duration::from_millis(1));
        control.slow(Some(Duration::from_millis(200)..Duration::from_millis(300)));
        let begun = clock::elapsed();
        file.sync().await.unwrap();
        assert!((200..310).contains(&(clock::elapsed() - begun).as_millis()));
        control.slow(None);
        control.sync_latency(Duration::from_millis(50)..Duration::from_millis(51));
        let begun = clock::elapsed();
        file.sync().await.unwrap();
        assert!((50..53).contains(&(clock::elapsed() - begun).as_millis()));
        let counters = control.counters();
        assert!(counters.stalled == 2 && counters.slowed >= Duration::from_millis(200), "{counters:?}");
    });
}

#[test]
fn bits_rot_in_closed_files_only() {
    harmed(|control| async move {
        let file = file().await;
        file.append(&[0; 64]).await.unwrap();
        assert_eq!(control.flip_bit("/"), None);
        drop(file);
        let (path, offset) = control.flip_bit("f").unwrap();
        assert_eq!(path, "/f");
        let found = disk::read(Path::new("/f")).await.unwrap();
        assert_ne!(found[offset as usize], 0);
        assert_eq!(found.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        assert_eq!(control.flip_bit("other"), None);
        assert!(control.flip_byte("/f", 3) && !control.flip_byte("/f", 64));
        assert_eq!(control.counters().bits_flipped, 2);
    });
}

/// How long /f is after its machine lost power, when one process wrote it and then did `more`.
fn left_after_power_cut(harm: fn(Control), synced: bool) -> u64 {
    run(1, move || async move {
        start("a", move || async move {
            if disk::exists(Path::new("/f")).await.unwrap() {
                return std::future::pending().await;
            }
            let file = file().await;
            disk::sync_dir(Path::new("/")).await.unwrap();
            harm(control("a").unwrap());
            file.append(b"hello").await.unwrap();
            let _ = file.sync().await;
            assert_eq!(file.sync().await.is_ok(), synced);
            std::future::pending::<()>().await;
        });
        pass(1_000).await;
        let control = control("a").unwrap();
        control.losing(Loss::Unsynced);
        process::kill("a", Death::Power);
        control.files()[0].1
    })
}

#[test]
fn syncs_that_lie_lose_everything() {
    assert_eq!(left_after_power_cut(|_| {}, true), 5);
    assert_eq!(left_after_power_cut(|control| control.fake_syncs(true), true), 0);
}

#[test]
fn what_failed_to_sync_is_not_made_durable_by_trying_again() {
    assert_eq!(left_after_power_cut(|control| control.fail_next(Op::Sync, 1), true), 0);
}

#[test]
fn a_folder_that_failed_to_sync_is_not_durable() {
    run(1, || async {
        start("a", || async {
            if !disk::exists(Path::new("/f")).await.unwrap() {
                file().await.sync().await.unwrap();
                control("a").unwrap().fail_next(Op::Sync, 1);
                assert_eq!(code(disk::sync_dir(Path::new("/")).await), Some(5));
            }
            std::future::pending::<()>().await;
        });
        pass(1_000).await;
        let control = control("a").unwrap();
        control.losing(Loss::Unsynced);
        process::kill("a", Death::Power);
        assert_eq!((control.files().len(), control.counters().failed_syncs), (0, 1));
    });
}

#[test]
fn a_crash_comes_before_the_operation_asked_for() {
    for (op, len) in [(0, None), (1, Some(0)), (2, Some(1)), (3, Some(2))] {
        let found = run(1, move || async move {
            start("a", || async {
                let file = file().await;
                for _ in 0..5 {
                    file.append(b"x").await.unwrap();
                }
            });
            let control = control("a").unwrap();
            control.crash_at(op, Death::Process);
            pass(100).await;
            assert!(!process::status("a").unwrap().up);
            assert_eq!(control.ops(), op + 1);
            control.files().first().map(|file| file.1)
        });
        assert_eq!(found, len);
    }
}

#[test]
fn a_wiped_disk_is_empty() {
    run(1, || async {
        start("a", || async {
            file().await.sync().await.unwrap();
            disk::sync_dir(Path::new("/")).await.unwrap();
        });
        pass(50).await;
        let control = control("a").unwrap();
        assert_eq!(control.files().len(), 1);
        process::kill("a", Death::Power);
        control.wipe();
        assert_eq!((control.files().len(), control.counters().wiped_files), (0, 1));
    });
}

#[test]
fn disks_of_two_processes_have_nothing_in_common() {
    run(1, || async {
        start("a", || async {
            file().await;
            std::future::pending::<()>().await;
        });
        start("b", || async {
            assert!(!disk::exists(Path::new("/f")).await.unwrap());
            std::future::pending::<()>().await;
        });
        pass(50).await;
        assert!(process::status("b").unwrap().up);
        assert_eq!((control("a").unwrap().files().len(), control("b").unwrap().files().len()), (1, 0));
    });
}

/// Two writes, each with a sync, while every write goes wrong in this way; what is in the file then.
async fn two_writes(control: Control, lapse: Lapse) -> Vec<u8> {
    let file = file().await;
    control.lapses(Some((lapse, 1.0)));
    file.append(&[7; 100]).await.unwrap();
    file.sync().await.unwrap();
    assert!(control.damaged().is_empty(), "the last write of a file cannot prove that it is not whole");
    file.append(&[8; 100]).await.unwrap();
    assert!(control.damaged().is_empty(), "what follows is not on the disk yet");
    file.sync().await.unwrap();
    assert!(control.met().is_empty(), "nobody has read it");
    let found = disk::read(Path::new("/f")).await.unwrap();
    assert_eq!((found.len(), &found[100..]), (200, &[8; 100][..]));
    found
}

#[test]
fn a_short_write_lacks_its_end() {
    harmed(|control| async move {
        let found = two_writes(control, Lapse::Short).await;
        let kept = found.iter().take_while(|byte| **byte == 7).count();
        assert!(kept < 100 && found[kept..100].iter().all(|byte| *byte == 0), "{found:?}");
        assert_eq!((control.damaged(), control.met()), (vec!["/f".to_string()], vec!["/f".to_string()]));
        assert_eq!(control.counters().writes_short, 1);
    });
}

#[test]
fn a_misdirected_write_is_missing_in_one_place_and_too_much_in_another() {
    harmed(|control| async move {
        let other = File::create(Path::new("/g")).await.unwrap();
        other.append(&[1; 300]).await.unwrap();
        other.sync().await.unwrap();
        drop(other);
        let found = two_writes(control, Lapse::Misdirected).await;
        let elsewhere = disk::read(Path::new("/g")).await.unwrap();
        let (here, there) = (count(&found[..100], 7), count(&elsewhere, 7));
        assert!(here < 100 && here + there > 0 && here * there == 0, "{found:?} {elsewhere:?}");
        assert_eq!(control.counters().writes_misdirected, 1);
        assert_eq!(control.met(), control.damaged());
        control.lapses(None);
        let file = File::open_append(Path::new("/f")).await.unwrap();
        for _ in 0..3 {
            file.append(&[9; 10]).await.unwrap();
            file.sync().await.unwrap();
        }
        assert_eq!(control.counters().writes_misdirected, 1);
    });
}

fn count(bytes: &[u8], wanted: u8) -> usize {
    bytes.iter().filter(|byte| **byte == wanted).count()
}

#[test]
fn what_rots_is_known_until_it_is_cut_off_or_put_right() {
    harmed(|control| async move {
        let file = file().await;
        file.append(&[0; 64]).await.unwrap();
        assert!(control.flip_byte("/f", 40) && control.damaged() == ["/f"]);
        assert!(control.flip_byte("/f", 40) && control.damaged().is_empty());
        assert!(control.flip_byte("/f", 40));
        assert_eq!(file.read_at(0, 40).await.unwrap(), [0; 40]);
        assert!(control.met().is_empty());
        file.read_at(0, 41).await.unwrap();
        assert_eq!(control.met(), ["/f"]);
        file.set_len(40).await.unwrap();
        assert!(control.damaged().is_empty());
        drop(file);
        assert_eq!(control.rot("/f"), None);
    });
}

#[test]
fn what_was_met_belongs_to_one_life() {
    run(1, || async {
        start("a", || async {
            if disk::exists(Path::new("/f")).await.unwrap() {
                return std::future::pending().await;
            }
            file().await.append(&[0; 64]).await.unwrap();
            control("a").unwrap().flip_bit("/f").unwrap();
            disk::read(Path::new("/f")).await.unwrap();
        });
        pass(1_000).await;
        let control = control("a").unwrap();
        assert_eq!(control.met(), ["/f"], "of the life that is over");
        process::restart("a");
        pass(1_000).await;
        assert!(control.met().is_empty());
    });
}
