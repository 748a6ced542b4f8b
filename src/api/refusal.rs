//! Why a request was refused: a `metav1.Status`, and for a list whose revision is gone, how to go on with it.

use objects::status::Status;
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub status: Status,
    /// A token by which a list can go on although its revision is gone.
    pub continue_token: String,
}

/// Seconds until a client should try again.
const RETRY_AFTER: u64 = 1;

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal { status, continue_token: String::new() }
    }
}

impl Refusal {
    pub fn bad_request(why: &str) -> Self {
        Status::bad_request(why).into()
    }

    pub fn internal(why: &str) -> Self {
        Status::internal(why).into()
    }

    /// A watch asked for events that are no longer kept.
    pub fn too_old(asked: i64, oldest: i64) -> Self {
        Status::too_old(asked.unsigned_abs(), oldest.unsigned_abs()).into()
    }

    /// The revision asked for is not known here yet.
    pub fn too_new(asked: i64, current: i64) -> Self {
        Status::too_large_resource_version(asked.unsigned_abs(), current.unsigned_abs()).into()
    }

    pub fn timeout(why: &str) -> Self {
        Status::timeout(why, RETRY_AFTER).into()
    }

    /// Not now, but soon.
    pub fn busy(why: &str) -> Self {
        Status::too_many_requests(why, RETRY_AFTER).into()
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        let mut body = self.status.to_value();
        if !self.continue_token.is_empty() {
            body["metadata"]["continue"] = self.continue_token.clone().into();
        }
        body
    }
}
