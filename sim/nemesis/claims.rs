//! What harms want of the world at one time, and the world made so.
//! Promise: what two harms want of one thing lasts as long as either does. Where they want it differently (two slow
//! links, two clocks that are off) the one that came last rules, and when it ends, the one before it that still
//! lasts. Of several limits of memory the tightest rules.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use world::{Death, Profile, clock, cpu, memory, net, process};

/// From one process to another.
pub type Link = (String, String);

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Claims(Arc<Mutex<Wanted>>);

#[derive(Default)]
struct Wanted {
    cuts: Count<Link>,
    down: Count<String>,
    /// Of one incarnation: a process that died is not paused any more.
    paused: Count<(String, u64)>,
    links: Layers<Link, Profile>,
    /// Nanoseconds by which clocks are off, and those by which they were stepped until all heals.
    skews: Layers<String, i64>,
    steps: BTreeMap<String, i64>,
    /// What a step of a process costs.
    cpus: Layers<String, Range<Duration>>,
    /// Bytes that a process may hold.
    memory: Layers<String, u64>,
    /// Knobs that are not the plan's, all that last: of two that set the same one, the last rules.
    knobs: Layers<String, BTreeMap<String, u64>>,
}

/// One harm's claim, until it ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim(u64);

/// How many want each thing.
pub(super) struct Count<K>(BTreeMap<K, u32>);

impl<K> Default for Count<K> {
    fn default() -> Self {
        Count(BTreeMap::new())
    }
}

impl<K: Ord> Count<K> {
    pub fn want(&mut self, key: K) {
        *self.0.entry(key).or_insert(0) += 1;
    }

