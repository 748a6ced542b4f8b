//! Who is meant: `leader`, `one`, `minority`, `half`, `majority`, `all`, `member-2`, `apiserver-1`, `manager-1`, `scheduler-1`,
//! `node-3`, `the node running pod web-0`. What a role may be called stands here and nowhere else.

use super::{yaml::Mistake, yaml::Node};
use base::words::nearest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    Member,
    ApiServer,
    Manager,
    Scheduler,
    Node,
}

pub const ROLES: [(&str, Role); 5] = [
    ("member", Role::Member),
    ("apiserver", Role::ApiServer),
    ("manager", Role::Manager),
    ("scheduler", Role::Scheduler),
    ("node", Role::Node),
];

impl Role {
    pub fn word(self) -> &'static str {
        ROLES.iter().find(|(_, role)| *role == self).map_or("?", |(word, _)| word)
    }
}

/// A process of the cluster; numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    pub role: Role,
    pub number: u64,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role.word(), self.number)
    }
}

/// A target as the scenario names it. The plan draws who `one`, `minority`, `half` and `majority` are; who is leader
/// or runs a pod is known only when the time comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The store's leader.
    Leader,
    /// One, the smaller part, a half, the larger part or all of a role. Of members all but the half (of an odd number,
    /// the smaller one) leave out machines that only stand ready to become members.
    Some(Amount, Role),
    Exactly(Process),
    /// The holder of a leader-election lock: `the active manager`, `the active scheduler`.
    Active(Role),
    NodeRunning(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Amount {
    One,
    Minority,
    Half,
    Majority,
    All,
}

impl Target {
    /// What those it means do.
    pub fn role(&self) -> Role {
        match self {
            Target::Leader => Role::Member,
            Target::Some(_, role) | Target::Active(role) => *role,
            Target::Exactly(process) => process.role,
            Target::NodeRunning(_) => Role::Node,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Leader => f.write_str("leader"),
            Target::Some(Amount::One, role) => write!(f, "one {}", role.word()),
            Target::Some(Amount::Minority, role) => write!(f, "minority of {}s", role.word()),
            Target::Some(Amount::Half, role) => write!(f, "half of {}s", role.word()),
            Target::Some(Amount::Majority, role) => write!(f, "majority of {}s", role.word()),
            Target::Some(Amount::All, role) => write!(f, "all {}s", role.word()),
            Target::Exactly(process) => process.fmt(f),
            Target::Active(role) => write!(f, "the active {}", role.word()),
            Target::NodeRunning(pod) => write!(f, "the node running pod {pod}"),
        }
    }
}

const WORDS: [&str; 16] = [
    "leader",
    "one",
    "minority",
    "half",
    "majority",
    "all",
    "one apiserver",
    "one manager",
    "one scheduler",
    "one node",
    "all apiservers",
    "all nodes",
    "minority of nodes",
    "the active manager",
    "the active scheduler",
    "the node running pod NAME",
];

/// One target or a list of them.
pub fn targets(node: &Node) -> Result<Vec<Target>, Mistake> {
    match &node.value {
        super::yaml::Value::List(nodes) if !nodes.is_empty() => nodes.iter().map(target).collect(),
        _ => Ok(vec![target(node)?]),
    }
}

fn target(node: &Node) -> Result<Target, Mistake> {
    let word = node.word("a target")?;
    parse(word).ok_or_else(|| {
        let named = ROLES.iter().map(|(role, _)| format!("{role}-1"));
        let words: Vec<String> = WORDS.iter().map(|word| word.to_string()).chain(named).collect();
        Mistake {
            place: node.place,
            message: format!("`{word}` is not a target"),
            expected: format!("{}, or a process such as member-2 or node-3", WORDS.join(", ")),
            nearest: nearest(word, words.iter().map(String::as_str)).map(str::to_string),
        }
    })
}

fn parse(word: &str) -> Option<Target> {
    if let Some(pod) = word.strip_prefix("the node running pod ") {
        return Some(Target::NodeRunning(pod.trim().to_string()));
    }
    if let Some(role) = word.strip_prefix("the active ") {
        return role_of(role)
            .filter(|role| matches!(role, Role::Manager | Role::Scheduler))
            .map(Target::Active);
    }
    if word == "leader" || word == "the leader" {
        return Some(Target::Leader);
    }
    if let Some((role, number)) = word.rsplit_once('-') {
        let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
        return ROLES
            .iter()
            .find(|(name, _)| *name == role)
            .map(|(_, role)| Target::Exactly(Process { role: *role, number }));
    }
    let (amount, rest) = word.split_once(' ').unwrap_or((word, "member"));
    let amount = match amount {
        "one" => Amount::One,
        "minority" => Amount::Minority,
        "half" => Amount::Half,
        "majority" => Amount::Majority,
        "all" => Amount::All,
        _ => return None,
    };
    role_of(rest.strip_prefix("of ").unwrap_or(rest)).map(|role| Target::Some(amount, role))
}

fn role_of(word: &str) -> Option<Role> {
    ROLES
        .iter()
        .find(|(name, _)| word == *name || word.strip_suffix('s') == Some(name))
        .map(|(_, role)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_said() {
        for word in
            ["leader", "one member", "minority of members", "all nodes", "member-2", "the active manager"]
        {
            assert_eq!(parse(word).map(|target| target.to_string()), Some(word.to_string()));
        }
        assert_eq!(parse("one"), Some(Target::Some(Amount::One, Role::Member)));
        assert_eq!(parse("the node running pod web-0"), Some(Target::NodeRunning("web-0".into())));
        assert_eq!(parse("member-0"), None);
        assert_eq!(parse("lieder"), None);
    }

    #[test]
    fn a_misspelt_target_gets_the_nearest() {
        let node = Node::read("  memebr-2").unwrap();
        let mistake = targets(&node).unwrap_err();
        assert_eq!(mistake.nearest.as_deref(), Some("member-1"));
        assert_eq!((mistake.place.line, mistake.place.column), (1, 3));
    }
}
