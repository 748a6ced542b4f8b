//! The log on a disk that forgets: every case of recovery, and every crash point of a workload.
#![cfg(madsim)]

mod crash;
mod model;
mod snapshots;
mod table;
mod workload;

use std::{future::Future, time::Duration};
use wal::{Error, Identity, Recovered, Snapshot, Wal, Written};
use world::{World, disk, process, timers};

pub const ME: Identity = Identity { cluster: 0xc1, member: base::MemberId(0xa) };

/// Small segments, so that cutting and releasing happen all the time.
pub fn knobs() -> base::Knobs {
    base::Knobs { wal_segment_bytes: 400, ..base::Knobs::default() }
}

pub fn dir() -> &'static std::path::Path {
    std::path::Path::new("/data/m/wal")
}

pub fn disk() -> disk::Control {
    disk::control("m").expect("the process m exists")
}

/// Opens the log, and holds the snapshot that it finds against what was written.
pub async fn open() -> Result<(Wal, Recovered), Error> {
    let (wal, found) = Wal::open(dir(), ME, &knobs()).await?;
    if let Some(snapshot) = &found.snapshot {
        let reader = wal.snapshots().open(snapshot.index).await?;
        assert!(reader.read(0, u64::MAX).await? == content(snapshot), "{snapshot:?}");
    }
    Ok((wal, found))
}

/// The data of a snapshot: its meta says what it is.
pub fn content(snapshot: &Snapshot) -> Vec<u8> {
    vec![snapshot.meta[0]; snapshot.size as usize]
}

/// A snapshot of the member's own.
pub async fn take(wal: &Wal, snapshot: &Snapshot) -> Result<Written, Error> {
    let mut writer = wal.snapshots().create(snapshot.clone()).await?;
    writer.write(&content(snapshot)).await?;
    writer.finish().await
}

/// One from the leader, in pieces; the disk is asked to hold each of them.
pub async fn install(wal: &mut Wal, snapshot: &Snapshot) -> Result<(), Error> {
    const PIECE: usize = 40_000;
    let data = content(snapshot);
    for offset in (0..data.len().max(1)).step_by(PIECE) {
        let piece = &data[offset..data.len().min(offset + PIECE)];
        wal.receive(snapshot, offset as u64, piece).await?;
        wal.sync().await?;
    }
    wal.install().await
}

/// Runs one life of the process `m` after another, each when the one before has ended; between them,
/// `between` may harm what is on the disk. Ends with the process still there, but down.
pub async fn lives<Fut>(
    world: &World,
    count: u64,
    life: impl Fn(u64) -> Fut + Send + Sync + 'static,
    mut between: impl FnMut(u64),
) where
    Fut: Future<Output = Result<(), wal::Error>> + 'static,
{
    world.create("m", [10, 0, 0, 1].into(), move || {
        let life = life(process::status("m").map_or(1, |status| status.starts));
        async move { life.await.map_err(|error| error.to_string()) }
    });
    for number in 1..=count {
        while process::status("m").expect("m exists").up {
            timers::wait(Duration::from_millis(5)).await;
        }
        between(number);
        if number < count {
            assert!(process::restart("m"));
        }
    }
}
