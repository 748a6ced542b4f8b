//! Machines: what their processes, clocks, disks and the record promise. One thread for each simulation.
#![cfg(madsim)]

mod clock;
mod cpu;
mod disk;
mod disk_harm;
mod memory;
mod process;
mod record;

use std::{future::Future, net::IpAddr, time::Duration};
use world::{World, process as processes};

/// Runs a supervisor in a fresh world.
pub fn run<T, F>(seed: u64, supervise: impl FnOnce() -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    #[allow(clippy::disallowed_methods)] // the thread of the simulation
    World::run(seed, |_| supervise())
}

/// Starts a process.
pub fn start<Fut>(name: &str, main: impl Fn() -> Fut + Send + Sync + 'static)
where
    Fut: Future<Output = ()> + 'static,
{
    let ip = IpAddr::from([10, 0, 0, processes::names().len() as u8 + 1]);
    let handle = madsim::runtime::Handle::current();
    processes::create(&handle, name, ip, move || {
        let main = main();
        async move {
            main.await;
            Ok(())
        }
    });
}

/// Lets simulated time pass.
pub async fn pass(millis: u64) {
    world::timers::wait(Duration::from_millis(millis)).await;
}
