//! The replicated state machine: etcd's multi-version key-value store with leases, as a pure machine.
//!
//! [`Store::apply`] takes a [`Command`] and gives back what happened; the answer and the new state depend on
//! nothing but the old state and the command, so that members that apply the same log are the same. The store
//! has no clock: a lease ends because a command says so.
//!
//! | module | promise |
//! |---|---|
//! | `types` | the requests, answers and events, in this crate's own words |
//! | `nested` | txns inside txns are read up to a depth |
//! | `key_range` | which keys a (key, range_end) pair names |
//! | `check` | what can be refused without looking at the state |
//! | `state` | the maps, and the one way in which a key changes |
//! | `apply` | commands |
//! | `txn` | transactions: the path is chosen and checked before anything changes |
//! | `read` | ranges, now and at a revision; history for watchers |
//! | `compact` | history before a revision goes, what a watcher may still ask for stays |
//! | `auth` | users, roles, and who may do what |
//! | `alarms`, `quota` | what is refused while a member has no space, or other data than the rest |
//! | `members` | who the members are, once that has changed |
//! | `digest` | hashes: rolling, and of the state at a revision |
//! | `snapshot` | the state as bytes and back; `anew` makes of it one that a cluster is founded with |
//!
//! All maps are persistent: `clone()` takes constant time and is a snapshot that no later write disturbs.

mod alarms;
mod anew;
mod apply;
pub mod auth;
mod check;
mod compact;
mod digest;
mod error;
mod key_range;
mod members;
mod nested;
mod quota;
mod read;
mod snapshot;
mod state;
mod txn;
mod types;

pub use alarms::{Alarm, AlarmChange, AlarmKind};
pub use auth::{Auth, AuthChange, Identity};
pub use check::check;
pub use digest::{Digest, HashAt};
pub use error::Error;
pub use key_range::KeyRange;
pub use members::{Member, Members};
pub use quota::cost;
pub use snapshot::{Decoder, Encoder, FORMAT, RestoreError};
pub use state::{Lease, Store};
pub use types::*;
