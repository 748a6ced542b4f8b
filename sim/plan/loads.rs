//! From a load to its clients and every operation of each.

use super::*;
use crate::history::{LOAD, LOCKS};
use crate::scenario::{
    Draw, KubeLoad, KvLoad, Load, LoadKind, members::MembersLoad, users::SpaceLoad, users::UsersLoad,
};
use base::stream::Stream;
use rand::{Rng, seq::SliceRandom};

/// A plan never holds more operations of one client than this.
const MOST_OPS: usize = 5_000;

pub fn add(load: &Load, n: usize, plan: &mut Plan, stream: &mut Stream) {
    let lasting = load.lasting.min(plan.heal.saturating_sub(load.from));
    let load = &Load { lasting, ..load.clone() };
    match &load.kind {
        LoadKind::Kv(kv) => {
            let keys = (kv.keys.draw(stream) as u64).max(2);
            for client in 1..=kv.clients.draw(stream) {
                let name = format!("client-{}", plan.kv.len() + 1);
                let draws =
                    |what: &str| base::stream::stream(plan.seed, &format!("load {n} {what} {client}"));
                let (mut own, manner) = (draws("client"), draws("manner of client"));
                let pace = Pace { left: 0, draws: draws("pace of client") };
                plan.kv.push(kv_client(name, kv, keys, load, (&mut own, manner, pace)));
            }
            let (watchers, slow) = (kv.watchers.draw(stream), kv.slow.draw(stream));
            for watcher in 1..=watchers + slow {
                let mut own = base::stream::stream(plan.seed, &format!("load {n} watcher {watcher}"));
                let name = format!("watcher-{}", plan.watchers.len() + 1);
                plan.watchers.push(watcher_of(name, load.from, watcher > watchers, &mut own));
            }
            crowd(plan, load, kv.crowd.draw(stream) as u64, false);
        }
        LoadKind::Members(members) => {
            let operators = members.operators.draw(stream);
            for operator in 1..=operators {
                // a machine that was removed does not come back: no two operators have the same ones
                let ready = plan.cluster.ready().map(|process| process.number);
                let ready = ready.filter(|number| *number as i64 % operators == operator % operators);
                let ready: Vec<u64> = ready.rev().collect();
                let mut own = base::stream::stream(plan.seed, &format!("load {n} operator {operator}"));
                let name = format!("operator-{}", plan.operators.len() + 1);
                plan.operators.push(operator_of(
                    name,
                    (plan.cluster.members, ready),
                    members,
                    load,
                    &mut own,
                ));
            }
        }
        LoadKind::Users(users) => {
            let mut own = base::stream::stream(plan.seed, &format!("load {n} users"));
            let operator = users_of(plan, users, load, &mut own);
            plan.operators.push(operator);
        }
        LoadKind::Space(space) => {
            let mut own = base::stream::stream(plan.seed, &format!("load {n} space"));
            let operator = space_of(plan, space, load, &mut own);
            plan.operators.push(operator);
        }
        LoadKind::Kube(kube) => {
            let clients = kube.clients.draw(stream).max(1);
            let deployments = kube.deployments.draw(stream);
            for client in 1..=clients {
                let draws =
                    |what: &str| base::stream::stream(plan.seed, &format!("load {n} {what} {client}"));
                let (mut own, manner) = (draws("kube client"), draws("manner of kube client"));
                let pace = Pace { left: 0, draws: draws("pace of kube client") };
                let names = (1..=deployments).filter(|d| d % clients == client % clients);
                let names: Vec<String> = names.map(|d| format!("app-{}", d + 10 * n as i64)).collect();
                let name = format!("user-{}", plan.kube.len() + 1);
                plan.kube.push(kube_client(name, &names, kube, load, (&mut own, manner, pace)));
            }
            plan.api_watchers += kube.watchers.draw(stream) as u64;
            crowd(plan, load, kube.crowd.draw(stream) as u64, true);
        }
    }
}

fn crowd(plan: &mut Plan, load: &Load, size: u64, of_api: bool) {
    if size > 0 {
        let name = format!("crowd-{}", plan.crowds.len() + 1);
        plan.crowds.push(Crowd { name, from: load.from, size, of_api });
    }
}

/// When a client has done all of a burst it makes a pause.
struct Pace {
    left: i64,
    /// Its own, so that a load with bursts asks for the same as one without.
    draws: Stream,
}

