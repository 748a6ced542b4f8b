//! From a scenario and a seed to a plan. Each thing is drawn from a stream of its own name, so that taking one
//! away moves no other.

use super::{atlas::Atlas, *};
use crate::scenario::{self, Amount, Deed, Draw, Harm, HarmKind, Repeated, Scenario, Target, read::ALWAYS};
use base::stream::{Stream, stream};
use rand::{Rng, seq::SliceRandom};

/// Nothing is harmed before the cluster has had this long to start.
pub(super) const START: u64 = 2_000_000;

pub fn plan(scenario: &Scenario, seed: u64) -> Plan {
    let draw = |name: &str, what: &Draw| what.draw(&mut stream(seed, name));
    let cluster = &scenario.cluster;
    let counts = Counts {
        members: draw("members", &cluster.members) as u64,
        spares: cluster.spares,
        apiservers: draw("apiservers", &cluster.apiservers) as u64,
        managers: draw("managers", &cluster.managers) as u64,
        schedulers: draw("schedulers", &cluster.schedulers) as u64,
        nodes: draw("nodes", &cluster.nodes) as u64,
    };
    let (low, high) = scenario.network.latency.bounds();
    let knobs = scenario
        .knobs
        .iter()
        .map(|(name, value)| (name.clone(), draw(&format!("knob {name}"), value) as u64));
    let mut plan = Plan {
        format: FORMAT,
        scenario: scenario.name.clone(),
        seed,
        cluster: counts,
        latency: (low as u64, high as u64),
        loss: draw("loss", &scenario.network.loss) as u64,
        knobs: knobs.collect(),
        harms: vec![],
        deliveries: scenario.deliveries.as_ref().and_then(|written| deliveries(written, &counts)),
        deeds: vec![],
        kv: vec![],
        watchers: vec![],
        kube: vec![],
        operators: vec![],
        crowds: vec![],
        api_watchers: 0,
        heal: draw("heal", &scenario.heal) as u64,
        settle: scenario.settle,
        expect: scenario.expect.clone(),
        unavailable: scenario.unavailable,
        check: scenario.check.clone(),
        memory: scenario.memory,
    };
    let atlas = Atlas::of(scenario, &plan.cluster, seed);
    timeline(scenario, &atlas, &mut plan);
    for (n, repeated) in scenario.harm.iter().enumerate() {
        repeat(repeated, &atlas, &mut plan, &mut stream(seed, &format!("harm {n}")));
    }
    for (n, load) in scenario.load.iter().enumerate() {
        let mut stream = stream(seed, &format!("load {n}"));
        if stream.gen_range(0..1_000_000) < load.chance {
            loads::add(load, n, &mut plan, &mut stream);
        }
    }
    let written = &scenario.clients;
    plan.kv.extend(written.store.iter().cloned());
    plan.watchers.extend(written.watchers.iter().cloned());
    plan.kube.extend(written.users.iter().cloned());
    plan.crowds.extend(written.crowds.iter().cloned());
    plan.operators.extend(written.operators.iter().cloned());
    plan.api_watchers += written.readers;
    plan.harms.sort_by_key(|harm| harm.at);
    plan.deeds.sort_by_key(|deed| deed.at);
    plan
}

/// None if this seed's cluster has nobody to hear.
fn deliveries(written: &scenario::Deliveries, counts: &Counts) -> Option<Deliveries> {
    let to = match &written.to {
        Target::Exactly(process) => Aim::Process(*process),
        Target::Active(role) => Aim::Active(*role),
        Target::Leader | Target::Some(..) | Target::NodeRunning(_) => return None,
    };
    let (of, order) = (written.of.clone(), written.order.clone());
    counts.has(&to).then_some(Deliveries { to, from: written.from, of, order, most: written.most })
}

