//! Every way to make a plan smaller or plainer, the largest cuts first.

use super::{Look, Size, Work, operations::Of, operations::at_their_times};
use crate::plan::{Aim, Blow, Plan, PlannedHarm, When};
use crate::scenario::{Process, Role, Way, disks, members::FOUNDERS};
use std::collections::BTreeMap;

pub fn all(work: &mut Work<'_>) {
    time(work);
    lists(work);
    cluster(work);
    operations(work);
    time(work);
    targets(work);
    knobs(work);
}

/// How many seeds a plan gets whose operations are tied to their times.
const CHANCES: u64 = 20;

/// Changes nothing of what led to the failure: operations are tied to the times at which they began, so that what is
/// taken away moves none of the others, and what came after the failure is left out.
pub fn tie(work: &mut Work<'_>, look: &Look) {
    let tied = at_their_times(&work.plan, &look.starts);
    if !work.offer(vec![tied.clone()]) {
        // times are known to the microsecond: what hangs on less hangs on chance
        work.offer((1..=CHANCES).map(|more| Plan { seed: tied.seed + more, ..tied.clone() }).collect());
    }
    if let Some(broke) = look.broke {
        const AFTER: [u64; 3] = [100_000, 1_000_000, 3_000_000];
        let ends = AFTER.map(|after| (broke + after).min(work.plan.heal));
        work.offer(ends.map(|heal| ending(&work.plan, heal)).to_vec());
    }
}

/// What makes a plan plainer, but a failure that hangs on a moment harder to hit: last, and once.
pub fn finish(work: &mut Work<'_>) {
    harms(work);
    round(work);
}

/// Whole kinds of things at once, until none can be spared. True when anything could.
pub fn drastic(work: &mut Work<'_>) -> bool {
    let mut any = false;
    loop {
        let harmless = work.plan.clone().without_harm();
        let mut plans = vec![
            users_alone(&smallest(&harmless)),
            smallest(&harmless),
            users_alone(&smallest(&work.plan)),
            store_alone(&harmless),
            harmless,
            smallest(&work.plan),
            store_alone(&work.plan),
            users_alone(&work.plan),
        ];
        if work.plan.kube.len() > 1 {
            plans.extend((0..work.plan.kube.len()).map(|n| one_user(&work.plan, n)));
        }
        plans.retain(|plan| Size::of(plan).operations > 0);
        if !work.offer(plans) {
            return any;
        }
        any = true;
    }
}

/// One of each role, but for nodes: where there is room for pods decides much.
fn smallest(plan: &Plan) -> Plan {
    let one = |plan: Plan, role| {
        let count = plan.cluster.of(role).min(1);
        of_size(&plan, role, count)
    };
    ROLES.into_iter().filter(|role| *role != Role::Node).fold(plan.clone(), one)
}

fn users_alone(plan: &Plan) -> Plan {
    Plan { kv: vec![], watchers: vec![], crowds: vec![], ..plan.clone() }
}

fn store_alone(plan: &Plan) -> Plan {
    of_size(plan, Role::ApiServer, 0)
}

fn one_user(plan: &Plan, n: usize) -> Plan {
    let kube = vec![plan.kube[n].clone()];
    Plan { kube, ..users_alone(plan) }
}

/// Ends the run earlier: all harm and load. The time to settle stays: with less of it, anything fails to.
fn time(work: &mut Work<'_>) {
    let heal = work.plan.heal;
    let parts = [(1, 8), (1, 4), (3, 8), (1, 2), (5, 8), (3, 4), (7, 8), (15, 16)];
    work.offer(parts.map(|(n, of)| ending(&work.plan, heal / of * n)).to_vec());
    let idle = idle(&work.plan);
    work.offer([idle, idle / 2].map(|by| sooner(&work.plan, by)).to_vec());
}

/// For how long nothing happens at first, but for what clients need to begin.
fn idle(plan: &Plan) -> u64 {
    const READY: u64 = 1_000_000;
    let clients = plan.kv.iter().map(|client| client.from).chain(plan.kube.iter().map(|client| client.from));
    let from = clients.chain(plan.watchers.iter().map(|watcher| watcher.from)).min().unwrap_or(READY);
    let mut firsts: Vec<u64> = plan.harms.iter().map(|harm| harm.at).collect();
    firsts.extend(plan.deeds.iter().map(|deed| deed.at));
    for of in Of::all(plan) {
        match of.times(&mut plan.clone()).first() {
            Some(When::At(at)) => firsts.push(*at),
            Some(When::After(_)) => return 0,
            None => {}
        }
    }
    firsts.into_iter().min().unwrap_or(0).saturating_sub(from + READY)
}

