//! One harm: what is done, to whom, and for how long. What says more about one kind of harm stands beside no other.

use super::deeds::OF_DEEDS;
use super::read::or;
use super::target::{Amount, Role, Target, targets};
use super::units::{count, percent, shift, time};
use super::yaml::{Mistake, Node, Table};
use super::{Draw, Harm, HarmKind, Moment, Way, disks, moment, processes};

pub const HARMS: [&str; 14] = [
    "crash",
    "power-cut",
    "pause",
    "restart",
    "replace",
    "partition",
    "network",
    "clock",
    "cpu",
    "memory",
    "disk",
    "midway",
    "hold",
    "lag",
];
/// A key that says more about one thing that happens, and about which.
pub(super) type Detail = (&'static str, &'static [&'static str]);

const OF_HARMS: [Detail; 7] = [
    ("from", &["partition", "hold"]),
    ("direction", &["partition"]),
    ("flapping", &["partition"]),
    ("after", &["midway"]),
    ("by", &["lag"]),
    ("knobs", &["restart"]),
    ("rolling", &["restart", "replace"]),
];

/// Every key of what a harm may say, wherever it stands.
pub(super) fn harm_keys() -> Vec<&'static str> {
    let details = OF_HARMS.map(|(key, _)| key);
    Moment::ALL.map(Moment::word).into_iter().chain(HARMS).chain(details).chain(["of", "for"]).collect()
}

pub(super) fn harm(table: &Table<'_>) -> Result<Harm, Mistake> {
    let named: Vec<_> = HARMS.iter().filter_map(|harm| table.get(harm).map(|node| (*harm, node))).collect();
    let [(word, node)] = named[..] else {
        let message =
            if named.is_empty() { "nothing happens here" } else { "two things cannot happen in one entry" };
        return Err(Mistake::new(table.place, message, format!("one of {}", HARMS.join(", "))));
    };
    let lasting = table.get("for").map(time).transpose()?;
    let everyone = vec![Target::Some(Amount::All, Role::Member)];
    let of = table.get("of").map_or(Ok(everyone), targets);
    let (kind, of) = match word {
        "crash" => (HarmKind::Crash, targets(node)?),
        "power-cut" => (HarmKind::PowerCut, targets(node)?),
        "pause" => (HarmKind::Pause, targets(node)?),
        "restart" => processes::restart(node, table)?,
        "replace" => processes::replace(node)?,
        "partition" => (partition(table)?, targets(node)?),
        "network" => {
            let network = node.table("network", &["latency", "loss"])?;
            let latency = or(&network, "latency", Draw::fixed(0), time)?;
            (HarmKind::Link { latency, loss: or(&network, "loss", Draw::fixed(0), percent)? }, of?)
        }
        "clock" => (clock(node)?, of?),
        "cpu" => (processes::cpu(node)?, of?),
        "memory" => (processes::memory(node)?, of?),
        "midway" => {
            let after = or(table, "after", Draw::fixed(1), count)?;
            (HarmKind::Midway { after }, only(node, &[Role::Manager, Role::Scheduler, Role::Node])?)
        }
        "hold" => (HarmKind::Hold { from: from(table)? }, targets(node)?),
        "lag" => (HarmKind::Lag { by: time(table.need("by")?)? }, only(node, &[Role::ApiServer])?),
        _ => (HarmKind::Disk(disks::disk(node)?), of?),
    };
    belonging(table, word, &OF_HARMS)?;
    belonging(table, word, &OF_DEEDS)?;
    let rolling = table.get("rolling").map(time).transpose()?;
    Ok(Harm { kind, of, lasting, upon: moment::upon(table)?, rolling })
}

/// What says more about one of them stands beside no other.
pub(super) fn belonging(table: &Table<'_>, word: &str, details: &[Detail]) -> Result<(), Mistake> {
    for (key, words) in details {
        if let Some(node) = table.get(key).filter(|_| !words.contains(&word)) {
            let message = format!("`{key}` says nothing about `{word}`");
            return Err(Mistake::new(node.place, message, format!("`{}:`", words.join(":` or `"))));
        }
    }
    Ok(())
}

/// Targets of these roles: the harm means nothing to others.
pub(super) fn only(node: &Node, roles: &[Role]) -> Result<Vec<Target>, Mistake> {
    let of = targets(node)?;
    match of.iter().find(|target| !roles.contains(&target.role())) {
        Some(target) => {
            let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
            let message = format!("this cannot be done to `{target}`");
            Err(Mistake::new(node.place, message, format!("one {}", words.join(" or one "))))
        }
        None => Ok(of),
    }
}

fn from(table: &Table<'_>) -> Result<Option<Vec<Target>>, Mistake> {
    match table.get("from") {
        Some(node) if !node.is_word("rest") => targets(node).map(Some),
        _ => Ok(None),
    }
}

fn partition(table: &Table<'_>) -> Result<HarmKind, Mistake> {
    let from = from(table)?;
    let way = match table.get("direction") {
        None => Way::Both,
        Some(node) => match node.word("in, out or both")? {
            "in" => Way::In,
            "out" => Way::Out,
            "both" => Way::Both,
            word => return Err(Mistake::word(node.place, "a direction", word, &["in", "out", "both"])),
        },
    };
    Ok(HarmKind::Partition { from, way, flapping: table.get("flapping").map(time).transpose()? })
}

fn clock(node: &Node) -> Result<HarmKind, Mistake> {
    let table = node.table("clock", &["skew", "step"])?;
    match (table.get("skew"), table.get("step")) {
        (Some(skew), None) => Ok(HarmKind::ClockSkew(shift(skew)?)),
        (None, Some(step)) => Ok(HarmKind::ClockStep(shift(step)?)),
        _ => {
            Err(Mistake::new(table.place, "a clock is either skewed or stepped", "`skew: ±2s` or `step: 5s`"))
        }
    }
}
