//! member: to be written.
