//! Everything a run leaves behind, for who looks at it afterwards: every event of the record, what the product said
//! of itself, what clients asked and were told, every write of the store, every harm, and the verdict.
//!
//! | module | promise |
//! |---|---|
//! | `file` | a story on disk; one that was cut short is told from a whole one |
//! | `state` | what is known of each process at any event |
//! | `walk` | forward, back, and to what is looked for |
//! | `place` | where in a story a broken promise points |

pub mod file;
pub mod place;
pub mod state;
pub mod walk;

use crate::history::{self, KubeOperation, Nanos, Operation, seen::State};
use crate::plan::Plan;
use crate::run::Outcome;
use base::Note;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    pub plan: Plan,
    pub outcome: Outcome,
    /// In order; the n-th has number n.
    pub events: Vec<Happening>,
    /// By the number of their event.
    pub notes: BTreeMap<u64, Note>,
    pub operations: Vec<Operation>,
    pub wishes: Vec<KubeOperation>,
    /// Every change of the store, and when the observer saw it.
    pub writes: Vec<Write>,
}

/// One event of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    pub number: u64,
    pub at: Nanos,
    pub process: String,
    pub kind: String,
    pub detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    pub at: Nanos,
    pub event: history::Event,
}

impl Story {
    pub fn tell(plan: &Plan, outcome: &Outcome, lines: &[world::record::Line], state: &mut State) -> Self {
        let events = lines.iter().map(|line| Happening {
            number: line.number,
            at: line.at.as_nanos() as u64,
            process: line.process.to_string(),
            kind: line.kind.to_string(),
            detail: line.detail.clone(),
        });
        let writes = state.history.observed().map(|(at, event)| Write { at, event: event.clone() });
        Story {
            plan: plan.clone(),
            outcome: outcome.clone(),
            events: events.collect(),
            writes: writes.collect(),
            notes: state.all_notes.take().unwrap_or_default().into_iter().collect(),
            operations: state.history.operations.clone(),
            wishes: state.history.kube.clone(),
        }
    }

    /// When the last event happened.
    pub fn end(&self) -> Nanos {
        self.events.last().map_or(0, |event| event.at)
    }

    /// The first event at or after a time; the last one if there is none.
    pub fn event_at(&self, at: Nanos) -> usize {
        self.events.partition_point(|event| event.at < at).min(self.events.len().saturating_sub(1))
    }

    /// Every process there was, those of the cluster first, each kind in its order.
    pub fn processes(&self) -> Vec<String> {
        use crate::scenario::Role::*;
        let cluster = [Member, ApiServer, Manager, Scheduler, Node].into_iter();
        let mut names: Vec<String> = cluster
            .flat_map(|role| self.plan.cluster.processes(role))
            .map(|process| process.to_string())
            .collect();
        let clients = self.plan.kv.iter().map(|client| client.name.clone());
        let clients = clients.chain(self.plan.watchers.iter().map(|watcher| watcher.name.clone()));
        names.extend(clients.chain(self.plan.kube.iter().map(|client| client.name.clone())));
        names
    }
}

#[cfg(test)]
pub(crate) mod tests;
