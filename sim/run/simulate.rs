//! One run of one plan, on a thread of its own: from an empty world to what was seen in it.

use super::{Outcome, cluster, finals, judge, order, settle, unrest, watchdog};
use crate::check::{Finding, Verdict, raft::Breach};
use crate::history::seen::{Seen, State};
use crate::nemesis::{Nemesis, now, until};
use crate::plan::Plan;
use crate::story::Story;
use crate::workload::{Ground, apiwatch, crowd, kube, kv, operator, unordered, watch};
use std::{collections::BTreeMap, future::Future, panic, time::Duration};
use world::{World, process, record};

/// How a run is to be made.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// The bug of the museum that is planted.
    pub bug: Option<String>,
    /// Events of the record to capture as lines.
    pub capture: Option<(u64, u64)>,
    /// Distance of the record's checkpoints.
    pub checkpoints: Option<u64>,
    /// What the same seed without harm ended in, or why that run failed, if the twin has been run.
    pub twin: Option<Result<Vec<String>, String>>,
    /// Gives every write to keys that contain this.
    pub writes: Option<String>,
    /// Tells when each planned operation began.
    pub starts: bool,
    /// Keeps everything that happened.
    pub story: bool,
}

/// What a run gives beside its outcome.
#[derive(Default)]
pub struct Trace {
    pub checkpoints: Vec<record::Checkpoint>,
    pub lines: Vec<record::Line>,
    pub writes: Vec<String>,
    pub story: Option<Story>,
}

/// What is taken out of the world at the end.
struct Taken {
    digest: String,
    events: u64,
    simulated_ns: u64,
    reached: BTreeMap<String, u64>,
    trace: Trace,
    end: End,
}

/// How the run went, in its own words.
#[derive(Default)]
pub struct End {
    pub booted: Option<u64>,
    pub settled: Option<u64>,
    /// Why the system did not come to rest, the first reason first.
    pub unsettled: Vec<String>,
    /// Writes while all was calm, by key.
    pub calm_writes: BTreeMap<String, u64>,
    pub hashes: Option<Result<BTreeMap<String, u32>, String>>,
    pub ended: u64,
}

pub fn simulate(plan: &Plan, manner: &Manner) -> (Outcome, Trace) {
    let seen = Seen::new(plan.cluster.members as usize);
    let began = watchdog::wall();
    let (inner, plan_inner, manner_inner) = (seen.clone(), plan.clone(), manner.clone());
    let hook = panic::take_hook();
    let told = seen.clone();
    panic::set_hook(Box::new(move |info| remember_panic(&told, info)));
    let ran = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        World::run(plan.seed, move |world| run(world, plan_inner, manner_inner, inner))
    }));
    panic::set_hook(hook);
    let taken = ran.unwrap_or_else(|_| Taken {
        digest: "none".into(),
        events: 0,
        simulated_ns: 0,
        reached: BTreeMap::new(),
        trace: Trace::default(),
        end: End::default(),
    });
    let mut state = seen.lock();
    base::marks::take_reached();
    let findings = judge::judge(plan, &mut state, &taken.end, &taken.reached, manner.twin.as_ref());
    // what checks came upon, beside what the run did
    let reached = taken.reached.into_iter().chain(counted()).collect();
    let outcome = Outcome {
        scenario: plan.scenario.clone(),
        seed: plan.seed,
        cluster: plan.cluster.to_string(),
        vacuous: judge::vacuous(plan, &state, &findings),
        findings,
        harms: state.harms.clone(),
        operations: crate::history::outcomes(&state.history.operations),
        counts: judge::counts(&state),
        reached,
        finals: finals::finals(&state),
        settled: taken.end.settled,
        starts: if manner.starts { starts(&state) } else { BTreeMap::new() },
        choices: std::mem::take(&mut state.choices),
        digest: taken.digest,
        events: taken.events,
        simulated_ns: taken.simulated_ns,
        wall_ms: began.elapsed().as_millis() as u64,
        cpu_ms: watchdog::cpu_ms(),
    };
    let writes = manner.writes.as_ref().map_or(vec![], |part| writes(&state, part));
    let lines = taken.trace.lines;
    let story = manner.story.then(|| Story::tell(plan, &outcome, &lines, &mut state));
    (outcome, Trace { writes, story, lines, checkpoints: taken.trace.checkpoints })
}

/// The situations reached on this thread.
fn counted() -> impl Iterator<Item = (String, u64)> {
    base::marks::take_reached().into_iter().map(|(mark, count)| (mark.to_string(), count))
}

fn starts(state: &State) -> BTreeMap<String, Vec<u64>> {
    let us = |times: &Vec<u64>| times.iter().map(|ns| ns / 1_000).collect();
    state.starts.iter().map(|(client, times)| (client.clone(), us(times))).collect()
}

