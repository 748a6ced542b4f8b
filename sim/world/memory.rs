//! What each process holds in memory, and how much it may.
//! Promise: a process holds what its gauges say, the sum of its parts. What died holds nothing, whatever its
//! destructors still do. A process that comes to hold more than its limit has gone [`over`] it, and whoever set the
//! limit is told; it goes on until that one kills it, as no process is killed from within its own steps.
//! Not modelled: what code, stacks and the allocator take, and the kernel's buffers.

use crate::{process, record};
use madsim::{plugin, runtime::Handle, task::NodeId};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::{Future, poll_fn},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Poll, Waker},
};

const NO_LIMIT: u64 = u64::MAX;
/// The record tells of a part again when it has become larger or smaller by a quarter, and by so many bytes.
const TOLD: u64 = 16 << 10;

/// How a process stood when it held more than it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    pub held: u64,
    /// What of it, the largest part first.
    pub parts: Vec<(&'static str, u64)>,
}

/// From a start of a process to its end.
struct Life {
    /// None: of no process of a simulation.
    node: Option<NodeId>,
    is_over: AtomicBool,
    held: AtomicU64,
    limit: AtomicU64,
    parts: Mutex<BTreeMap<&'static str, Weak<Part>>>,
}

struct Part {
    name: &'static str,
    life: Arc<Life>,
    bytes: AtomicU64,
    /// Bytes of which the record knows.
    told: AtomicU64,
}

/// What is known of a process, from life to life.
struct Memory {
    life: Arc<Life>,
    limit: u64,
    /// It has gone over its limit, and lives.
    over: Option<Over>,
    waiting: Vec<Waker>,
}

thread_local! {
    static MEMORY: RefCell<BTreeMap<NodeId, Memory>> = const { RefCell::new(BTreeMap::new()) };
}

pub(crate) fn reset() {
    MEMORY.take();
}

impl Life {
    fn new(node: Option<NodeId>, limit: u64) -> Arc<Self> {
        let (is_over, held, parts) = Default::default();
        Arc::new(Self { node, is_over, held, limit: limit.into(), parts })
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<&'static str, Weak<Part>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it holds, the largest part first.
    fn largest(&self) -> Vec<(&'static str, u64)> {
        let parts: Vec<Arc<Part>> = self.parts().values().filter_map(Weak::upgrade).collect();
        let mut held: Vec<_> = parts.iter().map(|part| (part.name, part.bytes.load(Relaxed))).collect();
        held.retain(|(_, bytes)| *bytes > 0);
        held.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        held
    }

    /// Whether anything that happens to it still has an effect.
    fn lives(&self) -> bool {
        !self.is_over.load(Relaxed) && Handle::try_current().is_ok()
    }
}

impl Memory {
    fn of(node: NodeId) -> Self {
        Self { life: Life::new(Some(node), NO_LIMIT), limit: NO_LIMIT, over: None, waiting: vec![] }
    }

    /// Looks whether the process holds more than it may; gives who is to be told.
    fn weigh(&mut self) -> Vec<Waker> {
        let held = self.life.held.load(Relaxed);
        if held <= self.limit {
            return vec![];
        }
        if self.over.as_ref().is_none_or(|over| over.held < held) {
            self.over = Some(Over { held, parts: self.life.largest() });
        }
        std::mem::take(&mut self.waiting)
    }
}

fn with<T>(node: NodeId, act: impl FnOnce(&mut Memory) -> T) -> T {
    MEMORY.with_borrow_mut(|all| act(all.entry(node).or_insert_with(|| Memory::of(node))))
}

/// What one part of a process holds, in bytes. Clones are one gauge; dropping the last one sets it to nothing. Several
/// gauges of one name add up. Outside of a simulation it counts for itself only.
#[derive(Clone)]
pub struct Gauge(Arc<Own>);

struct Own {
    part: Arc<Part>,
    bytes: AtomicU64,
}

impl Gauge {
    /// A gauge of the running process, at 0.
    pub fn new(part: &'static str) -> Self {
        let life = match Handle::try_current() {
            Ok(_) => with(plugin::node(), |memory| memory.life.clone()),
            Err(_) => Life::new(None, NO_LIMIT),
        };
        let known = life.parts().get(part).and_then(Weak::upgrade);
        let part = known.unwrap_or_else(|| {
            let fresh = Arc::new(Part { name: part, life: life.clone(), bytes: 0.into(), told: 0.into() });
            life.parts().insert(part, Arc::downgrade(&fresh));
            fresh
        });
        Self(Arc::new(Own { part, bytes: 0.into() }))
    }

    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    pub fn set(&self, bytes: u64) {
        let before = self.0.bytes.swap(bytes, Relaxed);
        match bytes.checked_sub(before) {
            Some(0) => {}
            Some(more) => self.0.part.grow(more),
            None => self.0.part.shrink(before - bytes),
        }
    }