fn timeline(scenario: &Scenario, atlas: &Atlas, plan: &mut Plan) {
    for (n, timed) in scenario.timeline.iter().enumerate() {
        let mut stream = stream(plan.seed, &format!("timeline {n}"));
        let at = timed.at.draw(&mut stream) as u64;
        match &timed.what {
            Deed::Kube(deed) => plan.deeds.push(PlannedDeed { at, deed: deed.clone() }),
            Deed::Harm(harm) => {
                let struck = strikes(harm, (at, timed.line), atlas, plan, &mut stream).into_iter();
                plan.harms.extend(struck.map(|harm| PlannedHarm { owed: Owed::Touch, ..harm }));
            }
        }
    }
}

fn repeat(repeated: &Repeated, atlas: &Atlas, plan: &mut Plan, stream: &mut Stream) {
    if stream.gen_range(0..1_000_000) >= repeated.chance {
        return;
    }
    let last = plan.heal.saturating_sub(500_000);
    let Some(every) = &repeated.every else {
        let at = stream.gen_range(START.min(last)..=last);
        plan.harms.extend(drawn(repeated, at, atlas, plan, stream));
        return;
    };
    let mut at = START;
    loop {
        at += (every.draw(stream) as u64).max(10_000);
        if at >= last {
            return;
        }
        plan.harms.extend(drawn(repeated, at, atlas, plan, stream));
    }
}

/// One time of a repeated harm. Of a line that comes by chance nobody counts on an effect.
fn drawn(repeated: &Repeated, at: u64, atlas: &Atlas, plan: &Plan, stream: &mut Stream) -> Vec<PlannedHarm> {
    let owed = if repeated.chance < ALWAYS { Owed::Nothing } else { Owed::SomeTouch };
    let struck = strikes(&repeated.harm, (at, repeated.line), atlas, plan, stream);
    struck.into_iter().map(|harm| PlannedHarm { owed, ..harm }).collect()
}

/// One harm to all targets, or one to each after the other.
fn strikes(
    harm: &Harm,
    place: (u64, u64),
    atlas: &Atlas,
    plan: &Plan,
    stream: &mut Stream,
) -> Vec<PlannedHarm> {
    let Some(whole) = strike(harm, place, atlas, plan, stream) else { return vec![] };
    let Some(pace) = &harm.rolling else { return vec![whole] };
    let pace = pace.draw(stream) as u64;
    let each = whole.of.iter().zip(0..).map(|(aim, n)| {
        let (at, until) = (whole.at + n * pace, (whole.until + n * pace).min(plan.heal));
        PlannedHarm { at, until, of: vec![aim.clone()], ..whole.clone() }
    });
    each.filter(|harm| harm.at < plan.heal).collect()
}

