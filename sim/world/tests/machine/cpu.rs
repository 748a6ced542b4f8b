//! CPUs: what a slow one does to the steps of its process, and to nobody else's.

use crate::{pass, run, start};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use world::{
    cpu,
    process::{self, Death},
};

const TASKS: u64 = 4;

/// Each of its tasks takes a step each millisecond, if it can.
fn busy(name: &str) -> impl Fn() -> u64 {
    let steps = Arc::new(AtomicU64::new(0));
    let count = steps.clone();
    start(name, move || {
        let count = count.clone();
        async move {
            for _ in 0..TASKS {
                let count = count.clone();
                tokio::spawn(cpu::paced(async move {
                    loop {
                        pass(1).await;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }));
            }
            std::future::pending().await
        }
    });
    move || steps.load(Ordering::Relaxed)
}

fn slow(name: &str, each_ms: u64) -> bool {
    let each = Duration::from_millis(each_ms);
    cpu::slow(name, (each_ms > 0).then_some(each..each))
}

#[test]
fn steps_of_a_slow_process_follow_one_another_and_others_are_as_fast_as_ever() {
    run(1, || async {
        let (a, b) = (busy("a"), busy("b"));
        pass(1).await;
        assert!(slow("a", 1) && !slow("nobody", 1));
        let (a_before, b_before) = (a(), b());
        pass(100).await;
        let (a_did, b_did) = (a() - a_before, b() - b_before);
        assert!((95..=100).contains(&a_did), "{a_did}");
        assert!(b_did > 350, "{b_did}");
        let counters = cpu::counters("a");
        assert!((95..=105).contains(&counters.steps), "{counters:?}");
        assert_eq!(counters.busy, Duration::from_millis(counters.steps));
        assert!(counters.longest >= Duration::from_millis(3) && counters.longest <= Duration::from_millis(4));
        assert_eq!(cpu::counters("b"), cpu::Counters::default());
    });
}

#[test]
fn what_waits_for_its_turn_when_the_cpu_is_fast_again_has_it_at_once() {
    run(2, || async {
        let a = busy("a");
        pass(1).await;
        slow("a", 10_000);
        pass(50).await;
        let before = a();
        slow("a", 0);
        pass(20).await;
        assert!(a() - before > 15 * TASKS, "{}", a() - before);
    });
}

#[test]
fn a_process_that_starts_again_finds_its_core_free() {
    run(3, || async {
        let a = busy("a");
        pass(1).await;
        slow("a", 10_000);
        pass(50).await;
        assert!(process::kill("a", Death::Process));
        slow("a", 1);
        assert!(process::restart("a"));
        let before = a();
        pass(50).await;
        assert!(a() - before > 30, "{}", a() - before);
    });
}
