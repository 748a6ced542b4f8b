//! Clocks and waits: in peace they are true, and harm moves those of one process only.

use crate::{pass, run, start};
use std::{sync::Arc, sync::Mutex, time::Duration};
use world::{clock, process, timers};

const MS: u64 = 1_000_000;

fn idle(name: &str) -> madsim::task::NodeId {
    start(name, std::future::pending::<()>);
    process::node_of(name).unwrap()
}

/// The true milliseconds at which a process wakes that sleeps for so many by its own clock.
fn sleeper(name: &str, millis: u64) -> Arc<Mutex<Option<u64>>> {
    let woke: Arc<Mutex<Option<u64>>> = Arc::default();
    let told = woke.clone();
    start(name, move || {
        let told = told.clone();
        async move {
            timers::sleep_until(clock::mono() + millis * MS).await;
            *told.lock().unwrap() = Some(clock::elapsed().as_millis() as u64);
            std::future::pending::<()>().await;
        }
    });
    woke
}

#[test]
fn in_peace_clocks_run_with_true_time() {
    run(1, || async {
        let (a, b) = (idle("a"), idle("b"));
        pass(1).await;
        let (mono, wall, at) = (clock::mono_of(a), clock::wall_of(a), clock::elapsed());
        pass(10_000).await;
        let passed = (clock::elapsed() - at).as_nanos() as u64;
        assert_eq!(clock::mono_of(a) - mono, passed);
        assert_eq!(clock::wall_of(a) - wall, passed);
        assert_eq!(clock::wall_of(a), clock::BASE_DATE + clock::elapsed().as_nanos() as u64);
        assert_ne!(clock::mono_of(a), clock::mono_of(b), "a monotonic clock means nothing elsewhere");
        assert_eq!(clock::error("a"), Some(0));
    });
}

#[test]
fn a_step_moves_the_wall_clock_of_one_process_only() {
    run(2, || async {
        let (a, b) = (idle("a"), idle("b"));
        let (mono, wall) = (clock::mono_of(a), clock::wall_of(a));
        assert!(clock::step("a", -3_000_000_000));
        assert!(!clock::step("nobody", 1));
        assert_eq!(clock::mono_of(a), mono);
        assert_eq!(clock::wall_of(a), wall - 3_000_000_000);
        assert_eq!(clock::wall_of(b), wall);
        clock::skew("a", 500);
        assert_eq!(clock::error("a"), Some(500));
        let moved = clock::moved("a").unwrap();
        assert_eq!((moved.steps, moved.stepped), (2, 6_000_000_500));
        clock::heal("a");
        assert_eq!(clock::error("a"), Some(0));
    });
}

#[test]
fn a_drifting_clock_wakes_its_sleepers_early_or_late() {
    run(3, || async {
        let (fast, slow) = (sleeper("fast", 1_000), sleeper("slow", 1_000));
        pass(100).await;
        clock::drift("fast", 500_000);
        clock::drift("slow", -500_000);
        pass(3_000).await;
        // 100 ms at the true pace, 900 ms at one and a half or half of it.
        assert_eq!(*fast.lock().unwrap(), Some(700));
        assert_eq!(*slow.lock().unwrap(), Some(1_900));
        let moved = clock::moved("fast").unwrap();
        assert!(moved.drifted.abs_diff(1_500 * MS) < 2 * MS, "{moved:?}");
        assert!(clock::error("slow").unwrap() < -1_400_000_000);
    });
}

#[test]
fn a_frozen_clock_wakes_nobody() {
    run(4, || async {
        let (sleeps, other) = (sleeper("a", 1_000), sleeper("b", 1_000));
        pass(400).await;
        clock::freeze("a");
        let a = process::node_of("a").unwrap();
        let shown = (clock::mono_of(a), clock::wall_of(a));
        pass(5_000).await;
        assert_eq!(*sleeps.lock().unwrap(), None);
        assert_eq!(*other.lock().unwrap(), Some(1_000), "b's clock is b's");
        assert_eq!((clock::mono_of(a), clock::wall_of(a)), shown, "both clocks stand still");
        clock::moved("a");
        clock::thaw("a", false);
        pass(1_000).await;
        assert_eq!(*sleeps.lock().unwrap(), Some(6_000));
        assert!(clock::moved("a").unwrap().frozen.abs_diff(5_000 * MS) < 2 * MS);
        clock::heal("a");
        assert_eq!(clock::error("a"), Some(0));
    });
}