/// Everything so much earlier, but for clients' first look around.
fn sooner(plan: &Plan, by: u64) -> Plan {
    let mut plan = plan.clone();
    harms_earlier(&mut plan, by);
    work_earlier(&mut plan, by, 0);
    let heal = plan.heal.saturating_sub(by);
    ending(&plan, heal)
}

pub fn harms_earlier(plan: &mut Plan, by: u64) {
    for harm in &mut plan.harms {
        (harm.at, harm.until) = (harm.at.saturating_sub(by), harm.until.saturating_sub(by));
    }
}

/// What is asked for at a time, if that is not before `start`.
pub fn work_earlier(plan: &mut Plan, by: u64, start: u64) {
    let earlier = |at: &mut u64| {
        if *at >= start {
            *at = at.saturating_sub(by);
        }
    };
    plan.deeds.iter_mut().for_each(|deed| earlier(&mut deed.at));
    for of in Of::all(plan) {
        for when in of.times(plan) {
            if let When::At(at) = when {
                earlier(at);
            }
        }
    }
}

/// The plan up to `heal`, in microseconds.
pub fn ending(plan: &Plan, heal: u64) -> Plan {
    let mut plan = Plan { heal, ..plan.clone() };
    plan.harms.retain(|harm| harm.at < heal);
    plan.deeds.retain(|deed| deed.at < heal);
    plan.harms.iter_mut().for_each(|harm| harm.until = harm.until.min(heal));
    for client in &mut plan.kv {
        client.until = client.until.min(heal);
        within(&mut client.ops, client.from, client.until, |op| op.when);
    }
    for client in &mut plan.kube {
        client.until = client.until.min(heal);
        within(&mut client.ops, client.from, client.until, |op| op.when);
    }
    for operator in &mut plan.operators {
        operator.until = operator.until.min(heal);
        within(&mut operator.ops, operator.from, operator.until, |op| op.when);
    }
    plan
}

/// Keeps the operations that can begin before the end.
fn within<T>(ops: &mut Vec<T>, from: u64, until: u64, when: fn(&T) -> When) {
    let mut at = from;
    ops.retain(|op| {
        at = when(op).begins(at);
        at < until
    });
}

fn lists(work: &mut Work<'_>) {
    work.fewer(|plan| plan.harms.len(), |plan, from, to| drop(plan.harms.drain(from..to)));
    work.fewer(|plan| plan.kube.len(), |plan, from, to| drop(plan.kube.drain(from..to)));
    work.fewer(|plan| plan.kv.len(), |plan, from, to| drop(plan.kv.drain(from..to)));
    work.fewer(|plan| plan.operators.len(), |plan, from, to| drop(plan.operators.drain(from..to)));
    work.fewer(|plan| plan.watchers.len(), |plan, from, to| drop(plan.watchers.drain(from..to)));
    work.fewer(|plan| plan.crowds.len(), |plan, from, to| drop(plan.crowds.drain(from..to)));
    work.fewer(|plan| plan.deeds.len(), |plan, from, to| drop(plan.deeds.drain(from..to)));
    work.fewer(|plan| plan.api_watchers as usize, |plan, from, to| plan.api_watchers -= (to - from) as u64);
}

fn operations(work: &mut Work<'_>) {
    for of in Of::all(&work.plan) {
        work.fewer(|plan| of.count(plan), |plan, from, to| of.remove(plan, from, to));
    }
}

const ROLES: [Role; 5] = [Role::Node, Role::Scheduler, Role::Manager, Role::ApiServer, Role::Member];

/// These are judged at the end, when all has come to rest. What users ask for comes about only where there is one of
/// each role at least, so that these break without any bug if a role is gone.
pub const COMES_ABOUT: [&str; 3] = ["settles", "as expected", "twin run"];

fn cluster(work: &mut Work<'_>) {
    let asked = !work.plan.kube.is_empty() || !work.plan.deeds.is_empty();
    let needs_all = asked && work.plan.check.iter().any(|name| COMES_ABOUT.contains(&name.as_str()));
    for role in ROLES {
        let now = work.plan.cluster.of(role);
        let least = u64::from(role == Role::Member || needs_all);
        let fewer = (least..now).filter(|count| role != Role::Member || count % 2 == 1);
        work.offer(fewer.map(|count| of_size(&work.plan, role, count)).collect());
    }
}