/// What the observer saw of these keys: revision, time, key, value.
fn writes(state: &State, part: &str) -> Vec<String> {
    let events = state.history.observed().filter(|(_, event)| event.kv.key.contains(part));
    let line = |(at, event): (u64, &crate::history::Event)| {
        let value = if event.delete { "deleted" } else { event.kv.value.as_str() };
        format!("{} {} {} {value}", event.kv.modified, crate::history::seconds(at), event.kv.key)
    };
    events.map(line).collect()
}

fn remember_panic(seen: &Seen, info: &panic::PanicHookInfo<'_>) {
    let said = info.payload().downcast_ref::<&str>().map(|text| text.to_string());
    let said = said.or_else(|| info.payload().downcast_ref::<String>().cloned()).unwrap_or_default();
    let place = info.location().map_or(String::new(), |at| format!(" ({}:{})", at.file(), at.line()));
    // the hook may run while the state is locked: then the panic is the tank's own
    if let Ok(text) = panic::catch_unwind(panic::AssertUnwindSafe(|| format!("{said}{place}"))) {
        seen.lock().panic.get_or_insert(text);
    }
}

async fn run(world: World, plan: Plan, manner: Manner, seen: Seen) -> Taken {
    let bug: Option<&'static str> = manner.bug.map(|bug| &*bug.leak());
    base::marks::plant(bug);
    base::marks::take_reached();
    if let Some(every) = manner.checkpoints {
        record::checkpoint_every(every);
    }
    if let Some((from, to)) = manner.capture {
        record::capture(from..to);
        record::describe_with(member::describe);
    }
    if manner.story {
        record::capture(0..u64::MAX);
        record::describe_with(member::describe);
        seen.lock().all_notes = Some(vec![]);
    }
    let sink = seen.clone();
    world::set_note_sink(Box::new(move |at, process, note| sink.note(at.as_nanos() as u64, process, note)));
    watchdog::moved(0);
    let end = course(&world, &plan, &seen).await;
    Taken {
        digest: record::digest(),
        events: record::events(),
        simulated_ns: process::elapsed().as_nanos() as u64,
        reached: counted().collect(),
        trace: Trace { checkpoints: record::checkpoints(), lines: record::take_lines(), ..Trace::default() },
        end,
    }
}

/// The phases of a run.
async fn course(world: &World, plan: &Plan, seen: &Seen) -> End {
    let mut end = End::default();
    let nemesis = Nemesis::new(plan, seen);
    cluster::boot(world, plan, &nemesis, seen);
    rt::spawn(cluster::supervise(plan.clone(), nemesis.clone(), seen.clone()));
    start_clients(world, plan, seen);
    nemesis.unleash(plan);
    if let Some(deliveries) = plan.deliveries.clone() {
        rt::spawn(order::choose(deliveries, nemesis.clone(), seen.clone()));
    }
    seen.lock().phase = "harm";
    if !pass(seen, plan.heal).await {
        end.ended = now();
        return end;
    }
    nemesis.heal_all();
    seen.lock().phase = "settle";
    let healed = now();
    if plan.unavailable {
        pass(seen, plan.heal + plan.settle).await;
        end.ended = now();
        return end;
    }
    let stores = cluster::stores(plan);
    let judge = settle::Judge::new(plan, seen, &stores);
    let (plan_there, seen_there) = (plan.clone(), seen.clone());
    let settled = on(world, "judge", 0, async move { rest(judge, &plan_there, &seen_there).await }).await;
    end = End { booted: None, ended: now(), ..settled };
    end.settled = end.settled.map(|at| at.saturating_sub(healed));
    // harms end with the heal; what they did is written down a moment later
    rt::sleep(Duration::from_millis(10)).await;
    end
}

/// Sleeps until a time of the plan; false when a promise broke on the way.
async fn pass(seen: &Seen, until_us: u64) -> bool {
    loop {
        let at = now() / 1_000;
        watchdog::moved(now());
        if at >= until_us {
            return true;
        }
        until((at + 100_000).min(until_us)).await;
        if seen.broken() {
            return false;
        }
    }
}

/// What is still said of the last change, in the moment after all is as it should be, is no hot loop.
const LAST_WORDS: Duration = Duration::from_secs(1);

async fn rest(mut judge: settle::Judge, plan: &Plan, seen: &Seen) -> End {
    let mut end = End::default();
    let limit = now() / 1_000 + plan.settle;
    let calm = settle::calm(plan);
    let mut since: Option<(u64, i64)> = None;
    loop {
        watchdog::moved(now());
        if seen.broken() {
            return end;
        }
        match judge.unsettled().await {
            None => {
                let observed = seen.lock().observed;
                let (at, quiet) = since.get_or_insert((now(), observed));
                let at = *at;
                if now() - at < LAST_WORDS.as_nanos() as u64 {
                    *quiet = observed;
                }
                if now() - at >= calm.as_nanos() as u64 {
                    end.settled = Some(at);
                    break;
                }
            }
            Some(reason) => {
                since = None;
                end.unsettled = vec![reason];
            }
        }
        if since.is_none() && now() / 1_000 >= limit {
            end.unsettled.extend(unrest::unrest(plan, seen));
            return end;
        }
        rt::sleep(Duration::from_millis(250)).await;
    }
    end.unsettled.clear();
    end.calm_writes = calm_writes(seen, since.map_or(0, |(_, revision)| revision));
    leases_end(plan, seen).await;
    end.hashes = Some(judge.hashes().await);
    end
}

