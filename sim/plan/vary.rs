//! A plan varied: other chance, harms moved in time, aimed at others, repeated, left out, or taken from another
//! plan. The same stream gives the same variation. What holds for every plan holds for a varied one: nothing is
//! harmed before the cluster has had time to start, all harm ends with the heal, and nobody is hit who is not there.

use super::draw::START;
use super::{Aim, Blow, Owed, Plan, PlannedHarm};
use crate::scenario::{DiskHarm, Role};
use base::stream::Stream;
use rand::{Rng, seq::SliceRandom};

/// A harm moves by no more than this, in microseconds.
const FAR: u64 = 3_000_000;
const NEAR: u64 = 5_000;

/// A neighbour of a plan. `other` is one that harms may be taken from.
pub fn vary(plan: &Plan, other: &Plan, stream: &mut Stream) -> Plan {
    let mut varied = plan.clone();
    // with the same seed a run goes as it went until the first harm that is another
    if stream.gen_bool(0.5) {
        varied.seed = stream.gen_range(0..u64::MAX >> 1);
    }
    for _ in 0..stream.gen_range(1..=3) {
        match stream.gen_range(0..8) {
            0..=2 => each(&mut varied, stream, moved),
            3 => each(&mut varied, stream, retargeted),
            4 => each(&mut varied, stream, lasting_otherwise),
            5 => repeated(&mut varied, stream),
            6 => left_out(&mut varied, stream),
            _ => combined(&mut varied, other, stream),
        }
    }
    if varied == *plan {
        varied.seed = stream.gen_range(0..u64::MAX >> 1);
    }
    within(&mut varied);
    varied
}

/// What may come at another time, to another process, or with other harms, and stays within what any plan may do.
/// A disk that loses what it had is not among them: how many of those a quorum survives was reckoned when the plan
/// was drawn.
fn is_free(harm: &PlannedHarm) -> bool {
    matches!(
        harm.blow,
        Blow::Crash
            | Blow::PowerCut
            | Blow::Pause
            | Blow::Restart
            | Blow::MemoryLimit(_)
            | Blow::Partition { .. }
            | Blow::Link { .. }
            | Blow::Skew(_)
            | Blow::Step(_)
            | Blow::Midway { .. }
            | Blow::Hold { .. }
            | Blow::Lag { .. }
            | Blow::Disk(DiskHarm::Slow(_) | DiskHarm::Stall)
    )
}

fn free(plan: &Plan) -> Vec<usize> {
    (0..plan.harms.len()).filter(|n| is_free(&plan.harms[*n])).collect()
}

/// Changes one harm, or a few.
fn each(plan: &mut Plan, stream: &mut Stream, change: fn(&mut PlannedHarm, &Plan, &mut Stream)) {
    let few = stream.gen_range(1..=3);
    let chosen: Vec<usize> = free(plan).choose_multiple(stream, few).copied().collect();
    for n in chosen {
        let mut harm = plan.harms[n].clone();
        change(&mut harm, plan, stream);
        plan.harms[n] = harm;
    }
}

/// By a little more often than by much.
fn distance(stream: &mut Stream) -> u64 {
    let most = NEAR << stream.gen_range(0..=(FAR / NEAR).ilog2());
    stream.gen_range(1..=most)
}

fn moved(harm: &mut PlannedHarm, _: &Plan, stream: &mut Stream) {
    let lasting = harm.until.saturating_sub(harm.at);
    let by = distance(stream);
    harm.at = if stream.gen_bool(0.5) { harm.at + by } else { harm.at.saturating_sub(by) };
    harm.until = harm.at + lasting;
    if let Some((_, delay)) = &mut harm.upon {
        let by = distance(stream) / 16;
        *delay = if stream.gen_bool(0.5) { *delay + by } else { delay.saturating_sub(by) };
    }
}

fn lasting_otherwise(harm: &mut PlannedHarm, _: &Plan, stream: &mut Stream) {
    let lasting = harm.until.saturating_sub(harm.at);
    let [n, of] = *[[1, 4], [1, 2], [2, 1], [4, 1]].choose(stream).unwrap_or(&[1, 1]);
    harm.until = harm.at + (lasting * n / of).max(1_000);
}

fn retargeted(harm: &mut PlannedHarm, plan: &Plan, stream: &mut Stream) {
    let only_one = harm.of.len() == 1;
    for aim in &mut harm.of {
        let role = match aim {
            Aim::Process(process) => process.role,
            Aim::Leader => Role::Member,
            Aim::Active(role) => *role,
            Aim::NodeRunning(_) => Role::Node,
        };
        let there = plan.cluster.all(role);
        *aim = match role {
            Role::Member if only_one && stream.gen_bool(0.4) => Aim::Leader,
            Role::Manager | Role::Scheduler if only_one && stream.gen_bool(0.4) => Aim::Active(role),
            _ => there.choose(stream).map_or_else(|| aim.clone(), |process| Aim::Process(*process)),
        };
    }
    let mut known: Vec<Aim> = vec![];
    harm.of.retain(|aim| !known.contains(aim) && (known.push(aim.clone()), true).1);
}