fn of_size(plan: &Plan, role: Role, count: u64) -> Plan {
    let mut plan = plan.clone();
    match role {
        Role::Member => plan.cluster.members = count,
        Role::ApiServer => plan.cluster.apiservers = count,
        Role::Manager => plan.cluster.managers = count,
        Role::Scheduler => plan.cluster.schedulers = count,
        Role::Node => plan.cluster.nodes = count,
    }
    plan.harms.iter_mut().for_each(|harm| aim_lower(harm, role, count));
    if plan.cluster.apiservers == 0 {
        plan.crowds.retain(|crowd| !crowd.of_api);
        // nobody is left to ask, and who asks the API for its work has nothing to do
        (plan.deeds, plan.kube, plan.api_watchers) = (vec![], vec![], 0);
        (plan.cluster.managers, plan.cluster.schedulers, plan.cluster.nodes) = (0, 0, 0);
    }
    let cluster = plan.cluster;
    for harm in &mut plan.harms {
        harm.of.retain(|aim| cluster.has(aim));
        if let Blow::Partition { from: Some(from), .. } | Blow::Hold { from: Some(from) } = &mut harm.blow {
            from.retain(|aim| cluster.has(aim));
        }
    }
    let survivable = plan.unavailable || disks::most_lost(plan.cluster.members) > 0;
    let too_much =
        |harm: &PlannedHarm| matches!(&harm.blow, Blow::Disk(disk) if disk.destroys() && !survivable);
    plan.harms.retain(|harm| !harm.hits_nobody() && !too_much(harm));
    plan
}

/// A harm of a process that is no more hits another of its kind; but for those that destroy what is stored: which
/// copies may go was decided for the plan as a whole.
fn aim_lower(harm: &mut PlannedHarm, role: Role, count: u64) {
    if count == 0 || matches!(&harm.blow, Blow::Disk(disk) if disk.destroys()) {
        return;
    }
    for n in 0..harm.of.len() {
        let Aim::Process(process) = &harm.of[n] else { continue };
        if process.number > FOUNDERS {
            continue;
        }
        let lower = Aim::Process(Process { role, number: (process.number - 1) % count + 1 });
        if process.role == role && process.number > count && !harm.of.contains(&lower) {
            harm.of[n] = lower;
        }
    }
}

fn knobs(work: &mut Work<'_>) {
    work.fewer(
        |plan| plan.knobs.len(),
        |plan, from, to| {
            let kept = plan.knobs.iter().enumerate().filter(|(n, _)| !(from..to).contains(n));
            plan.knobs = kept.map(|(_, (name, value))| (name.clone(), *value)).collect();
        },
    );
    network(work);
}

/// Each packet takes as long as any other, and none is lost.
pub fn steady(plan: Plan) -> Plan {
    Plan { latency: (1_000, 1_000), loss: 0, ..plan }
}

/// From any network to a plainer one, and never back.
fn network(work: &mut Work<'_>) {
    let of = |latency, loss| Plan { latency, loss, ..work.plan.clone() };
    let (plain, now) = ((500, 5_000), (work.plan.latency, work.plan.loss));
    let steady = steady(work.plan.clone());
    if now == (steady.latency, steady.loss) {
        return;
    }
    let mut plans = vec![steady];
    if now != (plain, 0) {
        plans.extend([of(plain, 0), of(now.0, 0)]);
    }
    work.offer(plans);
}

/// Fewer that are hit.
fn targets(work: &mut Work<'_>) {
    for n in 0..work.plan.harms.len() {
        work.fewer(
            |plan| plan.harms[n].of.len(),
            |plan, from, to| {
                // a harm of nobody is no harm: taking it away is another step's work
                if to - from < plan.harms[n].of.len() {
                    plan.harms[n].of.drain(from..to);
                }
            },
        );
    }
}

/// Plainer harms: for a shorter time, without frills.
fn harms(work: &mut Work<'_>) {
    for n in 0..work.plan.harms.len() {
        let harm = work.plan.harms[n].clone();
        let mut plainer = vec![PlannedHarm { upon: None, ..harm.clone() }];
        if let Blow::Partition { from, way, flapping } = &harm.blow {
            let (from, way, flapping) = (from.clone(), *way, *flapping);
            let partition = |from, way, flapping| {
                let blow = Blow::Partition { from, way, flapping };
                PlannedHarm { blow, ..harm.clone() }
            };
            plainer.push(partition(None, Way::Both, None));
            plainer.push(partition(from.clone(), way, None));
            plainer.push(partition(None, way, flapping));
            plainer.push(partition(from, Way::Both, flapping));
        }
        if let Blow::Midway { after } = harm.blow {
            let fewer = [0, 1, after / 2].into_iter().filter(|fewer| *fewer < after);
            plainer.extend(fewer.map(|after| PlannedHarm { blow: Blow::Midway { after }, ..harm.clone() }));
        }
        let lasting = harm.until.saturating_sub(harm.at);
        let shorter = [lasting / 8, lasting / 4, lasting / 2];
        let shorter = shorter.map(|lasting| PlannedHarm { until: harm.at + lasting, ..harm.clone() });
        plainer.extend(shorter);
        work.offer(plainer.into_iter().map(|harm| with(&work.plan, n, harm)).collect());
    }
}

