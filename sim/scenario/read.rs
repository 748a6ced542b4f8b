//! From a file to a [`Scenario`], or to the first mistake in it.

use super::deeds::{DEEDS, deed_keys, kube_deed};
use super::harms::{harm, harm_keys, only};
use super::operators::OperatorDeed;
use super::units::{count, percent, size, time};
use super::yaml::{Mistake, Node, Table, Value};
use super::*;

const TOP: [&str; 15] = [
    "name",
    "seed",
    "cluster",
    "network",
    "knobs",
    "timeline",
    "deliveries",
    "load",
    "clients",
    "harm",
    "heal",
    "settle",
    "expect",
    "check",
    "memory",
];
const EXPECTED: [&str; 8] =
    ["deployment", "readyReplicas", "image", "job", "succeeded", "ends", "absent", "reached"];
/// How a Job ends.
pub const ENDS: [&str; 2] = ["Complete", "Failed"];
const ENTRIES: &str = "a list, each entry beginning with `-`";
pub const ALWAYS: u64 = 1_000_000;

/// Reads a scenario. `include` gives the text of a manifest the scenario names.
pub fn scenario(text: &str, include: &dyn Fn(&str) -> Result<String, String>) -> Result<Scenario, Mistake> {
    let document = Node::read(text)?;
    let top = document.table("a scenario", &TOP)?;
    let optional = |key, or: u64| top.get(key).map_or(Ok(or), |node| one(node, time));
    let heal = or(&top, "heal", Draw::fixed(30_000_000), time)?;
    let latest = heal.bounds().1 as u64;
    let scenario = Scenario {
        name: top.need("name")?.word("a sentence that claims something")?.to_string(),
        seed: top.get("seed").map_or(Ok(1), |node| one(node, count))?,
        cluster: cluster(top.get("cluster"))?,
        network: network(top.get("network"))?,
        knobs: knobs(top.get("knobs"))?,
        timeline: each(top.get("timeline"), |node| timed(node, include))?,
        deliveries: top.get("deliveries").map(deliveries).transpose()?,
        load: each(top.get("load"), |node| loads::load(node, latest))?,
        clients: match top.get("clients") {
            Some(node) => clients::clients(node.list(ENTRIES)?, include)?,
            None => clients::Clients::default(),
        },
        harm: each(top.get("harm"), repeated)?,
        heal,
        settle: optional("settle", 60_000_000)?,
        expect: each(top.get("expect").filter(|node| !node.is_word("unavailable")), expect)?,
        unavailable: top.get("expect").is_some_and(|node| node.is_word("unavailable")),
        check: checks(top.get("check"))?,
        memory: top.get("memory").map_or(Ok(MEMORY), |node| one(node, size))?,
    };
    apart(&scenario, &document)?;
    possible(&scenario, &document)?;
    disks::survivable(&scenario, &document)?;
    answered(&scenario, &document)?;
    Ok(scenario)
}

pub(super) fn one(node: &Node, read: fn(&Node) -> Result<Draw, Mistake>) -> Result<u64, Mistake> {
    match read(node)? {
        Draw::Between(low, high) if low == high => Ok(low as u64),
        _ => Err(Mistake::new(node.place, "a range cannot stand here", "one value")),
    }
}

fn each<T>(node: Option<&Node>, read: impl Fn(&Node) -> Result<T, Mistake>) -> Result<Vec<T>, Mistake> {
    let Some(node) = node else { return Ok(vec![]) };
    node.list(ENTRIES)?.iter().map(read).collect()
}

pub(super) fn or(
    table: &Table<'_>,
    key: &str,
    default: Draw,
    read: fn(&Node) -> Result<Draw, Mistake>,
) -> Result<Draw, Mistake> {
    table.get(key).map_or(Ok(default), read)
}

