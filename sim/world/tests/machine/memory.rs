//! Memory: what gauges add up to, and what becomes of who holds more than it may.

use crate::{pass, run, start};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use world::{
    memory::{self, Gauge},
    process::{self, Death},
    record,
};

/// Takes ten bytes each millisecond, and does so again after each start. Gives how often it has.
fn hungry(name: &str) -> impl Fn() -> u64 {
    let taken = Arc::new(AtomicU64::new(0));
    let count = taken.clone();
    start(name, move || {
        let count = count.clone();
        async move {
            let gauge = Gauge::new("food");
            loop {
                pass(1).await;
                gauge.add(10);
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    move || taken.load(Ordering::Relaxed)
}

/// Two gauges of one part and one of another, kept for ever.
fn settled(name: &str) {
    start(name, || async {
        let gauges = [("a", 5), ("b", 70), ("a", 20)].map(|(part, bytes)| {
            let gauge = Gauge::new(part);
            gauge.set(bytes);
            gauge
        });
        std::future::pending::<()>().await;
        drop(gauges);
    });
}

#[test]
fn a_process_holds_what_its_gauges_say_and_nothing_when_it_is_dead() {
    run(1, || async {
        settled("one");
        settled("other");
        pass(1).await;
        assert_eq!(memory::held("one"), (95, vec![("b", 70), ("a", 25)]));
        process::kill("one", Death::Process);
        pass(1).await;
        assert_eq!((memory::held("one"), memory::held("other").0), ((0, vec![]), 95));
        process::restart("one");
        pass(1).await;
        assert_eq!(memory::held("one").0, 95);
    });
}

#[test]
fn a_gauge_goes_up_and_down_and_takes_along_what_it_counted() {
    run(1, || async {
        start("one", || async {
            let gauge = Gauge::new("a");
            gauge.add(30);
            pass(2).await;
            gauge.sub(10);
            let clone = gauge.clone();
            drop(gauge);
            pass(2).await;
            clone.set(7);
            pass(2).await;
            drop(clone);
            std::future::pending().await
        });
        let mut held = vec![];
        for _ in 0..4 {
            pass(if held.is_empty() { 1 } else { 2 }).await;
            held.push(memory::held("one").0);
        }
        assert_eq!(held, [30, 20, 7, 0]);
    });
}

/// What a dead process's destructors take off is not taken off the process that came after it.
#[test]
fn late_destructors_have_no_effect() {
    run(1, || async {
        let kept: Arc<std::sync::Mutex<Vec<Gauge>>> = Arc::default();
        let own = kept.clone();
        start("one", move || {
            let own = own.clone();
            async move {
                let gauge = Gauge::new("a");
                gauge.set(50);
                own.lock().unwrap().push(gauge);
                std::future::pending().await
            }
        });
        pass(1).await;
        process::kill("one", Death::Process);
        process::restart("one");
        pass(1).await;
        let dead = kept.lock().unwrap().remove(0);
        dead.add(1_000);
        assert_eq!(memory::held("one").0, 50);
        drop(dead);
        assert_eq!(memory::held("one").0, 50);
    });
}

/// Kills whoever goes over, as a kernel does; gives what it held each time.
async fn kernel(name: &str, limit: u64, times: usize) -> Vec<u64> {
    let mut kills = vec![];
    for _ in 0..times {
        let over = memory::over(name, limit).await;
        assert_eq!(over.parts.iter().map(|(_, bytes)| bytes).sum::<u64>(), over.held);
        kills.push(over.held);
        assert!(process::kill(name, Death::Process));
        assert_eq!(memory::held(name).0, 0);
        pass(5).await;
        process::restart(name);
    }
    kills
}

#[test]
fn who_holds_more_than_it_may_is_over_it_until_it_dies_and_again_in_its_next_life() {
    let world = || {
        run(3, || async {
            let (one, other) = (hungry("one"), hungry("other"));
            pass(1).await;
            assert!(memory::limit("one", Some(200)) && !memory::limit("nobody", Some(1)));
            let kills = kernel("one", 200, 3).await;
            assert!(kills.iter().all(|held| (201..=210).contains(held)), "{kills:?}");
            assert!(memory::limit("one", None));
            let before = one();
            pass(100).await;
            assert!(one() > before + 80 && other() > 100, "it lives");
            (record::digest(), record::events())
        })
    };
    assert_eq!(world(), world(), "as often as one likes");
}

#[test]
fn a_limit_below_what_is_held_is_gone_over_at_once_and_one_that_is_lifted_is_not() {
    run(1, || async {
        settled("one");
        pass(1).await;
        memory::limit("one", Some(95));
        let over = |bytes| soon(memory::over("one", bytes));
        assert_eq!(over(95).await, None);
        memory::limit("one", Some(94));
        assert_eq!(over(95).await, None, "who waits for more is not told");
        assert_eq!(over(94).await, Some(95));
        memory::limit("one", None);
        assert_eq!(over(94).await, None);
    });
}

/// What it held, if it is over within three milliseconds.
async fn soon(over: impl Future<Output = memory::Over>) -> Option<u64> {
    tokio::select! {
        biased;
        over = over => Some(over.held),
        () = pass(3) => None,
    }
}
