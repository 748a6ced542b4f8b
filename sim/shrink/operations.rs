//! Fewer operations of a client. Each begins some time after the answer to the one before it; when some are taken
//! away, the next waits for as long as they took, so that what stays happens when it did.

use crate::plan::Plan;

/// Whose operations.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    Store(usize),
    User(usize),
}

impl Of {
    pub fn all(plan: &Plan) -> Vec<Of> {
        (0..plan.kube.len()).map(Of::User).chain((0..plan.kv.len()).map(Of::Store)).collect()
    }

    pub fn name(self, plan: &Plan) -> &str {
        match self {
            Of::Store(n) => &plan.kv[n].name,
            Of::User(n) => &plan.kube[n].name,
        }
    }

    pub fn count(self, plan: &Plan) -> usize {
        match self {
            Of::Store(n) => plan.kv[n].ops.len(),
            Of::User(n) => plan.kube[n].ops.len(),
        }
    }

    /// The plan without the operations `from..to`. `starts`: when each began, as far as is known.
    pub fn without(self, plan: &Plan, from: usize, to: usize, starts: &[u64]) -> Plan {
        let mut plan = plan.clone();
        match self {
            Of::Store(n) => cut(&mut plan.kv[n].ops, |op| &mut op.pause, (from, to), starts),
            Of::User(n) => cut(&mut plan.kube[n].ops, |op| &mut op.pause, (from, to), starts),
        }
        plan
    }
}

fn cut<T>(ops: &mut Vec<T>, pause: fn(&mut T) -> &mut u64, (from, to): (usize, usize), starts: &[u64]) {
    let to = to.min(ops.len());
    let pauses: u64 = ops[from..to].iter_mut().map(|op| *pause(op)).sum();
    let first = ops.get_mut(from).map_or(0, |op| *pause(op));
    ops.drain(from..to);
    let Some(next) = ops.get_mut(from) else { return };
    let next = pause(next);
    *next = match (starts.get(from), starts.get(to)) {
        (Some(began), Some(begins)) => begins.saturating_sub(*began) + first,
        _ => *next + pauses,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_begins_when_it_did() {
        let identity: fn(&mut u64) -> &mut u64 = |pause| pause;
        // pauses of 10, each operation takes 5: they begin at 110, 125, 140, 155
        let starts = [110, 125, 140, 155];
        let mut ops = vec![10, 10, 10, 10];
        cut(&mut ops, identity, (0, 2), &starts);
        assert_eq!(ops, [40, 10], "the first begins 40 behind 100");
        let mut ops = vec![10, 10, 10, 10];
        cut(&mut ops, identity, (1, 3), &starts);
        assert_eq!(ops, [10, 40], "an answer at 115, and the last begins at 155");
        let mut ops = vec![10, 10, 10, 10];
        cut(&mut ops, identity, (2, 9), &starts);
        assert_eq!(ops, [10, 10]);
        let mut ops = vec![10, 10, 10];
        cut(&mut ops, identity, (0, 2), &[]);
        assert_eq!(ops, [30], "what is not known is taken for nothing");
    }
}