fn cluster(node: Option<&Node>) -> Result<Cluster, Mistake> {
    let plain = Cluster {
        members: Draw::fixed(3),
        spares: 0,
        apiservers: Draw::fixed(0),
        managers: Draw::fixed(0),
        schedulers: Draw::fixed(0),
        nodes: Draw::fixed(0),
    };
    let Some(node) = node else { return Ok(plain) };
    let table =
        node.table("cluster", &["members", "spares", "apiservers", "managers", "schedulers", "nodes"])?;
    let cluster = Cluster {
        members: or(&table, "members", plain.members, count)?,
        spares: members::spares(&table)?,
        apiservers: or(&table, "apiservers", plain.apiservers, count)?,
        managers: or(&table, "managers", plain.managers, count)?,
        schedulers: or(&table, "schedulers", plain.schedulers, count)?,
        nodes: or(&table, "nodes", plain.nodes, count)?,
    };
    if cluster.members.bounds().0 < 1 {
        return Err(Mistake::new(table.place, "a cluster needs a store", "at least one member"));
    }
    if cluster.spares > 0 && cluster.members.bounds().1 > members::FOUNDERS as i64 {
        let expected = format!("at most {} members beside machines that stand ready", members::FOUNDERS);
        return Err(Mistake::new(table.place, "too many members", expected));
    }
    Ok(cluster)
}

fn network(node: Option<&Node>) -> Result<Network, Mistake> {
    let plain = Network { latency: Draw::Between(500, 5_000), loss: Draw::fixed(0) };
    let Some(node) = node else { return Ok(plain) };
    let table = node.table("network", &["latency", "loss"])?;
    Ok(Network {
        latency: or(&table, "latency", plain.latency, time)?,
        loss: or(&table, "loss", plain.loss, percent)?,
    })
}

/// Knobs are spelt in camelCase; those that end in Ms take a time and lose the ending.
pub(super) fn knobs(node: Option<&Node>) -> Result<BTreeMap<String, Draw>, Mistake> {
    let Some(node) = node else { return Ok(BTreeMap::new()) };
    let spelt: Vec<(String, &str)> = base::Knobs::NAMES.iter().map(|name| (knob_word(name), *name)).collect();
    let words: Vec<&str> = spelt.iter().map(|(word, _)| word.as_str()).collect();
    let table = node.table("knobs", &words)?;
    let mut knobs = BTreeMap::new();
    for (_, word, value) in table.entries {
        let Some((_, name)) = spelt.iter().find(|(spelt, _)| spelt == word) else { continue };
        let draw = if name.ends_with("_ms") { milliseconds(time(value)?) } else { count(value)? };
        knobs.insert(name.to_string(), draw);
    }
    Ok(knobs)
}

fn milliseconds(draw: Draw) -> Draw {
    match draw {
        Draw::Between(low, high) => Draw::Between(low / 1_000, high / 1_000),
        Draw::OneOf(values) => Draw::OneOf(values.into_iter().map(|us| us / 1_000).collect()),
    }
}

/// `snapshot_every` is spelt `snapshotEvery`, `raft_tick_ms` is spelt `raftTick`.
pub fn knob_word(name: &str) -> String {
    let mut word = String::new();
    for (n, part) in name.trim_end_matches("_ms").split('_').enumerate() {
        match part.chars().next() {
            Some(first) if n > 0 => {
                word.push(first.to_ascii_uppercase());
                word.push_str(&part[1..]);
            }
            _ => word.push_str(part),
        }
    }
    word
}

fn timed(node: &Node, include: &dyn Fn(&str) -> Result<String, String>) -> Result<Timed, Mistake> {
    let table = node.table("a timeline entry", &[&["at"], &harm_keys()[..], &deed_keys()].concat())?;
    let at = time(table.need("at")?)?;
    let what = match DEEDS.iter().find_map(|deed| table.get(deed).map(|of| (*deed, of))) {
        Some((deed, of)) => {
            let table = node.table("what a user does", &[&["at"], &deed_keys()[..]].concat())?;
            Deed::Kube(kube_deed(deed, of, &table, include)?)
        }
        None => Deed::Harm(harm(&table)?),
    };
    Ok(Timed { at, what, line: node.place.line })
}

fn repeated(node: &Node) -> Result<Repeated, Mistake> {
    let table = node.table("a harm", &[&harm_keys()[..], &["every", "chance"]].concat())?;
    Ok(Repeated {
        harm: harm(&table)?,
        every: table.get("every").map(time).transpose()?,
        chance: chance(&table)?,
        line: node.place.line,
    })
}

pub(super) fn chance(table: &Table<'_>) -> Result<u64, Mistake> {
    table.get("chance").map_or(Ok(ALWAYS), |node| one(node, percent))
}

