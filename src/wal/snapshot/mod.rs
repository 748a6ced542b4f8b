//! Snapshot files: `<index>.snap`, each whole or not there at all, written and read piece by piece.
//! Promise: the newest two are kept, so that one that cannot be read has another behind it, and those that are being
//! sent; what is read of one is what was written, or an error that names the byte.
//!
//! | module | promise |
//! |---|---|
//! | `format` | what stands in a file, and where |
//! | `writer` | a file aside, named when it is whole and on the disk |
//! | `reader` | any part of a file, checked |
//! | `first` | a file of the format of before is written anew in this one |

mod first;
mod format;
mod reader;
mod writer;

pub(crate) use format::encode;
pub use reader::Reader;
pub use writer::Writer;

use crate::{
    Error, Identity, Snapshot,
    files::{self, SNAPSHOT, number, snapshot_path},
};
use base::{Index, bug};
use rt::fs;
use std::{
    collections::BTreeSet,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

const KEPT: usize = 2;

/// The snapshots in a folder; a handle that may be used beside the log.
#[derive(Clone, Debug)]
pub struct Snapshots {
    dir: Arc<Path>,
    identity: Identity,
    in_use: Arc<Mutex<BTreeSet<Index>>>,
}

/// A snapshot that is on the disk; only a finished write makes one.
#[derive(Debug)]
pub struct Written {
    index: Index,
}

impl Written {
    pub fn index(&self) -> Index {
        self.index
    }
}

impl Snapshots {
    pub(crate) fn new(dir: &Path, identity: Identity) -> Self {
        Self { dir: dir.into(), identity, in_use: Arc::default() }
    }

    /// Begins to write a snapshot. Whoever looks finds all of it, once it is finished, or none.
    pub async fn create(&self, snapshot: Snapshot) -> Result<Writer, Error> {
        let aside = files::aside(&snapshot_path(&self.dir, snapshot.index));
        Writer::create(self.clone(), snapshot, aside).await
    }

    /// The same for one that comes from elsewhere: there is one at a time.
    pub(crate) async fn receive(&self, snapshot: Snapshot) -> Result<Writer, Error> {
        let aside = files::aside(&self.dir.join(format!("received.{SNAPSHOT}")));
        Writer::create(self.clone(), snapshot, aside).await
    }

    /// Opens one for reading. One of the format of before is written anew first.
    pub async fn open(&self, index: Index) -> Result<Reader, Error> {
        let path = snapshot_path(&self.dir, index);
        if first::is_one(&path).await? {
            first::rewrite(self, &path, index).await?;
        }
        Reader::open(path, self.identity, index).await
    }

    /// Those that are being sent: they stay, besides the newest.
    pub fn keep(&self, in_use: BTreeSet<Index>) {
        *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) = in_use;
    }

    /// Puts one aside that turned out damaged: it is no longer one of the newest two.
    pub async fn put_aside(&self, index: Index) -> Result<(), Error> {
        let path = snapshot_path(&self.dir, index);
        files::put_aside(&path).await?;
        files::sync_dir(&self.dir).await
    }

    async fn remove_old(&self) -> Result<(), Error> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if bug!("S09") {
            in_use.clear(); // etcd-io/etcd#18055: whoever still reads one finds it gone
        }
        for index in self.list().await?.iter().rev().skip(KEPT).filter(|index| !in_use.contains(index)) {
            let old = snapshot_path(&self.dir, *index);
            match fs::remove(&old).await {
                // Two writers may both see it as old.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("cannot remove", old)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The indexes of all snapshots, in order.
    pub(crate) async fn list(&self) -> Result<Vec<Index>, Error> {
        let names = fs::read_dir(&self.dir).await.map_err(Error::io("cannot list", &*self.dir))?;
        Ok(names.iter().filter_map(|name| number(name, SNAPSHOT)).map(Index).collect())
    }

    /// The last index that nothing needs the log for: the newest snapshot may turn out unreadable, and then
    /// the one before it needs all that follows.
    pub(crate) async fn covered(&self) -> Result<Index, Error> {
        Ok(self.list().await?.iter().rev().nth(KEPT - 1).copied().unwrap_or_default())
    }
}
