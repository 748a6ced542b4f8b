//! The quota: a member that holds as much as it may raises the alarm NOSPACE, and everything that would grow is refused
//! until space was made and the alarm taken back.
//!
//! What counts is what the state would take in a snapshot, so that members agree on it; compaction frees it at once.

use super::refuse;
use crate::handle::Handle;
use base::reached;
use etcd::error;
use store::{Alarm, AlarmChange, AlarmKind, Command};
use tonic::Status;

/// Refuses a command for which there is no space, and says so to all members.
pub async fn afford(handle: &Handle, command: &Command) -> Result<(), Status> {
    let (quota, cost) = (handle.knobs().quota_bytes, store::cost(command));
    let held = handle.with_store(store::Store::bytes);
    if quota == 0 || cost == 0 || held + cost < quota {
        return Ok(());
    }
    let alarm = Alarm { member: handle.member(), kind: AlarmKind::NoSpace };
    if !handle.with_store(|store| store.alarms().contains(&alarm)) {
        reached!("member: there is no space left");
        handle.propose(Command::Alarm(AlarmChange::Raise(alarm))).await.map_err(refuse::by_propose)?;
    }
    Err(error::no_space())
}
