//! Processes: start, crash, loss of power, pause, exit, and what a dead one can still do.

use crate::{pass, run, start};
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use world::process::{self, Death};

fn counting(name: &str) -> Arc<AtomicU64> {
    let beats = Arc::new(AtomicU64::new(0));
    let count = beats.clone();
    start(name, move || {
        let count = count.clone();
        async move {
            loop {
                pass(10).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    beats
}

#[test]
fn a_killed_process_does_nothing_until_it_is_restarted() {
    run(1, || async {
        let beats = counting("a");
        pass(105).await;
        let before = beats.load(Ordering::Relaxed);
        assert!(before >= 9);
        assert!(process::kill("a", Death::Process));
        assert!(!process::kill("a", Death::Process), "it is dead already");
        assert!(!process::kill("nobody", Death::Process));
        pass(100).await;
        assert_eq!(beats.load(Ordering::Relaxed), before);
        assert!(process::restart("a"));
        assert!(!process::restart("a"), "it runs already");
        pass(100).await;
        assert!(beats.load(Ordering::Relaxed) > before);
        let status = process::status("a").unwrap();
        assert_eq!((status.starts, status.crashes, status.power_cuts, status.up), (2, 1, 0, true));
    });
}

#[test]
fn a_paused_process_goes_on_where_it_stopped() {
    run(2, || async {
        let beats = counting("a");
        pass(50).await;
        assert!(process::pause("a"));
        assert!(!process::pause("a"));
        pass(1).await;
        let before = beats.load(Ordering::Relaxed);
        pass(500).await;
        assert_eq!(beats.load(Ordering::Relaxed), before);
        assert!(process::resume("a"));
        assert!(!process::resume("a"));
        pass(50).await;
        assert!(beats.load(Ordering::Relaxed) > before);
    });
}

#[test]
fn a_paused_process_can_be_killed() {
    run(3, || async {
        let beats = counting("a");
        pass(50).await;
        process::pause("a");
        pass(50).await;
        assert!(process::kill("a", Death::Power));
        let before = beats.load(Ordering::Relaxed);
        pass(50).await;
        assert_eq!(beats.load(Ordering::Relaxed), before);
        assert!(process::restart("a"));
        pass(50).await;
        assert!(beats.load(Ordering::Relaxed) > before);
    });
}

#[test]
fn the_boot_id_changes_with_a_loss_of_power_only() {
    run(4, || async {
        let seen: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
        let ids = seen.clone();
        start("a", move || {
            let ids = ids.clone();
            async move {
                ids.lock().unwrap().push(process::boot_id());
                std::future::pending::<()>().await;
            }
        });
        pass(1).await;
        for death in [Death::Process, Death::Power] {
            process::kill("a", death);
            process::restart("a");
            pass(1).await;
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0], seen[1]);
        assert_ne!(seen[1], seen[2]);
        assert_eq!(seen[0].len(), 36);
    });
}

#[test]
fn a_main_that_returns_ends_the_process_and_its_other_tasks() {
    run(5, || async {
        let beats = Arc::new(AtomicU64::new(0));
        let count = beats.clone();
        let main = move || {
            let count = count.clone();
            async move {
                madsim::task::spawn(async move {
                    loop {
                        pass(1).await;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
                pass(20).await;
                Err("the disk is full".to_string())
            }
        };
        let handle = madsim::runtime::Handle::current();
        process::create(&handle, "a", [10, 0, 0, 1].into(), main);
        pass(50).await;
        let status = process::status("a").unwrap();
        assert!(!status.up);
        assert_eq!(status.exit, Some(Err("the disk is full".into())));
        let before = beats.load(Ordering::Relaxed);
        pass(50).await;
        assert_eq!(beats.load(Ordering::Relaxed), before);
        assert!(process::restart("a"));
        pass(10).await;
        assert!(process::status("a").unwrap().up);
        assert!(beats.load(Ordering::Relaxed) > before);
    });
}

thread_local! {
    static DROPS: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn a_dead_process_knows_nothing_of_its_next_life() {
    struct Guard(u64);
    impl Drop for Guard {
        fn drop(&mut self) {
            let node = madsim::plugin::node();
            let mine = process::is_up(node) && process::incarnation(node) == self.0;
            DROPS.with_borrow_mut(|drops| drops.push(mine));
        }
    }
    run(6, || async {
        start("a", || async {
            let _guard = Guard(process::incarnation(madsim::plugin::node()));
            std::future::pending::<()>().await;
        });
        pass(1).await;
        process::kill("a", Death::Process);
        process::restart("a");
        pass(1).await;
        assert_eq!(DROPS.take(), [false]);
    });
}

#[test]
fn draws_of_a_process_depend_on_seed_name_and_start() {
    let draws = |seed| {
        run(seed, || async {
            let seen: Arc<std::sync::Mutex<Vec<u64>>> = Arc::default();
            for name in ["a", "b"] {
                let seen = seen.clone();
                start(name, move || {
                    let seen = seen.clone();
                    async move {
                        seen.lock().unwrap().push(process::random(rand::RngCore::next_u64));
                        std::future::pending::<()>().await;
                    }
                });
                pass(1).await;
            }
            process::kill("a", Death::Process);
            process::restart("a");
            pass(1).await;
            let seen = seen.lock().unwrap();
            seen.clone()
        })
    };
    let first = draws(7);
    assert_eq!(first, draws(7));
    assert_ne!(first, draws(8));
    assert_eq!(std::collections::BTreeSet::from_iter(&first).len(), 3);
}
