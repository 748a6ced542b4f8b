//! tank: to be written.