    /// True when nobody wants it any more; false also when nobody did.
    pub fn spare(&mut self, key: &K) -> bool {
        let Some(count) = self.0.get_mut(key) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.0.remove(key);
        }
        last
    }

    pub fn wanted(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// For each thing what is wanted of it, the ruling claim last.
struct Layers<K, V> {
    last: u64,
    wanted: BTreeMap<K, Vec<(Claim, V)>>,
}

impl<K, V> Default for Layers<K, V> {
    fn default() -> Self {
        Layers { last: 0, wanted: BTreeMap::new() }
    }
}

impl<K: Ord, V> Layers<K, V> {
    fn claim(&mut self) -> Claim {
        self.last += 1;
        Claim(self.last)
    }

    fn add(&mut self, key: K, claim: Claim, value: V) {
        self.wanted.entry(key).or_default().push((claim, value));
    }

    fn ruling(&self, key: &K) -> Option<&V> {
        self.wanted.get(key)?.last().map(|(_, value)| value)
    }

    fn all(&self, key: &K) -> impl Iterator<Item = &V> {
        self.wanted.get(key).into_iter().flatten().map(|(_, value)| value)
    }

    /// True when another rules now, or none.
    fn end(&mut self, key: &K, claim: Claim) -> bool {
        let Some(wanted) = self.wanted.get_mut(key) else { return false };
        let ruled = wanted.last().is_some_and(|(last, _)| *last == claim);
        wanted.retain(|(other, _)| *other != claim);
        if wanted.is_empty() {
            self.wanted.remove(key);
        }
        ruled
    }
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn cut(&self, links: &[Link]) {
        for link in links {
            base::reached!("tank: two partitions cut one link", self.lock().cuts.0.contains_key(link));
            self.lock().cuts.want(link.clone());
            net().cut(&link.0, &link.1);
        }
    }

    pub fn mend(&self, links: &[Link]) {
        for link in links {
            if self.lock().cuts.spare(link) {
                net().heal(&link.0, &link.1);
            }
        }
    }

    /// Ends a process and keeps it down. False when there was nothing to end.
    pub fn fell(&self, name: &str, death: Death) -> bool {
        self.lock().down.want(name.to_string());
        process::kill(name, death)
    }

    /// Starts a process again, unless another harm wants it down. True when it was started.
    pub fn raise(&self, name: &str) -> bool {
        let last = self.lock().down.spare(&name.to_string());
        last && process::restart(name)
    }

    /// True while the process is down because a harm says so.
    pub fn keeps_down(&self, name: &str) -> bool {
        self.lock().down.0.contains_key(name)
    }

    /// Stops a process from running. Gives the incarnation that is paused; none if the process is down.
    pub fn pause(&self, name: &str) -> Option<u64> {
        let status = process::status(name).filter(|status| status.up)?;
        self.lock().paused.want((name.to_string(), status.incarnation));
        process::pause(name);
        Some(status.incarnation)
    }

    pub fn resume(&self, name: &str, incarnation: u64) {
        let last = self.lock().paused.spare(&(name.to_string(), incarnation));
        if last && process::status(name).is_some_and(|status| status.incarnation == incarnation) {
            process::resume(name);
        }
    }

    /// Gives links a profile of their own.
    pub fn slow(&self, links: &[Link], profile: &Profile) -> Claim {
        let claim = self.lock().links.claim();
        for link in links {
            self.lock().links.add(link.clone(), claim, profile.clone());
            net().set_link(&link.0, &link.1, Some(profile.clone()));
        }
        claim
    }

    pub fn quicken(&self, links: &[Link], claim: Claim) {
        for link in links {
            let mut wanted = self.lock();
            if wanted.links.end(link, claim) {
                let profile = wanted.links.ruling(link).cloned();
                drop(wanted);
                net().set_link(&link.0, &link.1, profile);
            }
        }
    }

    /// Sets wall clocks off by nanoseconds, beside what they were stepped by. Gives those that there are.
    pub fn skew(&self, names: &[String], nanos: i64) -> (Claim, Vec<String>) {
        let claim = self.lock().skews.claim();
        for name in names {
            self.lock().skews.add(name.clone(), claim, nanos);
        }
        (claim, names.iter().filter(|name| self.set_clock(name)).cloned().collect())
    }

    pub fn unskew(&self, names: &[String], claim: Claim) {
        for name in names {
            let ruled = self.lock().skews.end(name, claim);
            if ruled {
                self.set_clock(name);
            }
        }
    }

    /// Steps a wall clock by nanoseconds, until all heals.
    pub fn step(&self, name: &str, nanos: i64) -> bool {
        *self.lock().steps.entry(name.to_string()).or_insert(0) += nanos;
        clock::step(name, nanos)
    }

    fn set_clock(&self, name: &String) -> bool {
        let wanted = self.lock();
        let off = wanted.skews.ruling(name).copied().unwrap_or(0);
        let stepped = wanted.steps.get(name).copied().unwrap_or(0);
        drop(wanted);
        clock::skew(name, off.saturating_add(stepped))
    }

    /// Has each step of these cost so much.
    pub fn slow_cpu(&self, names: &[String], cost: &Range<Duration>) -> Claim {
        let claim = self.lock().cpus.claim();
        for name in names {
            self.lock().cpus.add(name.clone(), claim, cost.clone());
            cpu::slow(name, Some(cost.clone()));
        }
        claim
    }

    pub fn quicken_cpu(&self, names: &[String], claim: Claim) {
        for name in names {
            let mut wanted = self.lock();
            if wanted.cpus.end(name, claim) {
                let cost = wanted.cpus.ruling(name).cloned();
                drop(wanted);
                cpu::slow(name, cost);
            }
        }
    }

    /// Limits what these may hold in memory.
    pub fn limit_memory(&self, names: &[String], bytes: u64) -> Claim {
        let claim = self.lock().memory.claim();
        for name in names {
            base::reached!("tank: two limits of memory at a time", self.lock().memory.ruling(name).is_some());
            self.lock().memory.add(name.clone(), claim, bytes);
            self.set_memory(name);
        }
        claim
    }

    pub fn lift_memory(&self, names: &[String], claim: Claim) {
        for name in names {
            self.lock().memory.end(name, claim);
            self.set_memory(name);
        }
    }

    fn set_memory(&self, name: &String) {
        let tightest = self.lock().memory.all(name).min().copied();
        memory::limit(name, tightest);
    }

    /// Has these be started with other knobs from now on.
    pub fn configure(&self, names: &[String], knobs: &BTreeMap<String, u64>) -> Claim {
        let mut wanted = self.lock();
        let claim = wanted.knobs.claim();
        names.iter().for_each(|name| wanted.knobs.add(name.clone(), claim, knobs.clone()));
        claim
    }

    pub fn restore(&self, names: &[String], claim: Claim) {
        let mut wanted = self.lock();
        for name in names {
            wanted.knobs.end(name, claim);
        }
    }

    /// Sets what is wanted of a process's knobs.
    pub fn set_knobs(&self, name: &str, knobs: &mut base::Knobs) {
        for (_, wanted) in self.lock().knobs.wanted.get(name).into_iter().flatten() {
            for (knob, value) in wanted {
                knobs.set(knob, *value);
            }
        }
    }

    /// No harm wants anything any more, but that knobs stay what they were changed to. Making the world so is the
    /// caller's.
    pub fn forget(&self) {
        let mut wanted = self.lock();
        wanted.cuts.0.clear();
        wanted.down.0.clear();
        wanted.paused.0.clear();
        wanted.links.wanted.clear();
        wanted.skews.wanted.clear();
        wanted.steps.clear();
        wanted.cpus.wanted.clear();
        wanted.memory.wanted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use world::World;

    /// Two processes that do nothing, and what a nemesis does to them.
    fn in_a_world(act: impl FnOnce(Claims) + Send + 'static) {
        World::run(1, |world| async move {
            for (n, name) in ["one", "other"].iter().enumerate() {
                let ip = std::net::Ipv4Addr::new(10, 0, 0, n as u8 + 1).into();
                world.create(name, ip, std::future::pending);
            }
            act(Claims::default());
        });
    }

    fn up() -> bool {
        process::status("one").expect("it was made").up
    }

    fn paused() -> bool {
        process::status("one").expect("it was made").paused
    }

    fn link() -> Vec<Link> {
        vec![("one".into(), "other".into())]
    }

    #[test]
    fn a_process_stays_down_as_long_as_any_harm_wants_it_down() {
        in_a_world(|claims| {
            assert!(claims.fell("one", Death::Process));
            assert!(!claims.fell("one", Death::Process), "it was down already");
            assert!(!claims.raise("one") && !up() && claims.keeps_down("one"));
            assert!(claims.raise("one") && up() && !claims.keeps_down("one"));
            assert!(!claims.raise("one"), "nobody had it down");
        });
    }

    #[test]
    fn a_process_stands_still_as_long_as_any_harm_wants_it_to() {
        in_a_world(|claims| {
            let (first, second) = (claims.pause("one"), claims.pause("one"));
            claims.resume("one", first.expect("it ran"));
            assert!(paused());
            claims.resume("one", second.expect("it was up"));
            assert!(!paused());
        });
    }

    #[test]
    fn a_pause_ends_with_the_death_of_what_was_paused() {
        in_a_world(|claims| {
            let first = claims.pause("one").expect("it ran");
            claims.fell("one", Death::Process);
            assert_eq!(claims.pause("one"), None, "it is down");
            assert!(claims.raise("one") && !paused());
            let second = claims.pause("one").expect("it runs again");
            claims.resume("one", first);
            assert!(paused(), "the first pause was of another incarnation");
            claims.resume("one", second);
            assert!(!paused());
        });
    }

    #[test]
    fn of_two_slow_links_the_last_rules_and_then_the_one_that_still_lasts() {
        in_a_world(|claims| {
            let of = |ms| Profile::steady(Duration::from_millis(ms)..Duration::from_millis(ms + 1));
            let now = || net().link_profile("one", "other");
            let first = claims.slow(&link(), &of(10));
            let second = claims.slow(&link(), &of(20));
            let third = claims.slow(&link(), &of(30));
            assert_eq!(now(), Some(of(30)));
            claims.quicken(&link(), first);
            assert_eq!(now(), Some(of(30)), "it did not rule");
            claims.quicken(&link(), third);
            assert_eq!(now(), Some(of(20)));
            claims.quicken(&link(), second);
            assert_eq!(now(), None);
        });
    }

    #[test]
    fn a_link_is_cut_as_long_as_any_harm_wants_it_cut() {
        in_a_world(|claims| {
            claims.cut(&link());
            claims.cut(&link());
            claims.mend(&link());
            assert!(net().is_cut("one", "other"));
            claims.mend(&link());
            assert!(!net().is_cut("one", "other"));
        });
    }

    #[test]
    fn of_two_skews_the_last_rules_and_a_step_outlasts_both() {
        in_a_world(|claims| {
            let one = ["one".to_string()];
            let (first, _) = claims.skew(&one, 1_000);
            let (second, moved) = claims.skew(&one, -5_000);
            assert_eq!((clock::error("one"), moved), (Some(-5_000), one.to_vec()));
            assert!(claims.step("one", 300));
            claims.unskew(&one, second);
            assert_eq!(clock::error("one"), Some(1_300));
            claims.unskew(&one, first);
            assert_eq!(clock::error("one"), Some(300));
        });
    }

    #[test]
    fn of_two_changes_of_a_knob_the_last_rules_and_each_can_be_taken_back() {
        in_a_world(|claims| {
            let one = ["one".to_string()];
            let of = |changes: &[(&str, u64)]| -> BTreeMap<String, u64> {
                changes.iter().map(|(knob, value)| (knob.to_string(), *value)).collect()
            };
            let now = || {
                let mut knobs = base::Knobs { txn_ops: 1, slow_start: 1, ..base::Knobs::default() };
                claims.set_knobs("one", &mut knobs);
                (knobs.txn_ops, knobs.slow_start)
            };
            let first = claims.configure(&one, &of(&[("txn_ops", 2), ("slow_start", 2)]));
            let second = claims.configure(&one, &of(&[("txn_ops", 3)]));
            assert_eq!(now(), (3, 2));
            claims.forget();
            assert_eq!(now(), (3, 2), "the heal takes no upgrade back");
            claims.restore(&one, first);
            assert_eq!(now(), (3, 1));
            claims.restore(&one, second);
            assert_eq!(now(), (1, 1));
        });
    }

    #[test]
    fn of_two_limits_of_memory_the_tighter_rules_as_long_as_it_lasts() {
        World::run(1, |world| async move {
            let ip = std::net::Ipv4Addr::new(10, 0, 0, 1).into();
            world.create("one", ip, || async {
                let gauge = memory::Gauge::new("all");
                gauge.set(500);
                std::future::pending().await
            });
            world::timers::wait(Duration::from_millis(1)).await;
            let (claims, one) = (Claims::default(), ["one".to_string()]);
            let over = async || futures::poll!(Box::pin(memory::over("one", 0))).is_ready();
            let tight = claims.limit_memory(&one, 499);
            let loose = claims.limit_memory(&one, 1_000);
            assert!(over().await, "the last one is not the tighter one");
            claims.lift_memory(&one, tight);
            assert!(!over().await);
            let tight = claims.limit_memory(&one, 100);
            claims.lift_memory(&one, loose);
            assert!(over().await);
            claims.lift_memory(&one, tight);
            assert!(!over().await);
        });
    }

    #[test]
    fn what_ends_after_all_was_healed_ends_nothing() {
        in_a_world(|claims| {
            claims.fell("one", Death::Process);
            claims.cut(&link());
            claims.forget();
            net().heal_all();
            process::restart("one");
            process::kill("one", Death::Process); // by itself
            assert!(!claims.raise("one") && !up());
            claims.mend(&link());
        });
    }
}
