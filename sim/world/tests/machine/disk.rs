//! Disks: what survives a crash, and what a loss of power.

use crate::{pass, run, start};
use std::{
    collections::BTreeSet,
    future::Future,
    io::ErrorKind,
    path::Path,
    sync::{Arc, Mutex},
};
use world::{
    disk::{self, File, Loss, control},
    process::{self, Death},
};

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// Runs steps as a process: one for each start.
fn lives<Fut>(life: impl Fn(u64) -> Fut + Send + Sync + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    start("a", move || {
        let first = process::status("a").map_or(1, |status| status.starts);
        let life = life(first);
        async move {
            life.await;
            std::future::pending::<()>().await;
        }
    });
}

/// What a file holds after one process wrote it and its machine died in this way.
fn after(
    seed: u64,
    death: Death,
    loss: Loss,
    write: fn(File) -> futures::future::BoxFuture<'static, ()>,
) -> Vec<u8> {
    run(seed, move || async move {
        let found: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
        let told = found.clone();
        lives(move |first| {
            let told = told.clone();
            async move {
                if first == 1 {
                    let file = File::create(path("/f")).await.unwrap();
                    disk::sync_dir(path("/")).await.unwrap();
                    write(file).await;
                } else {
                    *told.lock().unwrap() = Some(disk::read(path("/f")).await.unwrap());
                }
            }
        });
        pass(100).await;
        control("a").unwrap().losing(loss);
        process::kill("a", death);
        process::restart("a");
        pass(100).await;
        let found = found.lock().unwrap().take();
        found.expect("the file was read")
    })
}

fn half_synced(file: File) -> futures::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        file.append(&[1; 700]).await.unwrap();
        file.sync().await.unwrap();
        file.append(&[2; 3_000]).await.unwrap();
    })
}

#[test]
fn a_crash_keeps_everything_written() {
    let found = after(1, Death::Process, Loss::Drawn, half_synced);
    assert_eq!(found, [vec![1; 700], vec![2; 3_000]].concat());
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_any_part_of_the_rest() {
    let (mut lengths, mut torn, mut odd) = (BTreeSet::new(), 0, 0);
    for seed in 0..60 {
        let found = after(seed, Death::Power, Loss::Drawn, half_synced);
        assert!((700..=3_700).contains(&found.len()));
        assert_eq!(found[..700], [1; 700]);
        // The first sector boundary behind the synced part is at 1024; holes are whole sectors.
        let holes: Vec<usize> = (700..found.len()).filter(|at| found[*at] == 0).collect();
        for at in &holes {
            let start = (at / 512 * 512).max(700);
            let stop = (at / 512 * 512 + 512).min(found.len());
            assert!(found[start..stop].iter().all(|byte| *byte == 0));
        }
        torn += usize::from(!holes.is_empty());
        odd += usize::from(!found.len().is_multiple_of(512));
        lengths.insert(found.len());
    }
    assert!(lengths.len() > 20 && torn > 5 && odd > 5, "{lengths:?} {torn} {odd}");
}

#[test]
fn losing_nothing_and_losing_everything() {
    assert_eq!(after(1, Death::Power, Loss::Nothing, half_synced).len(), 3_700);
    assert_eq!(after(1, Death::Power, Loss::Unsynced, half_synced), [1; 700]);
}

#[test]
fn an_unsynced_cut_may_be_undone() {
    fn cut(file: File) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            file.append(&[1; 1_000]).await.unwrap();
            file.sync().await.unwrap();
            file.set_len(400).await.unwrap();
            file.set_len(300).await.unwrap();
            file.append(&[2; 10]).await.unwrap();
        })
    }
    assert_eq!(after(1, Death::Power, Loss::Unsynced, cut), [1; 1_000]);
    let lengths: BTreeSet<usize> =
        (0..20).map(|seed| after(seed, Death::Power, Loss::Drawn, cut).len()).collect();
    assert!(lengths.contains(&1_000) && lengths.iter().any(|len| *len <= 310), "{lengths:?}");
    assert_eq!(after(1, Death::Process, Loss::Drawn, cut).len(), 310);
}