fn with(plan: &Plan, n: usize, harm: PlannedHarm) -> Plan {
    let mut plan = plan.clone();
    plan.harms[n] = harm;
    plan
}

/// Times and limits with fewer digits, the roundest first: of everything, then of each harm.
fn round(work: &mut Work<'_>) {
    let units = [1_000_000, 500_000, 100_000, 10_000, 1_000];
    work.offer(units.map(|unit| rounded(&work.plan, unit)).to_vec());
    for n in 0..work.plan.harms.len() {
        let harm = &work.plan.harms[n];
        let each = units.map(|unit| with(&work.plan, n, rounded_harm(harm, unit, work.plan.heal)));
        work.offer(each.to_vec());
        if let Blow::MemoryLimit(limit) = work.plan.harms[n].blow {
            let rounder = [1 << 20, 64 << 10, 1 << 10].map(|unit| Blow::MemoryLimit(to_unit(limit, unit)));
            let harm = |blow| PlannedHarm { blow, ..work.plan.harms[n].clone() };
            work.offer(rounder.map(|blow| with(&work.plan, n, harm(blow))).to_vec());
        }
    }
    work.offer(units.map(|unit| with_round_operations(&work.plan, unit)).to_vec());
    let knobs = |unit: u64| -> BTreeMap<String, u64> {
        work.plan.knobs.iter().map(|(name, value)| (name.clone(), to_unit(*value, unit).max(1))).collect()
    };
    let plans = [1_000, 100, 10].map(|unit| Plan { knobs: knobs(unit), ..work.plan.clone() });
    work.offer(plans.to_vec());
}

fn to_unit(value: u64, unit: u64) -> u64 {
    if value < unit { value } else { (value + unit / 2) / unit * unit }
}

fn rounded_harm(harm: &PlannedHarm, unit: u64, heal: u64) -> PlannedHarm {
    let at = to_unit(harm.at, unit).min(heal);
    let lasting = to_unit(harm.until.saturating_sub(harm.at), unit);
    let upon = harm.upon.map(|(moment, delay)| (moment, to_unit(delay, unit)));
    PlannedHarm { at, until: (at + lasting).min(heal), upon, ..harm.clone() }
}

fn rounded(plan: &Plan, unit: u64) -> Plan {
    let mut plan = with_round_operations(plan, unit);
    plan.heal = to_unit(plan.heal, unit);
    let heal = plan.heal;
    plan.harms.iter_mut().for_each(|harm| *harm = rounded_harm(harm, unit, heal));
    plan.harms.sort_by_key(|harm| harm.at);
    plan.deeds.iter_mut().for_each(|deed| deed.at = to_unit(deed.at, unit));
    for watcher in &mut plan.watchers {
        watcher.from = to_unit(watcher.from, unit);
        watcher.pause = to_unit(watcher.pause, unit);
        watcher.lives = to_unit(watcher.lives, unit);
        watcher.progress = watcher.progress.map(|every| to_unit(every, unit));
    }
    plan
}

fn with_round_operations(plan: &Plan, unit: u64) -> Plan {
    let mut plan = plan.clone();
    for client in &mut plan.kv {
        (client.from, client.until) = (to_unit(client.from, unit), to_unit(client.until, unit));
    }
    for client in &mut plan.kube {
        (client.from, client.until) = (to_unit(client.from, unit), to_unit(client.until, unit));
    }
    for operator in &mut plan.operators {
        (operator.from, operator.until) = (to_unit(operator.from, unit), to_unit(operator.until, unit));
    }
    for of in Of::all(&plan) {
        for when in of.times(&mut plan) {
            *when = match *when {
                When::After(pause) => When::After(to_unit(pause, unit)),
                When::At(at) => When::At(to_unit(at, unit)),
            };
        }
    }
    plan
}
