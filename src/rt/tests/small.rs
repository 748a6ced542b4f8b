//! Time, signals, randomness, files and peers, the same in both builds.

use bytes::Bytes;
use rt::{fs, net::Peers, sync::Signal};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn waiting_takes_its_time() {
    rt::testing::run(1, || async {
        let start = rt::now();
        rt::sleep(MS(20)).await;
        assert!(start.elapsed() >= MS(20) && start.elapsed() < MS(500));
        assert!(rt::timeout(MS(10), std::future::pending::<()>()).await.is_err());
        assert_eq!(rt::timeout(Duration::MAX, async { 7 }).await, Ok(7));
        let mut ticks = rt::interval(MS(10));
        let first = ticks.tick().await;
        rt::sleep(MS(35)).await;
        ticks.tick().await; // late
        let third = ticks.tick().await;
        assert_eq!((third - first).as_millis() % 10, 0, "ticks keep their distance");
        assert!(third - first >= MS(40));
    });
}

/// In the tank the clocks are the process's own, and every way of waiting follows the monotonic one.
#[cfg(madsim)]
#[test]
fn waits_and_readings_follow_the_clock_of_the_process() {
    use world::clock;
    async fn takes(wait: impl Future) -> u128 {
        let begun = clock::elapsed();
        wait.await;
        (clock::elapsed() - begun).as_millis()
    }
    rt::testing::run(1, || async {
        clock::drift("test", -500_000); // half the pace
        let start = rt::now();
        assert_eq!(takes(rt::sleep(MS(100))).await, 200);
        assert_eq!(takes(rt::timeout(MS(100), std::future::pending::<()>())).await, 200);
        let mut ticks = rt::interval(MS(100));
        ticks.tick().await;
        assert_eq!(takes(ticks.tick()).await, 200);
        assert_eq!(start.elapsed().as_millis(), 300, "by its own clock nothing was late");
        clock::drift("test", 0);

        let (mono, wall) = (rt::now(), rt::wall());
        clock::step("test", -3_600_000_000_000);
        assert_eq!(wall.since(rt::wall()).as_secs(), 3_600);
        assert!(mono.elapsed() < MS(1), "a step does not touch the monotonic clock");

        clock::freeze("test");
        let (mono, wall) = (rt::now(), rt::wall());
        let asleep = rt::spawn(rt::sleep(MS(10)));
        world::timers::wait(Duration::from_secs(60)).await;
        assert!(!asleep.is_finished() && mono == rt::now() && wall == rt::wall());
        clock::thaw("test", false);
        assert_eq!(takes(asleep).await, 10);
    });
}

#[test]
fn the_first_ready_arm_wins() {
    rt::testing::run(2, || async {
        for _ in 0..100 {
            let chosen = rt::select! {
                () = std::future::ready(()) => 1,
                () = std::future::ready(()) => 2,
            };
            assert_eq!(chosen, 1);
        }
    });
}

#[test]
fn a_signal_reaches_everyone_and_misses_nothing() {
    rt::testing::run(3, || async {
        let signal = Signal::new();
        let waiting: Vec<_> = (0..3).map(|_| rt::spawn(signal.changed(0))).collect();
        rt::sleep(MS(5)).await;
        drop(signal.changed(0));
        signal.set();
        for task in waiting {
            assert_eq!(task.await.unwrap(), 1);
        }
        signal.set();
        assert_eq!(signal.changed(1).await, 2);
        assert!(rt::timeout(MS(5), signal.changed(2)).await.is_err());
    });
}

