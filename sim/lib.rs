//! The tank: it runs the whole control plane in one deterministic simulation, harms it as a scenario says, and
//! judges what came of it.
//!
//! | module | promise |
//! |---|---|
//! | `scenario` | what a file says, and what is wrong with it |
//! | `plan` | every load and harm, drawn and timed before the run |
//! | `workload` | clients that write down what they asked and were told |
//! | `nemesis` | harm to the world, with an account of what it did |
//! | `history` | what was written down |
//! | `model` | what the store should be |
//! | `check` | the promises |
//! | `run` | boot, load and harm, heal, settle, check |
//! | `story` | everything a run leaves behind, in order |
//! | `shrink` | a failing plan made small |
//! | `report` | verdicts for people and machines |
//! | `cli` | the command line |
#![cfg(madsim)]

pub mod check;
pub mod cli;
pub mod history;
pub mod model;
pub mod nemesis;
pub mod plan;
pub mod report;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod story;
pub mod workload;
