//! A few harms that came one after the other, alone, in a run that ends right behind them. Few failures need more, and
//! such runs are short, so that one which hangs on chance gets many tries.

use super::{
    Look, Work,
    steps::{ending, harms_earlier, work_earlier},
    varied,
};
use crate::plan::{KubeOp, Plan, When};
use crate::scenario::KubeDeed;
use std::collections::BTreeMap;

/// How many harms are kept: the fewest first.
const KEPT: [usize; 5] = [0, 1, 2, 3, 6];
/// No more of the time than this may go by: what follows makes any plan smaller.
const SHARE: f64 = 0.15;
/// What a harm breaks may break after it, in microseconds.
const BEHIND: u64 = 1_500_000;
/// When there is something to break, counted from the first operation.
const UNDER_WAY: u64 = 1_000_000;
/// The same of users: pods take a while.
const PODS_ARE_UP: u64 = 3_000_000;

/// Where the harms of a window go.
#[derive(Clone, Copy)]
enum To {
    /// To the beginning, and what was asked for around them with them: all of it since so long before the first, and
    /// of what was asked for earlier the outcome.
    TheBeginning { before: u64 },
    /// To the beginning, into what was asked for there, by clients that ask as fast as they can.
    Elsewhere,
    /// They stay.
    WhereTheyWere,
}

/// Each time with other chance. What users ask for now and then matters more than what clients ask for all the time.
const AMONG_USERS: [To; 6] = [
    To::TheBeginning { before: 2_000_000 },
    To::Elsewhere,
    To::TheBeginning { before: 6_000_000 },
    To::WhereTheyWere,
    To::TheBeginning { before: 2_000_000 },
    To::Elsewhere,
];
const AMONG_CLIENTS: [To; 6] = [
    To::Elsewhere,
    To::WhereTheyWere,
    To::Elsewhere,
    To::TheBeginning { before: 2_000_000 },
    To::Elsewhere,
    To::WhereTheyWere,
];

/// How often such a run is tried with other chance, and how many of these must break for it to be taken at once.
/// Otherwise others are looked for: what hangs on chance more than it must cannot be made smaller.
const TRIES: u64 = 8;
pub const ENOUGH: usize = 2;

/// Takes the first such run that breaks the promise often, or else the one that did so most often. True when there was
/// one at all. In `loose` nothing is tied to a time.
pub fn few(work: &mut Work<'_>, loose: &Plan, look: &Look) -> bool {
    let whole = work.plan.clone();
    let loose = Plan { harms: whole.harms.clone(), heal: whole.heal, ..loose.clone() };
    let mut best: Option<(usize, Plan)> = None;
    let rounds = if whole.kube.is_empty() { AMONG_CLIENTS } else { AMONG_USERS };
    for (round, to) in rounds.into_iter().enumerate() {
        let whole = if matches!(to, To::Elsewhere) { &loose } else { &whole };
        for kept in KEPT.into_iter().filter(|kept| *kept < whole.harms.len().max(1)) {
            let plans = nearest(whole, kept, look.broke).into_iter();
            let plans = plans.map(|n| varied(&window(whole, (n, kept), to, look.broke), round as u64));
            for plans in plans.collect::<Vec<_>>().chunks(work.trial.at_once().max(1)) {
                if work.trial.spent() > SHARE {
                    return take(work, best);
                }
                let Some(found) = work.trial.first(plans) else { continue };
                let often = how_often(work, &plans[found]);
                if best.as_ref().is_none_or(|(most, _)| often > *most) {
                    best = Some((often, plans[found].clone()));
                }
                if often >= ENOUGH {
                    return take(work, best);
                }
            }
        }
    }
    take(work, best)
}

pub fn how_often(work: &mut Work<'_>, plan: &Plan) -> usize {
    let others = (1..=TRIES).map(|more| Plan { seed: plan.seed + more, ..plan.clone() });
    let others: Vec<Plan> = others.collect();
    let chunks = others.chunks(work.trial.at_once().max(1));
    chunks.map(|plans| work.trial.breaks(plans).into_iter().filter(|breaks| *breaks).count()).sum()
}

pub fn take(work: &mut Work<'_>, best: Option<(usize, Plan)>) -> bool {
    let found = best.is_some();
    if let Some((_, plan)) = best {
        work.plan = plan;
    }
    found
}

