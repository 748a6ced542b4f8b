//! Why the store refuses. The texts are for logs; whoever speaks a protocol maps the variants to its own.

use serde::{Deserialize, Serialize};

/// A refusal. The state is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    #[error("expected a key, got none")]
    EmptyKey,
    #[error("expected an existing key to take the value or the lease from, found none")]
    KeyNotFound,
    #[error("expected no value beside ignore_value")]
    ValueProvided,
    #[error("expected no lease beside ignore_lease")]
    LeaseProvided,
    #[error("too many operations in one txn")]
    TooManyOps,
    #[error("expected each key to change at most once in a txn")]
    DuplicateKey,
    #[error("expected a revision at or after the compaction at {compacted}")]
    Compacted { compacted: i64 },
    #[error("expected a revision up to the current one, {current}")]
    FutureRevision { current: i64 },
    #[error("there is no such lease")]
    LeaseNotFound,
    #[error("there is a lease of this id already")]
    LeaseExists,
    #[error("expected a TTL of at most 9,000,000,000 s")]
    LeaseTtlTooLarge,
    #[error("there is no such member")]
    MemberNotFound,
    #[error("root: there is no such user")]
    RootUserNotExist,
    #[error("the user root does not have the role root")]
    RootRoleNotExist,
    #[error("there is a user of this name already")]
    UserAlreadyExist,
    #[error("expected a user, got none")]
    UserEmpty,
    #[error("there is no such user")]
    UserNotFound,
    #[error("there is a role of this name already")]
    RoleAlreadyExist,
    #[error("there is no such role")]
    RoleNotFound,
    #[error("expected the name of a role, got none")]
    RoleEmpty,
    #[error("the user does not have this role")]
    RoleNotGranted,
    #[error("the role does not have this permission")]
    PermissionNotGranted,
    #[error("the user may not do this")]
    PermissionDenied,
    #[error("users are not told apart: authentication is not enabled")]
    AuthNotEnabled,
    #[error("users or roles have changed since the request was let in")]
    AuthOldRevision,
    #[error("root would lose what it needs, or a permission names no key")]
    InvalidAuthMgmt,
    #[error("a member holds as much as it may")]
    NoSpace,
    #[error("a member holds other data than the rest")]
    Corrupt,
}
