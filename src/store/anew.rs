//! A state for a cluster that is founded with it.

use crate::Store;
use base::LAST;
use std::sync::Arc;

impl Store {
    /// Forgets the members, and the alarms that they raised.
    pub fn found_anew(&mut self) {
        self.members = Arc::default();
        self.alarms.clear();
        self.rest_bytes = crate::snapshot::rest_bytes(self);
        self.digest.bytes(b"founded anew");
    }

    /// Raises the revision, and compacts up to there: whoever knows a revision of before is told that it is gone, and
    /// never meets one again that it knows as another. Nothing if there are not so many revisions. (etcdutl's
    /// `--bump-revision` and `--mark-compacted`.)
    #[must_use]
    pub fn raise_revision(&mut self, by: i64) -> Option<()> {
        self.revision = self.revision.checked_add(by).filter(|raised| by > 0 && *raised <= LAST as i64)?;
        self.digest.number(self.revision as u64);
        self.compact(self.revision).ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Alarm, Command, Member, Members, Store};
    use base::{Index, MemberId};

    fn put(store: &mut Store, index: u64, value: &str) {
        let put =
            crate::PutRequest { key: "a".into(), value: value.to_string().into(), ..Default::default() };
        store.apply(Index(index), &Command::Put(put)).response.expect("a put");
    }

    #[test]
    fn keys_stay_and_members_go() {
        let mut store = Store::new();
        put(&mut store, 1, "1");
        let members = Members { present: [(MemberId(1), Member::default())].into(), ..Members::default() };
        store.apply(Index(2), &Command::Members(members)).response.expect("members");
        store.alarms.insert(Alarm { member: MemberId(1), kind: crate::AlarmKind::NoSpace });
        store.found_anew();
        assert!(store.members().is_empty() && store.alarms().is_empty());
        assert_eq!((store.len(), store.applied()), (1, Index(2)));
        let again = Store::restore_padded(&[store.snapshot(), vec![0; 7]].concat()).expect("a snapshot");
        assert_eq!(again.hash(), store.hash());
        assert!(Store::restore_padded(&[store.snapshot(), vec![0, 1]].concat()).is_err());
        assert!(Store::restore_padded(&store.snapshot()[..40]).is_err());
    }

    #[test]
    fn whoever_knows_a_revision_of_before_is_told_that_it_is_gone() {
        let mut store = Store::new();
        put(&mut store, 1, "1");
        put(&mut store, 2, "2");
        assert_eq!(store.raise_revision(0), None);
        assert_eq!(store.raise_revision(i64::MAX), None);
        assert_eq!(store.raise_revision(1_000), Some(()));
        assert_eq!(store.revision().0, 1_003);
        put(&mut store, 3, "3");
        assert_eq!(store.revision().0, 1_004);
        assert_eq!(store.compacted().0, 1_003);
    }
}
