//! rt: to be written.
