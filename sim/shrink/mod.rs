//! From a plan that breaks a promise to a small one that breaks the same: delta debugging (Zeller and Hildebrandt,
//! "Simplifying and Isolating Failure-Inducing Input", 2002) over harms, clients, operations, time, the cluster and
//! knobs. Pure: whether a plan still breaks the promise is somebody else's answer.
//!
//! | module | promise |
//! |---|---|
//! | `steps` | every way to make a plan smaller or plainer |

mod steps;

use crate::plan::Plan;

/// Says whether plans still break the promise.
pub trait Trial {
    /// The first of these, in their order, that still breaks the promise. May answer with None when time is up.
    fn first(&mut self, plans: &[Plan]) -> Option<usize>;

    /// How many plans are best asked about at once.
    fn at_once(&self) -> usize;

    fn out_of_time(&self) -> bool;
}

/// How large a plan is, in what a reader has to hold in his head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub harms: usize,
    pub operations: usize,
    pub processes: u64,
}

impl Size {
    pub fn of(plan: &Plan) -> Self {
        let store: usize = plan.kv.iter().map(|client| client.ops.len()).sum();
        let users: usize = plan.kube.iter().map(|client| client.ops.len()).sum();
        let cluster = &plan.cluster;
        let clients = plan.kv.len() + plan.kube.len() + plan.watchers.len();
        Size {
            harms: plan.harms.len(),
            operations: store + users + plan.deeds.len(),
            processes: cluster.members
                + cluster.apiservers
                + cluster.managers
                + cluster.schedulers
                + cluster.nodes
                + clients as u64
                + plan.api_watchers,
        }
    }
}

/// Chance moves with every change; from the second round on, a smaller plan may have this many seeds to break the
/// promise with.
const SEEDS: u64 = 4;
/// A failure that hangs on chance does not survive one small cut after another: then a few drastic ones, which make
/// runs short, get many seeds.
const SEEDS_OF_DRASTIC: u64 = 24;
const ROUNDS: usize = 4;

/// The smallest plan found until nothing helps any more, or time is up.
pub fn shrink(plan: Plan, trial: &mut dyn Trial) -> Plan {
    let mut work = Work { plan, trial, seeds: 1 };
    if !steps::drastic(&mut work) {
        work.seeds = SEEDS_OF_DRASTIC;
        steps::drastic(&mut work);
        work.seeds = 1;
    }
    for round in 0..ROUNDS {
        let before = work.plan.clone();
        steps::all(&mut work);
        if work.trial.out_of_time()
            || (round > 0 && Plan { seed: before.seed, ..work.plan.clone() } == before)
        {
            break;
        }
        work.seeds = SEEDS;
    }
    work.seeds = 1;
    steps::round(&mut work);
    work.plan
}

struct Work<'a> {
    plan: Plan,
    trial: &'a mut dyn Trial,
    seeds: u64,
}

impl Work<'_> {
    /// Takes the first of these that still breaks the promise.
    fn offer(&mut self, plans: Vec<Plan>) -> bool {
        for plans in plans.chunks(self.trial.at_once().max(1)) {
            if self.first(plans).is_some() {
                return true;
            }
        }
        false
    }

    /// Which of these was taken.
    fn first(&mut self, plans: &[Plan]) -> Option<usize> {
        let changed: Vec<Plan> = plans.iter().filter(|plan| **plan != self.plan).cloned().collect();
        if changed.is_empty() || self.trial.out_of_time() {
            return None;
        }
        for more in 0..self.seeds {
            let seeded = changed.iter().map(|plan| Plan { seed: plan.seed + more, ..plan.clone() });
            let seeded: Vec<Plan> = seeded.collect();
            if let Some(taken) = self.trial.first(&seeded) {
                self.plan = seeded[taken].clone();
                return plans.iter().position(|plan| *plan == changed[taken]);
            }
        }
        None
    }

    /// Takes away as many of the parts as can be spared: all, halves, quarters, and so on to single ones.
    fn fewer(&mut self, count: impl Fn(&Plan) -> usize, without: impl Fn(&mut Plan, usize, usize)) {
        let mut size = count(&self.plan);
        while size > 0 {
            let mut at = 0;
            while at < count(&self.plan) {
                let places = (0..self.trial.at_once().max(1)).map(|n| at + n * size);
                let places: Vec<usize> = places.filter(|place| *place < count(&self.plan)).collect();
                let plans = places.iter().map(|place| {
                    let mut plan = self.plan.clone();
                    without(&mut plan, *place, (place + size).min(count(&self.plan)));
                    plan
                });
                let plans: Vec<Plan> = plans.collect();
                match self.first(&plans) {
                    Some(taken) => at = places[taken],
                    None => at += size * places.len(),
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }
}

#[cfg(test)]
mod tests;