impl Pace {
    /// For `pause`, which is drawn in any case.
    fn next(&mut self, burst: &Draw, pause: u64) -> u64 {
        self.left -= 1;
        if self.left > 0 {
            return 0;
        }
        self.left = burst.draw(&mut self.draws);
        pause
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

/// What is asked for, in what manner, and at which pace are drawn from a stream each.
fn kv_client(
    name: String,
    kv: &KvLoad,
    keys: u64,
    load: &Load,
    (stream, mut manner, mut pace): (&mut Stream, Stream, Pace),
) -> KvClient {
    let (from, until) = (load.from, load.from + load.lasting);
    let (patience, retries) = (kv.patience.draw(&mut manner) as u64, kv.retries.draw(&mut manner) as u64);
    let mut at = from;
    let mut ops = vec![];
    while at < until && ops.len() < MOST_OPS {
        let pause = pace.next(&kv.burst, kv.pause.draw(stream) as u64);
        at += pause.max(1_000);
        let n = ops.len();
        let deed = kv_deed(pick(&kv.mix, stream), &name, n, keys, kv, (&mut *stream, &mut manner));
        let size = if deed.writes() { kv.size.draw(&mut manner) as u64 } else { 0 };
        ops.push(KvOp { when: When::After(pause), deed, size });
    }
    KvClient { name, from, until, patience, retries, ops }
}

fn kv_deed(
    word: &str,
    client: &str,
    n: usize,
    keys: u64,
    kv: &KvLoad,
    (stream, manner): (&mut Stream, &mut Stream),
) -> KvDeed {
    let any = stream.gen_range(0..keys);
    let hot = manner.gen_range(0..1_000_000) < kv.hot.draw(manner);
    let first = if hot { 0 } else { any };
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
        "lock" => KvDeed::Lock {
            name: format!("{LOCKS}{first}"),
            ttl: (kv.ttl.draw(stream) / 1_000_000).max(1),
            hold: stream.gen_range(0..3_000_000),
        },
        "compact" => KvDeed::Compact { back: *[0, 0, 1, 5, 20].choose(stream).unwrap_or(&0) },
        "history" => KvDeed::History,
        _ => KvDeed::Get { key, serializable: stream.gen_ratio(1, 6) },
    }
}

/// Operators begin at multiples of this, so that several wish for something at the same time.
const TOGETHER: u64 = 250_000;

/// What an operator may wish for who knows whom he added, promoted and removed: the last two voters stay.
fn operator_of(
    name: String,
    (founders, mut ready): (u64, Vec<u64>),
    members: &MembersLoad,
    load: &Load,
    stream: &mut Stream,
) -> Operator {
    let (from, until) = (load.from, load.from + load.lasting);
    let mut voters: Vec<u64> = (1..=founders).collect();
    let (mut learners, mut ops): (Vec<u64>, Vec<OperatorOp>) = (vec![], vec![]);
    let mut at = from;
    while at < until && ops.len() < MOST_OPS {
        at += (members.pause.draw(stream) as u64).max(1_000);
        let deed = match stream.gen_range(0..10) {
            0 | 1 if let Some(learner) = learners.pop() => {
                voters.push(learner);
                MemberDeed::Promote(learner)
            }
            0 | 1 if let Some(next) = ready.pop() => {
                learners.push(next);
                MemberDeed::Add(next)
            }
            2..=5 if let Some(next) = ready.pop() => {
                voters.push(next);
                MemberDeed::AddVoter(next)
            }
            6..=8 if voters.len() > 2 => {
                MemberDeed::Remove(voters.swap_remove(stream.gen_range(0..voters.len())))
            }
            9 => MemberDeed::MoveLeader(voters[stream.gen_range(0..voters.len())]),
            _ => continue,
        };
        let (when, deed) = (When::At(at.next_multiple_of(TOGETHER)), OperatorDeed::Member(deed));
        ops.push(OperatorOp { when, deed });
    }
    Operator { name, from, until, ops }
}

/// An operator who makes space, again and again.
fn space_of(plan: &Plan, space: &SpaceLoad, load: &Load, stream: &mut Stream) -> Operator {
    let (from, until) = (load.from, load.from + load.lasting);
    let paces = std::iter::repeat_with(|| (space.pause.draw(stream) as u64).max(10_000));
    let times = paces.scan(from, |at, pause| {
        *at += pause;
        Some(*at).filter(|at| *at < until)
    });
    let deed = OperatorDeed::User(UserDeed::Free);
    let ops = times.take(MOST_OPS).map(|at| OperatorOp { when: When::At(at), deed }).collect();
    Operator { name: format!("operator-{}", plan.operators.len() + 1), from, until, ops }
}

/// An operator who admits every client there is, tells them apart, and then changes now this and now that.
fn users_of(plan: &Plan, users: &UsersLoad, load: &Load, stream: &mut Stream) -> Operator {
    let (from, until) = (load.from, load.from + load.lasting);
    let clients: Vec<u64> = (1..=plan.kv.len() as u64).collect();
    let mut deeds: Vec<(u64, UserDeed)> = clients.iter().map(|n| (from, UserDeed::Admit(*n))).collect();
    deeds.push((from, UserDeed::Auth(true)));
    let (mut at, mut apart) = (from, true);
    while at < until && deeds.len() < MOST_OPS {
        at += (users.pause.draw(stream) as u64).max(10_000);
        let Some(client) = clients.choose(stream).copied() else { break };
        let deed = match stream.gen_range(0..16) {
            0..=3 => UserDeed::Allow(client),
            4..=5 => UserDeed::AllowReading(client),
            6..=8 => UserDeed::Forbid(client),
            9..=11 => UserDeed::Give(client),
            12..=13 => UserDeed::Take(client),
            _ => {
                apart = !apart;
                UserDeed::Auth(apart)
            }
        };
        deeds.push((at, deed));
    }
    let op = |(at, deed)| OperatorOp { when: When::At(at), deed: OperatorDeed::User(deed) };
    let name = format!("operator-{}", plan.operators.len() + 1);
    Operator { name, from, until, ops: deeds.into_iter().map(op).collect() }
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
    (stream, mut manner, mut pace): (&mut Stream, Stream, Pace),
) -> KubeClient {
    let (from, until) = (load.from, load.from + load.lasting);
    let mut ops: Vec<KubeOp> = vec![];
    let mut live: BTreeMap<&str, u64> = BTreeMap::new();
    let mut at = from;
    while at < until && !names.is_empty() && ops.len() < MOST_OPS {
        let pause = if ops.is_empty() { 0 } else { pace.next(&kube.burst, kube.pause.draw(stream) as u64) };
        at += pause.max(100_000);
        let deployment = &names[stream.gen_range(0..names.len())];
        let deed = kube_deed(deployment, &mut live, kube, (&mut *stream, &mut manner));
        ops.push(KubeOp { when: When::After(pause), deed });
    }
    KubeClient { name, from, until, ops }
}

fn kube_deed<'a>(
    name: &'a str,
    live: &mut BTreeMap<&'a str, u64>,
    kube: &KubeLoad,
    (stream, manner): (&mut Stream, &mut Stream),
) -> KubeDeed {
    let replicas = kube.replicas.draw(stream) as u64;
    let deployment = name.to_string();
    let Some(version) = live.get_mut(name) else {
        live.insert(name, 1);
        let size = kube.size.draw(manner) as usize;
        return KubeDeed::Apply(manifest(name, replicas, size, stream).to_string());
    };
    match pick(&kube.mix, stream) {
        word @ ("delete" | "delete-foreground") => {
            live.remove(name);
            KubeDeed::Delete { deployment, foreground: word == "delete-foreground" }
        }
        "rollout" => {
            *version += 1;
            KubeDeed::SetImage { deployment, image: format!("{name}:v{version}") }
        }
        _ => KubeDeed::Scale { deployment, replicas },
    }
}

fn manifest(name: &str, replicas: u64, size: usize, stream: &mut Stream) -> serde_json::Value {
    let (surge, unavailable) =
        *[("25%", "25%"), ("1", "0"), ("0", "1"), ("2", "1")].choose(stream).unwrap_or(&("1", "1"));
    let number = |text: &str| text.parse::<u64>().map_or(serde_json::json!(text), |n| serde_json::json!(n));
    let mut manifest = serde_json::json!({
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
    });
    if size > 0 {
        let ballast = serde_json::json!([{ "name": "BALLAST", "value": "x".repeat(size) }]);
        manifest["spec"]["template"]["spec"]["containers"][0]["env"] = ballast;
    }
    manifest
}
