//! A run: boot -> load and harm -> heal -> settle -> check.
//!
//! | module | promise |
//! |---|---|
//! | `cluster` | the processes of a plan |
//! | `settle` | at rest, or the reason why not |
//! | `simulate` | one run, on a thread of its own |
//! | `wishes` | what of the cluster's objects is not as it is wished for |
//! | `unrest` | what stands in the way of rest |
//! | `order` | deliveries to a process in a chosen order |
//! | `judge` | what was written down, held against the promises |
//! | `finals` | what is there at the end, in short form |
//! | `watchdog` | ends a process whose simulation spins or outgrows its memory |

pub mod cluster;
pub mod finals;
pub mod judge;
pub mod order;
pub mod settle;
pub mod simulate;
pub mod unrest;
pub mod watchdog;
mod wishes;

use crate::check::{Finding, Verdict};
use crate::history::{Choice, seen::Effect};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything a run comes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub scenario: String,
    pub seed: u64,
    pub cluster: String,
    pub findings: Vec<Finding>,
    pub harms: Vec<Effect>,
    /// Lines of the scenario whose harms touched nothing.
    pub vacuous: Vec<String>,
    /// Operations done, refused, unknown.
    pub operations: (usize, usize, usize),
    pub counts: BTreeMap<String, u64>,
    pub reached: BTreeMap<String, u64>,
    pub finals: Vec<String>,
    /// Nanoseconds it took to settle; None when it did not.
    pub settled: Option<u64>,
    /// When each planned operation of a client began, in microseconds, if that was asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub starts: BTreeMap<String, Vec<u64>>,
    /// What was let through, of what waited, while somebody chose the order of deliveries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    pub digest: String,
    pub events: u64,
    pub simulated_ns: u64,
    pub wall_ms: u64,
    /// Of the whole process, so far.
    #[serde(default)]
    pub cpu_ms: u64,
}

/// The exit codes, and what a run is summed up as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sum {
    Held = 0,
    Broke = 1,
    Vacuous = 3,
}

impl Outcome {
    pub fn broken(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.verdict.failed())
    }

    pub fn sum(&self) -> Sum {
        if self.broken().next().is_some() {
            Sum::Broke
        } else if !self.vacuous.is_empty() {
            Sum::Vacuous
        } else {
            Sum::Held
        }
    }

    pub fn held(&self) -> usize {
        self.findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Held(_))).count()
    }
}
