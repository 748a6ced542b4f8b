//! objects: to be written.
