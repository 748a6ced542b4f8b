//! A few harms that came one after the other, alone: early in a run that ends right behind them. Few failures need
//! more, and such runs are short, so that one which hangs on chance gets many tries.

use super::{Work, steps::ending, varied};
use crate::plan::Plan;

/// How many harms are kept: the fewest first.
const KEPT: [usize; 4] = [1, 2, 3, 6];
/// Each time with other chance.
const ROUNDS: u64 = 4;
/// No more of the time than this may go by: what follows makes any plan smaller.
const SHARE: f64 = 0.4;
/// What a harm breaks may break after it, in microseconds.
const BEHIND: u64 = 1_500_000;
/// When there is something to break, counted from the first operation.
const UNDER_WAY: u64 = 1_000_000;
/// The same of users: pods take a while.
const PODS_ARE_UP: u64 = 3_000_000;

/// True when such a run was found.
pub fn few(work: &mut Work<'_>) -> bool {
    let whole = work.plan.clone();
    for round in 0..ROUNDS {
        for kept in KEPT.into_iter().filter(|kept| *kept < whole.harms.len()) {
            let early = round % 2 == 0;
            let plans =
                (0..=whole.harms.len() - kept).map(|n| varied(&window(&whole, n, kept, early), round));
            for plan in plans.collect::<Vec<_>>().chunks(work.trial.at_once().max(1)) {
                if work.trial.spent() > SHARE {
                    return false;
                }
                if work.offer(plan.to_vec()) {
                    return true;
                }
            }
        }
    }
    false
}

/// `kept` harms from the n-th on, at their times or `early`, and nothing behind them.
fn window(whole: &Plan, n: usize, kept: usize, early: bool) -> Plan {
    let mut plan = whole.clone();
    plan.harms = whole.harms[n..n + kept].to_vec();
    let first = plan.harms.iter().map(|harm| harm.at).min().unwrap_or(0);
    let by = if early { first.saturating_sub(under_way(whole)) } else { 0 };
    for harm in &mut plan.harms {
        (harm.at, harm.until) = (harm.at - by, harm.until - by);
    }
    let last = plan.harms.iter().map(|harm| harm.until).max().unwrap_or(0);
    ending(&plan, (last + BEHIND).min(whole.heal))
}

fn under_way(plan: &Plan) -> u64 {
    let users = plan.kube.iter().map(|client| client.from + PODS_ARE_UP).min();
    let store = plan.kv.iter().map(|client| client.from + UNDER_WAY).min();
    users.or(store).unwrap_or(UNDER_WAY)
}
