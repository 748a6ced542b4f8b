//! The watch cache: one a kind, fed by one etcd watch.

pub mod cacher;
pub mod feed;
pub mod history;
pub mod item;
pub mod snapshot;
pub mod watcher;
