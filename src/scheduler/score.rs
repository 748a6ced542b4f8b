//! Which of the possible nodes is best: the least allocated one (NodeResourcesFit's default strategy), and
//! the one with the fewest pods of the same owner (the spread that upstream's default constraints give).
//! Pure; ties go to the first in the order of names, turned by `turn` so that equal nodes take turns.

use crate::view::{NodeView, Resources};
use base::reached;

/// The best node's name.
pub fn best<'a>(
    nodes: &[(&'a String, &NodeView)],
    asks: &Resources,
    owner: &str,
    turn: u64,
) -> Option<&'a str> {
    let siblings: Vec<u32> = nodes.iter().map(|(_, view)| view.of_owner(owner)).collect();
    let most = siblings.iter().max().copied().unwrap_or(0);
    let scores = nodes.iter().zip(&siblings);
    let scores = scores.map(|((_, view), here)| least_allocated(view, asks) + spread(*here, most, owner));
    let scores: Vec<i64> = scores.collect();
    let top = scores.iter().max()?;
    let tied = nodes.iter().zip(&scores).filter(|(_, score)| *score == top);
    let tied: Vec<&'a String> = tied.map(|((name, _), _)| *name).collect();
    reached!("scheduler: several nodes are equally good", tied.len() > 1);
    tied.get((turn % tied.len() as u64) as usize).map(|name| name.as_str())
}

/// 0 to 100: the mean free share of CPU and memory once the pod is there.
fn least_allocated(view: &NodeView, asks: &Resources) -> i64 {
    let free = |has: i64, given: i64| if has > 0 { ((has - given).max(0) * 100) / has } else { 0 };
    let cpu = free(view.allocatable.cpu_milli, view.requested.cpu_milli + asks.cpu_milli);
    let memory = free(view.allocatable.memory, view.requested.memory + asks.memory);
    (cpu + memory) / 2
}

/// 0 to 200 (upstream's weight is 2): fewer pods of the owner is better.
fn spread(here: u32, most: u32, owner: &str) -> i64 {
    if owner.is_empty() || most == 0 {
        return 0;
    }
    i64::from(most - here) * 200 / i64::from(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{
        View,
        tests::{node, pod},
    };

    #[test]
    fn the_emptier_node_wins_and_equal_nodes_take_turns() {
        let mut view = View::default();
        for name in ["a", "b", "c"] {
            view.set_node(&node(name, "1", "1Gi"));
        }
        view.set_pod(&pod("p", "500m", "a"));
        let nodes: Vec<_> = view.nodes().collect();
        let asks = Resources { cpu_milli: 100, memory: 0, pods: 1 };
        assert_eq!(best(&nodes, &asks, "", 0), Some("b"));
        assert_eq!(best(&nodes, &asks, "", 1), Some("c"));
    }

    /// Three pods of one owner on three nodes: one each, although the first node stays the emptiest.
    #[test]
    fn pods_of_one_owner_are_spread() {
        let mut view = View::default();
        view.set_node(&node("a", "100", "100Gi"));
        view.set_node(&node("b", "1", "1Gi"));
        view.set_node(&node("c", "1", "1Gi"));
        let owned = |uid: &str, owner: &str| {
            let mut owned = pod(uid, "100m", "");
            let mut set = objects::Object::new("apps/v1", "ReplicaSet");
            set.set(&["metadata", "uid"], owner);
            owned.set_owner_refs(&[objects::OwnerRef::controller_of(&set)]);
            owned
        };
        let asks = Resources { cpu_milli: 100, memory: 0, pods: 1 };
        let mut place = |uid: &str, owner: &str| {
            let at = best(&view.nodes().collect::<Vec<_>>(), &asks, owner, 0).expect("a node").to_string();
            view.assume(&owned(uid, owner), &at);
            at
        };
        let mut spread = [place("1", "x"), place("2", "x"), place("3", "x")];
        spread.sort();
        assert_eq!(spread, ["a", "b", "c"]);
        assert_eq!(place("4", "y"), "a", "another owner's pods do not count");
    }
}
