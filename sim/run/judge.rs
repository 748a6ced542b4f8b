//! What was written down, held against every promise.

use super::settle;
use super::simulate::{End, breach};
use crate::check::{
    Finding, PROMISES, Verdict, apiwatch, eviction, fence, job, lease, linear, lock, objects, outcome, raft,
    rollout, users, watch,
};
use crate::history::{Event, Nanos, seen::State};
use crate::plan::{Aim, Blow, Owed, Plan};
use crate::scenario::DiskHarm;
use base::Note;
use std::collections::{BTreeMap, BTreeSet};

/// An election, the look for leases that ended, and the work of revoking them.
pub const LEASE_SLACK_US: u64 = 6_000_000;

pub fn judge(
    plan: &Plan,
    state: &mut State,
    end: &End,
    reached: &BTreeMap<String, u64>,
    twin: Option<&Result<Vec<String>, String>>,
) -> Vec<Finding> {
    let mut verdicts: BTreeMap<&str, Verdict> = BTreeMap::new();
    steps(state, &mut verdicts);
    verdicts.insert("no process dies by itself", deaths(plan, state));
    verdicts.insert("what is damaged is never served", outcome::damage(&state.damage));
    if state.panic.is_none() {
        histories(plan, state, end, &mut verdicts);
    }
    let cut_short = state.raft.first.is_some() || state.panic.is_some();
    if !cut_short && !plan.unavailable {
        ends(plan, state, end, reached, twin, &mut verdicts);
    }
    let wanted = |name: &str| plan.check.is_empty() || plan.check.iter().any(|check| check == name);
    let findings = PROMISES.iter().filter(|promise| wanted(promise.name)).map(|promise| Finding {
        promise: promise.name.to_string(),
        verdict: verdicts.remove(promise.name).unwrap_or(Verdict::Idle),
    });
    findings.collect()
}

/// What was looked at after every step.
fn steps(state: &State, verdicts: &mut BTreeMap<&str, Verdict>) {
    let names = [
        raft::ONE_LEADER,
        raft::VOTES,
        raft::MATCHING,
        raft::COMPLETE,
        raft::SAFE,
        raft::FORWARD,
        raft::EQUAL,
        raft::DURABLE,
    ];
    for name in names {
        let verdict = match state.raft.looked_at.get(name) {
            Some(count) => Verdict::Held(format!("looked at {count} times")),
            None => Verdict::Idle,
        };
        verdicts.insert(name, verdict);
    }
    if let Some(first) = &state.raft.first {
        verdicts.insert(first.promise, breach(first).verdict);
    }
}

/// A process that ended by itself, unless a disk that failed is the reason.
fn deaths(plan: &Plan, state: &State) -> Verdict {
    let mut failing: BTreeSet<String> = BTreeSet::new();
    for harm in &plan.harms {
        if matches!(harm.blow, Blow::Disk(DiskHarm::Fail(_) | DiskHarm::Full)) {
            failing.extend(harm.of.iter().map(Aim::to_string));
        }
    }
    let anyone = failing.iter().any(|name| name.starts_with("the "));
    let excused = |name: &str, why: &str| anyone || failing.contains(name) || state.damage.excuses(name, why);
    outcome::deaths(state.panic.as_deref(), &state.deaths, &excused)
}

