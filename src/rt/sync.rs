//! Channels, locks and signals between tasks of one process.
//! Promise: whoever waited first is woken first. tokio's own `watch` and `broadcast` wake several receivers in
//! an order no seed reaches, hence [`Signal`].

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex as StdMutex, MutexGuard as StdGuard},
    task::{Context, Poll, Waker},
};

pub use tokio::sync::{
    AcquireError, Mutex, MutexGuard, Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore,
    SemaphorePermit, TryAcquireError, mpsc, oneshot,
};

/// "Something changed", with a number: waiters name the last version they know, so no change is ever missed,
/// and many changes may be seen as one. Clones are the same signal.
#[derive(Clone, Default)]
pub struct Signal(Arc<StdMutex<State>>);

#[derive(Default)]
struct State {
    version: u64,
    last_id: u64,
    waiting: VecDeque<(u64, Waker)>,
}

impl Signal {
    /// At version 0.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> StdGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Something changed: the version grows by one, and everyone who waits is woken in the order they came.
    pub fn set(&self) {
        let waiting = {
            let mut state = self.state();
            state.version += 1;
            std::mem::take(&mut state.waiting)
        };
        for (_, waker) in waiting {
            waker.wake();
        }
    }

    pub fn version(&self) -> u64 {
        self.state().version
    }

    /// Waits until the version is past `since`, and returns it.
    pub fn changed(&self, since: u64) -> Changed {
        Changed { signal: self.clone(), since, id: None }
    }
}

/// The future of [`Signal::changed`].
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Changed {
    signal: Signal,
    since: u64,
    /// Our place in the queue.
    id: Option<u64>,
}

impl Future for Changed {
    type Output = u64;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        let (signal, since, mine) = (self.signal.clone(), self.since, self.id);
        let mut state = signal.state();
        if state.version > since {
            return Poll::Ready(state.version);
        }
        if let Some((_, waker)) = state.waiting.iter_mut().find(|(id, _)| Some(*id) == mine) {
            waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        state.last_id += 1;
        self.id = Some(state.last_id);
        let place = (state.last_id, cx.waker().clone());
        state.waiting.push_back(place);
        Poll::Pending
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if let Some(mine) = self.id {
            self.signal.state().waiting.retain(|(id, _)| *id != mine);
        }
    }
}
