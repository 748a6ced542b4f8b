//! The decision whether a failed call may be sent again. A read may, whenever the failure is one of
//! availability. A write may only when it surely was not executed: the request never left, or the store says
//! that it refused it unseen. Anything else could execute it twice.

use crate::error::{Error, kind};
use base::bug;
use std::time::Duration;
use tonic::{Code, Status};

/// What a call does to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
}

/// What to do about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Hand the error to the caller, and keep the channel.
    Give,
    /// Hand the error to the caller, and pick another channel for the next call.
    GiveAndMove,
    /// Send it again over another channel.
    RetryElsewhere,
    /// Send it again over the same channel, later.
    RetryLater,
}

/// The message of a status that this client makes when a request never left it.
pub const NOT_SENT: &str = "not sent: no connection to the store";
/// The message of a status that this client makes when a connection ended under a request.
pub const CONNECTION_LOST: &str = "connection to the store lost";
/// The message of a status that this client makes when the deadline passed.
pub const DEADLINE: &str = "context deadline exceeded";

/// A request that never left: no endpoint could be reached, or the connection had ended before.
pub fn not_sent(detail: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("{NOT_SENT}: {detail}"))
}

/// A request that may have arrived, and may have been executed.
pub fn connection_lost(detail: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("{CONNECTION_LOST}: {detail}"))
}

/// A request whose time was up.
pub fn deadline_exceeded() -> Status {
    Status::deadline_exceeded(DEADLINE)
}

/// True when the request was surely not executed.
pub fn surely_not_executed(status: &Status) -> bool {
    status.message().starts_with(NOT_SENT)
        || matches!(
            kind(status),
            Some(
                Error::NoLeader | Error::TooManyRequests | Error::NotCapable | Error::NotSupportedForLearner
            )
        )
}

/// True when a write that failed like this may or may not have been executed.
pub fn outcome_unknown(status: &Status) -> bool {
    let unclear = matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal
    );
    unclear && !surely_not_executed(status)
}

/// Decides about a failed call.
pub fn judge(call: Call, status: &Status) -> Verdict {
    let overloaded = kind(status) == Some(Error::TooManyRequests);
    // a learner says so: another member may answer
    let learns = kind(status) == Some(Error::NotSupportedForLearner);
    let unavailable = status.code() == Code::Unavailable || learns;
    if !unavailable && !overloaded {
        let ours = matches!(status.code(), Code::DeadlineExceeded | Code::Unknown | Code::Internal);
        return if ours && kind(status).is_none() { Verdict::GiveAndMove } else { Verdict::Give };
    }
    let again = match call {
        Call::Read => true,
        Call::Write if bug!("T07") => true,
        Call::Write => surely_not_executed(status),
    };
    match (again, overloaded) {
        (true, true) => Verdict::RetryLater,
        (true, false) => Verdict::RetryElsewhere,
        (false, _) => Verdict::GiveAndMove,
    }
}

/// The longest pause before the n-th retry (from 0): it doubles from `least` up to `most`.
pub fn back_off(attempt: u32, least: Duration, most: Duration) -> Duration {
    least.saturating_mul(1 << attempt.min(16)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error;

    #[test]
    fn a_read_is_sent_again_whenever_the_store_was_not_available() {
        for status in
            [error::no_leader(), error::timeout(), error::leader_changed(), connection_lost("reset")]
        {
            assert_eq!(judge(Call::Read, &status), Verdict::RetryElsewhere, "{status}");
        }
    }

    #[test]
    fn a_write_is_sent_again_only_when_it_surely_was_not_executed() {
        for status in [error::no_leader(), error::not_supported_for_learner(), not_sent("refused")] {
            assert_eq!(judge(Call::Write, &status), Verdict::RetryElsewhere, "{status}");
            assert!(!outcome_unknown(&status));
        }
        for status in
            [error::timeout(), error::timeout_leader_fail(), error::stopped(), connection_lost("reset")]
        {
            assert_eq!(judge(Call::Write, &status), Verdict::GiveAndMove, "{status}");
            assert!(outcome_unknown(&status));
        }
    }

    #[test]
    fn an_overloaded_store_is_given_time() {
        assert_eq!(judge(Call::Write, &error::too_many_requests()), Verdict::RetryLater);
    }

    #[test]
    fn an_answer_is_an_answer() {
        for status in [error::compacted(), error::lease_not_found(), error::empty_key(), error::no_space()] {
            assert_eq!(judge(Call::Read, &status), Verdict::Give);
            assert_eq!(judge(Call::Write, &status), Verdict::Give);
            assert!(!outcome_unknown(&status));
        }
    }

    #[test]
    fn the_back_off_doubles_up_to_its_limit() {
        let (least, most) = (Duration::from_millis(50), Duration::from_secs(1));
        assert_eq!(back_off(0, least, most), Duration::from_millis(50));
        assert_eq!(back_off(2, least, most), Duration::from_millis(200));
        assert_eq!(back_off(60, least, most), most);
    }
}
