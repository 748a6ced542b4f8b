//! What a harm may wait for, so that it strikes where it does most: `upon-election: 0ms..50ms`, `upon-change: 0ms..50ms`.
//! With no delay a partition strikes in the very step: what that step still says never leaves.

use super::{Draw, units::time, yaml::Mistake, yaml::Table};
use serde::{Deserialize, Serialize};

/// Something the store does that a harm lies in wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// A member was elected.
    Election,
    /// The leader writes down other members than before, and is about to tell the others.
    Change,
    /// The same, where two quorums are needed from then on, one of the old members and one of the new.
    Joint,
}

impl Moment {
    pub const ALL: [Moment; 3] = [Moment::Election, Moment::Change, Moment::Joint];

    /// As a scenario says it.
    pub fn word(self) -> &'static str {
        match self {
            Moment::Election => "upon-election",
            Moment::Change => "upon-change",
            Moment::Joint => "upon-joint",
        }
    }
}

/// What a harm waits for, and how long after it strikes.
pub(super) fn upon(table: &Table<'_>) -> Result<Option<(Moment, Draw)>, Mistake> {
    let mut said = Moment::ALL.into_iter().filter_map(|moment| Some((moment, table.get(moment.word())?)));
    let first = said.next();
    if let Some((_, node)) = said.next() {
        return Err(Mistake::new(node.place, "one harm cannot wait for two things", "one of them"));
    }
    first.map(|(moment, node)| Ok((moment, time(node)?))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::yaml::Node;

    fn read(text: &str) -> Result<Option<(Moment, Draw)>, Mistake> {
        let node = Node::read(text)?;
        upon(&node.table("a harm", &Moment::ALL.map(Moment::word))?)
    }

    #[test]
    fn a_harm_waits_for_one_thing_at_the_most() -> Result<(), Mistake> {
        assert_eq!(read("{ }")?, None);
        for moment in Moment::ALL {
            let said = read(&format!("{{ {}: 5ms }}", moment.word()))?;
            assert_eq!(said, Some((moment, Draw::fixed(5_000))));
        }
        let two = read("{ upon-election: 1s, upon-joint: 1s }").err().map(|mistake| mistake.message);
        assert_eq!(two.as_deref(), Some("one harm cannot wait for two things"));
        Ok(())
    }
}
