//! Transactions. The path through all branches is chosen first, from the state before the txn; then everything
//! on it is checked; then it is done, and cannot fail any more.

use crate::apply::{delete_range, put};
use crate::check::duplicates;
use crate::state::Write;
use crate::{Compare, CompareOp, CompareTarget, Error, Event, RangeRequest, RangeResponse};
use crate::{Store, TxnOp, TxnOpResponse, TxnRequest, TxnResponse};
use base::reached;

/// A txn of which the branch to take is known, here and in the txns inside it.
struct Chosen<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Op(&'a TxnOp),
    Txn(Chosen<'a>),
}

impl Store {
    pub(crate) fn apply_txn(&mut self, request: &TxnRequest) -> Result<(TxnResponse, Vec<Event>), Error> {
        duplicates(request)?;
        let chosen = self.choose(request);
        self.check_chosen(&chosen)?;
        let mut write = Write::begin(self);
        let response = perform(&mut write, &chosen)?;
        Ok((response, write.finish()))
    }

    /// Answers a txn that changes nothing; `None` if it is not of that kind.
    pub fn read_txn(&self, request: &TxnRequest) -> Option<Result<TxnResponse, Error>> {
        request.is_read_only().then(|| {
            let chosen = self.choose(request);
            self.check_chosen(&chosen)?;
            self.look(&chosen)
        })
    }

    fn choose<'a>(&self, request: &'a TxnRequest) -> Chosen<'a> {
        let succeeded = request.compare.iter().all(|compare| self.holds(compare));
        reached!("store: a txn took its other branch", !succeeded);
        let ops = if succeeded { &request.success } else { &request.failure };
        let step = |op: &'a TxnOp| match op {
            TxnOp::Txn(request) => Step::Txn(self.choose(request)),
            _ => Step::Op(op),
        };
        Chosen { succeeded, steps: ops.iter().map(step).collect() }
    }

    /// Of several reasons to refuse a txn a put's comes first, as with etcd.
    fn check_chosen(&self, chosen: &Chosen) -> Result<(), Error> {
        self.check_each(chosen, &|op| match op {
            TxnOp::Put(request) => self.check_put(request),
            _ => Ok(()),
        })?;
        self.check_each(chosen, &|op| match op {
            TxnOp::Range(request) => self.check_range(request.revision),
            _ => Ok(()),
        })
    }

    fn check_each(&self, chosen: &Chosen, check: &dyn Fn(&TxnOp) -> Result<(), Error>) -> Result<(), Error> {
        chosen.steps.iter().try_for_each(|step| match step {
            Step::Txn(inner) => self.check_each(inner, check),
            Step::Op(op) => check(op),
        })
    }

    /// Outside of a txn any revision below 1 is "now"; inside, 0 is, and those before it are compacted like others.
    fn check_range(&self, revision: i64) -> Result<(), Error> {
        if revision < 0 && revision < self.compacted {
            return Err(Error::Compacted { compacted: self.compacted });
        }
        self.readable(revision).map(drop)
    }

    fn look(&self, chosen: &Chosen) -> Result<TxnResponse, Error> {
        let mut responses = Vec::with_capacity(chosen.steps.len());
        for step in &chosen.steps {
            match step {
                Step::Txn(inner) => responses.push(TxnOpResponse::Txn(self.look(inner)?)),
                Step::Op(TxnOp::Range(request)) => responses.push(TxnOpResponse::Range(self.range(request)?)),
                Step::Op(_) => {}
            }
        }
        Ok(TxnResponse { succeeded: chosen.succeeded, responses })
    }

    /// A compare over a range holds if it holds for every key there is; a missing key counts as zeros.
    fn holds(&self, compare: &Compare) -> bool {
        let request = RangeRequest {
            key: compare.key.clone(),
            range_end: compare.range_end.clone(),
            ..RangeRequest::default()
        };
        let RangeResponse { kvs, .. } = self.range(&request).unwrap_or_default();
        if kvs.is_empty() {
            return match compare.target {
                CompareTarget::Value(_) => false,
                CompareTarget::Version(number)
                | CompareTarget::Create(number)
                | CompareTarget::Mod(number)
                | CompareTarget::Lease(number) => satisfies(compare.op, &0, &number),
            };
        }
        kvs.iter().all(|kv| match &compare.target {
            CompareTarget::Version(number) => satisfies(compare.op, &kv.version, number),
            CompareTarget::Create(number) => satisfies(compare.op, &kv.create_revision, number),
            CompareTarget::Mod(number) => satisfies(compare.op, &kv.mod_revision, number),
            CompareTarget::Lease(number) => satisfies(compare.op, &kv.lease, number),
            CompareTarget::Value(value) => satisfies(compare.op, &kv.value, value),
        })
    }
}

fn satisfies<T: Ord>(op: CompareOp, found: &T, given: &T) -> bool {
    match op {
        CompareOp::Equal => found == given,
        CompareOp::NotEqual => found != given,
        CompareOp::Greater => found > given,
        CompareOp::Less => found < given,
    }
}

fn perform(write: &mut Write<'_>, chosen: &Chosen) -> Result<TxnResponse, Error> {
    let mut responses = Vec::with_capacity(chosen.steps.len());
    for step in &chosen.steps {
        responses.push(match step {
            Step::Txn(inner) => TxnOpResponse::Txn(perform(write, inner)?),
            Step::Op(TxnOp::Range(request)) => TxnOpResponse::Range(write.store.range(request)?),
            Step::Op(TxnOp::Put(request)) => TxnOpResponse::Put(put(write, request)),
            Step::Op(TxnOp::DeleteRange(request)) => TxnOpResponse::DeleteRange(delete_range(write, request)),
            Step::Op(TxnOp::Txn(_)) => continue,
        });
    }
    Ok(TxnResponse { succeeded: chosen.succeeded, responses })
}
