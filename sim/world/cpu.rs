//! The CPU of each machine: one core.
//! Promise: computing takes no time, until a nemesis makes a CPU slow. Then each step of a task (what it does between
//! one wait and the next) has the core for a drawn time, one step after the other in the order in which they became
//! ready, and what a step does is done at the end of its turn. So a slow process is late with everything, and later
//! the more there is to do: its queue grows while more comes than it can work off.
//! Not modelled: what a step computes (a cheap one costs as much as a dear one), and the kernel, which goes on
//! acknowledging what comes and takes nothing of the core.

use crate::{
    process, record,
    timers::{self, Sleep},
};
use base::stream::{Stream, stream};
use madsim::{plugin, task::NodeId};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::{Future, poll_fn},
    ops::Range,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// What slow CPUs did, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Steps that took time, and how much they took together.
    pub steps: u64,
    pub busy: Duration,
    /// The longest time from ready to done.
    pub longest: Duration,
}

struct Cpu {
    /// What a step costs; `None`: nothing.
    cost: Option<Range<Duration>>,
    draws: Stream,
    /// The end of the last turn that was given.
    free_at: u64,
    next_turn: u64,
    /// Tasks that wait for the end of their turn.
    waiting: BTreeMap<u64, Waker>,
    counters: Counters,
}

thread_local! {
    static CPUS: RefCell<BTreeMap<NodeId, Cpu>> = const { RefCell::new(BTreeMap::new()) };
    /// Whether any CPU is slow: most never are, and a step is taken a million times.
    static ANY: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn reset() {
    CPUS.take();
    ANY.set(false);
}

impl Cpu {
    fn new(node: NodeId) -> Self {
        let draws = stream(process::seed(), &format!("cpu {}", process::name_of(node)));
        let (waiting, counters) = Default::default();
        Self { cost: None, draws, free_at: 0, next_turn: 0, waiting, counters }
    }

    /// Gives the next turn: its number and how long it is until its end.
    fn turn(&mut self, now: u64) -> Option<(u64, Duration)> {
        let cost = process::draw_duration(&mut self.draws, self.cost.as_ref()?);
        self.free_at = self.free_at.max(now) + cost.as_nanos() as u64;
        let left = Duration::from_nanos(self.free_at - now);
        let Counters { steps, busy, longest } = &mut self.counters;
        (*steps, *busy, *longest) = (*steps + 1, *busy + cost, left.max(*longest));
        self.next_turn += 1;
        Some((self.next_turn, left))
    }

    /// Whoever waits need not wait any more.
    fn clear(&mut self) -> Vec<Waker> {
        self.free_at = 0;
        std::mem::take(&mut self.waiting).into_values().collect()
    }
}

/// A task's turn, until its end.
struct Turn {
    node: NodeId,
    number: u64,
    end: Sleep,
}

impl Turn {
    /// `None` where steps cost nothing.
    fn begin(cx: &mut Context<'_>) -> Option<Self> {
        let node = plugin::node();
        let now = process::elapsed().as_nanos() as u64;
        CPUS.with_borrow_mut(|cpus| {
            let cpu = cpus.get_mut(&node)?;
            let (number, left) = cpu.turn(now)?;
            cpu.waiting.insert(number, cx.waker().clone());
            Some(Self { node, number, end: timers::wait(left) })
        })
    }

    /// True when the turn has ended, or all turns of this CPU have.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let waits = CPUS.with_borrow_mut(|cpus| {
            let waiting = cpus.get_mut(&self.node).and_then(|cpu| cpu.waiting.get_mut(&self.number));
            waiting.map(|waker| waker.clone_from(cx.waker())).is_some()
        });
        !waits || Pin::new(&mut self.end).poll(cx).is_ready()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let gone = |cpus: &RefCell<BTreeMap<NodeId, Cpu>>| {
            cpus.borrow_mut().get_mut(&self.node).and_then(|cpu| cpu.waiting.remove(&self.number))
        };
        // At the end of the thread there may be no CPUs any more.
        let _ = CPUS.try_with(gone);
    }
}

/// A task whose every step has the core of its process for as long as a step takes.
pub async fn paced<F: Future>(task: F) -> F::Output {
    let mut task = pin!(task);
    let mut turn: Option<Turn> = None;
    poll_fn(|cx| {
        if turn.is_none() && ANY.get() {
            turn = Turn::begin(cx);
        }
        if turn.as_mut().is_some_and(|turn| !turn.is_over(cx)) {
            return Poll::Pending;
        }
        turn = None;
        task.as_mut().poll(cx)
    })
    .await
}

/// The process is dead: nobody waits for its core any more.
pub(crate) fn ended(node: NodeId) {
    let _tasks_that_died = CPUS.with_borrow_mut(|cpus| cpus.get_mut(&node).map(Cpu::clear));
}

/// Makes each step of a process take this long; `None`: nothing. False: no such process.
pub fn slow(name: &str, cost: Option<Range<Duration>>) -> bool {
    let Some(node) = process::node_of(name) else { return false };
    if cost.is_none() && CPUS.with_borrow(|cpus| cpus.get(&node).is_none_or(|cpu| cpu.cost.is_none())) {
        return true;
    }
    let most = cost.as_ref().map_or(0, |cost| cost.end.as_nanos() as u64);
    record::event(node, "cpu", most, || format!("{cost:?}"));
    let free = CPUS.with_borrow_mut(|cpus| {
        let cpu = cpus.entry(node).or_insert_with(|| Cpu::new(node));
        cpu.cost = cost;
        let free = if cpu.cost.is_none() { cpu.clear() } else { vec![] };
        ANY.set(cpus.values().any(|cpu| cpu.cost.is_some()));
        free
    });
    free.into_iter().for_each(Waker::wake);
    true
}

pub fn counters(name: &str) -> Counters {
    let node = process::node_of(name);
    node.and_then(|node| CPUS.with_borrow(|cpus| cpus.get(&node).map(|cpu| cpu.counters))).unwrap_or_default()
}
