//! From a scenario and a seed to a plan. Each thing is drawn from a stream of its own name, so that taking one
//! away moves no other.

use super::*;
use crate::history::LOAD;
use crate::scenario::{
    self, Amount, Deed, Draw, Harm, HarmKind, KubeLoad, KvLoad, Load, LoadKind, Repeated, Scenario, Target,
};
use base::stream::{Stream, stream};
use rand::{Rng, seq::SliceRandom};

/// Nothing is harmed before the cluster has had this long to start.
pub(super) const START: u64 = 2_000_000;
/// A plan never holds more operations of one client than this.
const MOST_OPS: usize = 5_000;

pub fn plan(scenario: &Scenario, seed: u64) -> Plan {
    let draw = |name: &str, what: &Draw| what.draw(&mut stream(seed, name));
    let cluster = &scenario.cluster;
    let counts = Counts {
        members: draw("members", &cluster.members) as u64,
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
        api_watchers: 0,
        heal: scenario.heal,
        settle: scenario.settle,
        expect: scenario.expect.clone(),
        check: scenario.check.clone(),
    };
    timeline(scenario, &mut plan);
    for (n, repeated) in scenario.harm.iter().enumerate() {
        repeat(repeated, &mut plan, &mut stream(seed, &format!("harm {n}")));
    }
    for (n, load) in scenario.load.iter().enumerate() {
        let mut stream = stream(seed, &format!("load {n}"));
        if stream.gen_range(0..1_000_000) < load.chance {
            add_load(load, n, &mut plan, &mut stream);
        }
    }
    let written = &scenario.clients;
    plan.kv.extend(written.store.iter().cloned());
    plan.watchers.extend(written.watchers.iter().cloned());
    plan.kube.extend(written.users.iter().cloned());
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

fn timeline(scenario: &Scenario, plan: &mut Plan) {
    for (n, timed) in scenario.timeline.iter().enumerate() {
        let mut stream = stream(plan.seed, &format!("timeline {n}"));
        let at = timed.at.draw(&mut stream) as u64;
        match &timed.what {
            Deed::Kube(deed) => plan.deeds.push(PlannedDeed { at, deed: deed.clone() }),
            Deed::Harm(harm) => {
                let struck = strike(harm, at, timed.line, plan, &mut stream);
                plan.harms.extend(struck.map(|harm| PlannedHarm { required: true, ..harm }));
            }
        }
    }
}

fn repeat(repeated: &Repeated, plan: &mut Plan, stream: &mut Stream) {
    if stream.gen_range(0..1_000_000) >= repeated.chance {
        return;
    }
    let last = plan.heal.saturating_sub(500_000);
    let Some(every) = &repeated.every else {
        let at = stream.gen_range(START.min(last)..=last);
        plan.harms.extend(strike(&repeated.harm, at, repeated.line, plan, stream));
        return;
    };
    let mut at = START;
    loop {
        at += (every.draw(stream) as u64).max(10_000);
        if at >= last {
            return;
        }
        plan.harms.extend(strike(&repeated.harm, at, repeated.line, plan, stream));
    }
}

fn strike(harm: &Harm, at: u64, line: u64, plan: &Plan, stream: &mut Stream) -> Option<PlannedHarm> {
    let mut of: Vec<Aim> = harm.of.iter().flat_map(|target| aims(target, &plan.cluster, stream)).collect();
    of.dedup();
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
    let upon_election = harm.upon_election.as_ref().map(|delay| delay.draw(stream) as u64);
    Some(PlannedHarm { at, until, upon_election, of, blow, line, required: false })
}

fn aims(target: &Target, counts: &Counts, stream: &mut Stream) -> Vec<Aim> {
    let (amount, role) = match target {
        Target::Leader => return vec![Aim::Leader],
        Target::Active(role) => return vec![Aim::Active(*role)],
        Target::NodeRunning(pod) => return vec![Aim::NodeRunning(pod.clone())],
        Target::Exactly(process) => {
            return if process.number <= counts.of(process.role) {
                vec![Aim::Process(*process)]
            } else {
                vec![]
            };
        }
        Target::Some(amount, role) => (*amount, *role),
    };
    let all = counts.of(role) as usize;
    let wanted = match amount {
        Amount::One => 1.min(all),
        Amount::Minority => all.saturating_sub(1) / 2,
        Amount::Majority => all / 2 + 1,
        Amount::All => all,
    };
    let mut processes: Vec<_> = counts.processes(role).collect();
    processes.shuffle(stream);
    processes.truncate(wanted);
    processes.sort();
    processes.into_iter().map(Aim::Process).collect()
}

fn add_load(load: &Load, n: usize, plan: &mut Plan, stream: &mut Stream) {
    match &load.kind {
        LoadKind::Kv(kv) => {
            let keys = (kv.keys.draw(stream) as u64).max(2);
            for client in 1..=kv.clients.draw(stream) {
                let name = format!("client-{}", plan.kv.len() + 1);
                let mut own = base::stream::stream(plan.seed, &format!("load {n} client {client}"));
                plan.kv.push(kv_client(name, kv, keys, load, &mut own));
            }
            let (watchers, slow) = (kv.watchers.draw(stream), kv.slow.draw(stream));
            for watcher in 1..=watchers + slow {
                let mut own = base::stream::stream(plan.seed, &format!("load {n} watcher {watcher}"));
                let name = format!("watcher-{}", plan.watchers.len() + 1);
                plan.watchers.push(watcher_of(name, load.from, watcher > watchers, &mut own));
            }
        }
        LoadKind::Kube(kube) => {
            let clients = kube.clients.draw(stream).max(1);
            let deployments = kube.deployments.draw(stream);
            for client in 1..=clients {
                let mut own = base::stream::stream(plan.seed, &format!("load {n} kube client {client}"));
                let names = (1..=deployments).filter(|d| d % clients == client % clients);
                let names: Vec<String> = names.map(|d| format!("app-{}", d + 10 * n as i64)).collect();
                let name = format!("user-{}", plan.kube.len() + 1);
                plan.kube.push(kube_client(name, &names, kube, load, &mut own));
            }
            plan.api_watchers += kube.watchers.draw(stream) as u64;
        }
    }
}

fn pick<'a>(mix: &'a BTreeMap<String, u64>, stream: &mut Stream) -> &'a str {
    let mut left = stream.gen_range(0..mix.values().sum::<u64>().max(1));
    for (word, weight) in mix {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return word,
        }
    }
    "get"
}

