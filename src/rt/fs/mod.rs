//! Files. What is written is durable only once `File::sync` has returned, and a name (created, renamed,
//! removed) only once its folder was synced.
//! For real: `std::fs` on threads of their own. In the tank: `world`'s disk, which forgets.

#[cfg(not(madsim))]
#[path = "real.rs"]
mod disk;
#[cfg(madsim)]
#[path = "sim.rs"]
mod disk;

pub use disk::{
    DirLock, File, create_dir_all, exists, lock_dir, metadata_len, read, read_dir, remove, rename, sync_dir,
};
