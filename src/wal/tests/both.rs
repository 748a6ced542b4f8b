//! The log in both builds: on the simulated disk, and in a real folder.

use base::{Index, Knobs, MemberId, Term};
use std::path::PathBuf;
use wal::{Entry, HardState, Identity, Record, Snapshot, Wal, forged};

/// Larger than what is written or read at once.
const DATA: &[u8] = &[2; 600_000];

const ME: Identity = Identity { cluster: 5, member: MemberId(1) };

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("wal-test-{}", std::process::id())).join("data")
}

fn entry(index: u64) -> Record {
    Record::Entry(Entry { index: Index(index), term: Term(1), data: vec![index as u8; 100] })
}

/// Reads a snapshot file of these bytes.
async fn read(snapshots: &wal::Snapshots, index: u64, bytes: &[u8]) -> Result<Vec<u8>, wal::Error> {
    let file =
        rt::fs::File::create(&forged::snapshot_path(&folder_of_snapshots(), Index(index))).await.unwrap();
    file.append(bytes).await.unwrap();
    file.sync().await.unwrap();
    snapshots.open(Index(index)).await?.read(0, u64::MAX).await
}

fn folder_of_snapshots() -> PathBuf {
    std::env::temp_dir().join(format!("wal-snapshots-{}", std::process::id()))
}

#[test]
fn no_byte_of_a_snapshot_may_change_and_none_may_lack() {
    rt::testing::run(1, || async {
        let (wal, _) = Wal::open(&folder_of_snapshots(), ME, &Knobs::default()).await.unwrap();
        let snapshots = wal.snapshots();
        let snapshot = Snapshot { index: Index(5), term: Term(3), meta: vec![1, 2], size: 100 };
        let bytes = forged::snapshot(ME, &snapshot, &[3; 100]);
        assert_eq!(read(&snapshots, 5, &bytes).await.unwrap(), [3; 100]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(read(&snapshots, 5, &changed).await.is_err(), "byte {at}");
            assert!(read(&snapshots, 5, &bytes[..at]).await.is_err(), "cut at {at}");
        }
        assert!(read(&snapshots, 5, &[&bytes[..], &[0]].concat()).await.is_err(), "longer");
        let why = read(&snapshots, 6, &bytes).await.unwrap_err().to_string();
        assert!(why.contains("expected the index of this file"), "{why}");
        let theirs = forged::snapshot(Identity { cluster: 9, ..ME }, &snapshot, &[3; 100]);
        let why = read(&snapshots, 5, &theirs).await.unwrap_err().to_string();
        assert!(why.contains("belongs to member 1 of cluster 9, expected member 1 of cluster 5"), "{why}");
        let _ = std::fs::remove_dir_all(folder_of_snapshots());
    });
}

/// Whatever is still on its way to the disk of a snapshot that was given up does not get into the one that took its place.
#[test]
fn pieces_of_a_snapshot_that_was_given_up_stay_out_of_the_next() {
    const PIECE: usize = 64 << 10;
    for round in 0..20 {
        rt::testing::run(1, move || async move {
            let dir = std::env::temp_dir().join(format!("wal-given-up-{}-{round}", std::process::id()));
            let knobs = Knobs::default();
            let (mut wal, _) = Wal::open(&dir, ME, &knobs).await.unwrap();
            let snapshot = |index, size| Snapshot { index: Index(index), term: Term(1), meta: vec![1], size };
            for number in 0..8 {
                wal.receive(&snapshot(20, 1 << 30), number * PIECE as u64, &[7; PIECE]).await.unwrap();
            }
            wal.receive(&snapshot(30, 100), 0, &[9; 100]).await.unwrap();
            wal.install().await.unwrap();
            drop(wal);
            let (_, found) = Wal::open(&dir, ME, &knobs).await.expect("what was installed is found");
            assert_eq!(found.snapshot, Some(snapshot(30, 100)));
            let _ = std::fs::remove_dir_all(&dir);
        });
    }
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
            let snapshot = Snapshot { index, term, meta: vec![1], size: DATA.len() as u64 };
            let mut writer = wal.snapshots().create(snapshot).await.unwrap();
            for piece in DATA.chunks(50_000) {
                writer.write(piece).await.unwrap();
            }
            assert_eq!(writer.finish().await.unwrap().index(), index);
        }
        assert!(wal.release(Index(16)).await.unwrap() > 0);
        drop(wal);
        let (mut wal, found) = open().await.unwrap();
        assert_eq!((found.hard, found.snapshot.unwrap().index), (hard, Index(16)));
        let reader = wal.snapshots().open(Index(16)).await.unwrap();
        for (offset, length) in
            [(0, 600_000), (0, 1), (65_535, 2), (65_536, 65_536), (599_999, 10), (600_000, 1)]
        {
            let data = reader.read(offset, length).await.unwrap();
            assert_eq!(data, DATA[offset as usize..(offset + length).min(600_000) as usize], "{offset}");
        }
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
