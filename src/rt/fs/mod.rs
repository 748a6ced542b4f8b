//! Files. What is written is durable only once `File::sync` has returned, and a name (created, renamed,
//! removed) only once its folder was synced.
//! For real: `std::fs` on threads of their own. In the tank: `world`'s disk, which forgets.

#[cfg(not(madsim))]
mod real;
#[cfg(not(madsim))]
pub use real::{
    DirLock, File, create_dir_all, exists, lock_dir, metadata_len, read, read_dir, remove, rename, sync_dir,
};

#[cfg(madsim)]
pub use sim::{DirLock, lock_dir};
#[cfg(madsim)]
pub use world::disk::{File, create_dir_all, exists, metadata_len, read, read_dir, remove, rename, sync_dir};
#[cfg(madsim)]
mod sim {
    use std::{io, path::Path};

    /// A folder that is ours while this lives.
    #[derive(Debug)]
    pub struct DirLock(());

    /// Takes a folder for this process alone; each process of the tank has a disk of its own.
    pub async fn lock_dir(_: &Path) -> io::Result<DirLock> {
        Ok(DirLock(()))
    }
}
