//! Ends the leases whose time is over: on the leader only, and only after it has proved that it still is one. A
//! leader that was cut off does not hear of the renewals that its successor grants.

use super::lease_clock::Due;
use crate::handle::Handle;
use base::{Term, bug, knobs::ms, reached};
use store::Command;

/// Runs for as long as the member does.
pub async fn run(handle: Handle) {
    let tick = ms(handle.knobs().lease_tick_ms);
    let most = (handle.knobs().lease_revoke_rate * handle.knobs().lease_tick_ms).div_ceil(1_000).max(1);
    loop {
        rt::sleep(tick).await;
        let due = handle.leases().due(rt::now(), most as usize);
        if !due.is_empty() {
            reached!("member: several leases are due at once", due.len() > 1);
            end_all(&handle, due).await;
        }
    }
}

async fn end_all(handle: &Handle, due: Vec<Due>) {
    if bug!("L01") {
        futures::future::join_all(due.into_iter().map(|due| end(handle, due, None))).await;
        return;
    }
    let Ok(Some(term)) = handle.confirm_leadership().await else {
        reached!("leases were not ended because leadership was not proved");
        return;
    };
    futures::future::join_all(due.into_iter().map(|due| end(handle, due, Some(term)))).await;
}

/// Ends one lease by a command that only this term's leader may propose. From here on it cannot be renewed; if
/// the command fails it stays so, and is tried again at a later tick.
async fn end(handle: &Handle, due: Due, only_in: Option<Term>) {
    let Due { id, granted } = due;
    handle.leases().set_ending(due, true);
    if handle.propose_in(Command::LeaseExpire { id, granted }, only_in).await.is_err() {
        reached!("the end of a lease was not agreed on");
        handle.leases().set_ending(due, false);
    }
}
