//! Small worlds: a few of the harms, close together at the beginning of a short run, among clients that ask as fast as
//! they can. What hangs on chance comes about again in one of thousands of such runs, which take a hundredth of the time
//! of the whole. Where three harms are too few for that, all that came within a moment are thinned out.

use super::{
    Look, Work,
    samples::{FEW, MOST, shaken, some},
    steps, windows,
};
use crate::plan::{Plan, PlannedHarm};
use base::stream::{Stream, stream};
use rand::Rng;

/// The shares of the time that may have gone by with handfuls, with moments, and with thinning these out.
const AT_FIRST: [f64; 3] = [0.25, 0.4, 0.65];
/// The same of what goes into another search later.
const ONCE_MORE: [f64; 3] = [0.1, 0.15, 0.2];
/// What lasts so long is the weather in which others strike, not a blow: microseconds.
const LASTS: u64 = 2_000_000;
/// How far apart the harms of a handful begin at the most.
const APART: u64 = 700_000;
/// How long a moment lasts.
const MOMENTS: [u64; 3] = [1_000_000, 2_000_000, 4_000_000];
/// What a harm breaks may break after it.
const BEHIND: u64 = 1_500_000;
/// With how many seeds of the world.
const CHANCES: u64 = 100_000;
/// How far a harm of a moment moves when others are taken away.
const MOVES: u64 = 100_000;
/// So many worlds that break are compared, if time allows, for the one that does so most often.
const COMPARED: usize = 3;

/// Looks for a small world, for so long at the beginning. True when there was one. In `loose` nothing is tied to a time.
pub fn few(work: &mut Work<'_>, loose: &Plan, look: &Look) -> bool {
    search(work, loose, look, AT_FIRST)
}

/// The same when what is left is not few, for a while.
pub fn again(work: &mut Work<'_>, loose: &Plan, look: &Look) -> bool {
    let spent = work.trial.spent();
    work.plan.harms.len() > FEW && search(work, loose, look, ONCE_MORE.map(|share| spent + share))
}

fn search(work: &mut Work<'_>, loose: &Plan, look: &Look, until: [f64; 3]) -> bool {
    let mut chance = stream(loose.seed.wrapping_add(until[0].to_bits()), "small worlds");
    if find(work, until[0], || handful(loose, look.broke, &mut chance)) {
        return true;
    }
    let before = work.plan.clone();
    if !find(work, until[1], || moment(loose, look.broke, &mut chance)) {
        return false;
    }
    thin(work, until[2], &mut chance);
    let helped = work.plan.harms.len() < before.harms.len();
    if !helped {
        work.plan = before;
    }
    helped
}

/// Of the first worlds that break the promise, the one that does so most often with other chance.
fn find(work: &mut Work<'_>, until: f64, mut world: impl FnMut() -> Plan) -> bool {
    let at_once = work.trial.at_once().max(1);
    let (mut best, mut found): (Option<(usize, Plan)>, usize) = (None, 0);
    for _ in 0..MOST / at_once {
        if work.trial.spent() >= until.min(1.0) || found >= COMPARED {
            break;
        }
        let plans: Vec<Plan> = (0..at_once).map(|_| world()).collect();
        let Some(taken) = work.trial.first(&plans) else { continue };
        found += 1;
        let often = windows::how_often(work, &plans[taken]);
        if best.as_ref().is_none_or(|(most, _)| often > *most) {
            best = Some((often, plans[taken].clone()));
        }
        if often >= windows::ENOUGH {
            break;
        }
    }
    windows::take(work, best)
}

/// Takes harms away, any half or any single one, with other chance each time.
fn thin(work: &mut Work<'_>, until: f64, chance: &mut Stream) {
    let at_once = work.trial.at_once().max(1);
    for _ in 0..MOST / at_once {
        if work.plan.harms.len() <= FEW || work.trial.spent() >= until.min(1.0) {
            return;
        }
        let plans: Vec<Plan> = (0..at_once).map(|_| thinner(&work.plan, chance)).collect();
        if let Some(taken) = work.trial.first(&plans) {
            work.plan = plans[taken].clone();
        }
    }
}

fn thinner(plan: &Plan, chance: &mut Stream) -> Plan {
    let all = plan.harms.len();
    let count = chance.gen_range(all.div_ceil(2).min(all - 1)..all);
    let harms = some(&plan.harms, count, chance);
    shaken(Plan { harms, ..plan.clone() }, MOVES, chance)
}

/// As many of the harms as are few, of those before it `broke` sooner than of others, in a run that ends behind them.
fn handful(loose: &Plan, broke: Option<u64>, chance: &mut Stream) -> Plan {
    let lasting = |harm: &&PlannedHarm| harm.until - harm.at >= LASTS;
    let (weather, blows): (Vec<&PlannedHarm>, Vec<&PlannedHarm>) = loose.harms.iter().partition(lasting);
    let count = chance.gen_range(0..=FEW.min(blows.len()));
    let mut harms: Vec<PlannedHarm> = row_or_any(&blows, count, broke, chance).into_iter().cloned().collect();
    let start = windows::under_way(loose);
    let mut at = start;
    for harm in &mut harms {
        (harm.at, harm.until) = (at, at + harm.until - harm.at);
        at += chance.gen_range(0..=APART);
    }
    let end = harms.iter().map(|harm| harm.until).max().unwrap_or(at) + BEHIND;
    if harms.len() < FEW && !weather.is_empty() && chance.gen_bool(0.5) {
        let harm = weather[chance.gen_range(0..weather.len())];
        harms.insert(0, PlannedHarm { at: start / 2, until: end, ..harm.clone() });
    }
    with(loose, harms, end, chance)
}

/// All harms of a moment, sooner before it `broke` than elsewhere.
fn moment(loose: &Plan, broke: Option<u64>, chance: &mut Stream) -> Plan {
    let lasts = MOMENTS[chance.gen_range(0..MOMENTS.len())];
    let last = loose.harms.last().map_or(0, |harm| harm.at);
    let to = match broke {
        Some(broke) if chance.gen_bool(0.5) => broke,
        _ => chance.gen_range(0..=last) + lasts,
    };
    let from = to.saturating_sub(lasts);
    let start = windows::under_way(loose);
    let moved = |time: u64| (time.max(from) - from) + start;
    let within = loose.harms.iter().filter(|harm| harm.at < to && harm.until > from);
    let harms: Vec<PlannedHarm> = within
        .map(|harm| PlannedHarm { at: moved(harm.at), until: moved(harm.until), ..harm.clone() })
        .collect();
    with(loose, harms, start + lasts + BEHIND, chance)
}

fn with(loose: &Plan, harms: Vec<PlannedHarm>, end: u64, chance: &mut Stream) -> Plan {
    let plan = Plan { harms, seed: loose.seed + chance.gen_range(0..CHANCES), ..loose.clone() };
    let plan = steps::ending(&plan, end.min(loose.heal));
    if chance.gen_bool(0.25) { steps::steady(plan) } else { plan }
}

/// So many, in their order: in a row that ends before it `broke`, or any.
fn row_or_any<'a>(
    harms: &[&'a PlannedHarm],
    count: usize,
    broke: Option<u64>,
    chance: &mut Stream,
) -> Vec<&'a PlannedHarm> {
    let before = harms.iter().filter(|harm| broke.is_none_or(|broke| harm.at <= broke)).count();
    if before >= count && chance.gen_bool(0.5) {
        let end = chance.gen_range(count..=before);
        return harms[end - count..end].to_vec();
    }
    some(harms, count, chance)
}
