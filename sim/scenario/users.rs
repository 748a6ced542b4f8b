//! What is said of users and of space: a store that tells its clients apart, and one that gets full.
//!
//! Every client of the store's load is a user of its own name, with a role of its own, which it may have or not, and
//! which may read and write the keys of the load, or read them only, or neither.

use super::{
    Draw,
    read::or,
    units::time,
    yaml::{Mistake, Node},
};
use serde::{Deserialize, Serialize};

/// What an operator does about users, and about space; the numbers are those of clients, `client-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserDeed {
    /// Tells users apart from here on, or not.
    Auth(bool),
    /// Makes a client a user, who may do everything with the keys of the load.
    Admit(u64),
    /// Lets its role read and write.
    Allow(u64),
    /// Lets its role read only.
    AllowReading(u64),
    /// Lets its role do nothing.
    Forbid(u64),
    /// Gives it its role.
    Give(u64),
    /// Takes its role.
    Take(u64),
    /// Compacts what can be compacted, and takes back every alarm.
    Free,
}

pub const DEEDS: [&str; 8] = ["auth", "admit", "allow", "allow-reading", "forbid", "give", "take", "free"];

impl UserDeed {
    pub fn of(word: &str, about: &str, client: Option<u64>) -> Option<Self> {
        Some(match (word, about) {
            ("auth", "on") => Self::Auth(true),
            ("auth", "off") => Self::Auth(false),
            ("free", "space") => Self::Free,
            ("admit", _) => Self::Admit(client?),
            ("allow", _) => Self::Allow(client?),
            ("allow-reading", _) => Self::AllowReading(client?),
            ("forbid", _) => Self::Forbid(client?),
            ("give", _) => Self::Give(client?),
            ("take", _) => Self::Take(client?),
            _ => return None,
        })
    }

    /// What such a deed may be about.
    pub fn expected(word: &str) -> &'static str {
        match word {
            "auth" => "on or off",
            "free" => "space",
            _ => "a client of the store, client-1, say",
        }
    }

    /// The word for it in a scenario, and what it is about.
    pub fn said(self) -> (&'static str, String) {
        let client = |number: u64| format!("client-{number}");
        match self {
            Self::Auth(on) => ("auth", if on { "on" } else { "off" }.into()),
            Self::Admit(number) => ("admit", client(number)),
            Self::Allow(number) => ("allow", client(number)),
            Self::AllowReading(number) => ("allow-reading", client(number)),
            Self::Forbid(number) => ("forbid", client(number)),
            Self::Give(number) => ("give", client(number)),
            Self::Take(number) => ("take", client(number)),
            Self::Free => ("free", "space".into()),
        }
    }
}

/// An operator who admits the clients of the loads before this one, tells them apart, and changes what they may.
#[derive(Clone, Debug)]
pub struct UsersLoad {
    /// Between the answer to one deed and the next.
    pub pause: Draw,
}

/// An operator who makes space now and then.
#[derive(Clone, Debug)]
pub struct SpaceLoad {
    pub pause: Draw,
}

pub fn users(node: &Node) -> Result<UsersLoad, Mistake> {
    let table = node.table("users", &["pause"])?;
    Ok(UsersLoad { pause: or(&table, "pause", Draw::Between(500_000, 3_000_000), time)? })
}

pub fn space(node: &Node) -> Result<SpaceLoad, Mistake> {
    let table = node.table("space", &["pause"])?;
    Ok(SpaceLoad { pause: or(&table, "pause", Draw::Between(1_000_000, 5_000_000), time)? })
}
