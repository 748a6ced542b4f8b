//! Compaction by itself, where that is asked for: a number of revisions is kept, or a length of time. Only the leader
//! compacts. Members that take over know nothing of earlier times, and keep history a little longer.
//!
//! Source: etcd documentation, "Maintenance: Auto Compaction" (`--auto-compaction-mode`, `--auto-compaction-retention`).

use crate::handle::Handle;
use base::{knobs::ms, reached};
use rt::Mono;
use std::{collections::VecDeque, time::Duration};
use store::Command;

/// Looks at the revision in one time that is kept.
const LOOKS: u64 = 10;

/// Never returns.
pub async fn run(handle: Handle) {
    let knobs = handle.knobs();
    match (knobs.auto_compact_revisions, knobs.auto_compact_ms) {
        (0, 0) => std::future::pending().await,
        (0, period) => by_time(&handle, ms(period)).await,
        (kept, _) => by_revisions(&handle, kept as i64).await,
    }
}

async fn by_revisions(handle: &Handle, kept: i64) {
    loop {
        rt::sleep(ms(handle.knobs().auto_compact_every_ms)).await;
        let revision = handle.with_store(|store| store.revision().0);
        compact(handle, revision - kept).await;
    }
}

async fn by_time(handle: &Handle, period: Duration) {
    let mut seen = Seen::default();
    loop {
        seen.look(rt::now(), handle.with_store(|store| store.revision().0));
        if let Some(revision) = seen.before(rt::now(), period) {
            compact(handle, revision).await;
        }
        rt::sleep(period / LOOKS as u32).await;
    }
}

/// Which revision there was at which time.
#[derive(Default)]
struct Seen(VecDeque<(Mono, i64)>);

impl Seen {
    fn look(&mut self, now: Mono, revision: i64) {
        self.0.push_back((now, revision));
    }

    /// The last revision that was there so long ago. What is older is forgotten.
    fn before(&mut self, now: Mono, period: Duration) -> Option<i64> {
        let old = self.0.iter().take_while(|(at, _)| *at + period <= now).count();
        let last = old.checked_sub(1)?;
        self.0.drain(..last);
        self.0.front().map(|(_, revision)| *revision)
    }
}

async fn compact(handle: &Handle, revision: i64) {
    let compacted = handle.with_store(|store| store.compacted().0);
    if !handle.leads() || revision <= compacted.max(0) {
        return;
    }
    reached!("member: history was compacted by itself");
    // one that fails is made good for by the next
    let _ = handle.propose(Command::AutoCompact { revision }).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_of_so_long_ago_is_found() {
        let at = |seconds| Mono::default() + Duration::from_secs(seconds);
        let (mut seen, period) = (Seen::default(), Duration::from_secs(10));
        for second in 0..=9 {
            seen.look(at(second), second as i64);
            assert_eq!(seen.before(at(second), period), None, "nothing is so old");
        }
        seen.look(at(10), 10);
        assert_eq!(seen.before(at(10), period), Some(0));
        assert_eq!(seen.before(at(14), period), Some(4));
        assert_eq!(seen.0.len(), 7, "what is older is forgotten");
        assert_eq!(seen.before(at(100), period), Some(10), "without later looks it is the last");
    }
}