#[test]
fn a_clock_that_catches_up_jumps_forward() {
    run(5, || async {
        let sleeps = sleeper("a", 1_000);
        pass(400).await;
        clock::freeze("a");
        pass(5_000).await;
        clock::moved("a");
        clock::thaw("a", true);
        pass(10).await;
        assert_eq!(*sleeps.lock().unwrap(), Some(5_400));
        assert!(clock::error("a").unwrap().abs() < 1_000_000);
    });
}

#[test]
fn a_reboot_starts_the_monotonic_clock_anew_and_keeps_the_date() {
    run(6, || async {
        let a = idle("a");
        clock::step("a", 7_000_000_000);
        pass(1_000).await;
        let (mono, wall) = (clock::mono_of(a), clock::wall_of(a));
        process::kill("a", process::Death::Power);
        assert_ne!(clock::mono_of(a), mono);
        assert!(clock::wall_of(a).abs_diff(wall) < MS);
    });
}

#[test]
fn dropped_waits_leave_nothing_behind() {
    run(7, || async {
        for _ in 0..1_000 {
            let mut long = std::pin::pin!(timers::wait(Duration::from_secs(3_600)));
            let short = timers::wait(Duration::from_millis(2));
            tokio::select! { biased; () = &mut long => unreachable!(), () = short => {} }
        }
        assert_eq!(timers::pending(), 0);
        let begun = clock::elapsed();
        pass(50).await;
        assert_eq!((clock::elapsed() - begun).as_millis(), 50);
    });
}

#[test]
fn waits_end_in_order_and_on_time() {
    run(8, || async {
        let order: Arc<Mutex<Vec<u64>>> = Arc::default();
        let begun = clock::elapsed();
        for millis in [30, 10, 20, 10, 5] {
            let order = order.clone();
            madsim::task::spawn(async move {
                pass(millis).await;
                let late = clock::elapsed() - begun - Duration::from_millis(millis);
                assert!(late < Duration::from_millis(1), "{late:?} late");
                order.lock().unwrap().push(millis);
            });
        }
        pass(100).await;
        assert_eq!(*order.lock().unwrap(), [5, 10, 10, 20, 30]);
    });
}

#[test]
fn what_is_wrong_with_a_clock_outlives_crash_and_reboot() {
    run(9, || async {
        let a = idle("a");
        clock::drift("a", 100_000);
        for death in [process::Death::Process, process::Death::Power] {
            process::kill("a", death);
            process::restart("a");
            let (mono, wall, at) = (clock::mono_of(a), clock::wall_of(a), clock::elapsed());
            pass(1_000).await;
            let passed = (clock::elapsed() - at).as_nanos() as u64;
            assert!((clock::mono_of(a) - mono).abs_diff(passed * 11 / 10) < 10, "after {death:?}");
            assert!((clock::wall_of(a) - wall).abs_diff(passed * 11 / 10) < 10, "after {death:?}");
        }
    });
}

/// Whatever is done to a clock: its monotonic side never goes back, never runs by the time of another process,
/// and nobody who sleeps wakes before it shows the time he asked for, nor long after.
#[test]
fn whatever_is_done_to_a_clock_waits_end_by_it() {
    use rand::Rng;
    for seed in 0..20 {
        run(seed, move || async move {
            let mut draws = base::stream::stream(seed, "harm to clocks");
            let naps = Arc::new(Mutex::new(0u64));
            let count = naps.clone();
            start("a", move || {
                let (count, mut draws) = (count.clone(), base::stream::stream(seed, "naps"));
                async move {
                    loop {
                        let until = clock::mono() + draws.gen_range(1..400) * MS;
                        timers::sleep_until(until).await;
                        let late = clock::mono().checked_sub(until).expect("nobody wakes too early");
                        assert!(late < 2 * MS, "{late} ns too late");
                        *count.lock().unwrap() += 1;
                    }
                }
            });
            let (a, b) = (process::node_of("a").unwrap(), idle("b"));
            let (mut last, begun) = (clock::mono_of(a), (clock::mono_of(b), clock::elapsed()));
            for _ in 0..300 {
                match draws.gen_range(0..5) {
                    0 => clock::step("a", draws.gen_range(-5_000_000_000..5_000_000_000)),
                    1 => clock::drift("a", draws.gen_range(-clock::MAX_DRIFT_PPM..=clock::MAX_DRIFT_PPM)),
                    2 => clock::freeze("a"),
                    3 => clock::thaw("a", false),
                    _ => clock::heal("a"),
                };
                pass(draws.gen_range(1..100)).await;
                let shown = clock::mono_of(a);
                assert!(shown >= last, "it went back from {last} to {shown}");
                last = shown;
            }
            assert!(*naps.lock().unwrap() > 10);
            assert_eq!(clock::mono_of(b) - begun.0, (clock::elapsed() - begun.1).as_nanos() as u64);
        });
    }
}