/// The names in / after each loss of power in turn.
fn names_after(
    seed: u64,
    loss: Loss,
    change: fn() -> futures::future::BoxFuture<'static, ()>,
) -> Vec<String> {
    run(seed, move || async move {
        let found: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = found.clone();
        lives(move |first| {
            let told = told.clone();
            async move {
                if first == 1 {
                    File::create(path("/old")).await.unwrap().sync().await.unwrap();
                    disk::sync_dir(path("/")).await.unwrap();
                    change().await;
                } else {
                    *told.lock().unwrap() = disk::read_dir(path("/")).await.unwrap();
                }
            }
        });
        pass(100).await;
        control("a").unwrap().losing(loss);
        process::kill("a", Death::Power);
        process::restart("a");
        pass(100).await;
        let found = found.lock().unwrap();
        found.clone()
    })
}

#[test]
fn names_are_durable_after_a_sync_of_the_folder_only() {
    fn change() -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async {
            File::create(path("/new")).await.unwrap().sync().await.unwrap();
            disk::rename(path("/old"), path("/renamed")).await.unwrap();
            disk::remove(path("/new")).await.unwrap();
        })
    }
    fn synced() -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async {
            change().await;
            disk::sync_dir(path("/")).await.unwrap();
        })
    }
    assert_eq!(names_after(1, Loss::Unsynced, change), ["old"]);
    assert_eq!(names_after(1, Loss::Nothing, change), ["renamed"]);
    assert_eq!(names_after(1, Loss::Unsynced, synced), ["renamed"]);
    let seen: BTreeSet<Vec<String>> = (0..40).map(|seed| names_after(seed, Loss::Drawn, change)).collect();
    let all: Vec<Vec<String>> = [&["new", "old"][..], &["new", "renamed"], &["old"], &["renamed"]]
        .map(|names| names.iter().map(|name| name.to_string()).collect())
        .into();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all, "a beginning of the changes survives");
}

#[test]
fn a_lost_removal_brings_the_contents_back() {
    run(1, || async {
        lives(|first| async move {
            if first == 1 {
                let file = File::create(path("/f")).await.unwrap();
                file.append(b"kept").await.unwrap();
                file.sync().await.unwrap();
                disk::sync_dir(path("/")).await.unwrap();
                disk::remove(path("/f")).await.unwrap();
            } else {
                assert_eq!(disk::read(path("/f")).await.unwrap(), b"kept");
            }
        });
        pass(50).await;
        control("a").unwrap().losing(Loss::Unsynced);
        process::kill("a", Death::Power);
        process::restart("a");
        pass(50).await;
        assert_eq!(control("a").unwrap().counters().names_lost, 1);
    });
}