fn deliveries(node: &Node) -> Result<Deliveries, Mistake> {
    let table = node.table("deliveries", &["to", "from", "of", "order", "most"])?;
    let to = table.need("to")?;
    let target = match &only(to, &[Role::Manager, Role::Scheduler, Role::Node])?[..] {
        [one @ (Target::Active(_) | Target::Exactly(_))] => one.clone(),
        _ => {
            let expected = "the active manager, the active scheduler, or one process such as manager-1";
            return Err(Mistake::new(to.place, "deliveries go to one process", expected));
        }
    };
    let of = kinds(table.need("of")?)?;
    let order = table.get("order").map_or(Ok(vec![]), kinds)?;
    let most = table.get("most").map_or(Ok(order.len() as u64), |node| one(node, count))?;
    Ok(Deliveries { to: target, from: one(table.need("from")?, time)?, of, order, most })
}

/// Plurals of kinds that clients of the API follow.
fn kinds(node: &Node) -> Result<Vec<String>, Mistake> {
    let known: Vec<&str> = objects::kinds::KINDS.iter().map(|kind| kind.plural).collect();
    let each = node.list("a list of kinds, such as pods")?.iter().map(|node| {
        let word = node.word("a kind, such as pods")?;
        if known.contains(&word) {
            Ok(word.to_string())
        } else {
            Err(Mistake::word(node.place, "a kind", word, &known))
        }
    });
    each.collect()
}

fn expect(node: &Node) -> Result<Expect, Mistake> {
    let table = node.table("an expectation", &EXPECTED)?;
    if let Some(mark) = table.get("reached") {
        return Ok(Expect::Reached(mark.word("the name of a mark")?.to_string()));
    }
    if let Some(job) = table.get("job") {
        return Ok(Expect::Job {
            name: job.word("the name of a Job")?.to_string(),
            succeeded: table.get("succeeded").map(|node| one(node, count)).transpose()?,
            ends: table.get("ends").map(end).transpose()?,
        });
    }
    if let Some(absent) = table.get("absent") {
        let word = absent.word("deployment/NAME")?;
        let name = word.strip_prefix("deployment/").ok_or_else(|| absent.wrong("deployment/NAME"))?;
        return Ok(Expect::Absent { deployment: name.to_string() });
    }
    Ok(Expect::Deployment {
        name: table.need("deployment")?.word("the name of a deployment")?.to_string(),
        ready: table.get("readyReplicas").map(|node| one(node, count)).transpose()?,
        image: table.get("image").map(|node| node.word("an image").map(str::to_string)).transpose()?,
    })
}

fn end(node: &Node) -> Result<String, Mistake> {
    match node.word("Complete or Failed")? {
        word if ENDS.contains(&word) => Ok(word.to_string()),
        word => Err(Mistake::word(node.place, "an end of a Job", word, &ENDS)),
    }
}

fn checks(node: Option<&Node>) -> Result<Vec<String>, Mistake> {
    let Some(node) = node.filter(|node| !node.is_word("all")) else { return Ok(vec![]) };
    let names: Vec<&str> = crate::check::PROMISES.iter().map(|promise| promise.name).collect();
    let each = node.list("`all`, or a list of promises")?.iter().map(|node| {
        let word = node.word("the name of a promise")?;
        if names.contains(&word) {
            Ok(word.to_string())
        } else {
            Err(Mistake::word(node.place, "a promise", word, &names))
        }
    });
    each.collect()
}

/// A load draws the names of its clients.
/// What the clients of loads are called, before their numbers.
const LOADS: [&str; 5] = ["client-", "watcher-", "user-", "crowd-", "operator-"];

fn apart(scenario: &Scenario, document: &Node) -> Result<(), Mistake> {
    let clients = &scenario.clients;
    let names = clients.store.iter().map(|client| &client.name);
    let names = names.chain(clients.watchers.iter().map(|watcher| &watcher.name));
    let names = names.chain(clients.crowds.iter().map(|crowd| &crowd.name));
    let names = names.chain(clients.operators.iter().map(|operator| &operator.name));
    let mut names = names.chain(clients.users.iter().map(|user| &user.name));
    let drawn = |name: &&String| LOADS.iter().any(|kind| name.starts_with(kind));
    match names.find(drawn).filter(|_| !scenario.load.is_empty()) {
        Some(name) => {
            let place = yaml::Place { line: document.line_of("clients"), column: 1 };
            let message = format!("`{name}` is a name that `load` gives its own clients");
            Err(Mistake::new(place, message, "another name here, such as writer-1, or no `load`"))
        }
        None => Ok(()),
    }
}

