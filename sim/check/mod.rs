//! The promises, one file a group. A check reads what was written down and never calls the product; each has a
//! test with a right history it must accept and a planted violation it must flag.
//!
//! | module | promises |
//! |---|---|
//! | `raft` | looked at after every step |
//! | `linear` | linearizability of the store |
//! | `watch` | ordered, unique, atomic, reliable, resumable, bookmarked, filtered, previous values |
//! | `lock` | a lock has one holder |
//! | `users` | users do what they may, no more and no less; what frees space is let through |
//! | `lease` | not before its time, not never |
//! | `objects` | what the store's history says of pods, nodes, deployments, owners and finalizers |
//! | `inventory` | none: all objects at a moment, and how they are looked up |
//! | `rollout` | surge and unavailability of deployments |
//! | `job` | each pod counted once, no index again, no more pods than may run |
//! | `fence` | no write by one that lost its lock |
//! | `eviction` | no mass eviction |
//! | `apiwatch` | the API server's watches against the store's history |
//! | `sample` | none: right histories, for tests and for the bench |
//! | `outcome` | caches equal the store, settled, quiet, as expected, as without harm |

pub mod apiwatch;
pub mod eviction;
pub mod fence;
pub mod inventory;
pub mod job;
pub mod lease;
pub mod linear;
pub mod lock;
#[cfg(test)]
mod object_tests;
pub mod objects;
pub mod outcome;
pub mod promises;
pub mod raft;
pub mod rollout;
pub mod sample;
#[cfg(test)]
mod tests;
pub mod users;
pub mod watch;

pub use promises::{PROMISES, Promise, promise};
use serde::{Deserialize, Serialize};

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// With what was looked at.
    Held(String),
    /// With the smallest evidence there is.
    Broken(Vec<String>),
    /// It cannot decide, which counts as a failure.
    Undecided(String),
    /// There was nothing to look at.
    Idle,
}

impl Verdict {
    pub fn failed(&self) -> bool {
        matches!(self, Verdict::Broken(_) | Verdict::Undecided(_))
    }

    /// What a failure has to show for itself, in lines.
    pub fn evidence(&self) -> Vec<String> {
        match self {
            Verdict::Broken(lines) => lines.clone(),
            Verdict::Undecided(why) => vec![format!("undecided, which counts as a failure: {why}")],
            Verdict::Held(_) | Verdict::Idle => vec![],
        }
    }
}

/// A promise with its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub promise: String,
    pub verdict: Verdict,
}
