//! A plan as a scenario file: every draw is written as what it came to. Read again and planned with the same seed
//! it gives the same plan, but for the line each harm stands in.

use super::{
    Aim, Blow, Counts, Deliveries, KubeOp, KvDeed, KvOp, OperatorOp, Plan, PlannedHarm, Watcher, When,
};
use crate::scenario::{
    DiskHarm, DiskOp, Draw, Expect, KubeDeed, MEMORY, Way, loads::PATIENCE, read::knob_word,
};
use std::collections::BTreeMap;

/// The text of the file. `comments` stand at its head, a line each.
pub fn scenario(plan: &Plan, comments: &[String]) -> String {
    let mut out: Vec<String> = comments.iter().map(|comment| format!("# {comment}")).collect();
    out.push(format!("name: {}", text(&plan.scenario)));
    out.push(format!("seed: {}", plan.seed));
    out.push(cluster(&plan.cluster));
    out.push(format!("network: {{ latency: {}, loss: {} }}", range(plan.latency), share(plan.loss)));
    out.extend(knobs(plan));
    out.extend(timeline(plan));
    out.extend(plan.deliveries.as_ref().map(deliveries));
    out.extend(clients(plan));
    out.push(format!("heal: {}", time(plan.heal)));
    out.push(format!("settle: {}", time(plan.settle)));
    match plan.unavailable {
        true => out.push("expect: unavailable".into()),
        false => out.extend(section("expect", plan.expect.iter().map(expect))),
    }
    if !plan.check.is_empty() {
        let names: Vec<String> = plan.check.iter().map(|name| text(name)).collect();
        out.push(format!("check: [ {} ]", names.join(", ")));
    }
    if plan.memory != MEMORY {
        out.push(format!("memory: {}", plan.memory));
    }
    out.push(String::new());
    out.join("\n")
}