fn strike(
    harm: &Harm,
    (at, line): (u64, u64),
    atlas: &Atlas,
    plan: &Plan,
    stream: &mut Stream,
) -> Option<PlannedHarm> {
    let mut of: Vec<Aim> = harm.of.iter().flat_map(|target| aims(target, &plan.cluster, stream)).collect();
    of.dedup();
    let of = atlas.within(harm, of);
    if of.is_empty() {
        return None;
    }
    let lasting = harm.lasting.as_ref().map(|lasting| lasting.draw(stream) as u64);
    let range = |draw: &Draw| (draw.bounds().0 as u64, draw.bounds().1 as u64);
    let blow = match &harm.kind {
        HarmKind::Crash => Blow::Crash,
        HarmKind::PowerCut => Blow::PowerCut,
        HarmKind::Pause => Blow::Pause,
        HarmKind::Restart => Blow::Restart,
        HarmKind::RestartWith { knobs } => {
            let drawn = knobs.iter().map(|(name, value)| (name.clone(), value.draw(stream) as u64));
            Blow::RestartWith { knobs: drawn.collect() }
        }
        HarmKind::Replace => Blow::Replace,
        HarmKind::SlowCpu(cost) => Blow::SlowCpu(range(cost)),
        HarmKind::MemoryLimit(limit) => Blow::MemoryLimit(limit.draw(stream) as u64),
        HarmKind::Partition { from, way, flapping } => Blow::Partition {
            from: from
                .as_ref()
                .map(|from| from.iter().flat_map(|t| aims(t, &plan.cluster, stream)).collect()),
            way: *way,
            flapping: flapping.as_ref().map(|pace| pace.draw(stream) as u64),
        },
        HarmKind::Link { latency, loss } => {
            Blow::Link { latency: range(latency), loss: loss.draw(stream) as u64 }
        }
        HarmKind::ClockSkew(shift) => Blow::Skew(shift.draw(stream)),
        HarmKind::ClockStep(shift) => Blow::Step(shift.draw(stream)),
        HarmKind::Disk(disk) => Blow::Disk(disk.clone()),
        HarmKind::Midway { after } => Blow::Midway { after: after.draw(stream) as u64 },
        HarmKind::Hold { from } => Blow::Hold {
            from: from
                .as_ref()
                .map(|from| from.iter().flat_map(|t| aims(t, &plan.cluster, stream)).collect()),
        },
        HarmKind::Lag { by } => Blow::Lag { by: by.draw(stream) as u64 },
    };
    let until = lasting.map_or(plan.heal, |lasting| (at + lasting).min(plan.heal));
    let upon = harm.upon.as_ref().map(|(moment, delay)| (*moment, delay.draw(stream) as u64));
    Some(PlannedHarm { at, until, upon, of, blow, line, owed: Owed::SomeTouch })
}

fn aims(target: &Target, counts: &Counts, stream: &mut Stream) -> Vec<Aim> {
    let (amount, role) = match target {
        Target::Leader => return vec![Aim::Leader],
        Target::Active(role) => return vec![Aim::Active(*role)],
        Target::NodeRunning(pod) => return vec![Aim::NodeRunning(pod.clone())],
        Target::Exactly(process) => {
            let aim = Aim::Process(*process);
            return if counts.has(&aim) { vec![aim] } else { vec![] };
        }
        Target::Some(amount, role) => (*amount, *role),
    };
    // a half is torn from another one, wherever the members have gone meanwhile; the rest is of those that began
    let mut processes: Vec<_> = match amount {
        Amount::Half => counts.all(role),
        _ => counts.processes(role).collect(),
    };
    let all = processes.len();
    let wanted = match amount {
        Amount::One => 1.min(all),
        Amount::Minority => all.saturating_sub(1) / 2,
        Amount::Half => all / 2,
        Amount::Majority => all / 2 + 1,
        Amount::All => all,
    };
    processes.shuffle(stream);
    processes.truncate(wanted);
    processes.sort();
    processes.into_iter().map(Aim::Process).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Moment, Process, Role, read::scenario};

    const TEXT: &str = r#"
name: x
cluster: { members: 3..5, nodes: 1 }
timeline:
  - { at: 5s, crash: one, for: 2s }
load:
  - { kv: { clients: 2 } }
harm:
  - { pause: minority, for: 1s..2s, every: 3s..6s }
  - { partition: one, for: 1s, every: 2s }