#[test]
fn random_draws_differ() {
    rt::testing::run(4, || async {
        assert_ne!(rt::random_u64(), rt::random_u64());
        assert_eq!(rt::random_bytes(7).len(), 7);
        assert!((3..9).contains(&rt::random_range(3..9)));
        assert_eq!(rt::boot_id(), rt::boot_id());
        assert!(rt::wall() > rt::Wall::parse("2025-01-01T00:00:00Z").unwrap());
    });
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("rt-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[test]
fn files_keep_what_is_written() {
    let folder = folder("files");
    let path = folder.join("deep/log");
    rt::testing::run(5, move || async move {
        fs::create_dir_all(path.parent().unwrap()).await.unwrap();
        assert!(!fs::exists(&path).await.unwrap());
        assert!(fs::File::open(&path).await.is_err());
        let file = fs::File::create(&path).await.unwrap();
        file.append(b"hello ").await.unwrap();
        file.append(b"world").await.unwrap();
        file.sync().await.unwrap();
        assert_eq!(file.len().await.unwrap(), 11);
        assert_eq!(file.read_at(6, 100).await.unwrap(), b"world");
        file.set_len(5).await.unwrap();
        drop(file);
        let file = fs::File::open_append(&path).await.unwrap();
        file.append(b"!").await.unwrap();
        file.sync().await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), b"hello!");
        let other = folder.join("deep/a");
        fs::rename(&path, &other).await.unwrap();
        fs::File::create(&folder.join("deep/b")).await.unwrap();
        fs::sync_dir(&folder.join("deep")).await.unwrap();
        assert_eq!(fs::read_dir(&folder.join("deep")).await.unwrap(), ["a", "b"]);
        assert_eq!(fs::metadata_len(&other).await.unwrap(), 6);
        fs::remove(&other).await.unwrap();
        assert_eq!(fs::read_dir(&folder.join("deep")).await.unwrap(), ["b"]);
    });
}

#[test]
fn what_could_not_be_written_is_told_by_the_sync_at_the_latest() {
    let folder = folder("unwritten");
    let path = folder.join("log");
    rt::testing::run(5, move || async move {
        fs::create_dir_all(&folder).await.unwrap();
        fs::File::create(&path).await.unwrap().sync().await.unwrap();
        let file = fs::File::open(&path).await.unwrap();
        let appended = file.append(b"not for reading only").await;
        let told = match appended {
            Ok(()) => file.sync().await,
            refused => refused,
        };
        assert!(told.is_err());
        assert_eq!(fs::metadata_len(&path).await.unwrap(), 0);
    });
}

#[cfg(not(madsim))]
#[test]
fn a_folder_has_one_owner() {
    let folder = folder("lock");
    rt::testing::run(6, move || async move {
        fs::create_dir_all(&folder).await.unwrap();
        let lock = fs::lock_dir(&folder).await.unwrap();
        let error = fs::lock_dir(&folder).await.unwrap_err();
        assert!(error.to_string().contains("another process uses this folder"), "{error}");
        drop(lock);
        fs::lock_dir(&folder).await.unwrap();
    });
}

#[test]
fn peers_exchange_frames_of_any_size() {
    rt::testing::run(7, || async {
        let (one, two) = (([127, 0, 0, 1], 7_411).into(), ([127, 0, 0, 1], 7_412).into());
        let (a, b) = (Peers::bind(one, None).await.unwrap(), Peers::bind(two, None).await.unwrap());
        for size in [0, 1, 1_000, rt::net::MAX_FRAME] {
            let frame = Bytes::from(vec![7; size]);
            a.send(two, frame.clone());
            assert_eq!(b.recv().await.unwrap(), frame);
            b.send(one, frame.clone());
            assert_eq!(a.recv().await.unwrap(), frame);
        }
        a.send(SocketAddr::from(([127, 0, 0, 1], 7_413)), Bytes::from("nobody there")); // lost
        drop(b);
        rt::sleep(MS(50)).await;
        let b = Peers::bind(two, None).await.unwrap();
        let mut tries = 0;
        while rt::timeout(MS(100), b.recv()).await.is_err() {
            tries += 1;
            assert!(tries < 50, "a peer that came back is never reached");
            a.send(two, Bytes::from("again"));
        }
    });
}