/// The first harms of windows: those right before it `broke` come first, those after it never. In order, if nobody
/// knows when that was.
fn nearest(whole: &Plan, kept: usize, broke: Option<u64>) -> Vec<usize> {
    let all = 0..=whole.harms.len() - kept;
    match broke {
        _ if kept == 0 => vec![0],
        None => all.collect(),
        Some(broke) => all.filter(|n| whole.harms[*n].at <= broke).rev().collect(),
    }
}

/// `kept` harms from the n-th on, and nothing behind them and what they broke.
fn window(whole: &Plan, (n, kept): (usize, usize), to: To, broke: Option<u64>) -> Plan {
    let mut plan = whole.clone();
    plan.harms = whole.harms[n..n + kept].to_vec();
    let first = plan.harms.iter().map(|harm| harm.at).min().or(broke).unwrap_or(0);
    let last = plan.harms.iter().map(|harm| harm.until).max().unwrap_or(first);
    let (by, end) = match to {
        To::TheBeginning { before } => {
            let start = first.saturating_sub(before);
            (start.saturating_sub(under_way(whole)), last.max(broke.unwrap_or(0)))
        }
        To::Elsewhere => (first.saturating_sub(under_way(whole)), last),
        To::WhereTheyWere => (0, last.max(broke.unwrap_or(0))),
    };
    if let To::TheBeginning { before } = to {
        begin_with(&mut plan, first.saturating_sub(before), by);
    }
    harms_earlier(&mut plan, by);
    ending(&plan, (end + BEHIND - by).min(whole.heal))
}

/// When there is something to break.
pub fn under_way(plan: &Plan) -> u64 {
    let users = plan.kube.iter().map(|client| client.from + PODS_ARE_UP).min();
    let store = plan.kv.iter().map(|client| client.from + UNDER_WAY).min();
    users.or(store).unwrap_or(UNDER_WAY)
}

/// What began from `start` on, `by` earlier; and of users' wishes before, what came of them, wished at once. Those of
/// clients of the store are left out.
fn begin_with(plan: &mut Plan, start: u64, by: u64) {
    if by == 0 {
        return;
    }
    let began = |when: &When| matches!(when, When::At(at) if *at >= start);
    for client in &mut plan.kv {
        client.ops.retain(|op| began(&op.when));
    }
    for client in &mut plan.kube {
        let (later, before): (Vec<KubeOp>, Vec<KubeOp>) =
            client.ops.drain(..).partition(|op| began(&op.when));
        let outcome = outcome(before, client.from);
        client.ops = outcome.into_iter().chain(later).collect();
    }
    work_earlier(plan, by, start);
}

/// For each deployment that is left: its last manifest, size and image.
fn outcome(ops: Vec<KubeOp>, from: u64) -> Vec<KubeOp> {
    let mut last: BTreeMap<String, Vec<KubeDeed>> = BTreeMap::new();
    for op in ops {
        match &op.deed {
            KubeDeed::Apply(manifest) => {
                let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap_or_default();
                let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
                last.insert(name.to_string(), vec![op.deed]);
            }
            KubeDeed::Delete { deployment, .. } => drop(last.remove(deployment)),
            KubeDeed::Scale { deployment, .. } | KubeDeed::SetImage { deployment, .. } => {
                let deeds = last.entry(deployment.clone()).or_default();
                deeds.retain(|deed| std::mem::discriminant(deed) != std::mem::discriminant(&op.deed));
                deeds.push(op.deed);
            }
        }
    }
    last.into_values().flatten().map(|deed| KubeOp { when: When::At(from), deed }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(replicas: u64) -> KubeDeed {
        KubeDeed::Scale { deployment: "web".into(), replicas }
    }

    #[test]
    fn of_wishes_that_were_granted_the_outcome_is_wished() {
        let apply = |name: &str| KubeDeed::Apply(format!(r#"{{"metadata":{{"name":"{name}"}}}}"#));
        let image = KubeDeed::SetImage { deployment: "web".into(), image: "web:v2".into() };
        let delete = KubeDeed::Delete { deployment: "old".into(), foreground: false };
        let deeds = [apply("web"), apply("old"), scale(5), image.clone(), scale(3), delete];
        let ops = deeds.into_iter().map(|deed| KubeOp { when: When::After(1), deed }).collect();
        let left: Vec<KubeDeed> = outcome(ops, 7).into_iter().map(|op| op.deed).collect();
        assert_eq!(left, [apply("web"), image, scale(3)]);
    }
}
