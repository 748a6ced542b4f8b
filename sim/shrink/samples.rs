//! Handfuls of what is left: what hangs on chance does not survive one small cut after another, but comes about again
//! somewhere among many small plans with other chance each.

use super::{Size, Work, operations::Of, steps};
use crate::plan::Plan;
use base::stream::{Stream, stream};
use rand::Rng;
use rand::seq::index;

/// A failure with so few harms is small.
pub const FEW: usize = 3;
/// No more of the time than this may go into one search.
const SHARE: f64 = 0.3;
/// How far a harm may move, in microseconds.
const MOVES: u64 = 200_000;
/// With how many other seeds of the world.
const CHANCES: u64 = 100_000;
/// So many plans are looked at in one search: who has time without end is not to wait for ever.
pub const MOST: usize = 20_000;

/// Any three of the harms, if there are more. True when that was enough.
pub fn harms(work: &mut Work<'_>) -> bool {
    if work.plan.harms.len() <= FEW {
        return false;
    }
    search(work, |plan, chance| {
        let count = chance.gen_range(1..=FEW);
        plan.harms = some(&plan.harms, count, chance);
    })
}

/// Half of the operations, any half. True when these were enough.
pub fn operations(work: &mut Work<'_>) -> bool {
    if Size::of(&work.plan).operations <= FEW {
        return false;
    }
    search(work, |plan, chance| {
        for of in Of::all(plan) {
            for n in (0..of.count(plan)).rev() {
                if chance.gen_bool(0.5) {
                    of.remove(plan, n, n + 1);
                }
            }
        }
    })
}

/// Takes the first that breaks of plans with less in them, other chance, and harms that came a little earlier or later.
fn search(work: &mut Work<'_>, less: impl Fn(&mut Plan, &mut Stream)) -> bool {
    let until = work.trial.spent() + SHARE;
    let at_once = work.trial.at_once().max(1);
    let mut chance = stream(work.plan.seed, "samples");
    for _ in 0..MOST / at_once {
        if work.trial.spent() >= until.min(1.0) {
            return false;
        }
        let plans: Vec<Plan> = (0..at_once)
            .map(|_| {
                let mut plan = work.plan.clone();
                less(&mut plan, &mut chance);
                let plan = shaken(plan, MOVES, &mut chance);
                if chance.gen_bool(0.5) { steps::steady(plan) } else { plan }
            })
            .collect();
        if let Some(taken) = work.trial.first(&plans) {
            work.plan = plans[taken].clone();
            return true;
        }
    }
    false
}

/// Any so many of these, in their order.
pub fn some<T: Clone>(of: &[T], count: usize, chance: &mut Stream) -> Vec<T> {
    let mut kept = index::sample(chance, of.len(), count).into_vec();
    kept.sort_unstable();
    kept.into_iter().map(|n| of[n].clone()).collect()
}

/// With other chance, and harms that come earlier or later by so much at the most.
pub fn shaken(mut plan: Plan, by: u64, chance: &mut Stream) -> Plan {
    plan.seed += chance.gen_range(0..CHANCES);
    for harm in &mut plan.harms {
        let lasting = harm.until - harm.at;
        harm.at = (harm.at + chance.gen_range(0..=2 * by)).saturating_sub(by).min(plan.heal);
        harm.until = (harm.at + lasting).min(plan.heal);
    }
    plan.harms.sort_by_key(|harm| harm.at);
    plan
}
