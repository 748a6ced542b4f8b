//! What a member answers by itself is no older than what it acknowledged before it was started anew: such reads wait
//! until the log it stood up with is applied.

use crate::Handle;
use base::{Index, reached};
use std::sync::Mutex;

/// For so many election time-outs reads wait. Without a quorum it is never known what of the log holds, and what there is
/// is better than nothing then. (etcd serves nobody in that time: wait-cluster-ready-timeout.)
const PATIENCE: u32 = 3;

/// The end of the log a member stood up with, and until when reads wait for it. None once that is over.
#[derive(Default)]
pub struct Standing(Mutex<Option<(Index, rt::Mono)>>);

impl Standing {
    fn get(&self) -> Option<(Index, rt::Mono)> {
        *self.0.lock().expect("no holder of the lock panics")
    }

    fn set(&self, to: Option<(Index, rt::Mono)>) {
        *self.0.lock().expect("no holder of the lock panics") = to;
    }
}

impl Handle {
    /// Says how far the log goes with which this member stands up: it may have acknowledged all of that.
    pub(crate) fn stands_up(&self, last: Index) {
        let until = rt::now() + self.knobs().election_timeout() * PATIENCE;
        self.standing().set((self.applied() < last).then_some((last, until)));
    }

    /// Waits until this member stands where it stood.
    pub async fn stood_up(&self) {
        let Some((last, until)) = self.standing().get() else { return };
        let left = until.saturating_sub(rt::now());
        let there = rt::timeout(left, self.wait_until(|store| store.applied() >= last)).await;
        reached!(
            "member: a serializable read waited until its member stood where it had stood",
            there.is_ok()
        );
        self.standing().set(None);
    }
}
