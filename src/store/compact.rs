//! Compaction: history before a revision goes. What stays is the last version of each key up to it, and a
//! deletion at the very revision: a watcher may still start there and must see it.

use crate::{Error, Store};
use base::{bug, reached};
use bytes::Bytes;

impl Store {
    pub(crate) fn compact(&mut self, revision: i64) -> Result<(), Error> {
        if revision <= self.compacted {
            reached!("store: a compaction came when more was compacted");
            return Err(Error::Compacted { compacted: self.compacted });
        }
        if revision > self.revision {
            reached!("store: a compaction of the future was refused");
            return Err(Error::FutureRevision { current: self.revision });
        }
        self.compacted = revision;
        self.digest.number(revision as u64);
        let old: Vec<_> =
            self.log.range(..=(revision, u32::MAX)).map(|(at, key)| (*at, key.clone())).collect();
        for ((changed, sub), key) in old {
            self.drop_versions_before(&key, changed);
            let gone = self.is_deletion(&key, changed) && (changed < revision || bug!("M02"));
            reached!("store: compaction forgot a deletion", gone);
            reached!(
                "store: compaction stopped at a deletion",
                changed == revision && self.is_deletion(&key, changed)
            );
            if gone {
                self.let_go(&(key, changed));
            }
            if gone || changed < revision {
                self.log.remove(&(changed, sub));
            }
        }
        Ok(())
    }

    fn drop_versions_before(&mut self, key: &Bytes, revision: i64) {
        while let Some((at, _)) = self.versions.get_prev(&(key.clone(), revision - 1)) {
            if at.0 != *key {
                return;
            }
            let at = at.clone();
            reached!("store: compaction forgot a version that was overwritten");
            self.let_go(&at);
        }
    }

    fn is_deletion(&self, key: &Bytes, revision: i64) -> bool {
        self.versions.get(&(key.clone(), revision)).is_some_and(|version| version.body.is_none())
    }
}