/// As JSON spells text, which YAML reads; plain words stay plain.
fn text(word: &str) -> String {
    let plain = word.chars().next().is_some_and(|first| first.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || " -./".contains(c))
        && !word.ends_with(' ')
        && !matches!(word, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if plain { word.to_string() } else { serde_json::Value::from(word).to_string() }
}

/// Microseconds without loss.
fn time(us: u64) -> String {
    match us {
        us if us % 1_000_000 == 0 => format!("{}s", us / 1_000_000),
        us if us % 1_000 == 0 => format!("{}ms", us / 1_000),
        us => format!("{us}us"),
    }
}

fn shift(us: i64) -> String {
    if us < 0 { format!("-{}", time(us.unsigned_abs())) } else { time(us.unsigned_abs()) }
}

fn range((low, high): (u64, u64)) -> String {
    if low == high { time(low) } else { format!("{}..{}", time(low), time(high)) }
}

/// Bytes without loss.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

/// Parts per million.
fn share(ppm: u64) -> String {
    format!("{}%", ppm as f64 / 1e4)
}

fn section(name: &str, lines: impl Iterator<Item = String>) -> Vec<String> {
    let lines: Vec<String> = lines.map(|line| format!("  - {line}")).collect();
    if lines.is_empty() { vec![] } else { [vec![format!("{name}:")], lines].concat() }
}

fn cluster(counts: &Counts) -> String {
    let others = [
        ("spares", counts.spares),
        ("apiservers", counts.apiservers),
        ("managers", counts.managers),
        ("schedulers", counts.schedulers),
        ("nodes", counts.nodes),
    ];
    let others = others.iter().filter(|(_, count)| *count > 0);
    let others: String = others.map(|(role, count)| format!(", {role}: {count}")).collect();
    format!("cluster: {{ members: {}{others} }}", counts.members)
}

fn knobs(plan: &Plan) -> Option<String> {
    (!plan.knobs.is_empty()).then(|| format!("knobs: {}", knob_table(&plan.knobs)))
}

/// As a scenario says knobs.
pub fn knob_table(knobs: &BTreeMap<String, u64>) -> String {
    let each = knobs.iter().map(|(name, value)| {
        let value = if name.ends_with("_ms") { time(value * 1_000) } else { value.to_string() };
        format!("{}: {value}", knob_word(name))
    });
    format!("{{ {} }}", each.collect::<Vec<_>>().join(", "))
}

/// Deeds and harms, each kind in its own order, woven by time.
fn timeline(plan: &Plan) -> Vec<String> {
    let harms = plan.harms.iter().map(|harm| (harm.at, harm_line(harm)));
    let deeds = plan.deeds.iter().map(|deed| {
        let (at, said) = (time(deed.at), kube_deed(&deed.deed));
        (deed.at, format!("{{ at: {at}, {said} }}"))
    });
    let mut entries: Vec<(u64, String)> = harms.chain(deeds).collect();
    entries.sort_by_key(|(at, _)| *at);
    section("timeline", entries.into_iter().map(|(_, line)| line))
}

fn harm_line(harm: &PlannedHarm) -> String {
    let mut words = vec![format!("at: {}", time(harm.at))];
    let of = aims(&harm.of);
    words.extend(match &harm.blow {
        Blow::Crash => vec![format!("crash: {of}")],
        Blow::PowerCut => vec![format!("power-cut: {of}")],
        Blow::Pause => vec![format!("pause: {of}")],
        Blow::Restart => vec![format!("restart: {of}")],
        Blow::RestartWith { knobs } => vec![format!("restart: {of}, knobs: {}", knob_table(knobs))],
        Blow::Replace => vec![format!("replace: {of}")],
        Blow::SlowCpu(cost) => vec![format!("cpu: {{ slow: {} }}, of: {of}", range(*cost))],
        Blow::MemoryLimit(limit) => vec![format!("memory: {{ limit: {} }}, of: {of}", size(*limit))],
        Blow::Partition { from, way, flapping } => partition(&of, from.as_deref(), *way, *flapping),
        Blow::Link { latency, loss } => {
            vec![format!("network: {{ latency: {}, loss: {} }}, of: {of}", range(*latency), share(*loss))]
        }
        Blow::Skew(by) => vec![format!("clock: {{ skew: {} }}, of: {of}", shift(*by))],
        Blow::Step(by) => vec![format!("clock: {{ step: {} }}, of: {of}", shift(*by))],
        Blow::Midway { after } => vec![format!("midway: {of}, after: {after}")],
        Blow::Hold { from } => {
            let from = from.as_deref().map_or("rest".to_string(), aims);
            vec![format!("hold: {of}, from: {from}")]
        }
        Blow::Lag { by } => vec![format!("lag: {of}, by: {}", time(*by))],
        Blow::Disk(harm) => vec![format!("disk: {{ {} }}, of: {of}", disk(harm))],
    });
    words.extend(harm.upon.map(|(moment, delay)| format!("{}: {}", moment.word(), time(delay))));
    words.push(format!("for: {}", time(harm.until - harm.at)));
    format!("{{ {} }}", words.join(", "))
}

fn deliveries(deliveries: &Deliveries) -> String {
    let Deliveries { to, from, of, order, most } = deliveries;
    let (to, from) = (aims(std::slice::from_ref(to)), time(*from));
    let (of, order) = (of.join(", "), order.join(", "));
    format!("deliveries: {{ to: {to}, from: {from}, of: [ {of} ], order: [ {order} ], most: {most} }}")
}

fn partition(of: &str, from: Option<&[Aim]>, way: Way, flapping: Option<u64>) -> Vec<String> {
    let mut words = vec![format!("partition: {of}")];
    words.extend(from.map(|from| format!("from: {}", aims(from))));
    words.extend(match way {
        Way::Both => None,
        Way::In => Some("direction: in".to_string()),
        Way::Out => Some("direction: out".to_string()),
    });
    words.extend(flapping.map(|pace| format!("flapping: {}", time(pace))));
    words
}

fn disk(harm: &DiskHarm) -> String {
    match harm {
        DiskHarm::Full => "full: true".into(),
        DiskHarm::Stall => "stall: true".into(),
        DiskHarm::Rot => "rot: true".into(),
        DiskHarm::Short => "short: true".into(),
        DiskHarm::Misdirected => "misdirected: true".into(),
        DiskHarm::Wipe => "wipe: true".into(),
        DiskHarm::Fail(DiskOp::Read) => "fail: read".into(),
        DiskHarm::Fail(DiskOp::Write) => "fail: write".into(),
        DiskHarm::Fail(DiskOp::Sync) => "fail: sync".into(),
        DiskHarm::Slow(Draw::Between(low, high)) => format!("slow: {}", range((*low as u64, *high as u64))),
        DiskHarm::Slow(Draw::OneOf(values)) => {
            let values: Vec<String> = values.iter().map(|us| time(*us as u64)).collect();
            format!("slow: [ {} ]", values.join(", "))
        }
    }
}

fn aims(aims: &[Aim]) -> String {
    let words: Vec<String> = aims.iter().map(aim).collect();
    match &words[..] {
        [one] => one.clone(),
        _ => format!("[{}]", words.join(", ")),
    }
}

fn aim(aim: &Aim) -> String {
    match aim {
        Aim::NodeRunning(pod) => format!("the node running pod {pod}"),
        _ => aim.to_string(),
    }
}

fn kube_deed(deed: &KubeDeed) -> String {
    match deed {
        KubeDeed::Apply(manifest) => format!("apply: {manifest}"),
        KubeDeed::Scale { deployment, replicas } => {
            format!("scale: deployment/{deployment}, replicas: {replicas}")
        }
        KubeDeed::SetImage { deployment, image } => {
            format!("set-image: deployment/{deployment}, image: {}", text(image))
        }
        KubeDeed::Delete { deployment, foreground } => {
            let policy = if *foreground { ", propagation: Foreground" } else { "" };
            format!("delete: deployment/{deployment}{policy}")
        }
    }
}

fn clients(plan: &Plan) -> Vec<String> {
    let ops = |head: String, from: u64, until: u64, ops: Vec<String>| {
        let head = format!("{head}\n    from: {}\n    until: {}", time(from), time(until));
        let ops: Vec<String> = ops.into_iter().map(|op| format!("\n      - {op}")).collect();
        if ops.is_empty() {
            format!("{head}\n    ops: []")
        } else {
            format!("{head}\n    ops:{}", ops.concat())
        }
    };
    let store = plan.kv.iter().map(|client| {
        let lines = client.ops.iter().map(store_op).collect();
        let mut head = format!("store: {}", text(&client.name));
        if client.patience != PATIENCE {
            head.push_str(&format!("\n    patience: {}", time(client.patience)));
        }
        if client.retries > 0 {
            head.push_str(&format!("\n    retries: {}", client.retries));
        }
        ops(head, client.from, client.until, lines)
    });
    let crowds = plan.crowds.iter().map(|crowd| {
        let of = if crowd.of_api { "api" } else { "store" };
        format!(
            "{{ crowd: {}, from: {}, size: {}, of: {of} }}",
            text(&crowd.name),
            time(crowd.from),
            crowd.size
        )
    });
    let users = plan.kube.iter().map(|client| {
        let lines = client.ops.iter().map(user_op).collect();
        ops(format!("user: {}", text(&client.name)), client.from, client.until, lines)
    });
    let operators = plan.operators.iter().map(|operator| {
        let line = |op: &OperatorOp| {
            let (word, about) = op.deed.said();
            // YAML takes these two for truth values
            let about = if word == "auth" { format!("\"{about}\"") } else { about };
            format!("{{ {}, {word}: {about} }}", when(op.when))
        };
        let lines = operator.ops.iter().map(line).collect();
        ops(format!("operator: {}", text(&operator.name)), operator.from, operator.until, lines)
    });
    let readers = (plan.api_watchers > 0).then(|| format!("{{ readers: {} }}", plan.api_watchers));
    section(
        "clients",
        store
            .chain(plan.watchers.iter().map(watcher))
            .chain(crowds)
            .chain(users)
            .chain(operators)
            .chain(readers),
    )
}

fn when(when: When) -> String {
    match when {
        When::After(pause) => format!("after: {}", time(pause)),
        When::At(at) => format!("at: {}", time(at)),
    }
}

fn user_op(op: &KubeOp) -> String {
    format!("{{ {}, {} }}", when(op.when), kube_deed(&op.deed))
}

fn store_op(op: &KvOp) -> String {
    let deed = match &op.deed {
        KvDeed::Put { key, value } => format!("put: {}, value: {}", text(key), text(value)),
        KvDeed::Txn { key, value } => format!("txn: {}, value: {}", text(key), text(value)),
        KvDeed::Get { key, serializable: false } => format!("get: {}", text(key)),
        KvDeed::Get { key, serializable: true } => format!("get: {}, serializable: true", text(key)),
        KvDeed::List => "list: all".into(),
        KvDeed::Transfer { keys: [a, b], values: [x, y] } => {
            format!("transfer: [{}, {}], values: [{}, {}]", text(a), text(b), text(x), text(y))
        }
        KvDeed::Delete { key } => format!("delete: {}", text(key)),
        KvDeed::Lease { key, value, ttl, renewals, revoke } => format!(
            "lease: {}, value: {}, ttl: {ttl}s, renewals: {renewals}, revoke: {revoke}",
            text(key),
            text(value)
        ),
        KvDeed::Lock { name, ttl, hold } => {
            format!("lock: {}, ttl: {ttl}s, hold: {}", text(name), time(*hold))
        }
        KvDeed::Compact { back } => format!("compact: {back}"),
        KvDeed::History => "history: all".into(),
    };
    let size = if op.size > 0 { format!(", size: {}", op.size) } else { String::new() };
    format!("{{ {}, {deed}{size} }}", when(op.when))
}

fn watcher(watcher: &Watcher) -> String {
    let mut words = vec![
        format!("watcher: {}", text(&watcher.name)),
        format!("from: {}", time(watcher.from)),
        format!("lives: {}", time(watcher.lives)),
    ];
    words.extend((watcher.pause > 0).then(|| format!("pause: {}", time(watcher.pause))));
    words.extend(watcher.prev_kv.then(|| "prevKv: true".to_string()));
    words.extend(watcher.no_delete.then(|| "only: puts".to_string()));
    words.extend(watcher.no_put.then(|| "only: deletes".to_string()));
    words.extend(watcher.progress.map(|every| format!("progress: {}", time(every))));
    format!("{{ {} }}", words.join(", "))
}

fn expect(expect: &Expect) -> String {
    match expect {
        Expect::Deployment { name, ready, image } => {
            let mut words = vec![format!("deployment: {}", text(name))];
            words.extend(ready.map(|ready| format!("readyReplicas: {ready}")));
            words.extend(image.as_ref().map(|image| format!("image: {}", text(image))));
            format!("{{ {} }}", words.join(", "))
        }
        Expect::Job { name, succeeded, ends } => {
            let mut words = vec![format!("job: {}", text(name))];
            words.extend(succeeded.map(|succeeded| format!("succeeded: {succeeded}")));
            words.extend(ends.as_ref().map(|ends| format!("ends: {ends}")));
            format!("{{ {} }}", words.join(", "))
        }
        Expect::Absent { deployment } => format!("{{ absent: deployment/{deployment} }}"),
        Expect::Reached(mark) => format!("{{ reached: {} }}", text(mark)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Owed, plan};
    use crate::scenario::read;

    fn without_lines(mut plan: Plan) -> Plan {
        for harm in &mut plan.harms {
            (harm.line, harm.owed) = (0, Owed::Touch);
        }
        plan
    }

    fn folder(name: &str) -> Vec<std::path::PathBuf> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name);
        let entries = std::fs::read_dir(root).expect("there are scenarios").flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect()
    }

    #[test]
    fn every_plan_of_every_scenario_survives_being_written_as_a_scenario() {
        let paths = [folder(""), folder("enumerate"), folder("bugs")].concat();
        assert!(paths.len() > 10);
        for path in paths {
            let source = std::fs::read_to_string(&path).unwrap();
            let include = |name: &str| {
                std::fs::read_to_string(path.parent().unwrap().join(name)).map_err(|e| e.to_string())
            };
            let drawn = read::scenario(&source, &include).unwrap();
            for seed in 1..20 {
                let one = plan(&drawn, seed);
                let written = scenario(&one, &["a comment".into()]);
                let again = read::scenario(&written, &|_| Err("no files".into()))
                    .unwrap_or_else(|wrong| panic!("{}", wrong.show("written", &written)));
                assert_eq!(without_lines(plan(&again, seed)), without_lines(one), "{}", path.display());
            }
        }
    }

    #[test]
    fn an_order_of_deliveries_survives_being_written() {
        let text = "name: x\ncluster: { apiservers: 1, managers: 2 }\n";
        let one = plan(&read::scenario(text, &|_| Err(String::new())).unwrap(), 1);
        let (of, order) = (vec!["pods".to_string(), "replicasets".to_string()], vec!["pods".to_string()]);
        let process = crate::scenario::Process { role: crate::scenario::Role::Manager, number: 2 };
        for to in [Aim::Process(process), Aim::Active(process.role)] {
            let heard = Deliveries { to, from: 7_100_000, of: of.clone(), order: order.clone(), most: 4 };
            let heard = Plan { deliveries: Some(heard), ..one.clone() };
            let written = scenario(&heard, &[]);
            let again = read::scenario(&written, &|_| Err(String::new()))
                .unwrap_or_else(|wrong| panic!("{}", wrong.show("written", &written)));
            assert_eq!(plan(&again, 1), heard);
            assert_eq!(heard.without_harm(), one);
        }
    }

    #[test]
    fn text_that_looks_like_something_else_is_quoted() {
        let shown = ["web", "web:v2", "1", "true", "", "a: b", "x "].map(text);
        assert_eq!(shown, ["web", "\"web:v2\"", "\"1\"", "\"true\"", "\"\"", "\"a: b\"", "\"x \""]);
    }
}
