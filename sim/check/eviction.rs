//! No mass eviction: when a control plane hears of no node any more, it is rather the control plane that is cut off
//! (kubernetes#24200: every pod of a cluster killed when its API servers came back).

use super::Verdict;
use crate::history::{Nanos, seconds};
use base::{Knobs, Note};
use std::collections::BTreeMap;

/// Nothing is evicted when no node is heard of, or when more than two and too large a share of them are silent; and
/// one manager begins with no more nodes in a time than the rate allows.
pub fn gradual(notes: &[(Nanos, String, Note)], knobs: &Knobs) -> Verdict {
    let pause = 1_000_000_000_000 / knobs.eviction_per_1000s.max(1);
    // when each manager last began with a node, and with which
    let mut last: BTreeMap<&str, (Nanos, &str)> = BTreeMap::new();
    let mut count = 0;
    for (at, process, note) in notes {
        let Note::Evicting { node, silent, nodes } = note else { continue };
        count += 1;
        let most = *silent > 2 && silent * 100 >= nodes * knobs.eviction_stop_percent;
        if silent == nodes || most {
            let text = format!(
                "{process} evicts the pods of {node} at {}, when {silent} of {nodes} nodes are silent",
                seconds(*at)
            );
            return Verdict::Broken(vec![text]);
        }
        let before = last.insert(process, (*at, node));
        if let Some((then, other)) = before.filter(|(then, other)| at - then < pause && other != node) {
            let text = format!(
                "{process} evicts the pods of {node} at {}, and those of {other} at {}: the rate is one node in {}",
                seconds(*at),
                seconds(then),
                seconds(pause)
            );
            return Verdict::Broken(vec![text]);
        }
    }
    if count == 0 { Verdict::Idle } else { Verdict::Held(format!("{count} nodes")) }
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
        let notes: Vec<_> = begun.iter().map(note).collect();
        gradual(&notes, &Knobs::default())
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
    }
}
