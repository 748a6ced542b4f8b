//! What can be refused without looking at the state, so that it never enters the log.

use crate::{Command, DeleteRangeRequest, Error, KeyRange, PutRequest, RangeRequest, TxnOp, TxnRequest};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Refuses what no state could accept. `max_ops` bounds each list of a txn; what a txn uses is not there for
/// the txns inside it.
pub fn check(command: &Command, max_ops: usize) -> Result<(), Error> {
    match command {
        Command::Put(request) => put(request),
        Command::DeleteRange(request) => delete_range(request),
        Command::Txn(request) => {
            txn(request, max_ops)?;
            duplicates(request)
        }
        Command::LeaseGrant { ttl, .. } if *ttl > MAX_TTL => Err(Error::LeaseTtlTooLarge),
        Command::LeaseGrant { .. }
        | Command::LeaseRevoke { .. }
        | Command::LeaseExpire { .. }
        | Command::LeaseCheckpoint(_)
        | Command::Compact { .. }
        | Command::AutoCompact { .. }
        | Command::Members(_)
        | Command::Found(_)
        | Command::Publish { .. }
        | Command::Authenticate { .. }
        | Command::Alarm(_) => Ok(()),
        Command::Auth(change) => change.check(),
    }
}

impl RangeRequest {
    /// Refuses what no state could answer.
    pub fn check(&self) -> Result<(), Error> {
        require_key(&self.key)
    }
}

/// The longest time to live, in seconds.
pub(crate) const MAX_TTL: i64 = 9_000_000_000;

fn require_key(key: &Bytes) -> Result<(), Error> {
    if key.is_empty() { Err(Error::EmptyKey) } else { Ok(()) }
}

fn put(request: &PutRequest) -> Result<(), Error> {
    require_key(&request.key)?;
    if request.ignore_value && !request.value.is_empty() {
        return Err(Error::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Error::LeaseProvided);
    }
    Ok(())
}

fn delete_range(request: &DeleteRangeRequest) -> Result<(), Error> {
    require_key(&request.key)
}

fn txn(request: &TxnRequest, max_ops: usize) -> Result<(), Error> {
    let used = request.compare.len().max(request.success.len()).max(request.failure.len());
    if used > max_ops {
        return Err(Error::TooManyOps);
    }
    request.compare.iter().try_for_each(|compare| require_key(&compare.key))?;
    request.success.iter().chain(&request.failure).try_for_each(|op| match op {
        TxnOp::Range(request) => request.check(),
        TxnOp::Put(request) => put(request),
        TxnOp::DeleteRange(request) => delete_range(request),
        TxnOp::Txn(request) => txn(request, max_ops - used),
    })
}

/// Refuses a txn one of whose paths would change a key twice. Only the two branches of one txn may put the same
/// key; whatever else stands in one list of operations may run together, in whatever order it stands, and two
/// deletions may always overlap.
///
/// The reference server looks for the same, but lets two cases through, against its own documents ("it is not
/// allowed to modify the same key several times within one txn"): a key put in an inner txn and deleted in a
/// later one beside it (`? ( ? put a ) ; ( ? del a )`), and a key put in the reach of a deletion with an open end
/// (`? del a.. ; put b`). Both change one key twice in one revision, which nothing here can hold: a version is
/// named by its key and revision. So they are refused, too.
pub(crate) fn duplicates(request: &TxnRequest) -> Result<(), Error> {
    changes(&request.success)?;
    changes(&request.failure)?;
    Ok(())
}

/// What a list of operations may change.
#[derive(Default)]
struct Changes {
    puts: BTreeSet<Bytes>,
    deletes: Vec<KeyRange>,
}

impl Changes {
    /// True when one may put what the other may put or delete. A deletion looks only at the puts in its range:
    /// every member does this for every txn, and a request has room for a great many of both.
    fn collides(&self, other: &Self) -> bool {
        let (few, many) = if self.puts.len() < other.puts.len() { (self, other) } else { (other, self) };
        few.puts.iter().any(|key| many.puts.contains(key)) || self.deletes_of(other) || other.deletes_of(self)
    }

    fn deletes_of(&self, puts: &Self) -> bool {
        let hit = |range: &KeyRange| puts.puts.range::<[u8], _>(range.bounds()).next().is_some();
        self.deletes.iter().any(hit)
    }

    fn absorb(&mut self, other: Self) {
        self.puts.extend(other.puts);
        self.deletes.extend(other.deletes);
    }
}

fn changes(ops: &[TxnOp]) -> Result<Changes, Error> {
    let mut all = Changes::default();
    for op in ops {
        let one = match op {
            TxnOp::Range(_) => continue,
            TxnOp::Put(put) => Changes { puts: BTreeSet::from([put.key.clone()]), ..Changes::default() },
            TxnOp::DeleteRange(delete) => {
                let range = KeyRange::new(&delete.key, &delete.range_end);
                Changes { deletes: vec![range], ..Changes::default() }
            }
            // Only one of the branches runs, so that they may touch the same keys.
            TxnOp::Txn(txn) => {
                let mut either = changes(&txn.success)?;
                either.absorb(changes(&txn.failure)?);
                either
            }
        };
        if all.collides(&one) {
            return Err(Error::DuplicateKey);
        }
        all.absorb(one);
    }
    Ok(all)
}