/// Keys written after a revision, and how often.
fn calm_writes(seen: &Seen, after: i64) -> BTreeMap<String, u64> {
    let state = seen.lock();
    let mut writes = BTreeMap::new();
    for (_, event) in state.history.observed().filter(|(_, event)| event.kv.modified > after) {
        *writes.entry(event.kv.key.to_string()).or_insert(0) += 1;
    }
    writes
}

/// Leases of the load that are left to end get the time for it.
async fn leases_end(plan: &Plan, seen: &Seen) {
    let ttl = plan.kv.iter().flat_map(|client| &client.ops).filter_map(|op| match op.deed {
        crate::plan::KvDeed::Lease { ttl, .. } | crate::plan::KvDeed::Lock { ttl, .. } => Some(ttl as u64),
        _ => None,
    });
    let Some(ttl) = ttl.max() else { return };
    let least = plan.knobs().lease_min_ttl_ms / 1_000 + 1;
    let limit = plan.heal + (ttl.max(least) * 1_000_000) + judge::LEASE_SLACK_US + 2_000_000;
    pass(seen, limit).await;
}

/// What a client does, from its start to its end.
type Main = std::pin::Pin<Box<dyn Future<Output = Result<(), String>>>>;

fn start_clients(world: &World, plan: &Plan, seen: &Seen) {
    let mut knobs = plan.knobs();
    knobs.client_timeout_ms = knobs.client_timeout_ms.min(6_000);
    let ground = Ground {
        seen: seen.clone(),
        stores: cluster::stores(plan),
        apiservers: cluster::apiservers(plan),
        knobs,
        until: plan.heal,
        users: plan.has_users(),
    };
    world.create("judge", cluster::client_ip(0), || async { std::future::pending().await });
    let mut number = 0;
    let mut create = |name: &str, main: Box<dyn Fn() -> Main + Send + Sync>| {
        number += 1;
        world.create(name, cluster::client_ip(number), main);
    };
    let own = ground.clone();
    create("observer", Box::new(move || Box::pin(watch::observe(own.clone())) as Main));
    for client in &plan.kv {
        let (client, own) = (client.clone(), ground.clone());
        create(
            &client.name.clone(),
            Box::new(move || Box::pin(kv::run(client.clone(), own.clone())) as Main),
        );
    }
    for watcher in &plan.watchers {
        let (watcher, own) = (watcher.clone(), ground.clone());
        create(
            &watcher.name.clone(),
            Box::new(move || Box::pin(watch::run(watcher.clone(), own.clone())) as Main),
        );
    }
    for one in plan.crowds.iter().filter(|crowd| !crowd.of_api || plan.has_kube()) {
        let (one, own) = (one.clone(), ground.clone());
        create(&one.name.clone(), Box::new(move || Box::pin(crowd::run(one.clone(), own.clone())) as Main));
    }
    for one in &plan.operators {
        let (one, own) = (one.clone(), ground.clone());
        create(
            &one.name.clone(),
            Box::new(move || Box::pin(operator::run(one.clone(), own.clone())) as Main),
        );
    }
    if base::bug!("UNORDERED") {
        create("unordered", Box::new(|| Box::pin(unordered::run()) as Main));
    }
    if !plan.has_kube() {
        return;
    }
    let (deeds, own) = (plan.deeds.clone(), ground.clone());
    create("operator", Box::new(move || Box::pin(kube::operate(deeds.clone(), own.clone())) as Main));
    for client in &plan.kube {
        let (client, own) = (client.clone(), ground.clone());
        create(
            &client.name.clone(),
            Box::new(move || Box::pin(kube::run(client.clone(), own.clone())) as Main),
        );
    }
    for watcher in 1..=plan.api_watchers {
        let own = ground.clone();
        let name = format!("reader-{watcher}");
        create(
            &name.clone(),
            Box::new(move || Box::pin(apiwatch::run(name.clone(), watcher, own.clone())) as Main),
        );
    }
}

/// Runs a future as a task of a process that exists.
async fn on<T: Send + 'static>(
    _world: &World,
    name: &str,
    _number: u64,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let node = process::node_of(name).and_then(|node| madsim::runtime::Handle::current().get_node(node));
    let node = node.expect("the process was created at the start");
    node.spawn(future).await.expect("the judge is never harmed")
}

/// A promise that broke on the way, as a finding.
pub fn breach(breach: &Breach) -> Finding {
    Finding { promise: breach.promise.to_string(), verdict: Verdict::Broken(breach.evidence.clone()) }
}