fn kv_client(name: String, kv: &KvLoad, keys: u64, load: &Load, stream: &mut Stream) -> KvClient {
    let (from, until) = (load.from, load.from + load.lasting);
    let mut at = from;
    let mut ops = vec![];
    while at < until && ops.len() < MOST_OPS {
        let pause = kv.pause.draw(stream) as u64;
        at += pause.max(1_000);
        let n = ops.len();
        ops.push(KvOp { pause, deed: kv_deed(pick(&kv.mix, stream), &name, n, keys, kv, stream) });
    }
    KvClient { name, from, until, ops }
}

fn kv_deed(word: &str, client: &str, n: usize, keys: u64, kv: &KvLoad, stream: &mut Stream) -> KvDeed {
    let first = stream.gen_range(0..keys);
    let key = format!("{LOAD}{first}");
    let value = format!("{client}.{n}");
    match word {
        "put" => KvDeed::Put { key, value },
        "list" => KvDeed::List,
        "txn" => KvDeed::Txn { key, value },
        "delete" => KvDeed::Delete { key },
        "transfer" => {
            let other = (first + stream.gen_range(1..keys)) % keys;
            KvDeed::Transfer {
                keys: [key, format!("{LOAD}{other}")],
                values: [value.clone(), format!("{value}b")],
            }
        }
        "lease" => KvDeed::Lease {
            key: format!("{LOAD}lease-{client}-{n}"),
            value,
            ttl: (kv.ttl.draw(stream) / 1_000_000).max(1),
            renewals: stream.gen_range(0..8),
            revoke: stream.gen_ratio(1, 4),
        },
        "compact" => KvDeed::Compact { back: *[0, 0, 1, 5, 20].choose(stream).unwrap_or(&0) },
        "history" => KvDeed::History,
        _ => KvDeed::Get { key, serializable: stream.gen_ratio(1, 6) },
    }
}