fn histories(plan: &Plan, state: &State, end: &End, verdicts: &mut BTreeMap<&str, Verdict>) {
    let history = &state.history;
    let judged = linear::judge(history);
    let log = judged.log;
    verdicts.insert("linearizable", judged.verdict);
    verdicts.insert("watch: ordered", watch::ordered(history));
    verdicts.insert("watch: unique", watch::unique(history));
    verdicts.insert("watch: atomic", watch::atomic(history));
    verdicts.insert("watch: reliable", watch::reliable(history, &log, false));
    verdicts.insert("watch: resumable", watch::reliable(history, &log, true));
    verdicts.insert("watch: bookmark", watch::bookmark(history));
    verdicts.insert("watch: filtered", watch::filtered(history));
    verdicts.insert("watch: previous value", watch::previous(history, &log));
    verdicts.insert("watch: compacted only when gone", watch::compacted(history));
    verdicts.insert("users do no more than they may", users::no_more(history));
    verdicts.insert("users do no less than they may", users::no_less(history));
    verdicts.insert("what frees space is let through", users::space(history));
    verdicts.insert("a lock has one holder", lock::had(history, &log));
    verdicts.insert("lease: not before its time", lease::not_before(history));
    if end.settled.is_some() {
        verdicts.insert("lease: not never", lease::not_never(history, lives(plan, end)));
    }
    verdicts.insert("API watch: no gap after a list", apiwatch::no_gap(history, &log));
    verdicts.insert("resourceVersion never goes back", apiwatch::never_back(history));
    verdicts.insert("no write by one that lost its lock", fence::fenced(&history.notes));
    verdicts.insert("no mass eviction", eviction::gradual(&history.notes, &evictions(plan)));
    verdicts.insert("caches equal the store", outcome::caches(&history.notes, &log));
    if plan.has_kube() {
        objects_of(state, end, &log, verdicts);
    }
}

/// How long leases may live in a run of this plan.
fn lives(plan: &Plan, end: &End) -> lease::Run {
    let (knobs, nanos) = (plan.knobs(), 1_000_000);
    // a lease is looked at four times in that time; an election takes two time-outs or three, and the new leader adds one
    let a_leader = knobs.lease_checkpoint_ms * 5 / 4 + 4 * knobs.election_timeout().as_millis() as u64;
    let harms: u64 = plan.harms.iter().map(|harm| (harm.until - harm.at) * 1_000).sum();
    lease::Run {
        healed: plan.heal * 1_000,
        end: end.ended,
        slack: LEASE_SLACK_US * 1_000,
        checkpoints: (knobs.lease_checkpoint_ms > 0).then_some((a_leader * nanos, harms)),
    }
}

/// Knobs of a plan, or those that a harm gives a process, whichever are laxer.
fn evictions(plan: &Plan) -> eviction::Limits {
    let told = |name: &str, first: u64, laxer: fn(u64, u64) -> u64| {
        let later = plan.harms.iter().filter_map(|harm| match &harm.blow {
            Blow::RestartWith { knobs } => knobs.get(name).copied(),
            _ => None,
        });
        later.fold(first, laxer)
    };
    let knobs = plan.knobs();
    eviction::Limits {
        per_1000s: told("eviction_per_1000s", knobs.eviction_per_1000s, u64::max),
        stop_percent: told("eviction_stop_percent", knobs.eviction_stop_percent, u64::max),
        grace: told("node_grace_ms", knobs.node_grace_ms, u64::min) * 1_000_000,
    }
}

fn objects_of(
    state: &State,
    end: &End,
    log: &BTreeMap<i64, Vec<Event>>,
    verdicts: &mut BTreeMap<&str, Verdict>,
) {
    let surge = rollout::Surge::excusing(changes_of_manager(state));
    // before the first of them nobody asked for anything
    let later: Vec<(i64, i64)> = changes_of_manager(state).into_iter().skip(1).collect();
    let owners = objects::Owners::of(end.settled.is_some());
    let mut looks: Vec<Box<dyn objects::Look>> = vec![
        Box::new(objects::BoundOnce::default()),
        Box::new(objects::Phases::default()),
        Box::new(objects::Finalizers::freeing(&state.history.notes)),
        Box::new(owners),
        Box::new(objects::Capacity::default()),
        Box::new(surge),
        Box::new(rollout::Unavailable::default()),
        Box::new(job::CountedOnce::default()),
        Box::new(job::NeverAgain::excusing(later.clone())),
        Box::new(job::Parallelism::excusing(later)),
    ];
    let names = [
        "a pod is bound once",
        "phases only go forward",
        "finalizers are honoured",
        "owners",
        "no node over its allocatable",
        "surge",
        "unavailable",
        "a Job counts each pod once",
        "no index runs again",
        "parallelism",
    ];
    verdicts.extend(names.into_iter().zip(objects::judge(log, &state.times, &mut looks)));
}

