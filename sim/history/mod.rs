//! What clients asked and were told, with simulated times. A check reads this and nothing of the product.

pub mod ambush;
pub mod damage;
pub mod seen;
mod text;
pub mod trap;
pub mod work;

use serde::{Deserialize, Serialize};
use std::fmt;
pub use text::Text;

/// Simulated nanoseconds since the start of the run.
pub type Nanos = u64;

/// A key with its value, as the store told it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kv {
    pub key: Text,
    pub value: Text,
    pub create: i64,
    pub modified: i64,
    pub version: i64,
    pub lease: i64,
}

/// The keys from `from` up to, without, `to`. `to` may be empty: one key; or `"\0"`: all that follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub from: String,
    pub to: String,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (&self.from, &self.to);
        match to.as_str() {
            "" => write!(f, "{from}"),
            "\0" if from == "\0" => f.write_str("all keys"),
            "\0" => write!(f, "keys from {from} on"),
            _ if *self == Span::prefix(from) => write!(f, "keys below {from}"),
            _ => write!(f, "keys from {from} to {to}"),
        }
    }
}

impl Span {
    pub fn one(key: impl Into<String>) -> Self {
        Span { from: key.into(), to: String::new() }
    }

    pub fn all() -> Self {
        Span { from: "\0".into(), to: "\0".into() }
    }

    /// Every key that begins with `prefix`, which must not be empty.
    pub fn prefix(prefix: &str) -> Self {
        let mut to = prefix.as_bytes().to_vec();
        if let Some(last) = to.last_mut() {
            *last += 1;
        }
        Span { from: prefix.into(), to: String::from_utf8(to).unwrap_or_else(|_| "\0".into()) }
    }

    pub fn holds(&self, key: &str) -> bool {
        match self.to.as_str() {
            "" => key == self.from,
            "\0" => key >= self.from.as_str(),
            to => key >= self.from.as_str() && key < to,
        }
    }

    pub fn is_all(&self) -> bool {
        self.to == "\0" && self.from == "\0"
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// `at` 0: the newest.
    Read {
        span: Span,
        at: i64,
        serializable: bool,
    },
    /// All changes or none: all if every guard holds.
    Write {
        guards: Vec<Guard>,
        changes: Vec<Change>,
    },
    Compact {
        at: i64,
    },
    Grant {
        ttl: i64,
    },
    KeepAlive {
        lease: i64,
    },
    Revoke {
        lease: i64,
    },
    /// Waits until the lock is had, as long as the lease lives.
    Lock {
        name: String,
        lease: i64,
    },
    Unlock {
        key: String,
    },
}

/// The key's mod_revision is this; 0: there is no such key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    pub key: String,
    pub modified: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    Put { key: String, value: String, lease: i64 },
    Delete { span: Span },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Done(Answer),
    /// Certainly not executed.
    Refused(String),
    /// Perhaps executed, now or later.
    Unknown(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// header.revision
    pub revision: i64,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    Kvs(Vec<Kv>),
    /// `deleted`: one number for each deletion among the changes.
    Wrote {
        succeeded: bool,
        deleted: Vec<i64>,
    },
    /// `ttl` in seconds; 0: there is no such lease.
    Lease {
        lease: i64,
        ttl: i64,
    },
    /// The key that stands for a lock as long as it is had.
    Lock {
        key: String,
    },
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub client: String,
    pub call: Nanos,
    /// `u64::MAX` if no answer ever came.
    pub ret: Nanos,
    pub request: Request,
    pub outcome: Outcome,
}

impl Operation {
    pub fn done(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Done(answer) => Some(answer),
            _ => None,
        }
    }

    /// The revision this operation made, if it is known to have made one.
    pub fn made(&self) -> Option<i64> {
        let answer = self.done()?;
        let Request::Write { changes, .. } = &self.request else { return None };
        let Body::Wrote { succeeded: true, deleted } = &answer.body else { return None };
        let puts = changes.iter().any(|change| matches!(change, Change::Put { .. }));
        (puts || deleted.iter().any(|n| *n > 0)).then_some(answer.revision)
    }

    pub fn is_write(&self) -> bool {
        matches!(self.request, Request::Write { .. })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub delete: bool,
    /// Of a deletion: the key, and the revision that deleted it as `modified`.
    pub kv: Kv,
    pub prev: Option<Kv>,
}

/// One delivery to somebody who is told one thing at a time: the kinds that waited, and the one that was let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub of: Vec<String>,
    pub took: String,
}

