//! Right histories are accepted; planted violations are flagged; and the O(n) check agrees with the search.

use super::{Verdict, lease, linear::judge, outcome, sample::right, watch};
use crate::history::*;
use crate::model::search::explains;
use base::Note;

fn history(seed: u64, count: usize) -> History {
    right(&mut base::stream::stream(seed, "right history"), 3, 3, count)
}

fn held(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Held(_))
}

fn broken(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Broken(_))
}

#[test]
fn right_histories_are_linearizable() {
    for seed in 0..200 {
        let verdict = judge(&history(seed, 60)).verdict;
        assert!(held(&verdict), "seed {seed}: {verdict:?}");
    }
}

#[test]
fn the_search_agrees_on_small_histories_right_and_wrong() {
    let mut wrong_ones = 0;
    for seed in 0..300 {
        let mut small = history(seed, 9);
        // unknown outcomes that never happened leave no trace; the search is told of all operations the same
        if seed % 2 == 0 {
            spoil(&mut small, seed);
        }
        let fast = judge(&small).verdict;
        let slow = explains(&small.operations);
        wrong_ones += usize::from(!slow);
        let said = || small.operations.iter().map(|op| format!("\n{op}")).collect::<String>();
        assert!(
            slow || broken(&fast),
            "seed {seed}: no order explains it, and the check says {fast:?}{}",
            said()
        );
        // a watch may contradict what answers alone leave open, so only an unspoilt history must please both
        assert!(seed % 2 == 0 || (slow && !broken(&fast)), "seed {seed}: search {slow}, check {fast:?}");
    }
    assert!(wrong_ones > 50, "only {wrong_ones} histories were spoilt enough to count");
}

/// Changes one answer.
fn spoil(history: &mut History, seed: u64) {
    let answered = history.operations.iter_mut().filter(|op| op.done().is_some());
    let mut answered: Vec<&mut Operation> = answered.collect();
    let pick = seed as usize / 2 % answered.len();
    let Outcome::Done(answer) = &mut answered[pick].outcome else { return };
    match &mut answer.body {
        Body::Kvs(kvs) if !kvs.is_empty() => kvs[0].value = "never written".into(),
        _ => answer.revision += if seed.is_multiple_of(4) { 1 } else { -1 },
    }
}

/// What nobody saw being made is undecided, unless it may be gone by now.
#[test]
fn history_that_was_compacted_unseen_is_no_failure() {
    let mut unseen = history(3, 300);
    unseen.watches.clear();
    for operation in unseen.operations.iter_mut().filter(|op| op.made().is_some()) {
        (operation.ret, operation.outcome) = (u64::MAX, Outcome::Unknown("no answer".into()));
    }
    let verdict = judge(&unseen).verdict;
    assert!(matches!(&verdict, Verdict::Undecided(_)), "{verdict:?}");
    let last = unseen.operations.iter().filter_map(|op| Some(op.done()?.revision)).max().unwrap();
    for (at, gone) in [(last - 1, false), (last, true)] {
        let compact = Operation { request: Request::Compact { at }, ..unseen.operations[0].clone() };
        unseen.operations.push(compact);
        assert_eq!(held(&judge(&unseen).verdict), gone, "compacted at {at} of {last}");
    }
}

#[test]
fn a_lost_write_is_flagged() {
    let mut history = history(1, 60);
    let lost = history.operations.iter().position(|op| op.made().is_some()).unwrap();
    let revision = history.operations[lost].made().unwrap();
    history.watches[0].frames.retain(|frame| frame.revision != revision || frame.events.is_empty());
    assert!(broken(&judge(&history).verdict));
}

#[test]
fn a_stale_read_is_flagged() {
    let mut history = history(2, 60);
    let last = history.operations.iter().map(|op| op.ret).filter(|ret| *ret != u64::MAX).max().unwrap();
    let request = Request::Read { span: Span::one("load/none"), at: 0, serializable: false };
    let answer = Answer { revision: 3, body: Body::Kvs(vec![]) };
    let stale = |serializable| {
        let Request::Read { span, at, .. } = request.clone() else { unreachable!() };
        let request = Request::Read { span, at, serializable };
        let outcome = Outcome::Done(answer.clone());
        Operation { client: "late".into(), call: last + 1, ret: last + 2, request, outcome }
    };
    history.operations.push(stale(true));
    assert!(held(&judge(&history).verdict), "a serializable read may be old");
    history.operations.push(stale(false));
    assert!(broken(&judge(&history).verdict));
}

