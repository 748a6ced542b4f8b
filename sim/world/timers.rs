//! One queue of timers for the whole world.
//! Promise: a wait is registered once however often it is polled, is gone when dropped, and follows the clock
//! of its process: when that clock is made faster, slower or stands still, the wait ends earlier or later.
//! (madsim's own timers stay until their time has come, once for every poll, and know one clock only.)

use crate::{clock, process};
use madsim::{plugin, runtime::Runtime, task::NodeId};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// The clock that counts for a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// A process's monotonic clock.
    Process(NodeId),
    /// True time: hardware waits by it.
    World,
}

struct Entry {
    by: By,
    /// By its own clock.
    deadline: u64,
    /// By true time; `u64::MAX` while the clock stands still.
    at: u64,
    seq: u64,
    waker: Waker,
}

#[derive(Default)]
struct Timers {
    slots: Vec<Option<Entry>>,
    free: Vec<usize>,
    /// (true time, order of registration, slot)
    queue: BTreeSet<(u64, u64, usize)>,
    next_seq: u64,
    /// The earliest wake-up asked of madsim.
    armed: Option<u64>,
    driver: Option<Waker>,
}

thread_local! {
    static TIMERS: RefCell<Timers> = RefCell::default();
}

fn true_now() -> u64 {
    process::elapsed().as_nanos() as u64
}

/// Starts the task that wakes whoever's time has come.
pub(crate) fn install(runtime: &Runtime) {
    TIMERS.set(Timers::default());
    let node = runtime.create_node().name("world").build();
    process::register(node.id(), "world", None);
    node.spawn(poll_fn(|cx| {
        for waker in TIMERS.with_borrow_mut(|timers| timers.fire(cx.waker())) {
            waker.wake();
        }
        Poll::<()>::Pending
    }));
}

impl Timers {
    fn fire(&mut self, driver: &Waker) -> Vec<Waker> {
        self.driver = Some(driver.clone());
        let now = true_now();
        let mut due = Vec::new();
        while let Some(&(at, _, slot)) = self.queue.first()
            && at <= now
        {
            self.queue.pop_first();
            due.extend(self.slots[slot].as_ref().map(|entry| entry.waker.clone()));
        }
        self.armed = self.armed.filter(|at| *at > now);
        self.arm();
        due
    }

    /// Asks madsim to wake the driver for the first in the queue.
    fn arm(&mut self) {
        let (Some(&(at, ..)), Some(driver)) = (self.queue.first(), &self.driver) else { return };
        if at == u64::MAX || self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        let time = process::time();
        let wait = Duration::from_nanos(at.saturating_sub(true_now()));
        let mut sleep = pin!(time.sleep(wait));
        // A sleep lasts a millisecond at the least, unless it is reset.
        sleep.as_mut().reset(time.now_instant() + wait);
        // One poll registers the waker; the future itself need not be kept.
        if sleep.as_mut().poll(&mut Context::from_waker(driver)).is_ready() {
            driver.wake_by_ref();
        }
        self.armed = Some(at);
    }

    fn insert(&mut self, by: By, deadline: u64, waker: Waker) -> usize {
        let (at, seq) = (by.true_time_of(deadline), self.next_seq);
        self.next_seq += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(Entry { by, deadline, at, seq, waker });
        self.queue.insert((at, seq, slot));
        self.arm();
        slot
    }

    fn remove(&mut self, slot: usize) {
        if let Some(entry) = self.slots.get_mut(slot).and_then(Option::take) {
            self.queue.remove(&(entry.at, entry.seq, slot));
            self.free.push(slot);
        }
    }

    /// Puts an entry where it belongs by its clock as it is now.
    fn place(&mut self, slot: usize) {
        let entry = self.slots[slot].as_mut().expect("a placed timer is held");
        self.queue.remove(&(entry.at, entry.seq, slot));
        entry.at = entry.by.true_time_of(entry.deadline);
        self.queue.insert((entry.at, entry.seq, slot));
    }
}

/// A process's clock changed its pace: its waits end at other times.
pub(crate) fn rearm(node: NodeId) {
    TIMERS.with_borrow_mut(|timers| {
        for slot in 0..timers.slots.len() {
            if timers.slots[slot].as_ref().is_some_and(|entry| entry.by == By::Process(node)) {
                timers.place(slot);
            }
        }
        timers.arm();
    });
}

impl By {
    fn now(self) -> u64 {
        match self {
            By::Process(node) => clock::mono_of(node),
            By::World => true_now(),
        }
    }

    fn true_time_of(self, deadline: u64) -> u64 {
        match self {
            By::Process(node) => clock::true_time_of(node, deadline),
            By::World => deadline,
        }
    }
}

/// A wait.
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    by: By,
    deadline: u64,
    slot: Option<usize>,
}

/// Waits until the running process's monotonic clock shows this many nanoseconds.
pub fn sleep_until(deadline: u64) -> Sleep {
    Sleep { by: By::Process(plugin::node()), deadline, slot: None }
}

/// Waits by true time, as hardware and links do.
pub fn wait(duration: Duration) -> Sleep {
    let deadline = true_now().saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    Sleep { by: By::World, deadline, slot: None }
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let done = self.by.now() >= self.deadline;
        TIMERS.with_borrow_mut(|timers| match (done, self.slot) {
            (true, slot) => {
                slot.into_iter().for_each(|slot| timers.remove(slot));
                self.slot = None;
                Poll::Ready(())
            }
            (false, Some(slot)) => {
                let entry = timers.slots[slot].as_mut().expect("a pending timer is held");
                entry.waker.clone_from(cx.waker());
                // It may have fired a rounding too early.
                if !timers.queue.contains(&(entry.at, entry.seq, slot)) {
                    timers.place(slot);
                    timers.arm();
                }
                Poll::Pending
            }
            (false, None) => {
                self.slot = Some(timers.insert(self.by, self.deadline, cx.waker().clone()));
                Poll::Pending
            }
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            // At the end of the thread the queue may be gone already.
            let _ = TIMERS.try_with(|timers| timers.borrow_mut().remove(slot));
        }
    }
}

/// Timers that are waited for now.
pub fn pending() -> usize {
    TIMERS.with_borrow(|timers| timers.queue.len())
}
