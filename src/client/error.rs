//! What can go wrong with a request, told apart by what the caller may do next.

use serde_json::Value;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The server answered with a Status (metav1).
    #[error("{message} ({reason}, {code})")]
    Status { code: u16, reason: String, message: String },
    /// The request never left: it was certainly not executed.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The request left and no answer came: it may have been executed.
    #[error("no answer: {0}")]
    Unknown(String),
    /// The answer was not what the protocol promises.
    #[error("bad answer: {0}")]
    Decode(String),
    /// The caller no longer holds the lock it writes under; nothing was sent.
    #[error("fenced: {identity} no longer holds {lock}")]
    Fenced { identity: String, lock: String },
}

impl Error {
    /// Reads a metav1.Status body; a body that is none gives its text.
    pub fn from_body(code: u16, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_string);
        Error::Status {
            code: value.get("code").and_then(Value::as_u64).map_or(code, |code| code as u16),
            reason: text("reason").unwrap_or_default(),
            message: text("message").unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
        }
    }

    pub fn code(&self) -> Option<u16> {
        match self {
            Error::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    fn reason_is(&self, wanted: &str) -> bool {
        matches!(self, Error::Status { reason, .. } if reason == wanted)
    }

    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    pub fn is_conflict(&self) -> bool {
        self.reason_is("Conflict")
    }

    pub fn is_already_exists(&self) -> bool {
        self.reason_is("AlreadyExists")
    }

    /// The resourceVersion asked for is no longer (410), so that only a fresh list helps.
    pub fn is_expired(&self) -> bool {
        self.code() == Some(410)
    }

    /// True when the request may have been executed although no answer says so.
    pub fn is_unknown_outcome(&self) -> bool {
        match self {
            Error::Unknown(_) | Error::Decode(_) => true,
            Error::Status { code, .. } => *code >= 500,
            _ => false,
        }
    }
}
