//! scheduler: to be written.
