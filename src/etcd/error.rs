//! Every error the store gives. Clients compare the *message*, so text and code are those of the protocol's
//! reference server; [`kind`] reads an error back from its message.

use tonic::{Code, Status};

macro_rules! errors {
    ($($name:ident $function:ident $code:ident $text:literal;)+) => {
        /// One of the protocol's errors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Error {
            $(#[doc = $text] $name,)+
        }

        impl Error {
            /// All of them.
            pub const ALL: &'static [Error] = &[$(Error::$name,)+];

            /// The gRPC code.
            pub fn code(self) -> Code {
                match self {
                    $(Error::$name => Code::$code,)+
                }
            }

            /// The message, which is what clients match on.
            pub fn text(self) -> &'static str {
                match self {
                    $(Error::$name => $text,)+
                }
            }
        }

        $(
            #[doc = $text]
            pub fn $function() -> Status {
                Error::$name.status()
            }
        )+
    };
}

errors! {
    EmptyKey empty_key InvalidArgument "etcdserver: key is not provided";
    KeyNotFound key_not_found InvalidArgument "etcdserver: key not found";
    ValueProvided value_provided InvalidArgument "etcdserver: value is provided";
    LeaseProvided lease_provided InvalidArgument "etcdserver: lease is provided";
    TooManyOps too_many_ops InvalidArgument "etcdserver: too many operations in txn request";
    DuplicateKey duplicate_key InvalidArgument "etcdserver: duplicate key given in txn request";
    InvalidSortOption invalid_sort_option InvalidArgument "etcdserver: invalid sort option";
    Compacted compacted OutOfRange "etcdserver: mvcc: required revision has been compacted";
    FutureRev future_rev OutOfRange "etcdserver: mvcc: required revision is a future revision";
    NoSpace no_space ResourceExhausted "etcdserver: mvcc: database space exceeded";

    LeaseNotFound lease_not_found NotFound "etcdserver: requested lease not found";
    LeaseExist lease_exist FailedPrecondition "etcdserver: lease already exists";
    LeaseTtlTooLarge lease_ttl_too_large OutOfRange "etcdserver: too large lease TTL";
    WatchCanceled watch_canceled Cancelled "etcdserver: watch canceled";

    MemberExist member_exist FailedPrecondition "etcdserver: member ID already exist";
    PeerUrlExist peer_url_exist FailedPrecondition "etcdserver: Peer URLs already exists";
    MemberNotEnoughStarted member_not_enough_started FailedPrecondition
        "etcdserver: re-configuration failed due to not enough started members";
    MemberBadUrls member_bad_urls InvalidArgument "etcdserver: given member URLs are invalid";
    MemberNotFound member_not_found NotFound "etcdserver: member not found";
    MemberNotLearner member_not_learner FailedPrecondition "etcdserver: can only promote a learner member";
    LearnerNotReady learner_not_ready FailedPrecondition
        "etcdserver: can only promote a learner member which is in sync with leader";
    TooManyLearners too_many_learners FailedPrecondition "etcdserver: too many learner members in cluster";

    RequestTooLarge request_too_large InvalidArgument "etcdserver: request is too large";
    TooManyRequests too_many_requests ResourceExhausted "etcdserver: too many requests";

    RootUserNotExist root_user_not_exist FailedPrecondition "etcdserver: root user does not exist";
    RootRoleNotExist root_role_not_exist FailedPrecondition "etcdserver: root user does not have root role";
    UserAlreadyExist user_already_exist FailedPrecondition "etcdserver: user name already exists";
    UserEmpty user_empty InvalidArgument "etcdserver: user name is empty";
    UserNotFound user_not_found FailedPrecondition "etcdserver: user name not found";
    RoleAlreadyExist role_already_exist FailedPrecondition "etcdserver: role name already exists";
    RoleNotFound role_not_found FailedPrecondition "etcdserver: role name not found";
    RoleEmpty role_empty InvalidArgument "etcdserver: role name is empty";
    AuthFailed auth_failed InvalidArgument "etcdserver: authentication failed, invalid user ID or password";
    PermissionNotGiven permission_not_given InvalidArgument "etcdserver: permission not given";
    PermissionDenied permission_denied PermissionDenied "etcdserver: permission denied";
    RoleNotGranted role_not_granted FailedPrecondition "etcdserver: role is not granted to the user";
    PermissionNotGranted permission_not_granted FailedPrecondition
        "etcdserver: permission is not granted to the role";
    AuthNotEnabled auth_not_enabled FailedPrecondition "etcdserver: authentication is not enabled";
    InvalidAuthToken invalid_auth_token Unauthenticated "etcdserver: invalid auth token";
    InvalidAuthMgmt invalid_auth_mgmt InvalidArgument "etcdserver: invalid auth management";
    AuthOldRevision auth_old_revision InvalidArgument "etcdserver: revision of auth store is old";

    NoLeader no_leader Unavailable "etcdserver: no leader";
    NotLeader not_leader FailedPrecondition "etcdserver: not leader";
    LeaderChanged leader_changed Unavailable "etcdserver: leader changed";
    NotCapable not_capable Unavailable "etcdserver: not capable";
    Stopped stopped Unavailable "etcdserver: server stopped";
    Timeout timeout Unavailable "etcdserver: request timed out";
    TimeoutLeaderFail timeout_leader_fail Unavailable
        "etcdserver: request timed out, possibly due to previous leader failure";
    TimeoutConnectionLost timeout_connection_lost Unavailable
        "etcdserver: request timed out, possibly due to connection lost";
    TimeoutWaitAppliedIndex timeout_wait_applied_index Unavailable
        "etcdserver: request timed out, waiting for the applied index took too long";
    Unhealthy unhealthy Unavailable "etcdserver: unhealthy cluster";
    Corrupt corrupt DataLoss "etcdserver: corrupt cluster";
    NotSupportedForLearner not_supported_for_learner FailedPrecondition
        "etcdserver: rpc not supported for learner";
    BadLeaderTransferee bad_leader_transferee FailedPrecondition "etcdserver: bad leader transferee";

    WrongDowngradeVersionFormat wrong_downgrade_version_format InvalidArgument
        "etcdserver: wrong downgrade target version format";
    InvalidDowngradeTargetVersion invalid_downgrade_target_version InvalidArgument
        "etcdserver: invalid downgrade target version";
    NoInflightDowngrade no_inflight_downgrade FailedPrecondition "etcdserver: no inflight downgrade job";
}

