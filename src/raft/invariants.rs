//! Raft's promises over a whole cluster, checked step by step.
