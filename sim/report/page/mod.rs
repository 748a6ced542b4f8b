//! What the page draws, computed from a story: spans and steps, by lane. The page's script only draws them.
//!
//! | module | promise |
//! |---|---|
//! | `lanes` | who has a lane, in which order |
//! | `events` | every event of the record, in columns that a browser reads fast |
//! | `spans` | who was up, who led, what was harmed, from when to when |
//! | `work` | what clients did, and which of it is evidence |
//! | `objects` | pods of nodes, rollouts of deployments, revisions of the store, caches that lag |

mod events;
mod lanes;
mod objects;
mod spans;
#[cfg(test)]
mod tests;
mod work;

use crate::history::Nanos;
use crate::story::{Story, place};
use lanes::Lanes;
use serde::Serialize;

/// One run as the page's script reads it. Times are simulated nanoseconds; lanes are positions in `lanes`.
#[derive(Serialize)]
pub struct Run {
    pub title: String,
    pub end: Nanos,
    /// When all harm ended; None if the run was over before.
    pub healed: Option<Nanos>,
    pub lanes: Vec<lanes::Lane>,
    pub events: events::Columns,
    pub fates: Vec<spans::Fate>,
    pub reigns: Vec<spans::Reign>,
    pub terms: Vec<spans::Term>,
    pub harms: Vec<spans::Harm>,
    pub operations: Vec<work::Work>,
    pub pods: Vec<objects::Pod>,
    pub populations: Vec<objects::Population>,
    pub rollouts: Vec<objects::Rollout>,
    pub scalings: Vec<objects::Scaling>,
    pub writes: Vec<objects::Written>,
    pub lags: Vec<objects::Lag>,
    pub places: Vec<place::Place>,
}

impl Run {
    pub fn of(story: &Story, title: &str) -> Self {
        let lanes = Lanes::of(story);
        let pods = objects::pods(story, &lanes);
        let (rollouts, scalings) = objects::rollouts(story, &lanes);
        let healed = story.plan.heal * 1_000;
        Run {
            title: title.to_string(),
            end: story.end(),
            healed: (healed <= story.end()).then_some(healed),
            events: events::columns(story, &lanes),
            fates: spans::fates(story, &lanes),
            reigns: spans::reigns(story, &lanes),
            terms: spans::terms(story, &lanes),
            harms: spans::harms(story, &lanes),
            operations: work::operations(story, &lanes),
            populations: objects::populations(&pods),
            pods,
            rollouts,
            scalings,
            writes: objects::writes(story),
            lags: objects::lags(story, &lanes),
            places: place::places(story),
            lanes: lanes.all,
        }
    }
}