/// Why a watch with an id already in use on its stream is refused (a cancel reason, not a status).
pub const DUPLICATE_WATCH_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";

/// Why a watch of no key at all is refused (a cancel reason, not a status).
pub const EMPTY_WATCHER_RANGE: &str = "mvcc: watcher range is empty";

impl Error {
    /// The status that carries this error.
    pub fn status(self) -> Status {
        Status::new(self.code(), self.text())
    }
}

/// Which of the protocol's errors a status carries, if any. Only the message counts.
pub fn kind(status: &Status) -> Option<Error> {
    Error::ALL.iter().copied().find(|error| error.text() == status.message())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_error_is_read_back_from_its_message() {
        for &error in Error::ALL {
            let status = error.status();
            assert_eq!(kind(&status), Some(error));
            assert_eq!(status.code(), error.code());
        }
        assert_eq!(kind(&Status::unavailable("connection reset")), None);
    }

    #[test]
    fn no_two_errors_share_a_text() {
        let texts: BTreeSet<_> = Error::ALL.iter().map(|error| error.text()).collect();
        assert_eq!(texts.len(), Error::ALL.len());
    }

    #[test]
    fn the_code_is_not_needed_to_tell_an_error() {
        assert_eq!(kind(&Status::unknown("etcdserver: no leader")), Some(Error::NoLeader));
    }
}