#[test]
fn a_refused_write_that_took_effect_and_one_executed_twice_are_flagged() {
    let find = |history: &History, wanted: fn(&Operation) -> bool| {
        history.operations.iter().position(wanted).unwrap()
    };
    let mut refused = history(3, 60);
    let n = find(&refused, |op| {
        op.made().is_some()
            && matches!(&op.request, Request::Write { changes, .. } if matches!(changes[0], Change::Put { .. }))
    });
    refused.operations[n].outcome = Outcome::Refused("no".into());
    assert!(broken(&judge(&refused).verdict));
    let mut twice = history(3, 60);
    let value = match &twice.operations[n].request {
        Request::Write { changes, .. } => changes[0].clone(),
        _ => unreachable!(),
    };
    let Change::Put { value, .. } = value else { unreachable!() };
    let last = twice.watches[0].complete_to() + 1;
    let kv =
        Kv { key: "load/9".into(), value: value.into(), create: last, modified: last, version: 1, lease: 0 };
    let events = vec![Event { delete: false, kv, prev: None }];
    let what = FrameKind::Events { partial: false };
    twice.watches[0].frames.push(Frame { at: 1, revision: last, what, events });
    assert!(broken(&judge(&twice).verdict));
}

#[test]
fn one_revision_for_two_writes_is_flagged() {
    let mut history = history(4, 60);
    let made: Vec<usize> = (0..60).filter(|n| history.operations[*n].made().is_some()).collect();
    let revision = history.operations[made[0]].made().unwrap();
    let Outcome::Done(answer) = &mut history.operations[made[1]].outcome else { unreachable!() };
    answer.revision = revision;
    assert!(broken(&judge(&history).verdict));
}

/// Each promise of a watch, with a way to break it and it alone.
#[test]
fn every_watch_promise_is_held_by_a_right_watch_and_broken_by_a_planted_one() {
    let right = history(5, 80);
    let log = judge(&right).log;
    let spoilt = |spoil: &dyn Fn(&mut Watch)| {
        let mut history = history(5, 80);
        spoil(&mut history.watches[0]);
        history
    };
    let last_two = |watch: &mut Watch| {
        let n = watch.frames.len();
        watch.frames.swap(n - 1, n - 2);
    };
    assert!(held(&watch::ordered(&right)));
    assert!(broken(&watch::ordered(&spoilt(&last_two))));
    assert!(held(&watch::unique(&right)));
    assert!(broken(&watch::unique(&spoilt(&|watch| {
        let again = watch.frames[3].clone();
        watch.frames.insert(4, again);
    }))));
    assert!(held(&watch::atomic(&right)));
    assert!(broken(&watch::atomic(&spoilt(&|watch| {
        let mut part = watch.frames[3].clone();
        let key = format!("{}x", part.events[0].kv.key);
        part.events[0].kv.key = key.into();
        watch.frames.insert(4, part);
    }))));
    assert!(held(&watch::reliable(&right, &log, true)));
    assert!(broken(&watch::reliable(&spoilt(&|watch| drop(watch.frames.remove(4))), &log, true)));
    assert!(held(&watch::filtered(&right)));
    assert!(broken(&watch::filtered(&spoilt(&|watch| watch.span = Span::one("load/0")))));
    assert!(held(&watch::previous(&right, &log)));
    let with_previous = |watch: &mut Watch| {
        let events = watch.frames.iter_mut().flat_map(|frame| &mut frame.events);
        events.filter_map(|event| event.prev.as_mut()).for_each(|prev| prev.value = "other".into());
    };
    assert!(broken(&watch::previous(&spoilt(&with_previous), &log)));
    let without = |watch: &mut Watch| {
        watch.frames.iter_mut().flat_map(|frame| &mut frame.events).for_each(|event| event.prev = None);
    };
    let mut gone = spoilt(&without);
    assert!(broken(&watch::previous(&gone, &log)));
    let revision = base::Revision(*log.keys().next_back().expect("revisions"));
    gone.notes.push((1, "member-1".into(), Note::Compacted { member: base::MemberId(1), revision }));
    assert!(held(&watch::previous(&gone, &log)), "what was before is gone with history");
    let notice = |revision| Frame { at: 9, revision, what: FrameKind::Progress, events: vec![] };
    assert!(broken(&watch::bookmark(&spoilt(&|watch| watch.frames.insert(3, notice(1_000))))));
    assert!(held(&watch::bookmark(&spoilt(&|watch| {
        let told = watch.frames[2].revision;
        watch.frames.insert(3, notice(told));
    }))));
    let cancelled = |compacted| FrameKind::Cancelled { compacted, reason: String::new() };
    let cancel = |compacted| {
        spoilt(&|watch: &mut Watch| {
            watch.frames.push(Frame { at: 9, revision: 9, what: cancelled(compacted), events: vec![] })
        })
    };
    assert!(held(&watch::compacted(&cancel(5))), "it began at 2");
    assert!(broken(&watch::compacted(&cancel(2))));
}

