//! The table in `recover.rs`, a test for each row: what is found, and what is done.

use crate::{ME, dir, disk, install, lives, open, take};
use base::{Index, MemberId, Term};
use std::{
    future::Future,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use wal::{Entry, Error, HardState, Identity, Record, Recovered, Snapshot, Wal};
use world::{
    World, disk as files,
    disk::{File, Loss},
    disk_harm::Op,
    process::{self, Death},
};

fn entry(index: u64, term: u64, len: usize) -> Record {
    Record::Entry(Entry { index: Index(index), term: Term(term), data: vec![index as u8; len] })
}

fn hard(term: u64) -> Record {
    Record::HardState(HardState { term: Term(term), vote: Some(MemberId(3)) })
}

pub fn snapshot(index: u64, term: u64) -> Snapshot {
    Snapshot { index: Index(index), term: Term(term), meta: b"meta".into(), size: 100 }
}

pub fn path(name: &str) -> PathBuf {
    dir().join(name)
}

fn segment(sequence: u64) -> PathBuf {
    path(&format!("{sequence:016x}.wal"))
}

/// Entries `from..=to` of term 1, one append each, all synced.
pub async fn fill(wal: &mut Wal, from: u64, to: u64) {
    for index in from..=to {
        wal.append(&[entry(index, 1, 50)]).await.unwrap();
        wal.sync().await.unwrap();
    }
}

pub type Outcome = Result<Recovered, String>;

/// `write` works on a fresh log, and the process ends. `harm` harms the folder, as a process of its own. Then
/// the log is opened, and once more: the second time must find the same, and after an error the same files.
pub fn found<W, H>(
    write: impl Fn(Wal) -> W + Send + Sync + 'static,
    harm: impl Fn() -> H + Send + Sync + 'static,
) -> Outcome
where
    W: Future<Output = ()> + 'static,
    H: Future<Output = ()> + 'static,
{
    World::run(1, move |world| async move {
        let outcomes: Arc<Mutex<Vec<Outcome>>> = Arc::default();
        let told = outcomes.clone();
        let (write, harm) = (Arc::new(write), Arc::new(harm));
        let life = move |number| {
            let (told, write, harm) = (told.clone(), write.clone(), harm.clone());
            async move {
                match number {
                    1 => write(open().await?.0).await,
                    2 => harm().await,
                    _ => {
                        let outcome = open().await.map(|(_, found)| found).map_err(|error| error.to_string());
                        told.lock().unwrap().push(outcome);
                    }
                }
                Ok::<(), Error>(())
            }
        };
        let mut kept = Vec::new();
        lives(&world, 4, life, |_| kept.push(disk().files())).await;
        let outcomes = outcomes.lock().unwrap();
        match (&outcomes[0], &outcomes[1]) {
            (Ok(first), Ok(second)) => {
                assert_eq!(second, &Recovered { repairs: vec![], ..first.clone() }, "opening again");
            }
            (first, second) => {
                assert_eq!(first, second);
                assert_eq!(kept[1], kept[3], "an error changes nothing");
            }
        }
        outcomes[0].clone()
    })
}

fn indexes(found: &Recovered) -> Vec<u64> {
    found.entries.iter().map(|entry| entry.index.0).collect()
}

pub async fn nothing() {}

pub async fn overwrite(path: PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = files::read(&path).await.unwrap();
    change(&mut bytes);
    File::create(&path).await.unwrap().append(&bytes).await.unwrap();
}

async fn flip(path: PathBuf, at: u64) {
    assert!(disk().flip_byte(path.to_str().unwrap(), at));
}

#[test]
fn an_empty_folder_is_a_new_log() {
    let found = found(|_| nothing(), nothing).unwrap();
    assert_eq!(found, Recovered::default());
}

/// How a member that is not new opens its folder, after what `before` did there.
fn reopened<F>(before: impl Fn() -> F + Send + Sync + 'static) -> Outcome
where
    F: Future<Output = Result<(), Error>> + 'static,
{
    World::run(1, move |world| async move {
        let told: Arc<Mutex<Option<Outcome>>> = Arc::default();
        let (heard, before) = (told.clone(), Arc::new(before));
        let life = move |number| {
            let (told, before) = (told.clone(), before.clone());
            async move {
                if number == 1 {
                    return before().await;
                }
                let outcome = Wal::reopen(dir(), ME, &crate::knobs()).await;
                let outcome = outcome.map(|(_, found)| found).map_err(|error| error.to_string());
                *told.lock().unwrap() = Some(outcome);
                Ok(())
            }
        };
        lives(&world, 2, life, |_| disk().heal()).await;
        heard.lock().unwrap().take().expect("it was opened")
    })
}

#[test]
fn a_folder_without_a_log_is_lost_unless_the_member_is_new() {
    let error = reopened(|| async { Ok(()) }).unwrap_err();
    assert!(error.starts_with("/data/m/wal holds no log, and this is not the founding"), "{error}");
    let half = || async {
        files::create_dir_all(dir()).await.unwrap();
        File::create(&path("0000000000000001.wal.tmp")).await.unwrap();
        Ok(())
    };
    assert!(reopened(half).is_err(), "a half-made log is none");
    let whole = reopened(|| async { open().await.map(drop) });
    assert_eq!(whole, Ok(Recovered::default()));
}

#[test]
fn the_note_that_a_log_was_lost_stays_until_it_is_taken_away() {
    let rejoin = || async { Wal::rejoin(dir(), ME, &crate::knobs(), Term(7)).await };
    let found = reopened(move || async move {
        let (mut wal, found) = rejoin().await?;
        assert_eq!(found.forgot, Some(Term(7)));
        fill(&mut wal, 1, 3).await;
        Ok(())
    });
    let found = found.unwrap();
    assert_eq!((found.forgot, indexes(&found)), (Some(Term(7)), vec![1, 2, 3]));
    let found = reopened(move || async move {
        let (mut wal, _) = rejoin().await?;
        fill(&mut wal, 1, 3).await;
        wal.rejoined().await
    });
    assert_eq!(found.unwrap().forgot, None);
    let error = reopened(move || async move {
        rejoin().await?;
        flip(path("rejoin"), 34).await;
        Ok(())
    });
    assert!(error.unwrap_err().starts_with("/data/m/wal/rejoin is damaged at byte 8"));
}

/// Whatever a crash leaves of its making, a log that was lost is never taken for that of a new member.
#[test]
fn a_crash_while_rejoining_does_not_make_the_member_new() {
    for at in 0..60 {
        let outcome = reopened(move || async move {
            disk().losing(Loss::Unsynced);
            disk().crash_at(disk().ops() + at, Death::Power);
            let (mut wal, _) = Wal::rejoin(dir(), ME, &crate::knobs(), Term(7)).await?;
            wal.append(&[hard(8)]).await?;
            wal.sync().await.map(drop)
        });
        match outcome {
            Ok(found) => assert_eq!(found.forgot, Some(Term(7)), "after {at} operations"),
            Err(error) => assert!(error.contains("holds no log"), "after {at} operations: {error}"),
        }
    }
}

/// The museum's S20: what is damaged is served.
#[test]
fn a_checksum_that_nobody_looks_at_is_found() {
    let write = |mut wal: Wal| async move { fill(&mut wal, 1, 20).await };
    let harm = || async {
        base::marks::plant(Some("S20"));
        // inside the data of the second entry
        flip(segment(1), 180).await;
    };
    let changed = found(write, harm).unwrap();
    let right = found(write, nothing).unwrap();
    assert_ne!(changed.entries, right.entries);
}

#[test]
fn a_log_of_many_segments_is_found_whole() {
    let write = |mut wal: Wal| async move {
        wal.append(&[hard(1)]).await.unwrap();
        fill(&mut wal, 1, 30).await;
        wal.append(&[hard(2), entry(20, 2, 10), entry(21, 2, 0)]).await.unwrap();
        wal.sync().await.unwrap();
        assert!(files::exists(&segment(4)).await.unwrap());
    };
    let found = found(write, nothing).unwrap();
    assert_eq!(indexes(&found), (1..=21).collect::<Vec<_>>());
    assert_eq!(found.entries[19], Entry { index: Index(20), term: Term(2), data: vec![20; 10] });
    assert_eq!(found.hard, HardState { term: Term(2), vote: Some(MemberId(3)) });
    assert_eq!((found.snapshot, found.repairs), (None, vec![]));
}

#[test]
fn a_torn_end_is_cut_off() {
    for cut in 1..60 {
        let write = |mut wal: Wal| async move { fill(&mut wal, 1, 3).await };
        let found =
            found(write, move || overwrite(segment(1), move |bytes| bytes.truncate(bytes.len() - cut)))
                .unwrap();
        assert_eq!(indexes(&found), [1, 2]);
        assert!(
            found.repairs[0].starts_with("cut off ") && found.repairs[0].ends_with("0000000000000001.wal")
        );
    }
}

#[test]
fn garbage_and_zeros_behind_the_end_are_cut_off() {
    for byte in [0, 0xa5] {
        let write = |mut wal: Wal| async move { fill(&mut wal, 1, 3).await };
        let harm = move || overwrite(segment(1), move |bytes| bytes.extend([byte; 3_000]));
        assert_eq!(indexes(&found(write, harm).unwrap()), [1, 2, 3]);
    }
}

/// The museum's S06: a torn end that is an error makes the member unbootable.
#[test]
fn a_torn_end_as_an_error_is_found() {
    let write = |mut wal: Wal| async move {
        base::marks::plant(Some("S06"));
        fill(&mut wal, 1, 3).await;
    };
    let error = found(write, || overwrite(segment(1), |bytes| bytes.truncate(bytes.len() - 1))).unwrap_err();
    assert!(error.contains("is damaged"), "{error}");
}

/// Every byte of the last segment but for those of the last record: to lose any of them is to lose what was
/// acknowledged.
#[test]
fn a_flipped_byte_in_the_last_segment_is_damage() {
    let len = World::run(1, |world| async move {
        let life = |_| async {
            let (mut wal, _) = open().await?;
            fill(&mut wal, 1, 2).await;
            Ok(())
        };
        lives(&world, 1, life, |_| {}).await;
        disk().files()[0].1
    });
    for at in 0..len {
        let write = |mut wal: Wal| async move { fill(&mut wal, 1, 3).await };
        let error = found(write, move || flip(segment(1), at)).unwrap_err();
        let names = error.contains("/data/m/wal/0000000000000001.wal is");
        assert!(names && (error.contains("damaged at byte") || error.contains("version")), "{at}: {error}");
    }
}

#[test]
fn a_flipped_byte_in_a_closed_segment_is_damage() {
    for at in [3, 45, 100, 200, 300] {
        let write = |mut wal: Wal| async move { fill(&mut wal, 1, 20).await };
        let error = found(write, move || flip(segment(1), at)).unwrap_err();
        assert!(error.contains("0000000000000001.wal is damaged at byte"), "{error}");
        assert!(error.contains("nothing was changed; restore the file"), "{error}");
    }
}

#[test]
fn a_cut_closed_segment_is_damage() {
    let write = |mut wal: Wal| async move { fill(&mut wal, 1, 20).await };
    let error = found(write, || overwrite(segment(1), |bytes| bytes.truncate(200))).unwrap_err();
    assert!(error.contains("as in every segment but the last"), "{error}");
}

#[test]
fn a_missing_segment_is_named() {
    let write = |mut wal: Wal| async move { fill(&mut wal, 1, 30).await };
    let remove = |sequence| move || async move { files::remove(&segment(sequence)).await.unwrap() };
    let error = found(write, remove(2)).unwrap_err();
    assert!(error.starts_with("/data/m/wal/0000000000000002.wal is missing"), "{error}");
    let error = found(write, remove(1)).unwrap_err();
    assert!(error.contains("begins behind i") && error.contains("snapshot ends at i0"), "{error}");
}

#[test]
fn snapshots_without_a_log_are_an_error() {
    let write = |wal: Wal| async move {
        take(&wal, &snapshot(5, 1)).await.unwrap();
    };
    let error = found(write, || async { files::remove(&segment(1)).await.unwrap() }).unwrap_err();
    assert!(error.contains("0000000000000001.wal is missing"), "{error}");
}

#[test]
fn half_made_files_are_removed() {
    let write = |mut wal: Wal| async move { fill(&mut wal, 1, 3).await };
    let harm = || async {
        for name in ["0000000000000002.wal.tmp", "0000000000000003.snap.tmp"] {
            File::create(&path(name)).await.unwrap().append(b"half").await.unwrap();
        }
    };
    let found = found(write, harm).unwrap();
    assert_eq!(indexes(&found), [1, 2, 3]);
    assert_eq!(found.repairs.len(), 2);
}

#[test]
fn a_snapshot_and_the_log_around_it_are_found() {
    let write = |mut wal: Wal| async move {
        fill(&mut wal, 1, 30).await;
        assert_eq!(wal.release(Index(20)).await.unwrap(), 0, "without a snapshot all is needed");
        take(&wal, &snapshot(10, 1)).await.unwrap();
        assert_eq!(wal.release(Index(10)).await.unwrap(), 0, "the only snapshot may turn out unreadable");
        let written = take(&wal, &snapshot(20, 1)).await.unwrap();
        assert_eq!(written.index(), Index(20));
        assert_eq!(wal.release(Index(5)).await.unwrap(), 0, "the member keeps a few");
        assert!(wal.release(Index(20)).await.unwrap() > 0);
        assert!(files::exists(&path("000000000000000a.snap")).await.unwrap());
        take(&wal, &snapshot(25, 1)).await.unwrap();
        assert!(!files::exists(&path("000000000000000a.snap")).await.unwrap());
    };
    let found = found(write, nothing).unwrap();
    assert_eq!(found.snapshot, Some(snapshot(25, 1)));
    assert_eq!(found.entries.last().unwrap().index, Index(30));
    assert!(indexes(&found)[0] > 1 && indexes(&found)[0] <= 11);
}

pub async fn two_snapshots(mut wal: Wal) {
    fill(&mut wal, 1, 30).await;
    take(&wal, &snapshot(10, 1)).await.unwrap();
    take(&wal, &snapshot(20, 1)).await.unwrap();
    wal.release(Index(20)).await.unwrap();
}

#[test]
fn an_unreadable_snapshot_gives_way_to_the_one_before() {
    for at in [3, 13, 40, 90] {
        let found = found(two_snapshots, move || flip(path("0000000000000014.snap"), at)).unwrap();
        assert_eq!(found.snapshot, Some(snapshot(10, 1)));
        assert!(indexes(&found)[0] <= 11);
        assert!(
            found.repairs[0].starts_with("put /data/m/wal/0000000000000014.snap aside"),
            "{:?}",
            found.repairs
        );
    }
}

#[test]
fn an_unreadable_snapshot_with_nothing_before_it_is_an_error() {
    let write = |mut wal: Wal| async move {
        fill(&mut wal, 1, 5).await;
        install(&mut wal, &snapshot(20, 2)).await.unwrap();
    };
    let error = found(write, || flip(path("0000000000000014.snap"), 100)).unwrap_err();
    assert!(error.contains("begins behind i20, but the newest readable snapshot ends at i0"), "{error}");
    assert!(error.contains("0000000000000014.snap is damaged at byte 68"), "{error}");
}

#[test]
fn newer_formats_are_refused() {
    let error =
        found(two_snapshots, || overwrite(path("0000000000000014.snap"), |bytes| bytes[8] = 3)).unwrap_err();
    assert!(
        error.contains("0000000000000014.snap is of format version 3, this program knows versions up to 2")
    );
    let write = |mut wal: Wal| async move { fill(&mut wal, 1, 5).await };
    let error = found(write, || overwrite(segment(1), |bytes| bytes[8] = 9)).unwrap_err();
    assert!(error.contains("0000000000000001.wal is of format version 9"), "{error}");
}

#[test]
fn another_members_folder_is_refused() {
    World::run(1, |world| async move {
        let life = |number| async move {
            let owner = if number == 1 { ME } else { Identity { member: MemberId(0xb), ..ME } };
            let (mut wal, _) = Wal::open(dir(), owner, &crate::knobs()).await?;
            wal.append(&[hard(1)]).await?;
            wal.sync().await.map(drop)
        };
        lives(&world, 2, life, |_| {}).await;
        let error = process::status("m").unwrap().exit.unwrap().unwrap_err();
        assert!(
            error.contains("belongs to member a of cluster c1, expected member b of cluster c1"),
            "{error}"
        );
    });
}

#[test]
fn a_snapshot_installed_takes_the_place_of_the_log() {
    let write = |mut wal: Wal| async move {
        fill(&mut wal, 1, 10).await;
        wal.append(&[hard(2)]).await.unwrap();
        install(&mut wal, &snapshot(5, 2)).await.unwrap();
        assert_eq!(wal.last(), Index(5));
        wal.append(&[entry(6, 2, 5)]).await.unwrap();
        wal.sync().await.unwrap();
    };
    let found = found(write, nothing).unwrap();
    assert_eq!((found.snapshot.clone(), indexes(&found)), (Some(snapshot(5, 2)), vec![6]));
    assert_eq!(found.hard.term, Term(2));
}

/// A crash in the middle of an install leaves the snapshot beside a log that contradicts it, or ends before.
#[test]
fn a_log_that_does_not_lead_to_the_snapshot_restarts_behind_it() {
    for (index, term) in [(5, 2), (50, 1)] {
        let write = move |mut wal: Wal| async move {
            fill(&mut wal, 1, 10).await;
            take(&wal, &snapshot(index, term)).await.unwrap();
        };
        let found = found(write, nothing).unwrap();
        assert_eq!((found.snapshot.clone(), indexes(&found)), (Some(snapshot(index, term)), vec![]));
        assert_eq!(found.repairs, [format!("the log restarts behind the snapshot at i{index}")]);
    }
}

/// Works in the second life of a process whose first left five entries; returns how it ended.
fn second_life<Fut>(life: fn(Wal) -> Fut) -> (String, Vec<u64>)
where
    Fut: Future<Output = Result<(), Error>> + 'static,
{
    World::run(1, move |world| async move {
        let kept: Arc<Mutex<Vec<u64>>> = Arc::default();
        let told = kept.clone();
        let life = move |number| {
            let told = told.clone();
            async move {
                let (mut wal, found) = open().await?;
                match number {
                    1 => fill(&mut wal, 1, 5).await,
                    2 => life(wal).await?,
                    _ => *told.lock().unwrap() = indexes(&found),
                }
                Ok(())
            }
        };
        let mut ends = Vec::new();
        let between = |_| {
            ends.push(process::status("m").unwrap().exit.unwrap());
            disk().heal();
            disk().losing(Loss::Unsynced);
            process::kill("m", Death::Power);
        };
        lives(&world, 3, life, between).await;
        let kept = kept.lock().unwrap().clone();
        (ends[1].clone().unwrap_err(), kept)
    })
}

#[test]
fn a_failed_sync_is_the_end() {
    let (error, kept) = second_life(|mut wal| async move {
        wal.append(&[entry(6, 1, 5)]).await?;
        disk().fail_next(Op::Sync, 1);
        let error = wal.sync().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot sync /data/m/wal/0000000000000001.wal: Input/output error (os error 5)"
        );
        assert!(matches!(wal.append(&[entry(7, 1, 5)]).await, Err(Error::Poisoned(_))));
        assert!(matches!(wal.release(Index(1)).await, Err(Error::Poisoned(_))));
        assert!(matches!(install(&mut wal, &snapshot(9, 1)).await, Err(Error::Poisoned(_))));
        wal.sync().await.map(drop)
    });
    assert!(error.starts_with("the log stopped at an earlier failure (cannot sync"), "{error}");
    assert_eq!(kept, [1, 2, 3, 4, 5]);
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let (error, kept) = second_life(|mut wal| async move {
        disk().capacity(Some(disk().used() + 300));
        for index in 6..20 {
            wal.append(&[entry(index, 1, 50)]).await?;
            wal.sync().await?;
        }
        Ok(())
    });
    assert!(error.ends_with("No space left on device (os error 28)"), "{error}");
    assert!(kept.len() >= 6, "{kept:?}");
    let (error, kept) = second_life(|wal| async move {
        drop(wal);
        disk().capacity(Some(disk().used()));
        open().await.map(drop)
    });
    assert!(error.ends_with("No space left on device (os error 28)"), "{error}");
    assert_eq!(kept, [1, 2, 3, 4, 5]);
}

#[test]
fn a_call_cut_short_is_the_end() {
    let (error, kept) = second_life(|mut wal| async move {
        wal.append(&[entry(6, 1, 5)]).await?;
        let mut sync = Box::pin(wal.sync());
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(sync.as_mut().poll(cx).is_pending())).await);
        drop(sync);
        wal.sync().await.map(drop)
    });
    assert!(error.contains("a call was cut short before its end"), "{error}");
    assert!(kept.len() >= 5);
}