/// Whoever wants something of the API needs an API server that may be there.
fn answered(scenario: &Scenario, document: &Node) -> Result<(), Mistake> {
    let deeds = scenario.timeline.iter().filter(|timed| matches!(timed.what, Deed::Kube(_)));
    let loads = scenario.load.iter().filter(|load| matches!(load.kind, LoadKind::Kube { .. }));
    let clients = &scenario.clients;
    let asking =
        !clients.users.is_empty() || clients.readers > 0 || clients.crowds.iter().any(|crowd| crowd.of_api);
    let written = asking.then(|| document.line_of("clients"));
    let first = deeds.map(|timed| timed.line).chain(loads.map(|load| load.line)).chain(written).min();
    match first {
        Some(line) if scenario.cluster.apiservers.bounds().1 < 1 => {
            let place = yaml::Place { line, column: column_of(document, line) };
            Err(Mistake::new(place, "nobody answers this", "a cluster with 1 apiserver at least; this has 0"))
        }
        _ => Ok(()),
    }
}

/// Targets that the cluster cannot have in any seed are mistakes, not vacuous runs.
fn possible(scenario: &Scenario, document: &Node) -> Result<(), Mistake> {
    let timeline = scenario.timeline.iter().filter_map(|timed| match &timed.what {
        Deed::Harm(harm) => Some((harm, timed.line)),
        Deed::Kube(_) => None,
    });
    let harms = scenario.harm.iter().map(|repeated| (&repeated.harm, repeated.line));
    if let Some(deliveries) = &scenario.deliveries {
        reachable(scenario, document, &deliveries.to, document.line_of("deliveries"))?;
    }
    for operator in &scenario.clients.operators {
        for op in &operator.ops {
            let OperatorDeed::Member(deed) = op.deed else { continue };
            let process = Process { role: Role::Member, number: deed.said().1 };
            reachable(scenario, document, &Target::Exactly(process), document.line_of("clients"))?;
        }
    }
    for (harm, line) in timeline.chain(harms) {
        let from = match &harm.kind {
            HarmKind::Partition { from: Some(from), .. } | HarmKind::Hold { from: Some(from) } => {
                from.as_slice()
            }
            _ => &[],
        };
        for target in harm.of.iter().chain(from) {
            reachable(scenario, document, target, line)?;
        }
    }
    Ok(())
}

fn reachable(scenario: &Scenario, document: &Node, target: &Target, line: u64) -> Result<(), Mistake> {
    let least = if let Target::Exactly(process) = target { process.number as i64 } else { 1 };
    let role = target.role();
    let most = scenario.cluster.of(role).bounds().1;
    let ready = members::FOUNDERS as i64 + scenario.cluster.spares as i64;
    let stands_ready = role == Role::Member && least > members::FOUNDERS as i64 && least <= ready;
    if most >= least || stands_ready {
        return Ok(());
    }
    let place = yaml::Place { line, column: column_of(document, line) };
    let message = format!("`{target}` can never be hit");
    let founders = members::FOUNDERS as i64;
    let (least, word, most) = match role {
        Role::Member if least > founders => (least - founders, "spare", scenario.cluster.spares as i64),
        _ => (least, role.word(), most),
    };
    let many = if least == 1 { "" } else { "s" };
    let expected = format!("a cluster with {least} {word}{many} at least; this has {most}");
    Err(Mistake::new(place, message, expected))
}

pub(super) fn column_of(document: &Node, line: u64) -> u64 {
    let mut todo = vec![document];
    while let Some(node) = todo.pop() {
        if node.place.line == line {
            return node.place.column;
        }
        match &node.value {
            Value::List(nodes) => todo.extend(nodes),
            Value::Table(entries) => todo.extend(entries.iter().map(|(_, _, node)| node)),
            _ => {}
        }
    }
    1
}

