//! What is said of members that come and go: how many machines stand ready to become members, and what operators do
//! about them.

use super::{
    Draw,
    read::{one, or},
    units::{count, time},
    yaml::{Mistake, Node, Table},
};
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