/// One watch from its creation to its end. A client that resumes begins another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    pub client: String,
    pub span: Span,
    /// As asked for; 0: from now on.
    pub start: i64,
    pub prev_kv: bool,
    pub no_put: bool,
    pub no_delete: bool,
    pub opened: Nanos,
    pub frames: Vec<Frame>,
    pub ended: Option<String>,
}

impl Watch {
    pub fn new(client: &str, span: Span, start: i64, opened: Nanos) -> Self {
        let (client, frames) = (client.to_string(), vec![]);
        Watch {
            client,
            span,
            start,
            prev_kv: false,
            no_put: false,
            no_delete: false,
            opened,
            frames,
            ended: None,
        }
    }

    pub fn is_plain(&self) -> bool {
        !self.no_put && !self.no_delete
    }

    /// The first revision this watch owes: the start, or what follows the moment of creation.
    pub fn owes_from(&self) -> Option<i64> {
        if self.start > 0 {
            return Some(self.start);
        }
        self.frames.iter().find(|frame| frame.what == FrameKind::Created).map(|frame| frame.revision + 1)
    }

    /// Up to here nothing more can come: the last event's revision, or a progress notice's.
    pub fn complete_to(&self) -> i64 {
        let mut to = 0;
        for frame in &self.frames {
            match frame.what {
                FrameKind::Events { partial: false } => {
                    to = to.max(frame.events.last().map_or(0, |e| e.kv.modified))
                }
                FrameKind::Progress => to = to.max(frame.revision),
                _ => {}
            }
        }
        to
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    pub at: Nanos,
    /// header.revision
    pub revision: i64,
    pub what: FrameKind,
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameKind {
    Created,
    /// `partial`: more of the same revision follows (fragment).
    Events {
        partial: bool,
    },
    Progress,
    /// `compacted`: the compact revision, or 0.
    Cancelled {
        compacted: i64,
        reason: String,
    },
}

/// What a user may do with the keys of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rights {
    None,
    Read,
    ReadWrite,
}

/// Something about users that an operator wants to be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// Users are told apart, or not.
    Apart(bool),
    /// The role of a user's name allows this.
    May { user: String, rights: Rights },
    /// The user has the role of its name, or not.
    Has { user: String, role: bool },
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Apart(on) => write!(f, "users are told apart: {on}"),
            Fact::May { user, rights } => write!(f, "{user}'s role allows {rights:?}"),
            Fact::Has { user, role } => write!(f, "{user} has its role: {role}"),
        }
    }
}

/// An attempt to make it so. `done`: whether it was; none if there was no answer that says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub call: Nanos,
    pub ret: Nanos,
    pub fact: Fact,
    pub done: Option<bool>,
}

/// Everything a run wrote down.
#[derive(Default)]
pub struct History {
    pub operations: Vec<Operation>,
    pub watches: Vec<Watch>,
    /// What the product said of itself: when, which process, what.
    pub notes: Vec<(Nanos, String, base::Note)>,
    pub api_watches: Vec<ApiWatch>,
    pub lists: Vec<ApiList>,
    pub kube: Vec<KubeOperation>,
    /// What was done about users, one thing after the other.
    pub attempts: Vec<Attempt>,
}

impl History {
    /// Up to here history may be gone: the newest revision that anybody asked to be compacted, or that members did by
    /// themselves.
    pub fn compacted(&self) -> i64 {
        let asked = self.operations.iter().filter_map(|op| match op.request {
            Request::Compact { at } => Some(at),
            _ => None,
        });
        let by_itself = self.notes.iter().filter_map(|(_, _, note)| match note {
            base::Note::Compacted { revision, .. } => Some(revision.0),
            _ => None,
        });
        asked.chain(by_itself).max().unwrap_or(0)
    }

    /// Every change of the store, and when the observer saw it.
    pub fn observed(&self) -> impl Iterator<Item = (Nanos, &Event)> {
        let frames =
            self.watches.iter().filter(|watch| watch.client == "observer").flat_map(|watch| &watch.frames);
        frames.flat_map(|frame| frame.events.iter().map(move |event| (frame.at, event)))
    }
}

