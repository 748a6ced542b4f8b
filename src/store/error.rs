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
}