#[test]
fn folders_and_errors_are_as_on_a_real_disk() {
    run(1, || async {
        lives(|_| async {
            disk::create_dir_all(path("/x/y")).await.unwrap();
            disk::create_dir_all(path("/x/y")).await.unwrap();
            for name in ["/x/y/b", "/x/y/a", "/x/y/c"] {
                File::create(path(name)).await.unwrap();
            }
            assert_eq!(disk::read_dir(path("/x/y")).await.unwrap(), ["a", "b", "c"]);
            let kind = |error: std::io::Error| error.kind();
            assert_eq!(File::open(path("/x/none")).await.map_err(kind).unwrap_err(), ErrorKind::NotFound);
            assert_eq!(
                File::open_append(path("/x/none")).await.map_err(kind).unwrap_err(),
                ErrorKind::NotFound
            );
            assert_eq!(File::create(path("/no/f")).await.map_err(kind).unwrap_err(), ErrorKind::NotFound);
            assert_eq!(
                disk::remove(path("/x/y")).await.map_err(kind).unwrap_err(),
                ErrorKind::DirectoryNotEmpty
            );
            assert_eq!(disk::read(path("/x/y")).await.map_err(kind).unwrap_err(), ErrorKind::IsADirectory);
            assert_eq!(disk::read(path("f")).await.map_err(kind).unwrap_err(), ErrorKind::InvalidInput);
            assert!(disk::exists(path("/x/y/a")).await.unwrap());
            disk::rename(path("/x/y/a"), path("/x/a")).await.unwrap();
            assert!(!disk::exists(path("/x/y/a")).await.unwrap());
            let file = File::open_append(path("/x/a")).await.unwrap();
            file.append(b"hello world").await.unwrap();
            assert_eq!(file.read_at(6, 100).await.unwrap(), b"world");
            assert_eq!(file.read_at(60, 100).await.unwrap(), b"");
            assert_eq!(disk::metadata_len(path("/x/a")).await.unwrap(), 11);
            let reader = File::open(path("/x/a")).await.unwrap();
            assert_eq!(reader.append(b"x").await.map_err(kind).unwrap_err(), ErrorKind::PermissionDenied);
            // An open file outlives its name.
            disk::remove(path("/x/a")).await.unwrap();
            file.append(b"!").await.unwrap();
            assert_eq!(reader.len().await.unwrap(), 12);
        });
        pass(500).await;
        assert_eq!(control("a").unwrap().files().len(), 2);
    });
}

#[test]
fn a_lost_rename_brings_back_what_it_replaced() {
    /// What stands in /f after a new version of it was written aside, renamed over it, and the power lost.
    fn left(loss: Loss, folder_synced: bool) -> Vec<u8> {
        run(1, move || async move {
            let found: Arc<Mutex<Vec<u8>>> = Arc::default();
            let told = found.clone();
            lives(move |first| {
                let told = told.clone();
                async move {
                    if first > 1 {
                        *told.lock().unwrap() = disk::read(path("/f")).await.unwrap();
                        return;
                    }
                    for (name, content) in [("/f", &b"old"[..]), ("/aside", b"newer")] {
                        let file = File::create(path(name)).await.unwrap();
                        file.append(content).await.unwrap();
                        file.sync().await.unwrap();
                        disk::sync_dir(path("/")).await.unwrap();
                    }
                    disk::rename(path("/aside"), path("/f")).await.unwrap();
                    assert_eq!(disk::read(path("/f")).await.unwrap(), b"newer");
                    if folder_synced {
                        disk::sync_dir(path("/")).await.unwrap();
                    }
                }
            });
            pass(100).await;
            control("a").unwrap().losing(loss);
            process::kill("a", Death::Power);
            process::restart("a");
            pass(100).await;
            let found = found.lock().unwrap();
            found.clone()
        })
    }
    assert_eq!(left(Loss::Unsynced, false), b"old");
    assert_eq!(left(Loss::Unsynced, true), b"newer");
    assert_eq!(left(Loss::Nothing, false), b"newer");
}

#[test]
fn a_folder_that_was_not_synced_is_lost_with_all_that_is_in_it() {
    fn change() -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async {
            disk::create_dir_all(path("/x/y")).await.unwrap();
            let file = File::create(path("/x/y/f")).await.unwrap();
            file.append(b"synced").await.unwrap();
            file.sync().await.unwrap();
            disk::sync_dir(path("/x/y")).await.unwrap();
            disk::sync_dir(path("/x")).await.unwrap();
        })
    }
    assert_eq!(names_after(1, Loss::Unsynced, change), ["old"], "nobody synced the root");
    assert_eq!(names_after(1, Loss::Nothing, change), ["old", "x"]);
}

#[test]
fn a_sync_covers_what_was_written_before_it_began() {
    fn write(file: File) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            file.append(b"before").await.unwrap();
            // A sync takes a millisecond at the least, an append none.
            let (synced, appended) = futures::join!(file.sync(), async {
                pass(0).await;
                file.append(b" meanwhile").await
            });
            synced.and(appended).unwrap();
            assert_eq!(file.len().await.unwrap(), 16);
        })
    }
    assert_eq!(after(1, Death::Power, Loss::Unsynced, write), b"before");
    assert_eq!(after(1, Death::Power, Loss::Nothing, write), b"before meanwhile");
}

