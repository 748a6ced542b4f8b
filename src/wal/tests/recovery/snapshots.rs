//! Snapshots in files: pieces of them, those of an older format, and those that are being sent.

use crate::table::{fill, found, nothing, overwrite, path, snapshot, two_snapshots};
use crate::{ME, content, install, open, take};
use base::Index;
use wal::{Snapshot, Wal};
use world::disk as files;

const NEWEST: &str = "0000000000000014.snap";

/// A file as the first format had it.
fn of_the_first_format(snapshot: &Snapshot) -> Vec<u8> {
    let Snapshot { index, term, meta, size } = snapshot;
    let words = [ME.cluster, ME.member.0, index.0, term.0, meta.len() as u64, *size];
    let mut body: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    body.extend(meta);
    body.extend(content(snapshot));
    let mut bytes = b"WAVESNP\n".to_vec();
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(crc32c::crc32c(&body).to_le_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn one_of_the_first_format_is_written_anew() {
    for size in [0, 100, 300_000] {
        let wanted = Snapshot { size, ..snapshot(20, 1) };
        let old = of_the_first_format(&wanted);
        let harm = move || {
            let old = old.clone();
            async move {
                overwrite(path(NEWEST), |bytes| *bytes = old).await;
                // what an earlier attempt left
                files::File::create(&path("0000000000000014.snap.tmp")).await.unwrap();
            }
        };
        let found = found(two_snapshots, harm).unwrap();
        assert_eq!((found.snapshot, found.repairs), (Some(wanted), vec![]));
    }
}

#[test]
fn a_damaged_one_of_the_first_format_gives_way_to_the_one_before() {
    let old = of_the_first_format(&snapshot(20, 1));
    for at in [13, 20, 40, 48, 90, old.len() - 1] {
        let mut old = old.clone();
        old[at] ^= 1;
        let harm = move || {
            let old = old.clone();
            overwrite(path(NEWEST), |bytes| *bytes = old)
        };
        let found = found(two_snapshots, harm).unwrap();
        assert_eq!(found.snapshot, Some(snapshot(10, 1)), "byte {at}");
    }
}

/// A disk that puts a block in another's place writes right checksums.
#[test]
fn a_block_in_the_wrong_place_is_damage() {
    const BLOCK: usize = 4 + (64 << 10);
    let write = |mut wal: Wal| async move {
        fill(&mut wal, 1, 30).await;
        take(&wal, &snapshot(10, 1)).await.unwrap();
        take(&wal, &Snapshot { size: 200_000, ..snapshot(20, 1) }).await.unwrap();
    };
    let swap = |bytes: &mut Vec<u8>| {
        let (first, second) = bytes[64 + 4..].split_at_mut(BLOCK);
        first.swap_with_slice(&mut second[..BLOCK]);
    };
    let found = found(write, move || overwrite(path(NEWEST), swap)).unwrap();
    assert_eq!(found.snapshot, Some(snapshot(10, 1)));
    assert!(found.repairs[0].contains("damaged at byte 68: the checksum of a block"), "{:?}", found.repairs);
}

#[test]
fn pieces_of_one_make_an_end_to_those_of_another() {
    let write = |mut wal: Wal| async move {
        fill(&mut wal, 1, 5).await;
        wal.receive(&snapshot(20, 2), 0, &[7; 40]).await.unwrap();
        wal.sync().await.unwrap();
        let other = Snapshot { size: 90_000, ..snapshot(30, 2) };
        install(&mut wal, &other).await.unwrap();
        wal.receive(&snapshot(40, 2), 0, &[7; 40]).await.unwrap();
        wal.sync().await.unwrap();
    };
    let found = found(write, nothing).unwrap();
    assert_eq!(found.snapshot, Some(Snapshot { size: 90_000, ..snapshot(30, 2) }));
    assert_eq!(found.repairs, ["removed received.snap.tmp, which was never finished"]);
}

#[test]
fn those_that_are_being_sent_stay() {
    let write = |mut wal: Wal| async move {
        two_snapshots(wal).await;
        (wal, _) = open().await.unwrap();
        let snapshots = wal.snapshots();
        let there = || async { files::exists(&path("000000000000000a.snap")).await.unwrap() };
        snapshots.keep([Index(10)].into());
        for index in [25, 26] {
            take(&wal, &snapshot(index, 1)).await.unwrap();
            assert!(there().await && !files::exists(&path("0000000000000015.snap")).await.unwrap());
        }
        let reader = snapshots.open(Index(10)).await.unwrap();
        assert_eq!(reader.read(90, 20).await.unwrap(), [b'm'; 10]);
        base::marks::plant(Some("S09"));
        take(&wal, &snapshot(27, 1)).await.unwrap();
        assert_eq!(there().await, !base::marks::COUNTED, "planted, it is seen");
        base::marks::plant(None);
        snapshots.keep([].into());
        take(&wal, &snapshot(28, 1)).await.unwrap();
        assert!(!there().await, "nobody needs it any more");
    };
    assert_eq!(found(write, nothing).unwrap().snapshot, Some(snapshot(28, 1)));
}
