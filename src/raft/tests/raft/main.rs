//! Raft's tests: scripts a person can read, and random walks that hold every promise (and break one for each
//! planted bug).

mod cluster;
mod configuration;
mod script;
mod snapshots;
mod transfer;
mod walk;
