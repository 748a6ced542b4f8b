//! The store's and the core's refusals in the protocol's words.

use crate::handle::{ProposeError, ReadError, TransferError};
use crate::members::ChangeError;
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
        MemberNotFound => error::member_not_found(),
        NoSpace => error::no_space(),
        Corrupt => error::corrupt(),
        of_users => by_users(of_users),
    }
}

/// An answer of another kind than the command's.
pub fn mismatch() -> Status {
    Status::internal("the store gave an answer of another kind than the command's")
}

/// What is refused for the sake of users and roles.
fn by_users(refusal: store::Error) -> Status {
    use store::Error::*;
    match refusal {
        RootUserNotExist => error::root_user_not_exist(),
        RootRoleNotExist => error::root_role_not_exist(),
        UserAlreadyExist => error::user_already_exist(),
        UserEmpty => error::user_empty(),
        UserNotFound => error::user_not_found(),
        RoleAlreadyExist => error::role_already_exist(),
        RoleNotFound => error::role_not_found(),
        RoleEmpty => error::role_empty(),
        RoleNotGranted => error::role_not_granted(),
        PermissionNotGranted => error::permission_not_granted(),
        PermissionDenied => error::permission_denied(),
        AuthNotEnabled => error::auth_not_enabled(),
        AuthOldRevision => error::auth_old_revision(),
        InvalidAuthMgmt => error::invalid_auth_mgmt(),
        other => Status::internal(format!("not about users: {other}")),
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

/// Why the members were not changed, or perhaps not.
pub fn by_change(refusal: ChangeError) -> Status {
    match refusal {
        ChangeError::PeerUrlExists => error::peer_url_exist(),
        ChangeError::NotFound => error::member_not_found(),
        ChangeError::NotLearner => error::member_not_learner(),
        ChangeError::TooManyLearners => error::too_many_learners(),
        ChangeError::NotEnoughStarted => error::member_not_enough_started(),
        ChangeError::LearnerNotReady => error::learner_not_ready(),
        ChangeError::Unhealthy => error::unhealthy(),
        ChangeError::NotLeader => error::not_leader(),
        ChangeError::Lost => error::timeout_leader_fail(),
        ChangeError::NotBegun | ChangeError::Timeout => error::timeout(),
        ChangeError::Stopped => error::stopped(),
    }
}

/// Why leadership was not handed on.
pub fn by_transfer(refusal: TransferError) -> Status {
    match refusal {
        TransferError::NoVoter => error::bad_leader_transferee(),
        TransferError::NotLeader => error::not_leader(),
        // etcd gives this one no code of its own
        TransferError::UnderWay | TransferError::Timeout => {
            Status::unknown("etcdserver: request timed out, leader transfer took too long")
        }
        TransferError::Stopped => error::stopped(),
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
