//! raft: to be written.
