//! What madsim lacks: disks that forget, clocks that lie, power cuts, and a record of all of it.
#![cfg(madsim)]

pub mod clock;
pub mod disk;
pub mod disk_harm;
mod disk_store;
pub mod process;
pub mod record;
pub mod timers;
