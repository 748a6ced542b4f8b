//! Creations and deletions that were asked for and not yet seen in the cache. Pure: time is an argument.
//!
//! A controller plans from its cache, which lags behind its own writes; until the expected changes have been
//! seen it must not plan again, or it does everything twice (bug museum C01, C02). Upstream:
//! pkg/controller/controller_utils.go, ControllerExpectations.

use base::{bug, reached};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

#[derive(Debug, Default)]
struct Pending {
    /// Names (or uids) whose creation or deletion has not been seen.
    creations: u64,
    deletions: BTreeSet<String>,
    /// From then on it is no longer waited for.
    until: Duration,
}

/// Expectations by the key of the object that has them.
#[derive(Debug, Default)]
pub struct Expectations {
    pending: BTreeMap<String, Pending>,
    give_up: Duration,
}

impl Expectations {
    /// `give_up`: how long a change may stay unseen until it is no longer waited for.
    pub fn new(give_up: Duration) -> Self {
        Expectations { give_up, ..Default::default() }
    }

    /// `count` objects are about to be created. What was pending before has been seen or given up.
    pub fn expect_creations(&mut self, key: &str, count: u64, now: Duration) {
        let before = self.pending.get(key).filter(|_| bug!("C07")).map_or(0, |before| before.creations);
        let creations = before + count;
        let pending = Pending { creations, deletions: BTreeSet::new(), until: now + self.give_up };
        self.pending.insert(key.to_string(), pending);
    }

    /// These objects are about to be deleted. What was pending before has been seen or given up.
    pub fn expect_deletions(&mut self, key: &str, who: impl IntoIterator<Item = String>, now: Duration) {
        let pending =
            Pending { creations: 0, deletions: who.into_iter().collect(), until: now + self.give_up };
        self.pending.insert(key.to_string(), pending);
    }

    /// One creation was seen, or failed and will not be.
    pub fn saw_creation(&mut self, key: &str) {
        if let Some(pending) = self.pending.get_mut(key) {
            pending.creations = pending.creations.saturating_sub(1);
        }
    }

    /// A deletion was seen, or failed and will not be.
    pub fn saw_deletion(&mut self, key: &str, who: &str) {
        if let Some(pending) = self.pending.get_mut(key) {
            pending.deletions.remove(who);
        }
    }

    /// The outcome of what is pending is unknown: it is waited for no longer than it can still happen.
    pub fn doubt(&mut self, key: &str, until: Duration) {
        if let Some(pending) = self.pending.get_mut(key).filter(|_| !bug!("C06")) {
            pending.until = pending.until.min(until);
        }
    }

    /// How long to wait for the cache to catch up with what was asked for; None when it has, or when waiting
    /// has become hopeless. `unseen`: how much longer the cache may lack what has happened. While it may, nothing is
    /// given up (upstream does: its expectations expire, and pods that nobody has seen yet are made again).
    pub fn wait(&self, key: &str, now: Duration, unseen: Duration) -> Option<Duration> {
        if bug!("C01") {
            return None;
        }
        let pending = self.pending.get(key)?;
        if pending.creations == 0 && pending.deletions.is_empty() {
            return None;
        }
        let unseen = if bug!("C01-expired") { Duration::ZERO } else { unseen };
        reached!(
            "controller: it gives nothing up while its view is old",
            pending.until <= now && !unseen.is_zero()
        );
        let wait = Some(pending.until.saturating_sub(now).max(unseen)).filter(|wait| !wait.is_zero());
        reached!("controller: waits until the cache shows what it asked for", wait.is_some());
        if wait.is_none() {
            reached!("controller: expectations given up");
        }
        wait
    }

    /// Who was asked to go and has not been seen going.
    pub fn going(&self, key: &str) -> BTreeSet<String> {
        self.pending.get(key).map(|pending| pending.deletions.clone()).unwrap_or_default()
    }

    /// The object is gone: nothing is expected of it any more.
    pub fn forget(&mut self, key: &str) {
        self.pending.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;
    /// The cache lacks nothing that has happened.
    const SEEN: Duration = Duration::ZERO;

    #[test]
    fn a_key_waits_until_all_it_asked_for_was_seen() {
        let mut expect = Expectations::new(S(300));
        assert_eq!(expect.wait("rs", S(0), SEEN), None);
        expect.expect_creations("rs", 2, S(0));
        expect.saw_creation("rs");
        assert_eq!(expect.wait("rs", S(299), SEEN), Some(S(1)));
        expect.saw_creation("rs");
        assert_eq!(expect.wait("rs", S(1), SEEN), None);
        expect.expect_deletions("rs", ["pod-1".to_string()], S(1));
        assert_eq!(expect.going("rs").into_iter().collect::<Vec<_>>(), ["pod-1"]);
        assert_eq!(expect.wait("rs", S(2), SEEN), Some(S(299)));
        expect.saw_deletion("rs", "pod-1");
        assert_eq!((expect.going("rs").len(), expect.wait("rs", S(2), SEEN)), (0, None));
    }

    /// What had been given up was once waited for again with the next creation.
    #[test]
    fn what_was_given_up_is_not_waited_for_again() {
        let mut expect = Expectations::new(S(40));
        expect.expect_creations("rs", 3, S(0));
        assert_eq!(expect.wait("rs", S(40), SEEN), None);
        expect.expect_creations("rs", 1, S(40));
        expect.saw_creation("rs");
        assert_eq!(expect.wait("rs", S(41), SEEN), None);
    }

    /// Pods that were there and not seen yet were once made again.
    #[test]
    fn nothing_is_given_up_while_the_cache_may_lack_it() {
        let mut expect = Expectations::new(S(300));
        expect.expect_creations("rs", 1, S(0));
        assert_eq!(expect.wait("rs", S(298), S(5)), Some(S(5)));
        assert_eq!(expect.wait("rs", S(400), S(5)), Some(S(5)));
        assert_eq!(expect.wait("rs", S(400), SEEN), None);
        expect.saw_creation("rs");
        assert_eq!(expect.wait("rs", S(1), S(5)), None, "what was seen is not waited for");
    }

    #[test]
    fn waiting_ends_in_time_and_sooner_in_doubt() {
        let mut expect = Expectations::new(S(300));
        expect.expect_creations("rs", 1, S(10));
        assert_eq!(expect.wait("rs", S(309), SEEN), Some(S(1)));
        assert_eq!(expect.wait("rs", S(310), SEEN), None);
        expect.doubt("rs", S(70));
        assert_eq!(expect.wait("rs", S(69), SEEN), Some(S(1)));
        assert_eq!(expect.wait("rs", S(70), SEEN), None);
    }
}