#[test]
fn a_lease_that_ends_early_and_one_that_never_ends_are_flagged() {
    const SECOND: u64 = 1_000_000_000;
    let answered = |request, call: u64, ttl| {
        let outcome = Outcome::Done(Answer { revision: 1, body: Body::Lease { lease: 7, ttl } });
        Operation { client: "c".into(), call: call * SECOND, ret: call * SECOND + 1, request, outcome }
    };
    let lives = |end: u64| {
        let operations =
            vec![answered(Request::Grant { ttl: 5 }, 1, 5), answered(Request::KeepAlive { lease: 7 }, 4, 5)];
        let ended = Note::LeaseEnded { member: base::MemberId(1), lease: 7, expired: true };
        History { operations, notes: vec![(end * SECOND, "member-1".into(), ended)], ..History::default() }
    };
    assert!(held(&lease::not_before(&lives(10))));
    assert!(broken(&lease::not_before(&lives(8))));
    let run = lease::Run { healed: 0, end: 60 * SECOND, slack: SECOND, checkpoints: None };
    assert!(held(&lease::not_never(&lives(10), run)));
    let mut forgotten = lives(10);
    forgotten.notes.clear();
    assert!(broken(&lease::not_never(&forgotten, run)));
    // renewed at 4 s, and a leader since that may have added 2 s; all harms took 3 s
    let checkpointed = lease::Run { checkpoints: Some((2 * SECOND, 3 * SECOND)), healed: 50 * SECOND, ..run };
    let led = |end: u64| {
        let mut history = lives(end);
        let leader = Note::Leader { member: base::MemberId(1), term: base::Term(2) };
        history.notes.insert(0, (6 * SECOND, "member-1".into(), leader));
        history
    };
    assert!(held(&lease::not_never(&led(15), checkpointed)));
    assert!(broken(&lease::not_never(&led(16), checkpointed)));
    assert!(held(&lease::not_never(&led(16), lease::Run { healed: 50 * SECOND, ..run })));
    assert!(held(&lease::not_before(&forgotten)), "no end is not an early end");
    let denied = [answered(Request::Grant { ttl: 5 }, 1, 5), answered(Request::KeepAlive { lease: 7 }, 4, 0)];
    forgotten.operations = denied.to_vec();
    assert!(broken(&lease::not_before(&forgotten)), "a lease that was granted is not gone before it ended");
}

#[test]
fn damage_that_was_read_must_have_been_named() {
    let mut damage = damage::Damage::default();
    assert_eq!(outcome::damage(&damage), Verdict::Idle);
    damage.ended_for.push(("member-1".into(), "/member/1.wal".into()));
    assert!(held(&outcome::damage(&damage)));
    assert!(damage.excuses("member-1", "/member/1.wal is damaged at byte 40"));
    assert!(!damage.excuses("member-2", "/member/1.wal is damaged at byte 40"));
    assert!(!damage.excuses("member-1", "cannot sync /member/2.wal"));
    damage.served.push("member-1 started from /member/2.wal, which is damaged".into());
    assert!(broken(&outcome::damage(&damage)));
}