    pub fn add(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Relaxed);
        self.0.part.grow(bytes);
    }

    /// No more than there is may be taken away.
    pub fn sub(&self, bytes: u64) {
        self.0.bytes.fetch_sub(bytes, Relaxed);
        self.0.part.shrink(bytes);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.part.shrink(self.bytes.load(Relaxed));
    }
}

impl Part {
    fn grow(&self, by: u64) {
        let bytes = self.bytes.fetch_add(by, Relaxed) + by;
        let held = self.life.held.fetch_add(by, Relaxed) + by;
        self.tell(bytes);
        if held > self.life.limit.load(Relaxed) && self.life.lives() {
            self.life.node.into_iter().for_each(weigh);
        }
    }

    fn shrink(&self, by: u64) {
        let bytes = self.bytes.fetch_sub(by, Relaxed) - by;
        self.life.held.fetch_sub(by, Relaxed);
        self.tell(bytes);
    }

    /// Tells the record, if it is worth it.
    fn tell(&self, bytes: u64) {
        let told = self.told.load(Relaxed);
        if bytes.abs_diff(told) < TOLD.max(told / 4) || !self.life.lives() {
            return;
        }
        self.told.store(bytes, Relaxed);
        if let Some(node) = self.life.node {
            let payload = record::hash_words(&[record::hash(self.name.as_bytes()), bytes]);
            record::event(node, "holds", payload, || format!("{}: {bytes}", self.name));
        }
    }
}

/// A process holds more than it may, or may hold less.
fn weigh(node: NodeId) {
    let (was, now, wakers) = with(node, |memory| {
        let was = memory.over.as_ref().map(|over| over.held);
        let wakers = memory.weigh();
        (was, memory.over.clone(), wakers)
    });
    if let Some(over) = now.filter(|over| was.is_none_or(|was| was < over.held)) {
        record::event(node, "out of memory", over.held, || format!("{over:?}"));
    }
    wakers.into_iter().for_each(Waker::wake);
}

/// The process is dead: it holds nothing any more.
pub(crate) fn ended(node: NodeId) {
    with(node, |memory| {
        memory.life.is_over.store(true, Relaxed);
        memory.life = Life::new(Some(node), memory.limit);
        memory.over = None;
    });
}

/// Says how much a process may hold from now on, in this life and the next ones; `None`: as much as it likes. False: no
/// such process.
pub fn limit(name: &str, bytes: Option<u64>) -> bool {
    let Some(node) = process::node_of(name) else { return false };
    let limit = bytes.unwrap_or(NO_LIMIT);
    if with(node, |memory| memory.limit == limit) {
        return true;
    }
    record::event(node, "memory", limit, || bytes.map_or("no limit".into(), |bytes| bytes.to_string()));
    with(node, |memory| {
        memory.limit = limit;
        memory.life.limit.store(limit, Relaxed);
        memory.over.take_if(|over| over.held <= limit);
    });
    weigh(node);
    true
}

/// Waits until a process has held more than so many bytes, which is no less than its limit, and has not died since.
pub fn over(name: &str, bytes: u64) -> impl Future<Output = Over> + use<> {
    let node = process::node_of(name);
    poll_fn(move |cx| {
        let Some(node) = node else { return Poll::Pending };
        with(node, |memory| match &memory.over {
            Some(over) if over.held > bytes => Poll::Ready(over.clone()),
            _ => {
                memory.waiting.retain(|waker| !waker.will_wake(cx.waker()));
                memory.waiting.push(cx.waker().clone());
                Poll::Pending
            }
        })
    })
}

/// What a process holds now, and what of it, the largest part first.
pub fn held(name: &str) -> (u64, Vec<(&'static str, u64)>) {
    let life = process::node_of(name).map(|node| with(node, |memory| memory.life.clone()));
    life.map_or((0, vec![]), |life| (life.held.load(Relaxed), life.largest()))
}