fn watcher_of(name: String, from: u64, slow: bool, stream: &mut Stream) -> Watcher {
    let filter = stream.gen_range(0..6);
    Watcher {
        name,
        from: from + stream.gen_range(0..2_000_000),
        pause: if slow { stream.gen_range(300_000..2_000_000) } else { 0 },
        lives: stream.gen_range(2_000_000..15_000_000),
        prev_kv: stream.gen_bool(0.5),
        no_put: filter == 0,
        no_delete: filter == 1,
        progress: stream.gen_bool(0.5).then(|| stream.gen_range(200_000..2_000_000)),
    }
}

fn kube_client(
    name: String,
    names: &[String],
    kube: &KubeLoad,
    load: &Load,
    stream: &mut Stream,
) -> KubeClient {
    let (from, until) = (load.from, load.from + load.lasting);
    let mut ops: Vec<KubeOp> = vec![];
    let mut live: BTreeMap<&str, u64> = BTreeMap::new();
    let mut at = from;
    while at < until && !names.is_empty() && ops.len() < MOST_OPS {
        let pause = if ops.is_empty() { 0 } else { kube.pause.draw(stream) as u64 };
        at += pause.max(100_000);
        let deployment = &names[stream.gen_range(0..names.len())];
        let deed = kube_deed(deployment, &mut live, kube, stream);
        ops.push(KubeOp { pause, deed });
    }
    KubeClient { name, from, until, ops }
}

fn kube_deed<'a>(
    name: &'a str,
    live: &mut BTreeMap<&'a str, u64>,
    kube: &KubeLoad,
    stream: &mut Stream,
) -> KubeDeed {
    let replicas = kube.replicas.draw(stream) as u64;
    let deployment = name.to_string();
    let Some(version) = live.get_mut(name) else {
        live.insert(name, 1);
        return KubeDeed::Apply(manifest(name, replicas, stream).to_string());
    };
    match pick(&kube.mix, stream) {
        "delete" => {
            live.remove(name);
            KubeDeed::Delete { deployment }
        }
        "rollout" => {
            *version += 1;
            KubeDeed::SetImage { deployment, image: format!("{name}:v{version}") }
        }
        _ => KubeDeed::Scale { deployment, replicas },
    }
}

fn manifest(name: &str, replicas: u64, stream: &mut Stream) -> serde_json::Value {
    let (surge, unavailable) =
        *[("25%", "25%"), ("1", "0"), ("0", "1"), ("2", "1")].choose(stream).unwrap_or(&("1", "1"));
    let number = |text: &str| text.parse::<u64>().map_or(serde_json::json!(text), |n| serde_json::json!(n));
    serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "default", "labels": { "app": name } },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "strategy": { "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": number(surge), "maxUnavailable": number(unavailable) } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [ { "name": "main", "image": format!("{name}:v1"),
                    "resources": { "requests": { "cpu": "100m", "memory": "64Mi" } } } ] }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::read::scenario;

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
    fn taking_one_harm_away_moves_no_other() {
        let shorter = TEXT.replace("  - { partition: one, for: 1s, every: 2s }\n", "");
        let (whole, less) = (plan_of(TEXT, 7), plan_of(&shorter, 7));
        let kept: Vec<_> = whole.harms.iter().filter(|h| !matches!(h.blow, Blow::Partition { .. })).collect();
        assert_eq!(kept, less.harms.iter().collect::<Vec<_>>());
        assert_eq!(whole.kv, less.kv);
    }

    #[test]
    fn all_harm_ends_with_the_heal() {
        for seed in 0..50 {
            let plan = plan_of(TEXT, seed);
            assert!(plan.harms.iter().all(|harm| harm.at >= START && harm.until <= plan.heal));
        }
    }
}
