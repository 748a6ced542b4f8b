//! The store's and the core's refusals in the protocol's words.

use crate::handle::{ProposeError, ReadError};
use etcd::error;
use tonic::Status;

/// What the store refused, as clients know it.
pub fn by_store(refusal: store::Error) -> Status {
    use store::Error::*;
    match refusal {
        EmptyKey => error::empty_key(),
        KeyNotFound => error::key_not_found(),
        ValueProvided => error::value_provided(),
        LeaseProvided => error::lease_provided(),
        TooManyOps => error::too_many_ops(),
        DuplicateKey => error::duplicate_key(),
        Compacted { .. } => error::compacted(),
        FutureRevision { .. } => error::future_rev(),
        LeaseNotFound => error::lease_not_found(),
        LeaseExists => error::lease_exist(),
        LeaseTtlTooLarge => error::lease_ttl_too_large(),
    }
}

/// Why a command was not (or perhaps not) agreed on. Only the first three say that it surely was not.
pub fn by_propose(refusal: ProposeError) -> Status {
    match refusal {
        ProposeError::TooManyRequests => error::too_many_requests(),
        ProposeError::NoLeader => error::no_leader(),
        ProposeError::NotLeader => error::not_leader(),
        ProposeError::Lost => error::timeout_leader_fail(),
        ProposeError::Timeout => error::timeout(),
        ProposeError::Stopped => error::stopped(),
    }
}

/// Why a linearizable read could not be answered.
pub fn by_read(refusal: ReadError) -> Status {
    match refusal {
        ReadError::NoLeader => error::no_leader(),
        ReadError::LeaderChanged => error::leader_changed(),
        ReadError::Timeout => error::timeout(),
        ReadError::Stopped => error::stopped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd::retry::{outcome_unknown, surely_not_executed};

    #[test]
    fn a_client_can_tell_whether_a_write_may_have_been_executed() {
        for refusal in [ProposeError::TooManyRequests, ProposeError::NoLeader] {
            assert!(surely_not_executed(&by_propose(refusal)), "{refusal}");
        }
        for refusal in [ProposeError::Lost, ProposeError::Timeout, ProposeError::Stopped] {
            assert!(outcome_unknown(&by_propose(refusal)), "{refusal}");
        }
    }
}
