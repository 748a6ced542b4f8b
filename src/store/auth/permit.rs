//! Who may do what. What a command touches in passing counts: the value before it, keys that hang on a lease, and
//! whatever stands in a txn, in both of its branches and in the txns inside it.

use super::{Access, Auth, Identity, ROOT, covers::covers};
use crate::{Command, DeleteRangeRequest, Error, PutRequest, Store, TxnOp, TxnRequest};
use base::{bug, reached};
use bytes::Bytes;

/// A key alone.
const ONE: Bytes = Bytes::new();

impl Auth {
    /// Refuses who may not do this to every key of a range.
    pub fn permit(
        &self,
        by: Option<&Identity>,
        key: &Bytes,
        range_end: &Bytes,
        needed: Access,
    ) -> Result<(), Error> {
        if !self.enabled {
            return Ok(());
        }
        let by = by.ok_or(Error::UserEmpty)?;
        if by.revision < self.revision {
            reached!("store: a user or role changed while a request was under way");
            return Err(Error::AuthOldRevision);
        }
        let user = self.users.get(&by.user).ok_or(Error::PermissionDenied)?;
        if user.roles.contains(ROOT) {
            return Ok(());
        }
        let roles = user.roles.iter().filter_map(|role| self.roles.get(role));
        let granted = roles.flat_map(|role| &role.permissions);
        let mut granted: Vec<_> =
            granted.filter(|(_, access)| access.allows(needed)).map(|(range, _)| range).collect();
        granted.sort();
        if covers(granted.into_iter(), (key, range_end)) {
            return Ok(());
        }
        reached!("store: a user is refused what it has no permission for");
        Err(Error::PermissionDenied)
    }

    /// Refuses who may not administer.
    pub fn permit_admin(&self, by: Option<&Identity>) -> Result<(), Error> {
        if !self.enabled {
            return Ok(());
        }
        let by = by.ok_or(Error::UserEmpty)?;
        let user = self.users.get(&by.user).ok_or(Error::UserNotFound)?;
        if user.roles.contains(ROOT) { Ok(()) } else { Err(Error::PermissionDenied) }
    }

    /// Refuses who is no user at all.
    pub fn permit_user(&self, by: Option<&Identity>) -> Result<(), Error> {
        match by {
            _ if !self.enabled => Ok(()),
            Some(by) if self.users.contains_key(&by.user) => Ok(()),
            Some(_) => Err(Error::PermissionDenied),
            None => Err(Error::UserEmpty),
        }
    }
}

impl Store {
    /// Refuses a command that its sender may not have done. What members do of themselves has no sender.
    pub(crate) fn permit(&self, by: Option<&Identity>, command: &Command) -> Result<(), Error> {
        if !self.auth.enabled {
            return Ok(());
        }
        match command {
            Command::Put(request) => self.permit_put(by, request),
            Command::DeleteRange(request) => self.permit_delete(by, request),
            Command::Txn(request) => self.permit_txn(by, request),
            Command::LeaseGrant { .. } => self.auth.permit_user(by),
            Command::LeaseRevoke { id } => {
                self.auth.permit_user(by)?;
                self.permit_lease(by, *id)
            }
            Command::Compact { .. } | Command::Auth(_) => self.auth.permit_admin(by),
            // etcd-io/etcd#11691: what members do of themselves carries no user, and is refused
            Command::LeaseExpire { .. } | Command::AutoCompact { .. } if bug!("L09") => {
                self.auth.permit_admin(by)
            }
            Command::LeaseExpire { .. }
            | Command::LeaseCheckpoint(_)
            | Command::AutoCompact { .. }
            | Command::Authenticate { .. }
            | Command::Alarm(_)
            | Command::Members(_)
            | Command::Found(_)
            | Command::Publish { .. } => Ok(()),
        }
    }

    /// Refuses a txn if its sender may not do all that stands in it, whichever branch is taken.
    pub fn permit_txn(&self, by: Option<&Identity>, request: &TxnRequest) -> Result<(), Error> {
        let may_compare =
            |compare: &crate::Compare| self.auth.permit(by, &compare.key, &compare.range_end, Access::Read);
        request.compare.iter().try_for_each(may_compare)?;
        request.success.iter().chain(&request.failure).try_for_each(|op| self.permit_op(by, op))
    }

    fn permit_op(&self, by: Option<&Identity>, op: &TxnOp) -> Result<(), Error> {
        match op {
            TxnOp::Range(request) => self.auth.permit(by, &request.key, &request.range_end, Access::Read),
            TxnOp::Put(request) => self.permit_put(by, request),
            TxnOp::DeleteRange(request) => self.permit_delete(by, request),
            TxnOp::Txn(_) if bug!("T05") => Ok(()), // CVE-2026-33343: what a txn inside a txn does is not looked at
            TxnOp::Txn(request) => self.permit_txn(by, request),
        }
    }

    fn permit_delete(&self, by: Option<&Identity>, request: &DeleteRangeRequest) -> Result<(), Error> {
        if request.prev_kv {
            self.auth.permit(by, &request.key, &request.range_end, Access::Read)?;
        }
        self.auth.permit(by, &request.key, &request.range_end, Access::Write)
    }

    fn permit_put(&self, by: Option<&Identity>, request: &PutRequest) -> Result<(), Error> {
        self.auth.permit(by, &request.key, &ONE, Access::Write)?;
        // Who may not revoke a lease may not hang a key on it.
        self.permit_lease(by, request.lease)?;
        if request.prev_kv {
            self.auth.permit(by, &request.key, &ONE, Access::Read)?;
        }
        Ok(())
    }

    /// Refuses who may not write every key that hangs on a lease.
    fn permit_lease(&self, by: Option<&Identity>, id: i64) -> Result<(), Error> {
        let mut keys = self.leases.get(&id).into_iter().flat_map(|lease| &lease.keys);
        keys.try_for_each(|key| self.auth.permit(by, key, &ONE, Access::Write))
    }
}
