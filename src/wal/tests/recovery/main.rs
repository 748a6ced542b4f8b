//! The log on a disk that forgets: every case of recovery, and every crash point of a workload.
#![cfg(madsim)]

mod crash;
mod model;
mod table;
mod workload;

use std::{future::Future, time::Duration};
use wal::{Identity, Wal};
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

pub async fn open() -> Result<(Wal, wal::Recovered), wal::Error> {
    Wal::open(dir(), ME, &knobs()).await
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
