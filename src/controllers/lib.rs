//! controllers: to be written.
