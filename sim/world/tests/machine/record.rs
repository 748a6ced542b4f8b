//! The record: equal runs have equal digests, and unequal ones show where they part.

use crate::{pass, run, start};
use std::{sync::Arc, sync::Mutex, time::Duration};
use world::record::{self, Checkpoint};

/// A small run: its digest, checkpoints and the lines of two events.
fn small(seed: u64, odd: bool) -> (String, Vec<Checkpoint>, Vec<String>) {
    run(seed, move || async move {
        record::checkpoint_every(10);
        record::capture(4..6);
        start("a", std::future::pending::<()>);
        let node = world::process::node_of("a").unwrap();
        for number in 0..30u64 {
            pass(1).await;
            let payload = if odd && number == 17 { 99 } else { number };
            record::event(node, "count", payload, || format!("to {payload}"));
        }
        assert_eq!(record::events(), 30);
        let lines = record::take_lines().iter().map(|line| line.to_string()).collect();
        (record::digest(), record::checkpoints(), lines)
    })
}

#[test]
fn the_same_seed_gives_the_same_digest() {
    assert_eq!(small(1, false), small(1, false));
    assert_ne!(small(1, false).0, small(2, false).0);
    assert_eq!(small(1, false).0.len(), 32);
}

#[test]
fn checkpoints_show_where_two_runs_part() {
    let (one, other) = (small(1, false), small(1, true));
    assert_ne!(one.0, other.0);
    let same: Vec<bool> = one.1.iter().zip(&other.1).map(|(a, b)| a == b).collect();
    assert_eq!(same, [true, false, false]);
    assert_eq!(one.1[1].events, 20);
}

#[test]
fn captured_events_are_lines() {
    let lines = small(1, false).2;
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("4 0.005") && lines[0].ends_with(" a count to 4"), "{lines:?}");
}

#[test]
fn notes_reach_the_sink_and_the_digest() {
    let told = |text: &'static str| {
        run(1, move || async move {
            let seen: Arc<Mutex<Vec<(Duration, String, base::Note)>>> = Arc::default();
            let sink = seen.clone();
            record::set_note_sink(Box::new(move |at, process, note| {
                sink.lock().unwrap().push((at, process.to_string(), note));
            }));
            start("a", move || async move {
                record::note(base::Note::Said { text: text.into() });
                record::note(base::Note::Said { text: "again".into() });
                std::future::pending::<()>().await;
            });
            pass(5).await;
            let seen = seen.lock().unwrap();
            assert_eq!(seen.len(), 2);
            assert_eq!((seen[0].1.as_str(), &seen[0].2), ("a", &base::Note::Said { text: text.into() }));
            record::digest()
        })
    };
    assert_eq!(told("x"), told("x"));
    assert_ne!(told("x"), told("y"));
}

#[test]
fn hashes_tell_lengths_and_bytes_apart() {
    let all: std::collections::BTreeSet<u64> =
        [&b""[..], b"\0", b"\0\0", b"a", b"ab", b"ba", b"12345678", b"123456789", b"12345678\0"]
            .map(record::hash)
            .into();
    assert_eq!(all.len(), 9);
}