/// Revisions in the seconds after another manager became active.
fn changes_of_manager(state: &State) -> Vec<(i64, i64)> {
    const SECONDS: Nanos = 15_000_000_000;
    let won = state.history.notes.iter().filter_map(|(at, _, note)| match note {
        Note::Elected { lock, held: true, .. } if lock == "kube-controller-manager" => Some(*at),
        _ => None,
    });
    let revisions = won.map(|at| {
        let within =
            state.times.iter().filter(|(_, seen)| (at..at + SECONDS).contains(*seen)).map(|(r, _)| *r);
        let (mut low, mut high) = (i64::MAX, 0);
        within.for_each(|revision| (low, high) = (low.min(revision), high.max(revision)));
        (low, high)
    });
    revisions.collect()
}

fn ends(
    plan: &Plan,
    state: &State,
    end: &End,
    reached: &BTreeMap<String, u64>,
    twin: Option<&Result<Vec<String>, String>>,
    verdicts: &mut BTreeMap<&str, Verdict>,
) {
    let finals = super::finals::finals(state);
    let theirs = twin.and_then(|twin| twin.as_ref().ok());
    let unlike = theirs.map_or(vec![], |theirs| outcome::differences(&finals, theirs));
    let why = [end.unsettled.as_slice(), &unlike].concat();
    verdicts.insert("settles", outcome::settles(end.settled, &why, plan.settle * 1_000));
    if end.settled.is_none() {
        return;
    }
    match &end.hashes {
        Some(Ok(hashes)) if hashes.values().collect::<BTreeSet<_>>().len() > 1 => {
            let said = hashes.iter().map(|(name, hash)| format!("{name}: {hash:08x}")).collect();
            verdicts.insert(raft::EQUAL, Verdict::Broken(said));
        }
        Some(Err(why)) => {
            verdicts.insert(raft::EQUAL, Verdict::Undecided(why.clone()));
        }
        _ => {}
    }
    if plan.has_kube() {
        verdicts.insert("no hot loop", outcome::quiet(&end.calm_writes));
    }
    let (deployments, jobs) = (settle::live_of(state, "deployments"), settle::live_of(state, "jobs"));
    verdicts.insert("as expected", outcome::expected(&plan.expect, &deployments, &jobs, reached));
    match twin {
        Some(Ok(theirs)) => drop(verdicts.insert("twin run", outcome::twin(&finals, theirs))),
        Some(Err(why)) => {
            let why = format!("the same seed without harm could not be run: {why}");
            verdicts.insert("twin run", Verdict::Undecided(why));
        }
        None => {}
    }
}

/// So few operations may all have met with harm.
const FEW: usize = 10;

/// Lines of the scenario whose harms touched nothing, although nothing broke that would have cut them short.
pub fn vacuous(plan: &Plan, state: &State, findings: &[Finding]) -> Vec<String> {
    if findings.iter().any(|finding| finding.verdict.failed()) {
        return vec![];
    }
    let did: BTreeSet<u64> =
        state.harms.iter().filter(|e| !e.did.is_empty()).map(|effect| effect.line).collect();
    let mut vacuous = owing(plan, &did);
    let history = &state.history;
    // where users were served behind the API the store was at work, though its own clients met it only when it was down
    let users_served = history.kube.iter().any(|op| op.outcome.is_ok());
    let may_fail = history.operations.len() <= FEW || users_served;
    if !plan.kv.is_empty()
        && !plan.unavailable
        && (!may_fail || plan.is_calm())
        && !history.operations.iter().any(|op| op.done().is_some())
    {
        vacuous.push("no operation of the load was done".into());
    }
    vacuous
}

