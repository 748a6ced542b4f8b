//! Alarms that members raised, as part of the replicated state: while there is one, commands are refused that would make
//! things worse. An alarm stays until a person takes it back.
//!
//! Source: etcd documentation, "Maintenance: Space quota"; server/etcdserver/apply (the capped and the corrupt applier).

use crate::{Command, Error, Response, Store, quota};
use base::{MemberId, bug, reached};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AlarmKind {
    /// A member holds as much as it may: nothing grows.
    NoSpace,
    /// A member holds something else than the others: nothing changes.
    Corrupt,
}

/// Who raised it, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    pub member: MemberId,
    pub kind: AlarmKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlarmChange {
    Raise(Alarm),
    Disarm(Alarm),
}

impl Store {
    /// Those that are raised.
    pub fn alarms(&self) -> &BTreeSet<Alarm> {
        &self.alarms
    }

    fn has_alarm(&self, kind: AlarmKind) -> bool {
        self.alarms.iter().any(|alarm| alarm.kind == kind)
    }

    /// Gives the alarm back if it changed.
    pub(crate) fn change_alarms(&mut self, change: AlarmChange) -> Response {
        let (alarm, changed) = match change {
            AlarmChange::Raise(alarm) => (alarm, self.alarms.insert(alarm)),
            AlarmChange::Disarm(alarm) => (alarm, self.alarms.remove(&alarm)),
        };
        reached!("store: an alarm is as it was to be already", !changed);
        self.rest_bytes = crate::snapshot::rest_bytes(self);
        let alarms = self.alarms.clone();
        alarms.iter().for_each(|alarm| {
            self.digest.number(alarm.member.0);
            self.digest.number(alarm.kind as u64);
        });
        Response::Alarm(changed.then_some(alarm))
    }

    /// Refuses what must not be done while there is an alarm.
    pub(crate) fn allow(&self, command: &Command) -> Result<(), Error> {
        if self.alarms.is_empty() {
            return Ok(());
        }
        if self.has_alarm(AlarmKind::Corrupt) && is_of_the_data(command) {
            return Err(Error::Corrupt);
        }
        // etcd-io/etcd#14254: what frees space is refused with the rest
        let grows = quota::cost(command) > 0 || bug!("T06") && is_of_the_data(command);
        if self.has_alarm(AlarmKind::NoSpace) && grows {
            reached!("store: a command was refused for want of space");
            return Err(Error::NoSpace);
        }
        Ok(())
    }
}

/// What changes keys, leases or history.
fn is_of_the_data(command: &Command) -> bool {
    match command {
        Command::Put(_)
        | Command::DeleteRange(_)
        | Command::Txn(_)
        | Command::Compact { .. }
        | Command::AutoCompact { .. }
        | Command::LeaseGrant { .. }
        | Command::LeaseRevoke { .. } => true,
        Command::LeaseExpire { .. }
        | Command::LeaseCheckpoint(_)
        | Command::Members(_)
        | Command::Found(_)
        | Command::Publish { .. }
        | Command::Auth(_)
        | Command::Authenticate { .. }
        | Command::Alarm(_) => false,
    }
}
