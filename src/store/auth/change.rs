//! Changes of users and roles. Each counts, but for those that find things as they are to be.

use super::{Access, Auth, AuthChange, ROOT, Role, User};
use crate::{Error, Response, Store};
use base::reached;
use bytes::Bytes;
use std::sync::Arc;

impl AuthChange {
    /// Refuses what no state could accept.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::UserAdd { name, .. } if name.is_empty() => Err(Error::UserEmpty),
            Self::RoleAdd { role } if role.is_empty() => Err(Error::RoleEmpty),
            Self::RoleGrantPermission { key, range_end, .. } if !names_a_key(key, range_end) => {
                Err(Error::InvalidAuthMgmt)
            }
            _ => Ok(()),
        }
    }
}

/// A permission for no key at all is a mistake.
fn names_a_key(key: &Bytes, range_end: &Bytes) -> bool {
    !key.is_empty() && (range_end.is_empty() || range_end.as_ref() == [0] || key < range_end)
}

impl Store {
    pub(crate) fn change_auth(&mut self, change: &AuthChange) -> Result<Response, Error> {
        change.check()?;
        let mut auth = self.auth.clone();
        let changed = Arc::make_mut(&mut auth).change(change)?;
        reached!("store: a change of users or roles found nothing to change", !changed);
        if changed {
            self.auth = auth;
            self.rest_bytes = crate::snapshot::rest_bytes(self);
            self.digest_auth();
        }
        Ok(Response::Auth)
    }

    /// A password that was right at an auth revision is right only as long as that is the present one.
    pub(crate) fn authenticate(&self, user: &str, checked: u64) -> Result<Response, Error> {
        if !self.auth.enabled {
            return Err(Error::AuthNotEnabled);
        }
        if checked != self.auth.revision {
            reached!("store: users changed while a password was checked");
            return Err(Error::AuthOldRevision);
        }
        if self.auth.users.contains_key(user) { Ok(Response::Authenticate) } else { Err(Error::UserNotFound) }
    }
}

impl Auth {
    /// True if it changed anything.
    fn change(&mut self, change: &AuthChange) -> Result<bool, Error> {
        match change {
            AuthChange::Enable => return self.enable(),
            AuthChange::Disable if !self.enabled => return Ok(false),
            AuthChange::Disable => self.enabled = false,
            AuthChange::UserAdd { name, password } => self.user_add(name, password.clone())?,
            AuthChange::UserDelete { name } => self.user_delete(name)?,
            AuthChange::UserChangePassword { name, password } => {
                let user = self.user(name)?;
                user.password = user.password.is_some().then(|| password.clone().unwrap_or_default());
            }
            AuthChange::UserGrantRole { name, role } => return self.user_grant(name, role),
            AuthChange::UserRevokeRole { name, role } => self.user_revoke(name, role)?,
            AuthChange::RoleAdd { role } => self.role_add(role)?,
            AuthChange::RoleDelete { role } => self.role_delete(role)?,
            AuthChange::RoleGrantPermission { role, key, range_end, access } => {
                self.role_grant(role, key, range_end, *access)?;
            }
            AuthChange::RoleRevokePermission { role, key, range_end } => {
                let revoked = self.role(role)?.permissions.remove(&(key.clone(), range_end.clone()));
                revoked.ok_or(Error::PermissionNotGranted)?;
            }
        }
        self.revision += 1;
        Ok(true)
    }

    /// Does not count as a change: what users may do is as it was said before.
    fn enable(&mut self) -> Result<bool, Error> {
        if self.enabled {
            return Ok(false);
        }
        let root = self.users.get(ROOT).ok_or(Error::RootUserNotExist)?;
        if !root.roles.contains(ROOT) {
            return Err(Error::RootRoleNotExist);
        }
        self.enabled = true;
        Ok(true)
    }

    fn user(&mut self, name: &str) -> Result<&mut User, Error> {
        self.users.get_mut(name).ok_or(Error::UserNotFound)
    }

    fn role(&mut self, name: &str) -> Result<&mut Role, Error> {
        self.roles.get_mut(name).ok_or(Error::RoleNotFound)
    }

    fn user_add(&mut self, name: &str, password: Option<Bytes>) -> Result<(), Error> {
        if self.users.contains_key(name) {
            return Err(Error::UserAlreadyExist);
        }
        self.users.insert(name.into(), User { password, ..User::default() });
        Ok(())
    }

    /// The one who could undo it stays.
    fn user_delete(&mut self, name: &str) -> Result<(), Error> {
        if self.enabled && name == ROOT {
            return Err(Error::InvalidAuthMgmt);
        }
        self.users.remove(name).map(drop).ok_or(Error::UserNotFound)
    }

    fn user_grant(&mut self, name: &str, role: &str) -> Result<bool, Error> {
        let known = role == ROOT || self.roles.contains_key(role);
        let user = self.user(name)?;
        if !known {
            return Err(Error::RoleNotFound);
        }
        let changed = user.roles.insert(role.into());
        self.revision += u64::from(changed);
        Ok(changed)
    }

    fn user_revoke(&mut self, name: &str, role: &str) -> Result<(), Error> {
        if self.enabled && name == ROOT && role == ROOT {
            return Err(Error::InvalidAuthMgmt);
        }
        let revoked = self.user(name)?.roles.remove(role);
        if revoked { Ok(()) } else { Err(Error::RoleNotGranted) }
    }

    fn role_add(&mut self, role: &str) -> Result<(), Error> {
        if self.roles.contains_key(role) {
            return Err(Error::RoleAlreadyExist);
        }
        self.roles.insert(role.into(), Role::default());
        Ok(())
    }

    fn role_delete(&mut self, role: &str) -> Result<(), Error> {
        if self.enabled && role == ROOT {
            return Err(Error::InvalidAuthMgmt);
        }
        self.roles.remove(role).ok_or(Error::RoleNotFound)?;
        for user in self.users.values_mut() {
            user.roles.remove(role);
        }
        Ok(())
    }

    fn role_grant(&mut self, role: &str, key: &Bytes, end: &Bytes, access: Access) -> Result<(), Error> {
        self.role(role)?.permissions.insert((key.clone(), end.clone()), access);
        Ok(())
    }
}