fn repeated(plan: &mut Plan, stream: &mut Stream) {
    let Some(n) = free(plan).choose(stream).copied() else { return };
    let mut again = plan.harms[n].clone();
    let lasting = again.until.saturating_sub(again.at);
    again.at = again.until + distance(stream);
    again.until = again.at + lasting;
    plan.harms.push(again);
}

fn left_out(plan: &mut Plan, stream: &mut Stream) {
    if plan.harms.len() > 1 {
        plan.harms.remove(stream.gen_range(0..plan.harms.len()));
    }
}

/// Up to a moment the harms are those of one plan, from there on those of the other; or a few are added.
fn combined(plan: &mut Plan, other: &Plan, stream: &mut Stream) {
    let theirs: Vec<PlannedHarm> = other.harms.iter().filter(|harm| is_free(harm)).cloned().collect();
    if stream.gen_bool(0.5) {
        let few = stream.gen_range(1..=3);
        plan.harms.extend(theirs.choose_multiple(stream, few).cloned());
        return;
    }
    let from = stream.gen_range(START.min(plan.heal)..=plan.heal);
    plan.harms.retain(|harm| harm.at < from || !is_free(harm));
    plan.harms.extend(theirs.into_iter().filter(|harm| harm.at >= from));
}

/// Puts everything back into what a plan may be.
fn within(plan: &mut Plan) {
    let (heal, cluster) = (plan.heal, plan.cluster);
    let last = heal.saturating_sub(500_000);
    for harm in &mut plan.harms {
        let lasting = harm.until.saturating_sub(harm.at);
        harm.at = harm.at.clamp(START.min(last), last);
        harm.until = (harm.at + lasting).min(heal);
        // it was asked for by a line of the scenario, not in this place
        harm.owed = Owed::Nothing;
        harm.of.retain(|aim| cluster.has(aim));
        if let Blow::Partition { from: Some(from), .. } | Blow::Hold { from: Some(from) } = &mut harm.blow {
            from.retain(|aim| cluster.has(aim));
        }
    }
    plan.harms.retain(|harm| !harm.hits_nobody());
    plan.harms.sort_by_key(|harm| harm.at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::scenario::read::scenario;
    use base::stream::stream;

    const TEXT: &str = r#"
name: x
cluster: { members: 3..5, apiservers: 2, managers: 1..2, nodes: 1..3 }
load:
  - { kv: { clients: 2 } }
timeline:
  - { at: 5s, crash: one, for: 2s }
harm:
  - { pause: minority, for: 1s..2s, every: 3s..6s }
  - { partition: one apiserver, from: all members, for: 1s, every: 2s }
  - { crash: leader, upon-election: 0ms..50ms, for: 1s, every: 4s }
  - { disk: { fail: sync }, of: one, for: 1s, every: 4s }
heal: 30s
"#;

    fn drawn(seed: u64) -> Plan {
        plan(&scenario(TEXT, &|_| Err(String::new())).unwrap(), seed)
    }

    #[test]
    fn a_variation_is_a_function_of_plans_and_stream() {
        let vary_by = |seed| vary(&drawn(1), &drawn(2), &mut stream(seed, "vary"));
        assert_eq!(vary_by(5), vary_by(5));
        assert_ne!(vary_by(5), vary_by(6));
    }

    #[test]
    fn a_varied_plan_is_another_and_what_any_plan_may_be() {
        let (mut plan, mut stream) = (drawn(1), stream(1, "vary"));
        for seed in 2..500 {
            let varied = vary(&plan, &drawn(seed), &mut stream);
            assert_ne!(varied, plan);
            let kept = Plan { seed: plan.seed, harms: plan.harms.clone(), ..varied.clone() };
            assert_eq!(kept, plan, "load, cluster and knobs stay");
            for harm in &varied.harms {
                assert!(harm.at >= START && harm.at < varied.heal && harm.until <= varied.heal, "{harm:?}");
                assert!(harm.of.iter().all(|aim| varied.cluster.has(aim)) && !harm.hits_nobody(), "{harm:?}");
                assert_eq!(harm.owed, Owed::Nothing);
            }
            assert!(varied.harms.is_sorted_by_key(|harm| harm.at));
            plan = if seed % 20 == 0 { drawn(seed) } else { varied };
        }
    }

    #[test]
    fn disks_that_lose_something_stay_as_they_were_drawn() {
        let fails = |plan: &Plan| -> Vec<PlannedHarm> {
            let kept = plan.harms.iter().filter(|harm| !is_free(harm)).cloned();
            kept.map(|harm| PlannedHarm { owed: Owed::Nothing, ..harm }).collect()
        };
        let (plan, other) = (drawn(1), drawn(2));
        let own = fails(&plan);
        assert!(!own.is_empty() && !fails(&other).is_empty());
        for seed in 0..200 {
            let varied = vary(&plan, &other, &mut stream(seed, "vary"));
            assert!(
                fails(&varied).iter().all(|harm| own.contains(harm)),
                "only left out, never added or moved"
            );
        }
    }
}
