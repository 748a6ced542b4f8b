//! The log in both builds: on the simulated disk, and in a real folder.

use base::{Index, Knobs, MemberId, Term};
use std::path::PathBuf;
use wal::{Entry, HardState, Identity, Record, Snapshot, Wal};

const ME: Identity = Identity { cluster: 5, member: MemberId(1) };

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("wal-test-{}", std::process::id())).join("data")
}

fn entry(index: u64) -> Record {
    Record::Entry(Entry { index: Index(index), term: Term(1), data: vec![index as u8; 100] })
}

#[test]
fn what_was_synced_is_found_again() {
    rt::testing::run(1, || async {
        let knobs = Knobs { wal_segment_bytes: 500, ..Knobs::default() };
        let open = || async { Wal::open(&folder(), ME, &knobs).await };
        let (mut wal, found) = open().await.unwrap();
        assert_eq!(found, wal::Recovered::default());
        let hard = HardState { term: Term(1), vote: Some(MemberId(2)) };
        wal.append(&[Record::HardState(hard), entry(1), entry(2)]).await.unwrap();
        for index in 3..=20 {
            wal.append(&[entry(index)]).await.unwrap();
        }
        assert_eq!(wal.sync().await.unwrap().appends(), 19);
        for index in [8, 16] {
            let (index, term) = (Index(index), Term(1));
            let snapshot = Snapshot { index, term, meta: vec![1], data: vec![2; 1_000] };
            wal.snapshots().write(&snapshot).await.unwrap();
        }
        assert!(wal.release(Index(16)).await.unwrap() > 0);
        drop(wal);
        let (mut wal, found) = open().await.unwrap();
        assert_eq!((found.hard, found.snapshot.unwrap().index), (hard, Index(16)));
        let indexes: Vec<u64> = found.entries.iter().map(|entry| entry.index.0).collect();
        assert!(indexes[0] > 1 && indexes[0] <= 9 && indexes.last() == Some(&20), "{indexes:?}");
        wal.append(&[entry(21)]).await.unwrap();
        wal.sync().await.unwrap();
        drop(wal);
        let (_, found) = open().await.unwrap();
        assert_eq!(found.entries.last().unwrap().index, Index(21));
        // There is nothing to remove in the simulation.
        let _ = std::fs::remove_dir_all(folder().parent().unwrap());
    });
}
