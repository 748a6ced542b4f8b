//! The tank: it runs the whole control plane in one deterministic simulation, harms it as a scenario says, and
//! judges what came of it.
//!
//! | module | promise |
//! |---|---|
//! | `scenario` | what a file says, and what is wrong with it |
//! | `plan` | every load and harm, drawn and timed before the run |
//! | `history` | what clients asked and were told |
//! | `model` | what the store should be |
//! | `check` | the promises |

pub mod check;
pub mod history;
pub mod model;
pub mod plan;
pub mod scenario;
