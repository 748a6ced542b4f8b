//! What is said of loads: who asks how often, for what, how much at once, and how patiently.

use super::{
    Draw, KUBE_OPS, KV_OPS, KubeLoad, KvLoad, Load, LoadKind, members,
    read::{chance, one, or},
    units::{count, percent, size, time},
    users,
    yaml::{Mistake, Node},
};
use std::collections::BTreeMap;

pub const KV_KEYS: [&str; 13] = [
    "clients", "keys", "pause", "burst", "hot", "size", "patience", "retries", "mix", "watchers", "slow",
    "crowd", "ttl",
];
pub const KUBE_KEYS: [&str; 9] =
    ["clients", "deployments", "replicas", "pause", "burst", "size", "mix", "watchers", "crowd"];
/// As long as a client waits that is asked for no less.
pub const PATIENCE: u64 = 8_000_000;

/// The kinds of loads.
const LOADS: [&str; 5] = ["kv", "kube", "members", "users", "space"];

/// One that says no end goes on until the latest heal.
pub fn load(node: &Node, latest: u64) -> Result<Load, Mistake> {
    let table = node.table("a load", &[&LOADS[..], &["from", "for", "chance"]].concat())?;
    let from = table.get("from").map_or(Ok(1_000_000), |node| one(node, time))?;
    let lasting = table.get("for").map_or(Ok(latest.saturating_sub(from)), |node| one(node, time))?;
    let named: Vec<_> = LOADS.into_iter().filter_map(|kind| Some((kind, table.get(kind)?))).collect();
    let kind = match named[..] {
        [("kv", node)] => LoadKind::Kv(kv_load(node)?),
        [("kube", node)] => LoadKind::Kube(kube_load(node)?),
        [("members", node)] => LoadKind::Members(members::load(node)?),
        [("users", node)] => LoadKind::Users(users::users(node)?),
        [("space", node)] => LoadKind::Space(users::space(node)?),
        _ => {
            let expected = format!("one of {}", LOADS.map(|kind| format!("`{kind}: {{...}}`")).join(", "));
            return Err(Mistake::new(table.place, "a load is of one kind", expected));
        }
    };
    Ok(Load { from, lasting, kind, chance: chance(&table)?, line: table.place.line })
}

fn kv_load(node: &Node) -> Result<KvLoad, Mistake> {
    let table = node.table("kv", &KV_KEYS)?;
    let plain: &[(&str, u64)] = &[("put", 3), ("get", 3), ("txn", 2), ("delete", 1)];
    let retries = or(&table, "retries", Draw::fixed(0), count)?;
    Ok(KvLoad {
        clients: or(&table, "clients", Draw::fixed(3), count)?,
        keys: or(&table, "keys", Draw::fixed(8), count)?,
        pause: or(&table, "pause", Draw::Between(10_000, 300_000), time)?,
        burst: table.get("burst").map_or(Ok(Draw::fixed(1)), burst)?,
        hot: or(&table, "hot", Draw::fixed(0), percent)?,
        size: or(&table, "size", Draw::fixed(0), size)?,
        patience: or(&table, "patience", Draw::fixed(PATIENCE as i64), time)?,
        retries,
        mix: mix(table.get("mix"), &KV_OPS, plain)?,
        watchers: or(&table, "watchers", Draw::fixed(2), count)?,
        slow: or(&table, "slow", Draw::fixed(0), count)?,
        crowd: or(&table, "crowd", Draw::fixed(0), count)?,
        ttl: or(&table, "ttl", Draw::Between(3_000_000, 6_000_000), time)?,
    })
}

fn kube_load(node: &Node) -> Result<KubeLoad, Mistake> {
    let table = node.table("kube", &KUBE_KEYS)?;
    let plain: &[(&str, u64)] = &[("scale", 3), ("rollout", 3), ("delete", 1)];
    Ok(KubeLoad {
        clients: or(&table, "clients", Draw::fixed(1), count)?,
        deployments: or(&table, "deployments", Draw::fixed(2), count)?,
        replicas: or(&table, "replicas", Draw::Between(0, 6), count)?,
        pause: or(&table, "pause", Draw::Between(2_000_000, 8_000_000), time)?,
        burst: table.get("burst").map_or(Ok(Draw::fixed(1)), burst)?,
        size: or(&table, "size", Draw::fixed(0), size)?,
        mix: mix(table.get("mix"), &KUBE_OPS, plain)?,
        watchers: or(&table, "watchers", Draw::fixed(1), count)?,
        crowd: or(&table, "crowd", Draw::fixed(0), count)?,
    })
}

fn burst(node: &Node) -> Result<Draw, Mistake> {
    let burst = count(node)?;
    if burst.bounds().0 < 1 {
        return Err(Mistake::new(node.place, "a burst of no operations", "at least 1"));
    }
    Ok(burst)
}

fn mix(node: Option<&Node>, known: &[&str], plain: &[(&str, u64)]) -> Result<BTreeMap<String, u64>, Mistake> {
    let Some(node) = node else {
        return Ok(plain.iter().map(|(word, weight)| (word.to_string(), *weight)).collect());
    };
    let table = node.table("mix", known)?;
    let weights = table.entries.iter().map(|(_, word, weight)| Ok((word.clone(), one(weight, count)?)));
    let weights: BTreeMap<String, u64> = weights.collect::<Result<_, Mistake>>()?;
    if weights.values().sum::<u64>() == 0 {
        return Err(Mistake::new(table.place, "a mix of nothing", "at least one weight above 0"));
    }
    Ok(weights)
}
