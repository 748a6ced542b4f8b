//! No mass eviction: when a control plane hears of no node any more, it is rather the control plane that is cut off
//! (kubernetes#24200: every pod of a cluster killed when its API servers came back).

use super::Verdict;
use crate::history::{Nanos, seconds};
use base::Note;
use std::collections::BTreeMap;

/// The laxest that managers may have been told in a run.
pub struct Limits {
    /// Nodes in a thousand seconds.
    pub per_1000s: u64,
    /// The share of silent nodes, in percent, at which it stops.
    pub stop_percent: u64,
    /// How long a node may be silent, in nanoseconds: the least that managers may have been told.
    pub grace: Nanos,
}

/// Nothing is evicted when no node is heard of, or when more than two and too large a share of them are silent; and a
/// manager begins with no more nodes in a time than the rate allows, from when it became active. How many nodes are
/// silent is what the manager itself believes: what it has not heard of yet it cannot act upon. And once it hears again
/// after all were silent, each node has its whole grace again.
pub fn gradual(notes: &[(Nanos, String, Note)], limits: &Limits) -> Verdict {
    let mut managers: BTreeMap<&str, Manager> = BTreeMap::new();
    let mut count = 0;
    for (at, process, note) in notes {
        match note {
            // who becomes active remembers nothing of an earlier time
            Note::Elected { .. } => drop(managers.remove(process.as_str())),
            Note::HeardAgain => managers.entry(process).or_default().heard_again = Some(*at),
            Note::Evicting { node, silent, nodes } => {
                count += 1;
                let manager = managers.entry(process).or_default();
                if let Some(wrong) = manager.evicts(*at, node, (*silent, *nodes), limits) {
                    let evicts = format!("{process} evicts the pods of {node} at {}", seconds(*at));
                    return Verdict::Broken(vec![format!("{evicts}, {wrong}")]);
                }
            }
            _ => {}
        }
    }
    if count == 0 { Verdict::Idle } else { Verdict::Held(format!("{count} nodes")) }
}

/// What an active manager has done.
#[derive(Default)]
struct Manager<'a> {
    /// When it last began with a node, and with which.
    last: Option<(Nanos, &'a str)>,
    /// When it heard of nodes again after all were silent.
    heard_again: Option<Nanos>,
}

impl<'a> Manager<'a> {
    /// What is wrong with beginning to evict from this node now, when `silent` of `nodes` are.
    fn evicts(
        &mut self,
        at: Nanos,
        node: &'a str,
        (silent, nodes): (u64, u64),
        limits: &Limits,
    ) -> Option<String> {
        let most = silent > 2 && silent * 100 >= nodes * limits.stop_percent;
        if silent == nodes || most {
            return Some(format!("when {silent} of {nodes} nodes are silent"));
        }
        if let Some(again) = self.heard_again.filter(|again| at - again < limits.grace) {
            let (since, grace) = (seconds(again), seconds(limits.grace));
            return Some(format!(
                "when it hears of nodes again only since {since}: each has {grace} to be heard"
            ));
        }
        let pause = 1_000_000_000_000 / limits.per_1000s.max(1);
        let before = self.last.replace((at, node));
        let (then, other) = before.filter(|(then, other)| at - then < pause && *other != node)?;
        let (then, pause) = (seconds(then), seconds(pause));
        Some(format!("and those of {other} at {then}: the rate is one node in {pause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn verdict(begun: &[(Nanos, &str, u64, u64)]) -> Verdict {
        let note = |(at, node, silent, nodes): &(Nanos, &str, u64, u64)| {
            let note = Note::Evicting { node: node.to_string(), silent: *silent, nodes: *nodes };
            (at * SECOND, "manager-1".to_string(), note)
        };
        judge(&begun.iter().map(note).collect::<Vec<_>>())
    }

    fn judge(notes: &[(Nanos, String, Note)]) -> Verdict {
        gradual(notes, &Limits { per_1000s: 100, stop_percent: 55, grace: 50 * SECOND })
    }

    #[test]
    fn a_few_nodes_are_evicted_slowly_and_most_of_them_never() {
        let held = |begun: &[_]| matches!(verdict(begun), Verdict::Held(_));
        assert!(
            held(&[(60, "node-1", 1, 3), (70, "node-2", 2, 3)]),
            "two of three may go, ten seconds apart"
        );
        assert!(held(&[(60, "node-1", 10, 20)]), "half of them may");
        assert!(!held(&[(60, "node-1", 1, 1)]));
        assert!(!held(&[(60, "node-1", 5, 5)]));
        assert!(!held(&[(60, "node-1", 3, 5)]), "sixty in a hundred are too many");
        assert!(!held(&[(60, "node-1", 2, 9), (69, "node-2", 2, 9)]), "the rate is one in ten seconds");
        assert!(held(&[(60, "node-1", 2, 9), (69, "node-1", 2, 9)]), "the same node goes on");
    }

    #[test]
    fn once_nodes_are_heard_again_each_has_its_grace() {
        let heard = |at, process: &str| (at * SECOND, process.to_string(), Note::HeardAgain);
        let evicts = |at| {
            let note = Note::Evicting { node: "node-1".into(), silent: 1, nodes: 9 };
            (at * SECOND, "manager-1".to_string(), note)
        };
        assert!(matches!(judge(&[heard(60, "manager-1"), evicts(109)]), Verdict::Broken(_)));
        assert!(matches!(judge(&[heard(60, "manager-1"), evicts(110)]), Verdict::Held(_)));
        assert!(
            matches!(judge(&[heard(60, "manager-2"), evicts(109)]), Verdict::Held(_)),
            "it never lost them"
        );
    }

    #[test]
    fn a_manager_that_becomes_active_again_begins_anew() {
        let evicts = |at, node: &str| {
            let note = Note::Evicting { node: node.into(), silent: 2, nodes: 9 };
            (at * SECOND, "manager-1".to_string(), note)
        };
        let elected = |process: &str| {
            let note = Note::Elected { identity: process.into(), lock: "l".into(), held: true };
            (65 * SECOND, process.to_string(), note)
        };
        let with = |process| [evicts(60, "node-1"), elected(process), evicts(69, "node-2")];
        assert!(matches!(judge(&with("manager-1")), Verdict::Held(_)));
        assert!(matches!(judge(&with("manager-2")), Verdict::Broken(_)));
    }
}
