//! Fewer operations of a client, and all of them at times of their own: what is taken away, an operation or a harm,
//! then moves none of those that stay.

use crate::plan::{Plan, When};
use std::collections::BTreeMap;

/// Whose operations.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    Store(usize),
    User(usize),
    Operator(usize),
}

impl Of {
    pub fn all(plan: &Plan) -> Vec<Of> {
        let users = (0..plan.kube.len()).map(Of::User);
        let operators = (0..plan.operators.len()).map(Of::Operator);
        users.chain(operators).chain((0..plan.kv.len()).map(Of::Store)).collect()
    }

    pub fn name(self, plan: &Plan) -> &str {
        match self {
            Of::Store(n) => &plan.kv[n].name,
            Of::User(n) => &plan.kube[n].name,
            Of::Operator(n) => &plan.operators[n].name,
        }
    }

    pub fn count(self, plan: &Plan) -> usize {
        match self {
            Of::Store(n) => plan.kv[n].ops.len(),
            Of::User(n) => plan.kube[n].ops.len(),
            Of::Operator(n) => plan.operators[n].ops.len(),
        }
    }

    /// Where operations wait for those before them, the next one waits as long as those that are gone did.
    pub fn remove(self, plan: &mut Plan, from: usize, to: usize) {
        let waits = |when: &&mut When| if let When::After(pause) = when { *pause } else { 0 };
        let waited: u64 = self.times(plan)[from..to].iter().map(waits).sum();
        if let Some(When::After(pause)) = self.times(plan).get_mut(to) {
            *pause += waited;
        }
        match self {
            Of::Store(n) => drop(plan.kv[n].ops.drain(from..to)),
            Of::User(n) => drop(plan.kube[n].ops.drain(from..to)),
            Of::Operator(n) => drop(plan.operators[n].ops.drain(from..to)),
        }
    }

    /// When each begins, as the plan has it.
    pub fn times(self, plan: &mut Plan) -> Vec<&mut When> {
        match self {
            Of::Store(n) => plan.kv[n].ops.iter_mut().map(|op| &mut op.when).collect(),
            Of::User(n) => plan.kube[n].ops.iter_mut().map(|op| &mut op.when).collect(),
            Of::Operator(n) => plan.operators[n].ops.iter_mut().map(|op| &mut op.when).collect(),
        }
    }
}

/// The plan with every operation at the time when it began (`starts`, in microseconds); those that never did are
/// left out.
pub fn at_their_times(plan: &Plan, starts: &BTreeMap<String, Vec<u64>>) -> Plan {
    let mut pinned = plan.clone();
    for of in Of::all(plan) {
        let began = starts.get(of.name(plan)).map_or(&[][..], Vec::as_slice);
        for (when, began) in of.times(&mut pinned).into_iter().zip(began) {
            *when = When::At(*began);
        }
        let count = of.count(&pinned);
        of.remove(&mut pinned, began.len().min(count), count);
    }
    pinned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::scenario::read;

    fn drawn() -> Plan {
        let text = "name: x\nclients:\n  - store: c\n    from: 1s\n    until: 9s\n    ops:\n      \
            - { after: 10ms, get: a }\n      - { after: 10ms, get: b }\n      - { after: 10ms, get: c }\n";
        plan(&read::scenario(text, &|_| Err(String::new())).expect("a scenario"), 1)
    }

    #[test]
    fn what_waits_for_others_waits_no_shorter_without_them() {
        let (mut plan, of) = (drawn(), Of::Store(0));
        of.remove(&mut plan, 0, 2);
        assert_eq!(of.times(&mut plan), [&When::After(30_000)]);
        of.remove(&mut plan, 0, 1);
        assert_eq!(of.count(&plan), 0);
    }

    #[test]
    fn what_stays_begins_when_it_did() {
        let starts = BTreeMap::from([("c".to_string(), vec![1_010_000, 1_025_000])]);
        let mut pinned = at_their_times(&drawn(), &starts);
        let of = Of::Store(0);
        assert_eq!(of.count(&pinned), 2, "the third never began");
        of.remove(&mut pinned, 0, 1);
        assert_eq!(of.times(&mut pinned), [&When::At(1_025_000)]);
    }
}