/// A list and the watch that follows it, at one API server.
#[derive(Clone, Debug, Default)]
pub struct ApiWatch {
    pub client: String,
    pub resource: String,
    /// The resourceVersion it began behind: a list's, or the last one seen.
    pub listed_at: i64,
    pub events: Vec<ApiEvent>,
    pub ended: Option<String>,
}

/// A consistent list, as one reader was answered it.
#[derive(Clone, Debug)]
pub struct ApiList {
    pub client: String,
    pub resource: String,
    pub call: Nanos,
    pub ret: Nanos,
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiEvent {
    pub at: Nanos,
    /// ADDED, MODIFIED, DELETED, BOOKMARK
    pub kind: &'static str,
    /// namespace/name
    pub key: String,
    pub version: i64,
}

/// What a client of the API server did, for the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubeOperation {
    pub client: String,
    pub call: Nanos,
    pub ret: Nanos,
    pub what: String,
    pub outcome: Result<(), String>,
}

/// Operations by outcome: done, refused, unknown.
pub fn outcomes(operations: &[Operation]) -> (usize, usize, usize) {
    operations.iter().fold((0, 0, 0), |(done, refused, unknown), operation| match operation.outcome {
        Outcome::Done(_) => (done + 1, refused, unknown),
        Outcome::Refused(_) => (done, refused + 1, unknown),
        Outcome::Unknown(_) => (done, refused, unknown + 1),
    })
}

/// Keys of the key-value load begin with this; all else in the store belongs to API servers.
pub const LOAD: &str = "load/";

/// Locks of the load have names that begin with this.
pub const LOCKS: &str = "locks/";

pub fn seconds(at: Nanos) -> String {
    if at == u64::MAX { "never".into() } else { format!("{:.3} s", at as f64 / 1e9) }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Request::Read { span, at, serializable } => {
                let what = if span.to.is_empty() { "get" } else { "list" };
                let kind = if *serializable { " (serializable)" } else { "" };
                let old = if *at > 0 { format!(" at revision {at}") } else { String::new() };
                write!(f, "{what} {}{old}{kind}", span.from.escape_default())
            }
            Request::Write { guards, changes } => {
                for guard in guards {
                    write!(f, "if mod({}) = {} ", guard.key, guard.modified)?;
                }
                let said: Vec<String> = changes.iter().map(Change::to_string).collect();
                f.write_str(&said.join(" and "))
            }
            Request::Compact { at } => write!(f, "compact at {at}"),
            Request::Grant { ttl } => write!(f, "grant a lease of {ttl} s"),
            Request::KeepAlive { lease } => write!(f, "keep lease {lease:x} alive"),
            Request::Revoke { lease } => write!(f, "revoke lease {lease:x}"),
            Request::Lock { name, lease } => write!(f, "lock {name} on lease {lease:x}"),
            Request::Unlock { key } => write!(f, "unlock {key}"),
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::Put { key, value, lease: 0 } => write!(f, "put {key} = {value}"),
            Change::Put { key, value, lease } => write!(f, "put {key} = {value} on lease {lease:x}"),
            Change::Delete { span } => write!(f, "delete {}", span.from),
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}, called at {}, ", self.client, self.request, seconds(self.call))?;
        match &self.outcome {
            Outcome::Done(answer) => {
                write!(f, "answered at {} with revision {}", seconds(self.ret), answer.revision)?;
                match &answer.body {
                    Body::Kvs(kvs) if kvs.len() == 1 => {
                        write!(f, ": {} (mod {})", kvs[0].value, kvs[0].modified)
                    }
                    Body::Kvs(kvs) => write!(f, ": {} keys", kvs.len()),
                    Body::Wrote { succeeded: false, .. } => f.write_str(": the guard did not hold"),
                    _ => Ok(()),
                }
            }
            Outcome::Refused(why) => write!(f, "refused at {}: {why}", seconds(self.ret)),
            Outcome::Unknown(why) => write!(f, "no answer: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_span_holds_is_said_in_words() {
        let between = Span { from: "a".into(), to: "m".into() };
        let on = Span { from: "a".into(), to: "\0".into() };
        let said = [Span::all(), Span::one("load/1"), Span::prefix("load/"), between, on]
            .map(|span| span.to_string());
        assert_eq!(said, ["all keys", "load/1", "keys below load/", "keys from a to m", "keys from a on"]);
    }
}
