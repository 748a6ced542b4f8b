//! Hashes that a member took at compactions: of all that it had up to the revision that was compacted, before the history
//! went. Promise: a hash at a revision is the same before and after the compaction of it, while it is one of the last ten
//! that were taken. They are taken one at a time: what is compacted meanwhile has none.
//!
//! They are taken of a copy, so that nobody waits for them but who asks for one that is under way. Source: etcd,
//! server/storage/mvcc/hash.go.

use crate::{
    handle::Handle,
    meters::{HashTimes, Meters},
};
use base::{bug, reached};
use rt::sync::Signal;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use store::{Command, Error, HashAt, Store};

/// So many are remembered (etcd: hashStorageMaxSize).
const KEPT: usize = 10;

#[derive(Clone, Default)]
pub struct Hashes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    taken: Mutex<Taken>,
    /// Set after each.
    changed: Signal,
}

#[derive(Default)]
struct Taken {
    /// By the revision that was compacted.
    known: BTreeMap<i64, HashAt>,
    under_way: Option<i64>,
}

impl Hashes {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().expect("no holder of the lock panics")
    }

    /// Takes one of the state as it was before a compaction: not while another is under way, as each keeps the history
    /// that is to go.
    fn take(&self, before: Store, revision: i64) {
        {
            let mut taken = self.taken();
            if taken.under_way.is_some() {
                return;
            }
            taken.under_way = Some(revision);
        }
        let hashes = self.clone();
        rt::in_background(move || {
            let hash = before.hash_at(revision);
            drop(before);
            hashes.took(revision, hash.ok());
        });
    }

    fn took(&self, revision: i64, hash: Option<HashAt>) {
        {
            let mut taken = self.taken();
            // by now the state may be another one
            let wanted = taken.under_way.take_if(|under_way| *under_way == revision).is_some();
            let hash = hash.filter(|_| wanted);
            taken.known.extend(hash.map(|hash| (revision, hash)));
            if taken.known.len() > KEPT {
                reached!("member: the oldest hash of a compaction was forgotten");
                taken.known.pop_first();
            }
        }
        self.0.changed.set();
    }

    /// The one of a compaction of this revision, if it is remembered.
    pub async fn of(&self, revision: i64) -> Option<HashAt> {
        loop {
            let seen = self.0.changed.version();
            {
                let taken = self.taken();
                if taken.under_way != Some(revision) {
                    return taken.known.get(&revision).copied();
                }
            }
            self.0.changed.changed(seen).await;
        }
    }

    pub fn newest_first(&self) -> Vec<HashAt> {
        self.taken().known.values().rev().copied().collect()
    }

    /// The state is another one, of which nothing is remembered.
    pub fn forget(&self) {
        *self.taken() = Taken::default();
    }
}

/// The state before a command, and the revision that the command compacts.
pub struct Before(i64, Store);

impl Before {
    pub fn of(command: &Command, store: &Store) -> Option<Self> {
        match command {
            Command::Compact { revision } | Command::AutoCompact { revision } => {
                Some(Self(*revision, store.clone()))
            }
            _ => None,
        }
    }

    /// It was compacted.
    pub fn done(self, hashes: &Hashes) {
        let Self(revision, before) = self;
        hashes.take(before, revision);
    }
}

/// Among which hashes one is counted.
pub type Kind = fn(&mut Meters) -> &mut HashTimes;

impl Handle {
    /// The hash of what was kept up to a revision; 0 is the current one. That of a revision that was compacted is of what
    /// there was before, while it is remembered. Made of a copy, so that nobody waits for it, and counted among its kind.
    pub async fn hash_at(&self, revision: i64, kind: Kind) -> Result<HashAt, Error> {
        if let Some(hash) = self.hashes().of(revision).await.filter(|_| !bug!("HASHED")) {
            reached!("member: a hash that was taken at a compaction was asked for");
            return Ok(hash);
        }
        self.hash_kept(revision, kind).await
    }

    /// The hash of what is kept now.
    pub async fn hash_kept(&self, revision: i64, kind: Kind) -> Result<HashAt, Error> {
        let (store, began) = (self.store(), rt::now());
        let hash = rt::heavy(move || store.hash_at(revision)).await?;
        kind(&mut self.meters()).add(began.elapsed());
        Ok(hash)
    }
}
