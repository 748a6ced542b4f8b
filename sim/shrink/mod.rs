//! From a plan that breaks a promise to a small one that breaks the same: delta debugging (Zeller and Hildebrandt,
//! "Simplifying and Isolating Failure-Inducing Input", 2002) over harms, clients, operations, time, the cluster and
//! knobs. Pure: whether a plan still breaks the promise is somebody else's answer.
//!
//! | module | promise |
//! |---|---|
//! | `operations` | operations of a client, at the times they had |
//! | `samples` | handfuls of what is left, with other chance each |
//! | `steps` | every way to make a plan smaller or plainer |
//! | `windows` | a few harms alone, in a short run |
//! | `worlds` | any few harms, close together, in thousands of short runs |

mod operations;
mod samples;
mod steps;
mod windows;
mod worlds;

use crate::plan::Plan;
use std::collections::BTreeMap;
pub use steps::COMES_ABOUT;

/// Says whether plans still break the promise.
pub trait Trial {
    /// Which of these still break the promise. May say of none that it does when time is up.
    fn breaks(&mut self, plans: &[Plan]) -> Vec<bool>;

    /// What is known of a run of this plan.
    fn look(&mut self, plan: &Plan) -> Look;

    /// How many plans are best asked about at once.
    fn at_once(&self) -> usize;

    /// The share of the time that has gone by.
    fn spent(&self) -> f64;

    /// The first of these, in their order, that still breaks the promise.
    fn first(&mut self, plans: &[Plan]) -> Option<usize> {
        self.breaks(plans).into_iter().position(|breaks| breaks)
    }

    fn out_of_time(&self) -> bool {
        self.spent() >= 1.0
    }
}

/// What a run tells about its plan. Times are microseconds from the start.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// When each operation of each client began, as far as is known.
    pub starts: BTreeMap<String, Vec<u64>>,
    /// When the promise broke: the last time that the evidence names.
    pub broke: Option<u64>,
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
        let operators: usize = plan.operators.iter().map(|operator| operator.ops.len()).sum();
        let cluster = &plan.cluster;
        let clients = plan.kv.len() + plan.kube.len() + plan.watchers.len() + plan.operators.len();
        Size {
            harms: plan.harms.len(),
            operations: store + users + operators + plan.deeds.len(),
            processes: cluster.members
                + cluster.spares
                + cluster.apiservers
                + cluster.managers
                + cluster.schedulers
                + cluster.nodes
                + clients as u64
                + plan.api_watchers,
        }
    }
}

/// Chance and time move with every change: when a round has helped nothing, a smaller plan gets twice as many
/// variations to break the promise with, and at most this many.
const VARIATIONS: u64 = 16;
/// A failure that hangs on chance does not survive one small cut after another: then a few drastic ones, which make
/// runs short, get many variations.
const DRASTIC_VARIATIONS: u64 = 24;

/// The smallest plan found until nothing helps any more, or time is up.
pub fn shrink(plan: Plan, trial: &mut dyn Trial) -> Plan {
    let mut work = Work { plan, trial, variations: 1 };
    let (loose, look) = (work.plan.clone(), work.trial.look(&work.plan));
    steps::tie(&mut work, &look);
    if windows::few(&mut work, &loose, &look) || worlds::few(&mut work, &loose, &look) {
        tie_again(&mut work);
    }
    if !steps::drastic(&mut work) {
        work.variations = DRASTIC_VARIATIONS;
        steps::drastic(&mut work);
        work.variations = 1;
    }
    while !work.trial.out_of_time() {
        let before = work.plan.clone();
        steps::all(&mut work);
        let helped = Size::of(&work.plan) != Size::of(&before) || work.plan.heal != before.heal;
        if helped {
            continue;
        }
        if worlds::again(&mut work, &loose, &look) {
            tie_again(&mut work);
        } else if !samples::harms(&mut work) && !samples::operations(&mut work) {
            work.variations *= 2;
        }
        if work.variations > VARIATIONS {
            break;
        }
    }
    work.variations = 2;
    steps::finish(&mut work);
    work.plan
}

fn tie_again(work: &mut Work<'_>) {
    let look = work.trial.look(&work.plan);
    steps::tie(work, &look);
}

struct Work<'a> {
    plan: Plan,
    trial: &'a mut dyn Trial,
    variations: u64,
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
        for more in 0..self.variations {
            let varied: Vec<Plan> = changed.iter().map(|plan| varied(plan, more)).collect();
            if let Some(taken) = self.trial.first(&varied) {
                self.plan = varied[taken].clone();
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

/// The same plan with other chance, and with its harms a little earlier or later: operations that were taken away
/// took time, which the others no longer wait for.
fn varied(plan: &Plan, variation: u64) -> Plan {
    const STEP: u64 = 25_000;
    let mut plan = Plan { seed: plan.seed + variation, ..plan.clone() };
    let by = variation.div_ceil(2) * STEP;
    for harm in &mut plan.harms {
        let moved = |time: u64| if variation % 2 == 1 { time.saturating_sub(by) } else { time + by };
        (harm.at, harm.until) = (moved(harm.at).min(plan.heal), moved(harm.until).min(plan.heal));
    }
    plan
}

#[cfg(test)]
mod tests;
