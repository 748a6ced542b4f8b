//! The time of leases, on the leader only. Pure: time comes as an argument. A lease's time starts when it is
//! granted, when it is renewed, and when this member becomes leader: the new leader cannot know of renewals.
//!
//! What is left of a lease may be agreed on, and is where the next leader begins: a *checkpoint*. Promise: a lease ends
//! no sooner for it than it was promised to live. A renewal is answered only when no checkpoint says less than the whole
//! time any more, nor can come to say it: of one lease at most one is under way, and only the term's leader has any.

use base::{bug, invariant, reached};
use rt::Mono;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{Checkpoint, Store};

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
    /// Since when it has neither been renewed nor checkpointed.
    since: Mono,
    /// Seconds that its last checkpoint says are left; 0: its whole time.
    left: i64,
    /// A checkpoint of it is under way, and may be agreed on.
    under_way: bool,
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Renewed for this many seconds.
    Done { ttl: i64 },
    /// Its time was over; it will be gone soon. Wait and ask again.
    Ending,
    /// First this must be agreed on: no checkpoint says that less than its whole time is left.
    Marked(Checkpoint),
    /// A checkpoint of it is under way. Wait and ask again.
    UnderWay,
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

    /// This member leads now: every lease's time starts anew, or where its last checkpoint left it.
    pub fn promote(&mut self, store: &Store, now: Mono) {
        self.demote();
        self.running = true;
        for (id, lease) in store.leases() {
            let (granted, ttl, left) = (lease.granted, seconds(lease.ttl), lease.left);
            let end = now + whole(ttl, left) + self.extension;
            self.insert(id, Time { granted, ttl, end, ending: false, since: now, left, under_way: false });
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
            let (ttl, since) = (seconds(ttl), now);
            let end = now + ttl;
            self.insert(
                id,
                Time { granted: index, ttl, end, ending: false, since, left: 0, under_way: false },
            );
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
        if time.under_way && !bug!("B09") {
            reached!("member: a renewal waits for a checkpoint that is under way");
            return Renewal::UnderWay;
        }
        if time.left > 0 && !bug!("B09") {
            reached!("member: a renewal takes back a checkpoint first");
            self.leases.insert(id, Time { under_way: true, ..time });
            return Renewal::Marked(Checkpoint { id, granted: time.granted, left: 0 });
        }
        self.ended(id);
        self.insert(id, Time { end: now + time.ttl, since: now, ..time });
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

    /// What is left of leases that have not been renewed for so long; it is under way from here on.
    pub fn checkpoints(&mut self, now: Mono, every: Duration, most: usize) -> Vec<Checkpoint> {
        let due =
            |time: &Time| !time.ending && !time.under_way && time.since + every <= now && time.end > now;
        let due = self.leases.iter_mut().filter(|(_, time)| due(time)).take(most);
        due.map(|(id, time)| {
            time.under_way = true;
            // never less than there is
            let left = (time.end - now).as_millis().div_ceil(1_000) as i64;
            Checkpoint { id: *id, granted: time.granted, left }
        })
        .collect()
    }

    /// A checkpoint was agreed on. One that a former leader began tells this one, which cannot have renewed the lease
    /// yet, where to begin.
    pub fn checkpointed(&mut self, checkpoint: Checkpoint, is_of_a_former_leader: bool, now: Mono) {
        let Some(&time) = self.leases.get(&checkpoint.id).filter(|time| time.granted == checkpoint.granted)
        else {
            return;
        };
        let left = checkpoint.left;
        let end = if is_of_a_former_leader { now + whole(time.ttl, left) + self.extension } else { time.end };
        self.ended(checkpoint.id);
        self.insert(checkpoint.id, Time { left, end, since: now, under_way: false, ..time });
    }

    /// A checkpoint surely will not be agreed on.
    pub fn not_agreed(&mut self, checkpoint: Checkpoint) {
        let of = self.leases.get_mut(&checkpoint.id).filter(|time| time.granted == checkpoint.granted);
        if let Some(time) = of {
            time.under_way = false;
        }
    }

    fn insert(&mut self, id: i64, time: Time) {
        self.by_end.insert((time.end, id));
        let before = self.leases.insert(id, time);
        invariant!(before.is_none(), "a lease has one time");
    }
}

/// What a leader begins with: the whole time, or what the last checkpoint says.
fn whole(ttl: Duration, left: i64) -> Duration {
    // etcd-io/etcd#13508: L03 begins with the whole time whatever was agreed on
    if left == 0 || bug!("L03") { ttl } else { seconds(left).min(ttl) }
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

    #[test]
    fn a_checkpoint_that_was_not_taken_up_hinders_no_renewal() {
        let (mut clock, _) = checkpointed();
        clock.not_agreed(Checkpoint { id: 7, granted: 1, left: 6 });
        assert_eq!(clock.renew(7, at(104)), Renewal::Done { ttl: 10 });
    }

    const EVERY: Duration = Duration::from_secs(4);

    /// A lease of 10 s that was granted at 100 s, and what is left of it agreed on 4 s later.
    fn checkpointed() -> (LeaseClock, Store) {
        let mut store = Store::new();
        store.apply(Index(1), &Command::LeaseGrant { id: 7, ttl: 10 });
        let mut clock = LeaseClock::new(Duration::from_secs(1));
        clock.running = true;
        clock.granted(7, 1, 10, at(100));
        assert_eq!(clock.checkpoints(at(103), EVERY, 9), []);
        let checkpoints = clock.checkpoints(at(104), EVERY, 9);
        assert_eq!(checkpoints, [Checkpoint { id: 7, granted: 1, left: 6 }]);
        store.apply(Index(2), &Command::LeaseCheckpoint(checkpoints));
        (clock, store)
    }

    #[test]
    fn a_new_leader_begins_where_the_last_checkpoint_left_a_lease() {
        let (_, store) = checkpointed();
        let mut next = LeaseClock::new(Duration::from_secs(1));
        next.promote(&store, at(200));
        assert_eq!(next.left(7, at(200)), Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_checkpoint_that_is_applied_later_tells_a_new_leader_as_well() {
        let mut next = leader_with_lease();
        next.checkpointed(Checkpoint { id: 7, granted: 1, left: 6 }, true, at(100));
        assert_eq!(next.left(7, at(100)), Some(Duration::from_secs(7)));
        next.checkpointed(Checkpoint { id: 7, granted: 1, left: 0 }, true, at(100));
        assert_eq!(next.left(7, at(100)), Some(Duration::from_secs(11)), "it was renewed after all");
        next.checkpointed(Checkpoint { id: 7, granted: 9, left: 1 }, true, at(100));
        assert_eq!(next.left(7, at(100)), Some(Duration::from_secs(11)), "that was another lease");
    }

    #[test]
    fn a_renewal_is_answered_when_no_checkpoint_says_otherwise_any_more() {
        let (mut clock, _) = checkpointed();
        assert_eq!(clock.renew(7, at(104)), Renewal::UnderWay);
        clock.not_agreed(Checkpoint { id: 7, granted: 9, left: 6 });
        assert_eq!(clock.renew(7, at(104)), Renewal::UnderWay, "that was of another lease");
        clock.checkpointed(Checkpoint { id: 7, granted: 1, left: 6 }, false, at(105));
        let taken_back = Checkpoint { id: 7, granted: 1, left: 0 };
        assert_eq!(clock.renew(7, at(105)), Renewal::Marked(taken_back));
        assert_eq!(clock.checkpoints(at(109), EVERY, 9), [], "no other while that is under way");
        clock.checkpointed(taken_back, false, at(106));
        assert_eq!(clock.renew(7, at(106)), Renewal::Done { ttl: 10 });
        assert_eq!(clock.left(7, at(106)), Some(Duration::from_secs(10)));
    }
}
