//! Has what is left of leases agreed on now and then, where that is asked for: else a lease whose holder is dead lives for
//! as long as leaders change more often than its time is long.
//!
//! Source: etcd documentation, `--experimental-enable-lease-checkpoint`; server/lease/lessor.go.

use crate::handle::{Handle, ProposeError};
use base::{Term, knobs::ms, reached};
use store::{Checkpoint, Command};

/// Leases in one command (etcd: maxLeaseCheckpointBatchSize).
const BATCH: usize = 1_000;
/// Looks in the time after which a lease is due.
const LOOKS: u32 = 4;

/// Never returns.
pub async fn run(handle: Handle) {
    let every = ms(handle.knobs().lease_checkpoint_ms);
    if every.is_zero() {
        std::future::pending::<()>().await;
    }
    loop {
        rt::sleep(every / LOOKS).await;
        let Ok(Some(term)) = handle.confirm_leadership().await else { continue };
        loop {
            let due = handle.leases().checkpoints(rt::now(), every, BATCH);
            if due.is_empty() {
                break;
            }
            reached!("member: what is left of leases is agreed on");
            agree(&handle, due, term).await;
        }
    }
}

/// Has them agreed on, by the leader of this term and no other. Those of which it is not known whether they will be stay
/// under way, until they are or another leads.
pub async fn agree(handle: &Handle, checkpoints: Vec<Checkpoint>, term: Term) {
    let agreed = handle.propose_in(Command::LeaseCheckpoint(checkpoints.clone()), Some(term)).await;
    let surely_not = [ProposeError::TooManyRequests, ProposeError::NoLeader, ProposeError::NotLeader];
    if agreed.is_err_and(|error| surely_not.contains(&error)) {
        reached!("member: a checkpoint was not taken up");
        checkpoints.into_iter().for_each(|checkpoint| handle.leases().not_agreed(checkpoint));
    }
}