heal: 30s
"#;

    fn plan_of(text: &str, seed: u64) -> Plan {
        plan(&scenario(text, &|_| Err(String::new())).unwrap(), seed)
    }

    #[test]
    fn a_plan_is_a_function_of_scenario_and_seed_and_survives_its_file() {
        let drawn = plan_of(TEXT, 7);
        assert_eq!(drawn, plan_of(TEXT, 7));
        assert_ne!(drawn, plan_of(TEXT, 8));
        assert_eq!(Plan::from_text(&drawn.to_text()), Ok(drawn));
    }

    #[test]
    fn machines_that_stand_ready_are_harmed_like_others() {
        let text = TEXT
            .replace("members: 3..5, nodes: 1", "members: 3, spares: 3")
            .replace("crash: one,", "crash: [ member-1, member-13 ],")
            .replace("pause: minority,", "partition: half, upon-change: 5ms,");
        let plan = plan_of(&text, 7);
        let member = |number| Aim::Process(Process { role: Role::Member, number });
        let crash = plan.harms.iter().find(|harm| harm.blow == Blow::Crash);
        assert_eq!(crash.map(|harm| harm.of.clone()), Some(vec![member(1), member(13)]));
        let halves: Vec<_> = plan.harms.iter().filter(|harm| harm.upon.is_some()).collect();
        assert!(halves.iter().all(|harm| harm.of.len() == 3 && harm.upon == Some((Moment::Change, 5_000))));
        assert!(halves.iter().any(|harm| harm.of.contains(&member(13))));
    }

    #[test]
    fn taking_one_harm_away_moves_no_other() {
        let shorter = TEXT.replace("  - { partition: one, for: 1s, every: 2s }\n", "");
        let (whole, less) = (plan_of(TEXT, 7), plan_of(&shorter, 7));
        let kept: Vec<_> = whole.harms.iter().filter(|h| !matches!(h.blow, Blow::Partition { .. })).collect();
        assert_eq!(kept, less.harms.iter().collect::<Vec<_>>());
        assert_eq!(whole.kv, less.kv);
    }

    #[test]
    fn a_limit_of_memory_is_drawn_for_each_time_and_survives_being_written() {
        let text = "name: x\ncluster: { members: 3 }\nheal: 60s\nharm:\n  \
                    - { memory: { limit: 256KiB..1MiB }, of: one, for: 5s..15s, every: 3s }\n";
        let drawn = plan_of(text, 7);
        let limit = |harm: &PlannedHarm| match harm.blow {
            Blow::MemoryLimit(limit) => limit,
            ref other => panic!("{other:?}"),
        };
        let limits: Vec<u64> = drawn.harms.iter().map(limit).collect();
        assert!(limits.len() > 10 && limits.iter().all(|limit| (256 << 10..=1 << 20).contains(limit)));
        assert!(limits.windows(2).any(|pair| pair[0] != pair[1]), "{limits:?}");
        assert_eq!(plan_of(text, 7), drawn);
        let written = crate::plan::scenario(&drawn, &[]);
        let again: Vec<Blow> = plan_of(&written, 7).harms.into_iter().map(|harm| harm.blow).collect();
        assert_eq!(again, limits.into_iter().map(Blow::MemoryLimit).collect::<Vec<_>>());
    }

    #[test]
    fn a_rolling_harm_comes_to_one_after_the_other_with_the_same_draws() {
        let text = "name: x\ncluster: { members: 3 }\nheal: 30s\ntimeline:\n  - { at: 5s, restart: all, \
                    knobs: { txnOps: 1..9 }, rolling: 2s, for: 10s }\n";
        let harms = plan_of(text, 7).harms;
        let times: Vec<_> = harms.iter().map(|harm| (harm.at / 1_000_000, harm.until / 1_000_000)).collect();
        assert_eq!(times, [(5, 15), (7, 17), (9, 19)]);
        let who: Vec<_> = harms.iter().flat_map(|harm| &harm.of).map(Aim::to_string).collect();
        assert_eq!(who, ["member-1", "member-2", "member-3"]);
        assert!(harms.iter().all(|harm| harm.blow == harms[0].blow && harm.owed == Owed::Touch));
    }

    #[test]
    fn all_harm_and_load_end_with_the_heal_that_the_seed_draws() {
        let text =
            TEXT.replace("heal: 30s", "heal: 10s..30s").replace("clients: 2 }", "clients: 2 }, for: 25s");
        let mut heals = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let plan = plan_of(&text, seed);
            heals.insert(plan.heal / 5_000_000);
            assert!(plan.harms.iter().all(|harm| harm.at >= START && harm.until <= plan.heal));
            assert!(plan.kv.iter().all(|client| client.until == plan.heal.min(26_000_000)));
        }
        assert!(heals.len() >= 4, "{heals:?}");
    }
}