#[test]
fn destructors_of_a_dead_process_cannot_touch_its_disk() {
    struct LastWords(Option<File>);
    impl Drop for LastWords {
        fn drop(&mut self) {
            let file = self.0.take().unwrap();
            // As far as a destructor can get: polling once, and leaving tasks behind.
            futures::FutureExt::now_or_never(file.append(b"from the grave"));
            futures::FutureExt::now_or_never(file.sync());
            futures::FutureExt::now_or_never(disk::remove(Path::new("/f")));
            futures::FutureExt::now_or_never(disk::rename(Path::new("/f"), Path::new("/g")));
            futures::FutureExt::now_or_never(disk::sync_dir(Path::new("/")));
            madsim::task::spawn(async move {
                let _ = file.append(b"still from the grave").await;
                let _ = file.sync().await;
                let _ = File::create(Path::new("/f")).await;
                let _ = File::create(Path::new("/g")).await;
            });
        }
    }
    for (death, left) in [(Death::Process, 13), (Death::Power, 6)] {
        run(1, move || async move {
            lives(|first| async move {
                if first == 1 {
                    let words = LastWords(Some(File::create(path("/f")).await.unwrap()));
                    let file = words.0.as_ref().unwrap();
                    file.append(b"synced").await.unwrap();
                    file.sync().await.unwrap();
                    disk::sync_dir(path("/")).await.unwrap();
                    file.append(b", alive").await.unwrap();
                    std::future::pending::<()>().await;
                }
            });
            control("a").unwrap().losing(Loss::Unsynced);
            for _ in 0..2 {
                pass(50).await;
                process::kill("a", death);
                process::restart("a");
                pass(50).await;
                assert_eq!(control("a").unwrap().files(), [("/f".to_string(), left)]);
            }
        });
    }
}

#[test]
fn a_handle_of_an_earlier_life_is_void() {
    thread_local! {
        static SMUGGLED: std::cell::RefCell<Option<File>> = const { std::cell::RefCell::new(None) };
    }
    run(1, || async {
        let tried: Arc<Mutex<bool>> = Arc::default();
        let told = tried.clone();
        lives(move |first| {
            let told = told.clone();
            async move {
                if first == 1 {
                    let file = File::create(path("/f")).await.unwrap();
                    file.append(b"mine").await.unwrap();
                    SMUGGLED.set(Some(file));
                    return;
                }
                let file = SMUGGLED.take().expect("left by the first life");
                file.append(b"yours").await.unwrap_err();
                file.sync().await.unwrap_err();
                file.set_len(0).await.unwrap_err();
                file.read_at(0, 4).await.unwrap_err();
                *told.lock().unwrap() = true;
            }
        });
        pass(50).await;
        process::kill("a", Death::Process);
        process::restart("a");
        pass(50).await;
        assert!(*tried.lock().unwrap());
        assert_eq!(control("a").unwrap().files(), [("/f".to_string(), 4)]);
    });
}

/// A process that is killed in the midst of an operation: it never takes effect, however long it takes.
#[test]
fn an_operation_under_way_dies_with_its_process() {
    run(1, || async {
        lives(|first| async move {
            if first == 1 {
                File::create(path("/f")).await.unwrap().append(b"x").await.unwrap();
                control("a").unwrap().slow(Some(millis(100)..millis(101)));
                File::open_append(path("/f")).await.unwrap().append(b"never").await.unwrap();
            }
        });
        pass(150).await; // opened, and appending
        process::kill("a", Death::Process);
        process::restart("a");
        pass(1_000).await;
        assert_eq!(control("a").unwrap().files(), [("/f".to_string(), 1)]);
        assert_eq!(control("a").unwrap().ops(), 4, "create, append, open, append");
    });
}

const fn millis(count: u64) -> std::time::Duration {
    std::time::Duration::from_millis(count)
}
