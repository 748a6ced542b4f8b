//! What is said of members that come and go: how many machines stand ready to become members, and what operators do.

use super::{
    Draw,
    read::{one, or},
    units::{count, time},
    yaml::{Mistake, Node, Table},
};
use crate::scenario::clients::When;
use serde::{Deserialize, Serialize};

/// Machines that stand ready are numbered from the one behind this, so that a cluster can be made smaller without
/// giving them other names.
pub const FOUNDERS: u64 = 10;

/// What an operator does to the members; the numbers are those of processes, `member-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberDeed {
    /// Adds it as a learner, and starts it.
    Add(u64),
    /// Adds it with a vote, and starts it.
    AddVoter(u64),
    /// Gives a learner a vote.
    Promote(u64),
    Remove(u64),
    /// Has it lead.
    MoveLeader(u64),
}

/// One operator: he does one thing after the other, and repeats what is refused for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    pub name: String,
    pub from: u64,
    pub until: u64,
    pub ops: Vec<MemberOp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberOp {
    pub when: When,
    pub deed: MemberDeed,
}

/// Operators of a load.
#[derive(Clone, Debug)]
pub struct MembersLoad {
    pub operators: Draw,
    /// Between the answer to one wish and the next.
    pub pause: Draw,
}

pub const DEEDS: [&str; 5] = ["add", "add-voter", "promote", "remove", "move-leader"];

impl MemberDeed {
    pub fn of(word: &str, number: u64) -> Self {
        match word {
            "add" => Self::Add(number),
            "add-voter" => Self::AddVoter(number),
            "promote" => Self::Promote(number),
            "remove" => Self::Remove(number),
            _ => Self::MoveLeader(number),
        }
    }

    /// The word for it in a scenario, and whom it is about.
    pub fn said(self) -> (&'static str, u64) {
        match self {
            Self::Add(number) => ("add", number),
            Self::AddVoter(number) => ("add-voter", number),
            Self::Promote(number) => ("promote", number),
            Self::Remove(number) => ("remove", number),
            Self::MoveLeader(number) => ("move-leader", number),
        }
    }
}

pub fn load(node: &Node) -> Result<MembersLoad, Mistake> {
    let table = node.table("members", &["operators", "pause"])?;
    Ok(MembersLoad {
        operators: or(&table, "operators", Draw::fixed(1), count)?,
        pause: or(&table, "pause", Draw::Between(1_000_000, 5_000_000), time)?,
    })
}

/// An operation of an operator, beside its time.
pub fn deed(table: &Table<'_>) -> Result<MemberDeed, Mistake> {
    let named: Vec<&str> = DEEDS.into_iter().filter(|deed| table.get(deed).is_some()).collect();
    let [word] = named[..] else {
        let message = if named.is_empty() { "nothing is done here" } else { "an operation does one thing" };
        return Err(Mistake::new(table.place, message, format!("one of {}", DEEDS.join(", "))));
    };
    let node = table.need(word)?;
    let number = node.word("a member")?.strip_prefix("member-").and_then(|number| number.parse().ok());
    let expected = format!("member-1, say; those that stand ready are member-{} and so on", FOUNDERS + 1);
    number.map(|number| MemberDeed::of(word, number)).ok_or_else(|| node.wrong(&expected))
}

/// How many stand ready.
pub fn spares(table: &Table<'_>) -> Result<u64, Mistake> {
    let Some(node) = table.get("spares") else { return Ok(0) };
    let spares = one(node, count)?;
    if spares > FOUNDERS {
        return Err(Mistake::new(
            node.place,
            format!("{spares} machines stand ready"),
            format!("at most {FOUNDERS}"),
        ));
    }
    Ok(spares)
}