/// The first segment there is after a loss of power before the disk operation `at` of a release, of which
/// nothing outlives it but what was synced; and whether the release came to its end.
fn first_left(at: u64) -> (String, bool) {
    World::run(1, move |world| async move {
        let done: Arc<Mutex<bool>> = Arc::default();
        let told = done.clone();
        let life = move |_| {
            let told = told.clone();
            async move {
                let (mut wal, _) = open().await?;
                fill(&mut wal, 1, 30).await;
                for index in [20, 25] {
                    take(&wal, &snapshot(index, 1)).await?;
                }
                disk().losing(Loss::Unsynced);
                disk().crash_at(disk().ops() + at, Death::Power);
                wal.release(Index(25)).await?;
                *told.lock().unwrap() = true;
                Ok(())
            }
        };
        lives(&world, 1, life, |_| {}).await;
        process::kill("m", Death::Power);
        let first = disk().files().into_iter().map(|(path, _)| path).find(|path| path.ends_with(".wal"));
        let done = *done.lock().unwrap();
        (first.expect("a segment"), done)
    })
}

/// One segment after the other: each is gone for good before the next is removed, so that a loss of power never
/// leaves a hole, in whatever order a disk keeps the names that were removed.
#[test]
fn segments_are_released_one_after_the_other() {
    let mut left = Vec::new();
    for at in 0.. {
        let (first, done) = first_left(at);
        left.push(first);
        if done {
            break;
        }
    }
    left.dedup();
    assert!(left.len() >= 3, "several segments are released: {left:?}");
    let expected: Vec<String> =
        (1..=left.len() as u64).map(|sequence| segment(sequence).display().to_string()).collect();
    assert_eq!(left, expected);
}
