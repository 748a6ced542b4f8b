//! How a disk may be harmed, and how much of it a cluster survives: what takes away copies for good is refused, with
//! the reason, where it is sure to take more than can be made good.

use super::read::column_of;
use super::target::{Amount, Role, Target};
use super::units::time;
use super::yaml::{Mistake, Node, Place};
use super::{Deed, DiskHarm, DiskOp, Harm, HarmKind, Scenario};
use std::collections::BTreeSet;

/// How a disk may be harmed.
pub const WAYS: [&str; 8] = ["fail", "full", "stall", "slow", "rot", "short", "misdirected", "wipe"];
/// Operations that may fail.
pub const OPERATIONS: [&str; 3] = ["read", "write", "sync"];

pub fn disk(node: &Node) -> Result<DiskHarm, Mistake> {
    let table = node.table("disk", &WAYS)?;
    let [(_, word, value)] = table.entries else {
        return Err(Mistake::new(table.place, "a disk is harmed in one way", WAYS.join(", or ")));
    };
    let plain = match word.as_str() {
        "slow" => return Ok(DiskHarm::Slow(time(value)?)),
        "fail" => return operation(value).map(DiskHarm::Fail),
        "full" => DiskHarm::Full,
        "stall" => DiskHarm::Stall,
        "rot" => DiskHarm::Rot,
        "short" => DiskHarm::Short,
        "misdirected" => DiskHarm::Misdirected,
        _ => DiskHarm::Wipe,
    };
    if value.is_word("true") { Ok(plain) } else { Err(value.wrong("true")) }
}

fn operation(node: &Node) -> Result<DiskOp, Mistake> {
    match node.word("read, write or sync")? {
        "read" => Ok(DiskOp::Read),
        "write" => Ok(DiskOp::Write),
        "sync" => Ok(DiskOp::Sync),
        word => Err(Mistake::word(node.place, "an operation of a disk", word, &OPERATIONS)),
    }
}

/// Of so many members, how many may lose copies for good. A quorum of copies would survive the loss of any minority;
/// but a member that lost its disk comes back by the word of all others (`raft::Recall`), so none of those may have
/// lost theirs.
pub fn most_lost(members: u64) -> u64 {
    u64::from(members >= 3)
}

/// Copies that a scenario is sure to take away must be few enough, unless it says what it asks for.
pub fn survivable(scenario: &Scenario, document: &Node) -> Result<(), Mistake> {
    if scenario.unavailable {
        return Ok(());
    }
    let timeline = scenario.timeline.iter().filter_map(|timed| match &timed.what {
        Deed::Harm(harm) => Some((harm, timed.line)),
        Deed::Kube(_) => None,
    });
    let harms = timeline.chain(scenario.harm.iter().map(|repeated| (&repeated.harm, repeated.line)));
    let members = scenario.cluster.members.bounds().1 as u64;
    let mut named = BTreeSet::new();
    for (harm, line) in harms.filter(|(harm, _)| destroys(harm)) {
        let changing =
            members_change(scenario).then(|| "members change, and with them whose copies count".into());
        let too_much = |target: &Target| too_much(target, members, &mut named);
        if let Some(message) = changing.or_else(|| harm.of.iter().find_map(too_much)) {
            let place = Place { line, column: column_of(document, line) };
            let expected = match most_lost(members) {
                _ if members_change(scenario) => "a cluster whose members stay".to_string(),
                0 => "a cluster of 3 members at least".to_string(),
                most => format!(
                    "at most {most} of {members} members, always the same, so that a quorum of copies survives"
                ),
            };
            let otherwise = "or `expect: unavailable`, where safety alone is judged";
            return Err(Mistake::new(place, message, format!("{expected}; {otherwise}")));
        }
    }
    Ok(())
}

/// Whether somebody adds or removes members.
fn members_change(scenario: &Scenario) -> bool {
    let drawn = scenario.load.iter().any(|load| matches!(load.kind, super::LoadKind::Members(_)));
    drawn || !scenario.clients.operators.is_empty()
}

pub fn destroys(harm: &Harm) -> bool {
    matches!(&harm.kind, HarmKind::Disk(disk) if disk.destroys())
}

/// Why a target cannot lose its copies, given those named before.
fn too_much(target: &Target, members: u64, named: &mut BTreeSet<u64>) -> Option<String> {
    let most = most_lost(members);
    let asked = match target {
        Target::Leader => return Some("who leads, and so whose copies are lost, is known too late".into()),
        Target::Some(Amount::One, Role::Member) => 1,
        Target::Some(Amount::Minority, Role::Member) => members.saturating_sub(1) / 2,
        Target::Some(Amount::Half, Role::Member) => members / 2,
        Target::Some(Amount::Majority, Role::Member) => members / 2 + 1,
        Target::Some(Amount::All, Role::Member) => members,
        Target::Exactly(process) if process.role == Role::Member => {
            named.insert(process.number);
            named.len() as u64
        }
        other => return Some(format!("`{other}` holds no copy of the store")),
    };
    let copies = if asked == 1 { "the copy of 1 member" } else { "copies" };
    (asked > most).then(|| match asked {
        1 => format!("this takes away {copies} of {members}"),
        _ => format!("with this, {asked} of {members} members lose their {copies}"),
    })
}
