//! Leader election: one of several works, another takes over, and who lost the lock writes nothing.

use crate::{client, map, ready, stack};
use base::{Knobs, Note, knobs::ms};
use client::Elector;
use objects::kinds::{config_map, lease};
use std::{cell::RefCell, rc::Rc, time::Duration};
use world::World;

/// Who won or lost the lock, and who wrote under it, in the order of time.
type Seen = Rc<RefCell<Vec<(Duration, Note)>>>;

fn knobs() -> Knobs {
    Knobs { elect_lease_ms: 6_000, elect_renew_ms: 4_000, elect_retry_ms: 1_000, ..Knobs::default() }
}

/// Two candidates that write as fast as they can while they lead.
fn start(world: &World) -> Seen {
    let seen = Seen::default();
    let keep = seen.clone();
    world::set_note_sink(Box::new(move |at, _, note| {
        if matches!(note, Note::Elected { .. } | Note::FencedWrite { .. }) {
            keep.borrow_mut().push((at, note));
        }
    }));
    stack::start(world, 1, 1, &knobs());
    for number in [1, 2] {
        let name = format!("candidate-{number}");
        world.create(&name.clone(), [10, 0, 3, number].into(), move || {
            let name = name.clone();
            async move {
                let knobs = knobs();
                ready(1, &knobs).await;
                let api = client(1, &name, &knobs);
                let lead = async |fenced: client::Client| loop {
                    let _ = fenced.create(&config_map::KIND, &map(&format!("by-{name}-"), "1")).await;
                    rt::sleep(ms(50)).await;
                };
                Elector::new(&api, "lock", &name).run(lead).await;
                Ok(())
            }
        });
    }
    seen
}

/// Who holds the lock now, by what was said.
fn holder(seen: &Seen) -> Option<String> {
    seen.borrow().iter().rev().find_map(|(_, note)| match note {
        Note::Elected { identity, held: true, .. } => Some(identity.clone()),
        _ => None,
    })
}

/// Writes of anyone but the one who won the lock last; and how many writes there are in all.
fn judge(seen: &Seen) -> (usize, usize) {
    let (mut holder, mut stray, mut all) = (String::new(), 0, 0);
    for (_, note) in seen.borrow().iter() {
        match note {
            Note::Elected { identity, held: true, .. } => holder = identity.clone(),
            Note::FencedWrite { identity, .. } => {
                all += 1;
                stray += usize::from(*identity != holder);
            }
            _ => {}
        }
    }
    (stray, all)
}

fn changes(seen: &Seen) -> usize {
    seen.borrow().iter().filter(|(_, note)| matches!(note, Note::Elected { held: true, .. })).count()
}

async fn wait(millis: u64) {
    madsim::time::sleep(ms(millis)).await;
}

#[test]
fn one_of_two_leads_for_as_long_as_it_renews() {
    World::run(1, |world| async move {
        let seen = start(&world);
        wait(60_000).await;
        let (stray, all) = judge(&seen);
        assert_eq!((stray, changes(&seen)), (0, 1));
        assert!(all > 500, "{all}");
    });
}

/// The holder sleeps past its lease. It wakes in the middle of its work, and must not write.
fn sleeps_past_its_lease(bug: Option<&'static str>) -> (usize, usize) {
    World::run(2, move |world| async move {
        base::marks::plant(bug);
        let seen = start(&world);
        wait(10_000).await;
        let first = holder(&seen).expect("one of them leads");
        world.pause(&first);
        wait(15_000).await;
        assert_ne!(holder(&seen).expect("another leads"), first, "it was taken over");
        world.resume(&first);
        wait(10_000).await;
        (judge(&seen).0, changes(&seen))
    })
}

/// Whoever claims the lock gets it in the store, and hears so when the time of the claim is over. Gives how often the
/// lock was won.
fn is_answered_late(bug: Option<&'static str>) -> usize {
    World::run(3, move |world| async move {
        base::marks::plant(bug);
        let seen = start(&world);
        wait(10_000).await;
        assert_eq!(changes(&seen), 1);
        let mut slow = world::net().profile();
        slow.latency = ms(2_300)..ms(2_301);
        for candidate in ["candidate-1", "candidate-2"] {
            assert!(world::net().set_link(&stack::server(1), candidate, Some(slow.clone())));
        }
        wait(60_000).await;
        changes(&seen)
    })
}

#[test]
fn a_claim_that_is_answered_after_its_time_is_none() {
    assert_eq!(is_answered_late(None), 1);
    assert!(is_answered_late(Some("E02")) > 1, "or the claim was never late");
}

#[test]
fn who_sleeps_past_its_lease_writes_nothing_when_it_wakes() {
    assert_eq!(sleeps_past_its_lease(None), (0, 2));
}

/// The bug museum's E01, planted.
#[test]
fn a_fence_that_is_open_is_found_out() {
    assert!(sleeps_past_its_lease(Some("E01")).0 > 0);
}

/// A holder that is cut off stops within its renew deadline, before another may take the lease.
#[test]
fn who_cannot_renew_stops_before_another_begins() {
    World::run(3, |world| async move {
        let seen = start(&world);
        wait(10_000).await;
        let first = holder(&seen).expect("one of them leads");
        let cut = world::process::elapsed();
        world.net().cut(&first, &stack::server(1));
        world.net().cut(&stack::server(1), &first);
        wait(20_000).await;
        let (mut lost, mut won) = (None, None);
        for (at, note) in seen.borrow().iter().filter(|(at, _)| *at > cut) {
            if let Note::Elected { identity, held, .. } = note {
                match (*identity == first, held) {
                    (true, false) => lost = lost.or(Some(*at)),
                    (false, true) => won = won.or(Some(*at)),
                    _ => {}
                }
            }
        }
        let (lost, won) = (lost.expect("it gave up"), won.expect("another took over"));
        assert!(lost < won, "{lost:?} {won:?}");
        assert!(lost - cut <= ms(5_000), "within the renew deadline: {:?}", lost - cut);
        assert!(won - cut >= ms(4_000), "not before the lease was over: {:?}", won - cut);
        assert_eq!(judge(&seen).0, 0);
        let knobs = knobs();
        let lock = stack::process(&world, "reader", move || async move {
            let api = client(1, "reader", &knobs);
            api.get(&lease::KIND, Some("kube-system"), "lock").await.expect("the Lease")
        });
        let lock = lock.await;
        assert_ne!(lock.get_str(&["spec", "holderIdentity"]), first);
        assert_eq!(lock.get_i64(&["spec", "leaseTransitions"]), Some(1));
    });
}
