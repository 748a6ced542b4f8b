//! How a request can fail, told apart by the one question a caller has: can it have been executed?

use std::{fmt, io};

/// A request that failed, or a body that ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Connect,
    NotSent,
    Unknown,
    Body,
    Silent,
}

impl Error {
    pub(crate) fn connect(addr: std::net::SocketAddr, error: &io::Error) -> Self {
        Self { kind: Kind::Connect, detail: format!("connecting to {addr}: {error}") }
    }
    pub(crate) fn not_sent(detail: impl fmt::Display) -> Self {
        Self { kind: Kind::NotSent, detail: format!("the request was not sent: {detail}") }
    }
    pub(crate) fn unknown(error: &hyper::Error) -> Self {
        let detail = format!("no answer, the request may have been executed: {}", Chain(error));
        Self { kind: Kind::Unknown, detail }
    }
    pub(crate) fn body(error: &hyper::Error) -> Self {
        Self { kind: Kind::Body, detail: format!("the answer broke off: {}", Chain(error)) }
    }

    /// For callers that gave up on a stream nothing came from any more.
    pub fn silent() -> Self {
        Self { kind: Kind::Silent, detail: "the stream has been silent for too long".into() }
    }

    /// The other side cannot have seen the request.
    pub fn was_not_sent(&self) -> bool {
        matches!(self.kind, Kind::Connect | Kind::NotSent)
    }

    /// No connection could be made.
    pub fn is_connect(&self) -> bool {
        self.kind == Kind::Connect
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}

/// An error with its causes.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