/// What harms owed and did not do. `did`: the lines whose harms touched something.
fn owing(plan: &Plan, did: &BTreeSet<u64>) -> Vec<String> {
    let lines = |owed: Owed| -> BTreeSet<u64> {
        plan.harms.iter().filter(|harm| harm.owed == owed).map(|harm| harm.line).collect()
    };
    let touch = lines(Owed::Touch);
    let mut owing: Vec<String> =
        touch.difference(did).map(|line| format!("line {line}: this harm touched nothing")).collect();
    if !lines(Owed::SomeTouch).is_empty() && did.is_empty() && owing.is_empty() {
        owing.push("no harm touched anything".into());
    }
    owing
}

pub fn counts(state: &State) -> BTreeMap<String, u64> {
    let history = &state.history;
    let leaders =
        history.notes.iter().filter(|(_, _, note)| matches!(note, Note::Leader { .. })).count() as u64;
    let changes = history.kube.len() as u64;
    let counts = [
        ("leaders", leaders),
        ("revisions", state.observed.max(0) as u64),
        ("watches", history.watches.len() as u64 + history.api_watches.len() as u64),
        ("changes by users", changes),
        ("changes by users that failed", history.kube.iter().filter(|op| op.outcome.is_err()).count() as u64),
        ("harms", state.harms.iter().filter(|effect| !effect.did.is_empty()).count() as u64),
    ];
    counts.into_iter().map(|(name, count)| (name.to_string(), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::KubeOperation;
    use crate::plan::plan;
    use crate::scenario::read::scenario;

    /// Whether a run of this harm is vacuous when only these lines touched something.
    fn is_vacuous(harm: &str, did: &[u64]) -> bool {
        let text = format!("name: x\ncluster: {{ members: 3 }}\nheal: 30s\n{harm}\n");
        let plan = plan(&scenario(&text, &|_| Err(String::new())).unwrap(), 1);
        assert!(!plan.harms.is_empty(), "{text}");
        !owing(&plan, &did.iter().copied().collect()).is_empty()
    }

    #[test]
    fn a_load_of_which_nothing_was_done_is_vacuous_unless_harm_explains_it() {
        let load = "name: x\nload:\n  - { kv: { clients: 1 }, for: 5s }\nheal: 30s\n";
        let is_vacuous = |harm: &str, asked: u64, served: bool| {
            let plan = plan(&scenario(&format!("{load}{harm}"), &|_| Err(String::new())).unwrap(), 1);
            let seen = crate::history::seen::Seen::new(3);
            for at in 0..asked {
                seen.call("client-1", at, crate::history::Request::Compact { at: 1 });
            }
            let mut state = seen.lock();
            let what = "create Deployment web".to_string();
            let user = KubeOperation { client: "user-1".into(), call: 1, ret: 2, what, outcome: Ok(()) };
            state.history.kube.extend(served.then_some(user));
            !vacuous(&plan, &state, &[]).is_empty()
        };
        let harm = "harm:\n  - { pause: one, for: 1s, every: 3s, chance: 99% }\n";
        let many = FEW as u64 + 1;
        assert!(is_vacuous("", 1, false) && is_vacuous("", many, true) && is_vacuous(harm, many, false));
        assert!(!is_vacuous(harm, many - 1, false) && !is_vacuous(harm, many, true));
    }

    #[test]
    fn a_harm_owes_what_its_scenario_says_and_no_more() {
        let timeline = "timeline:\n  - { at: 5s, crash: one, for: 1s }";
        assert!(is_vacuous(timeline, &[]) && !is_vacuous(timeline, &[5]));
        let drawn = "harm:\n  - { crash: one, for: 1s, every: 3s }\n  - { pause: one, for: 1s, every: 3s }";
        assert!(is_vacuous(drawn, &[]) && !is_vacuous(drawn, &[6]));
        // a swarm drew connections to hold that nobody used: it may as well have drawn no harm at all
        assert!(!is_vacuous("harm:\n  - { pause: one, for: 1s, every: 3s, chance: 99% }", &[]));
    }
}
