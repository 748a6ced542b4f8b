//! The real build under real clients: kubectl, etcdctl and clients in Rust and Python, unchanged, against what was
//! started from nothing. A client that is not installed fails the test and says how to get it.
#![cfg(real_rt)]

mod backup;
mod certificates;
mod claims;
mod configured;
mod ctl;
mod curl;
mod differential;
mod endurance;
mod etcdctl;
mod flows;
mod growth;
mod harness;
mod kubectl;
mod large;
mod learners;
mod machines;
mod names;
mod roles;
mod secure;
mod slow;
mod stops;
mod survival;
mod tokens;
mod upgrade;
