//! The real build under real clients: kubectl and etcdctl, unchanged, against a control plane that was
//! started from nothing. A client that is not installed fails the test and says how to get it.
#![cfg(real_rt)]

mod backup;
mod certificates;
mod claims;
mod differential;
mod endurance;
mod etcdctl;
mod harness;
mod kubectl;
mod roles;
mod secure;
mod survival;
mod tokens;
