//! Deliveries in an order of somebody's choice: a process that is kept waits with each thing it is told until that
//! is let through. Things of one kind come in the order they came in. A process that is not kept is not touched.

use crate::{process, record};
use madsim::{plugin, task::NodeId};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

#[derive(Default)]
struct Door {
    kinds: BTreeSet<String>,
    waiting: BTreeMap<u64, Waiting>,
    last: u64,
}

struct Waiting {
    kind: String,
    passed: bool,
    waker: Option<Waker>,
}

thread_local! {
    static DOORS: RefCell<BTreeMap<NodeId, Door>> = const { RefCell::new(BTreeMap::new()) };
}

pub(crate) fn reset() {
    DOORS.take();
}

/// Keeps a process from what it is told of these kinds, from now on. False if there is no such process.
pub fn keep(process: &str, kinds: &[String]) -> bool {
    let Some(node) = process::node_of(process) else { return false };
    let kinds = kinds.iter().cloned().collect();
    DOORS.with_borrow_mut(|doors| doors.entry(node).or_default().kinds = kinds);
    true
}

/// The kinds that wait, each once, the one that has waited longest first.
pub fn waiting(process: &str) -> Vec<String> {
    let Some(node) = process::node_of(process) else { return vec![] };
    DOORS.with_borrow(|doors| {
        let mut kinds: Vec<String> = vec![];
        let all = doors.get(&node).into_iter().flat_map(|door| door.waiting.values());
        for one in all.filter(|one| !one.passed) {
            if !kinds.contains(&one.kind) {
                kinds.push(one.kind.clone());
            }
        }
        kinds
    })
}

/// How many things have come to wait so far.
pub fn came(process: &str) -> u64 {
    let node = process::node_of(process);
    node.and_then(|node| DOORS.with_borrow(|doors| doors.get(&node).map(|door| door.last))).unwrap_or(0)
}

/// Lets the next of a kind through. False if none waits.
pub fn pass(process: &str, kind: &str) -> bool {
    let Some(node) = process::node_of(process) else { return false };
    let woken = DOORS.with_borrow_mut(|doors| {
        let waiting = &mut doors.get_mut(&node)?.waiting;
        let first = waiting.values_mut().find(|one| one.kind == kind && !one.passed)?;
        first.passed = true;
        Some(first.waker.take())
    });
    record::event(node, "let through", record::hash(kind.as_bytes()), || kind.to_string());
    woken.map(|waker| waker.into_iter().for_each(Waker::wake)).is_some()
}

/// Lets everything through, now and from now on.
pub fn open(process: &str) {
    let Some(node) = process::node_of(process) else { return };
    let wakers: Vec<Waker> = DOORS.with_borrow_mut(|doors| {
        let Some(door) = doors.get_mut(&node) else { return vec![] };
        door.kinds.clear();
        let waiting = door.waiting.values_mut();
        waiting
            .filter_map(|one| {
                one.passed = true;
                one.waker.take()
            })
            .collect()
    });
    wakers.into_iter().for_each(Waker::wake);
}

/// The running process is told something of a kind.
pub fn delivery(kind: &str) -> Delivery {
    let node = plugin::node();
    let kept = DOORS.with_borrow_mut(|doors| {
        let door = doors.get_mut(&node).filter(|door| door.kinds.contains(kind))?;
        door.last += 1;
        door.waiting.insert(door.last, Waiting { kind: kind.to_string(), passed: false, waker: None });
        Some((node, door.last))
    });
    Delivery(kept)
}

/// Ready when it is let through; at once if nobody keeps the process from it.
pub struct Delivery(Option<(NodeId, u64)>);

impl Future for Delivery {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some((node, number)) = self.0 else { return Poll::Ready(()) };
        DOORS.with_borrow_mut(|doors| {
            match doors.get_mut(&node).and_then(|door| door.waiting.get_mut(&number)) {
                Some(one) if !one.passed => {
                    one.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let Some((node, number)) = self.0 else { return };
        // at the end of the thread the doors may be gone
        let _ = DOORS.try_with(|doors| {
            if let Some(door) = doors.borrow_mut().get_mut(&node) {
                door.waiting.remove(&number);
            }
        });
    }
}
