//! How much a command may make the state grow: an estimate, made without the state, of which only two things matter.
//! What grows costs something, and what does not grow costs nothing.
//!
//! Source: etcd, server/storage/quota.go.

use crate::{Command, PutRequest, TxnOp, TxnRequest};
use base::bug;

/// What a key costs beside its bytes, in bytes.
const KEY: u64 = 256;
/// What a lease costs, in bytes.
const LEASE: u64 = 64;

/// Bytes by which the command may make the state grow; 0 if it cannot.
pub fn cost(command: &Command) -> u64 {
    match command {
        Command::Put(request) => put(request),
        Command::Txn(request) => txn(request),
        Command::LeaseGrant { .. } => LEASE,
        Command::DeleteRange(_)
        | Command::Compact { .. }
        | Command::LeaseRevoke { .. }
        | Command::LeaseExpire { .. }
        | Command::Members(_)
        | Command::Publish { .. }
        | Command::Auth(_)
        | Command::Authenticate { .. }
        | Command::Alarm(_) => 0,
    }
}

fn put(request: &PutRequest) -> u64 {
    KEY + (request.key.len() + request.value.len()) as u64
}

/// The dearer one of the branches.
fn txn(request: &TxnRequest) -> u64 {
    let branch = |ops: &[TxnOp]| ops.iter().map(op).sum::<u64>();
    branch(&request.success).max(branch(&request.failure))
}

fn op(op: &TxnOp) -> u64 {
    match op {
        TxnOp::Put(request) => put(request),
        TxnOp::Txn(_) if bug!("T05-quota") => 0, // etcd-io/etcd#22140: what a txn inside a txn puts is not charged
        TxnOp::Txn(request) => txn(request),
        TxnOp::Range(_) | TxnOp::DeleteRange(_) => 0,
    }
}
