//! The time of leases, on the leader only. Pure: time comes as an argument. A lease's time starts when it is
//! granted, when it is renewed, and when this member becomes leader: the new leader cannot know of renewals.

use base::{bug, invariant, reached};
use rt::Mono;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::Store;

#[derive(Debug)]
pub struct LeaseClock {
    /// What a new leader adds, since clients could not renew while there was none.
    extension: Duration,
    leases: BTreeMap<i64, Time>,
    /// The same leases by the end of their time.
    by_end: BTreeSet<(Mono, i64)>,
    running: bool,
}

#[derive(Clone, Copy, Debug)]
struct Time {
    granted: u64,
    ttl: Duration,
    end: Mono,
    /// Its end is being agreed on: it cannot be renewed any more.
    ending: bool,
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Renewed for this many seconds.
    Done { ttl: i64 },
    /// Its time was over; it will be gone soon. Wait and ask again.
    Ending,
    /// There is no such lease.
    Gone,
}

/// A lease whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub id: i64,
    /// Index of its grant.
    pub granted: u64,
}

impl LeaseClock {
    pub fn new(extension: Duration) -> Self {
        Self { extension, leases: BTreeMap::new(), by_end: BTreeSet::new(), running: false }
    }

    /// This member leads now: every lease's time starts anew.
    pub fn promote(&mut self, store: &Store, now: Mono) {
        self.demote();
        self.running = true;
        for (id, lease) in store.leases() {
            let ttl = seconds(lease.ttl);
            self.insert(
                id,
                Time { granted: lease.granted, ttl, end: now + ttl + self.extension, ending: false },
            );
        }
    }

    /// This member leads no more: what it knows of the leases' time is worth nothing.
    pub fn demote(&mut self) {
        reached!(
            "member: a leader that steps down forgets the time of leases",
            !self.leases.is_empty() && self.running
        );
        self.running = false;
        if bug!("L07") {
            return; // etcd#14087: what was due stays due after stepping down
        }
        self.leases.clear();
        self.by_end.clear();
    }

    pub fn granted(&mut self, id: i64, index: u64, ttl: i64, now: Mono) {
        if self.running {
            self.ended(id);
            let ttl = seconds(ttl);
            self.insert(id, Time { granted: index, ttl, end: now + ttl, ending: false });
        }
    }

    pub fn ended(&mut self, id: i64) {
        if let Some(time) = self.leases.remove(&id) {
            self.by_end.remove(&(time.end, id));
        }
    }

    /// Starts a lease's time anew. A lease whose time is over stays over.
    pub fn renew(&mut self, id: i64, now: Mono) -> Renewal {
        let Some(&time) = self.leases.get(&id) else { return Renewal::Gone };
        if (time.ending || time.end <= now) && !bug!("L02") {
            return Renewal::Ending;
        }
        self.ended(id);
        self.insert(id, Time { end: now + time.ttl, ..time });
        Renewal::Done { ttl: time.ttl.as_secs() as i64 }
    }

    /// Time left.
    pub fn left(&self, id: i64, now: Mono) -> Option<Duration> {
        self.leases.get(&id).map(|time| time.end.saturating_sub(now))
    }

    /// Leases whose time is over and whose end is not being agreed on yet, the longest over first.
    pub fn due(&self, now: Mono, most: usize) -> Vec<Due> {
        let over = self.by_end.iter().take_while(|(end, _)| *end <= now);
        let due = over.filter_map(|(_, id)| {
            let time = self.leases.get(id).filter(|time| !time.ending)?;
            Some(Due { id: *id, granted: time.granted })
        });
        due.take(most).collect()
    }

    /// The end of a lease is being agreed on, or could not be.
    pub fn set_ending(&mut self, due: Due, ending: bool) {
        if let Some(time) = self.leases.get_mut(&due.id).filter(|time| time.granted == due.granted) {
            time.ending = ending;
        }
    }

    fn insert(&mut self, id: i64, time: Time) {
        self.by_end.insert((time.end, id));
        let before = self.leases.insert(id, time);
        invariant!(before.is_none(), "a lease has one time");
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Index;
    use store::Command;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn leader_with_lease() -> LeaseClock {
        let mut store = Store::new();
        store.apply(Index(1), &Command::LeaseGrant { id: 7, ttl: 10 });
        let mut clock = LeaseClock::new(Duration::from_secs(1));
        clock.promote(&store, at(100));
        clock
    }

    #[test]
    fn a_new_leader_gives_every_lease_its_whole_time() {
        let clock = leader_with_lease();
        assert_eq!(clock.left(7, at(100)), Some(Duration::from_secs(11)));
        assert!(clock.due(at(110), 9).is_empty());
        assert_eq!(clock.due(at(111), 9), [Due { id: 7, granted: 1 }]);
    }

    #[test]
    fn a_renewed_lease_lives_for_its_time_from_then_on() {
        let mut clock = leader_with_lease();
        assert_eq!(clock.renew(7, at(105)), Renewal::Done { ttl: 10 });
        assert!(clock.due(at(114), 9).is_empty());
        assert_eq!(clock.due(at(115), 9).len(), 1);
    }

    #[test]
    fn a_lease_whose_time_is_over_cannot_be_renewed() {
        let mut clock = leader_with_lease();
        assert_eq!(clock.renew(7, at(111)), Renewal::Ending);
        clock.ended(7);
        assert_eq!(clock.renew(7, at(111)), Renewal::Gone);
    }

    #[test]
    fn a_lease_is_due_once_until_its_end_fails() {
        let mut clock = leader_with_lease();
        let due = clock.due(at(120), 9)[0];
        clock.set_ending(due, true);
        assert!(clock.due(at(120), 9).is_empty());
        clock.set_ending(due, false);
        assert_eq!(clock.due(at(120), 9), [due]);
    }

    #[test]
    fn a_deposed_leader_knows_nothing() {
        let mut clock = leader_with_lease();
        clock.demote();
        clock.granted(8, 2, 1, at(100));
        assert!(clock.due(at(1_000), 9).is_empty());
        assert_eq!(clock.renew(7, at(101)), Renewal::Gone);
    }
}
