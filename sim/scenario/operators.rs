//! Operators: they do one thing after the other, as one does with etcdctl, and repeat what is refused for now.

use super::{
    clients::When,
    members::{self, FOUNDERS, MemberDeed},
    users::{self, UserDeed},
    yaml::{Mistake, Table},
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    pub name: String,
    pub from: u64,
    pub until: u64,
    pub ops: Vec<OperatorOp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorOp {
    pub when: When,
    pub deed: OperatorDeed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperatorDeed {
    Member(MemberDeed),
    User(UserDeed),
}

/// The words for deeds.
pub fn deeds() -> impl Iterator<Item = &'static str> {
    members::DEEDS.into_iter().chain(users::DEEDS)
}

impl OperatorDeed {
    /// The word for it in a scenario, and what it is about.
    pub fn said(self) -> (&'static str, String) {
        match self {
            Self::Member(deed) => {
                let (word, number) = deed.said();
                (word, format!("member-{number}"))
            }
            Self::User(deed) => deed.said(),
        }
    }
}

/// An operation of an operator, beside its time.
pub fn deed(table: &Table<'_>) -> Result<OperatorDeed, Mistake> {
    let named: Vec<&str> = deeds().filter(|deed| table.get(deed).is_some()).collect();
    let [word] = named[..] else {
        let message = if named.is_empty() { "nothing is done here" } else { "an operation does one thing" };
        let all: Vec<&str> = deeds().collect();
        return Err(Mistake::new(table.place, message, format!("one of {}", all.join(", "))));
    };
    let node = table.need(word)?;
    let about = node.word("what it is about")?;
    let number = |kind: &str| about.strip_prefix(kind).and_then(|number| number.parse().ok());
    let (deed, expected) = if members::DEEDS.contains(&word) {
        let ready = FOUNDERS + 1;
        let expected = format!("member-1, say; those that stand ready are member-{ready} and so on");
        (number("member-").map(|number| OperatorDeed::Member(MemberDeed::of(word, number))), expected)
    } else {
        let deed = UserDeed::of(word, about, number("client-")).map(OperatorDeed::User);
        (deed, UserDeed::expected(word).into())
    };
    deed.ok_or_else(|| node.wrong(&expected))
}