impl Cluster {
    pub fn of(&self, role: Role) -> &Draw {
        match role {
            Role::Member => &self.members,
            Role::ApiServer => &self.apiservers,
            Role::Manager => &self.managers,
            Role::Scheduler => &self.schedulers,
            Role::Node => &self.nodes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        let no_files = |path: &str| Err(format!("there is no file {path}"));
        scenario(text, &no_files).unwrap_err().show("x.yaml", text)
    }

    #[test]
    fn the_example_of_the_design_is_read() {
        let text = r#"
name: a leader lost in the middle of a rollout loses no acknowledged write
cluster: { members: 3, apiservers: 2, managers: 2, schedulers: 2, nodes: 5 }
network: { latency: 1ms..10ms, loss: 0.1% }
knobs: { snapshotEvery: 200, compactEvery: 10s }
timeline:
  - { at: 2s, apply: { apiVersion: apps/v1, kind: Deployment, metadata: { name: web } } }
  - { at: 12s, power-cut: leader, for: 8s }
  - { at: 14s, partition: [member-1], from: rest, direction: in, for: 20s }
  - { at: 15s, set-image: deployment/web, image: "web:v2" }
load:
  - { kv: { clients: 5, keys: 8, mix: { put: 3, get: 3, txn: 2, delete: 1 } }, for: 60s }
harm:
  - { clock: { skew: ±2s }, of: one, every: 10s..20s }
heal: 60s
settle: 30s
expect:
  - { deployment: web, readyReplicas: 3, image: "web:v2" }
check: all
memory: 8GiB
"#;
        let read = scenario(text, &|_| Err(String::new())).unwrap();
        assert_eq!(read.cluster.nodes, Draw::fixed(5));
        assert_eq!(read.knobs["compact_every_ms"], Draw::fixed(10_000));
        assert_eq!(read.timeline.len(), 4);
        let bounds = (read.heal, read.settle, read.memory);
        assert_eq!(bounds, (Draw::fixed(60_000_000), 30_000_000, 8 << 30));
    }

    #[test]
    fn a_mistake_names_the_place_what_was_expected_and_the_nearest_word() {
        insta::with_settings!({ snapshot_path => "../../snapshots/grammar", prepend_module_to_snapshot => false }, {
            let cases = [
                "name: x\nharms:\n  - { crash: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, crsh: leader, for: 8s }\n",
                "name: x\ntimeline:\n  - { at: 2s, crash: leeder, for: 8s }\n",
                "name: x\ntimeline:\n  - at: 2s\n    crash: member-1\n    for: -8s\n",
                "name: x\ntimeline:\n  - { at: 2s, crash: member-9 }\n",
                "name: x\ntimeline:\n  - { at: 2s, scale: deployment/web, replicas: 3 }\n",
                "name: x\ntimeline:\n  - { at: 2s, delete: deployment/web, propagation: Orphan }\n",
                "name: x\ntimeline:\n  - { at: 2s, delete: deployment/web, replicas: 3 }\n",
                "name: x\ntimeline:\n  - { at: 2s, delete: deployment/web, crash: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, midway: leader, after: 2 }\n",
                "name: x\ntimeline:\n  - { at: 2s, lag: all apiservers, for: 2s }\n",
                "name: x\ntimeline:\n  - { at: 2s, pause: leader, by: 2s }\n",
                "name: x\ntimeline:\n  - { at: 2s, hold: member-1, from: one node }\n",
                "name: x\ncluster: { apiservers: 1, managers: 1 }\ndeliveries: { to: all managers, from: 1s, of: [pods] }\n",
                "name: x\ncluster: { apiservers: 1, managers: 1 }\ndeliveries: { to: manager-2, from: 1s, of: [pods] }\n",
                "name: x\ncluster: { apiservers: 1, managers: 1 }\ndeliveries: { to: manager-1, from: 1s, of: [podz] }\n",
                "name: x\ntimeline:\n  - { at: 2s, restart: one, knobs: { watchQue: 4 } }\n",
                "name: x\ntimeline:\n  - { at: 2s, restart: one, knobs: {} }\n",
                "name: x\ntimeline:\n  - { at: 2s, pause: one, for: 2s, rolling: 1s }\n",
                "name: x\ntimeline:\n  - { at: 2s, replace: one, for: 2s }\n",
                "name: x\ntimeline:\n  - { at: 2s, cpu: { slow: 10x }, of: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, cpu: { slow: 0s }, of: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, memori: { limit: 1MiB }, of: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, memory: { limt: 1MiB }, of: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, memory: { limit: 1MB }, of: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, memory: { limit: 0KiB..1MiB }, of: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, memory: 1MiB, of: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, disk: { wipe: true }, for: 2s }\n",
                "name: x\ntimeline:\n  - { at: 2s, disk: { rot: true }, of: leader }\n",
                "name: x\ntimeline:\n  - { at: 2s, disk: { wipe: true }, of: member-1 }\n  - { at: 4s, disk: { rot: true }, of: member-2 }\n",
                "name: x\ncluster: { members: 5 }\nharm:\n  - { disk: { short: true }, of: minority, every: 2s }\n",
                "name: x\ncluster: { members: 1 }\nharm:\n  - { disk: { wipe: true }, of: one, every: 2s }\n",
                "name: x\ncluster: { apiservers: 1 }\ntimeline:\n  - { at: 2s, disk: { rot: true }, of: one apiserver }\n",
                "name: x\ntimeline:\n  - { at: 2s, disk: { rot: true, full: true }, of: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, disk: { rott: true }, of: one }\n",
                "name: x\ntimeline:\n  - { at: 2s, disk: { wipe: 2s }, of: one }\n",
                "name: x\nload:\n  - { kube: { clients: 1 } }\n",
                "name: x\nknobs: { snapshotEvry: 5 }\n",
                "name: x\nheal: soon\n",
                "name: x\nload:\n  - { kv: { mix: { putt: 3 } } }\n",
                "name: x\ncheck: [linearisable]\n",
                "name: x\ntimeline:\n  - { at: 1s, apply: nowhere.yaml }\n",
                "name: x\nclients:\n  - { store: client-1, from: 1s, until: 9s, ops: [ { after: 1s, putt: load/1 } ] }\n",
                "name: x\nclients:\n  - { store: c, from: 1s, until: 9s, ops: [ { put: load/1 } ] }\n",
                "name: x\nclients:\n  - { store: member-1, from: 1s, until: 9s, ops: [] }\n",
                "name: x\nclients:\n  - { store: client-1, from: 1s, until: 9s, ops: [] }\nload: [ { kv: {} } ]\n",
                "name: x\nclients:\n  - { readers: 2 }\n",
                "name: x\nexpect:\n  - { job: sweep, succeded: 8 }\n",
                "name: x\nexpect:\n  - { job: sweep, ends: Completed }\n",
                "name: x\nclients:\n  - { crowd: many, from: 1s, size: 10, of: stroe }\n",
                "name: x\nclients:\n  - { crowd: many, from: 1s, size: 10, of: api }\n",
                "name: x\nload:\n  - { kv: { size: 10KB } }\n",
                "name: x\nload:\n  - { kv: { burst: 0..5 } }\n",
                "name: x\nload:\n  - { kv: { retrys: 5 } }\n",
                "name: x\nclients:\n  - { store: c, from: 1s, until: 9s, ops: [ { after: 1s, at: 2s, get: a } ] }\n",
                "name: x\ncluster: { spares: 11 }\n",
                "name: x\nclients:\n  - { operator: o, from: 1s, until: 9s, ops: [ { at: 2s, add: member-11 } ] }\n",
                "name: x\nclients:\n  - { operator: o, from: 1s, until: 9s, ops: [ { at: 2s, remov: member-1 } ] }\n",
                "name: x\nclients:\n  - { operator: o, from: 1s, until: 9s, ops: [ { at: 2s, remove: node-1 } ] }\n",
                "name: x\nclients:\n  - { operator: o, from: 1s, until: 9s, ops: [ { at: 2s, auth: maybe } ] }\n",
                "name: x\nclients:\n  - { operator: o, from: 1s, until: 9s, ops: [ { at: 2s, allow: member-1 } ] }\n",
                "name: x\nload:\n  - { users: {}, kv: {} }\n",
                "name: x\nload:\n  - { members: {} }\ntimeline:\n  - { at: 2s, disk: { wipe: true }, of: member-1 }\n",
                "name: x\nname: y\n",
                "name: x\ncluster:\n\tmembers: 3\n",
                "name: [x\n",
                "cluster: { members: 3 }\n",
            ];
            let shown: Vec<String> = cases.iter().map(|text| wrong(text)).collect();
            insta::assert_snapshot!("mistakes", shown.join("\n\n"));
        });
    }
}
