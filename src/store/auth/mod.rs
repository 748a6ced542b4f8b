//! Users, roles, and what roles may do, as part of the replicated state. Whether a command may be done is decided when
//! it is applied, from the state alone: `permit` says by whom what may be done.
//!
//! Names, rules and refusals are etcd's ("Role-based access control", etcd documentation; server/auth). A password is
//! known here by its hash only; who checks it and who hands out tokens is not this crate's business.

mod change;
mod covers;
mod permit;

use crate::Store;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The user, and the role, that may do everything.
pub const ROOT: &str = "root";

/// All users and roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    pub enabled: bool,
    /// Counts changes; 1 before the first.
    pub revision: u64,
    pub users: BTreeMap<String, User>,
    pub roles: BTreeMap<String, Role>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// None: it can be told by a certificate only.
    pub password: Option<Bytes>,
    pub roles: BTreeSet<String>,
}

/// Permissions by the range they are for, as key and end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    pub permissions: BTreeMap<(Bytes, Bytes), Access>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    Read,
    Write,
    ReadWrite,
}

impl Access {
    /// Whether it allows what is needed.
    pub fn allows(self, needed: Access) -> bool {
        self == Access::ReadWrite || self == needed
    }
}

/// Who asks: a user, and the auth revision at which it was known to be that user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub user: String,
    pub revision: u64,
}

/// A change of users or roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthChange {
    Enable,
    Disable,
    /// `password` is its hash; none for a user who is told by a certificate.
    UserAdd {
        name: String,
        password: Option<Bytes>,
    },
    UserDelete {
        name: String,
    },
    UserChangePassword {
        name: String,
        password: Option<Bytes>,
    },
    UserGrantRole {
        name: String,
        role: String,
    },
    UserRevokeRole {
        name: String,
        role: String,
    },
    RoleAdd {
        role: String,
    },
    RoleDelete {
        role: String,
    },
    RoleGrantPermission {
        role: String,
        key: Bytes,
        range_end: Bytes,
        access: Access,
    },
    RoleRevokePermission {
        role: String,
        key: Bytes,
        range_end: Bytes,
    },
}

impl Default for Auth {
    fn default() -> Self {
        Self { enabled: false, revision: 1, users: BTreeMap::new(), roles: BTreeMap::new() }
    }
}

impl Store {
    /// The users and roles.
    pub fn auth(&self) -> &Arc<Auth> {
        &self.auth
    }

    pub(crate) fn digest_auth(&mut self) {
        let auth = self.auth.clone();
        self.digest.number(u64::from(auth.enabled));
        self.digest.number(auth.revision);
        for (name, user) in &auth.users {
            self.digest.bytes(name.as_bytes());
            self.digest.bytes(user.password.as_deref().unwrap_or_default());
            user.roles.iter().for_each(|role| self.digest.bytes(role.as_bytes()));
        }
        for (name, role) in &auth.roles {
            self.digest.bytes(name.as_bytes());
            for ((key, end), access) in &role.permissions {
                self.digest.bytes(key);
                self.digest.bytes(end);
                self.digest.number(*access as u64);
            }
        }
    }
}
