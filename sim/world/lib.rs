//! What madsim lacks: a network with windows, resets and half-open connections, disks that forget, clocks that
//! lie, power cuts, and a record of all of it.
//!
//! | module | promise |
//! |---|---|
//! | `process` | processes and their machines: start, crash, power cut, pause |
//! | `net`, `link`, `wire` | machines and links: cuts, latency, loss, and who hears of a death |
//! | `tcp`, `stream` | connections as kernels hold them, and as processes see them |
//! | `datagram` | frames that may be lost, doubled, overtaken |
//! | `disk`, `disk_harm` | bytes that are durable only after a sync |
//! | `disk_damage` | bytes that are not what was written, all of them known |
//! | `cpu` | steps of a process that take time |
//! | `memory` | what a process holds, and how much it may |
//! | `clock`, `timers` | every process's own clocks, and waiting by them |
//! | `order` | what a process is told, in an order of somebody's choice |
//! | `record` | the digest of everything that happened |
#![cfg(madsim)]

pub mod clock;
pub mod cpu;
pub mod datagram;
pub mod disk;
mod disk_damage;
pub mod disk_harm;
mod disk_store;
pub mod link;
pub mod memory;
pub mod net;
pub mod order;
pub mod process;
pub mod record;
pub mod stream;
pub mod tcp;
pub mod timers;
mod wire;

pub use datagram::DatagramSocket;
pub use link::{Counters, Profile};
pub use net::{Held, Net, net};
pub use process::{Death, Status};
pub use record::set_note_sink;
pub use stream::{TcpListener, TcpStream};

use madsim::{
    runtime::{Handle, Runtime},
    task::NodeId,
};
use std::{future::Future, net::IpAddr};

/// A world of its own on this thread, which it needs for itself: one thread, one world.
pub struct World {
    handle: Handle,
}

impl World {
    /// Makes an empty world in a runtime that has not run yet.
    pub fn install(runtime: &Runtime, seed: u64) -> World {
        process::install(runtime, seed);
        net::install(runtime);
        World { handle: runtime.handle().clone() }
    }

    /// Runs a simulation to its end, on a thread of its own: a world made from the seed, and in it what `main`
    /// does with it.
    pub fn run<T, F>(seed: u64, main: impl FnOnce(World) -> F + Send + 'static) -> T
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let simulate = move || {
            let runtime = Runtime::with_seed_and_config(seed, Default::default());
            let world = World::install(&runtime, seed);
            runtime.block_on(async move { main(world).await })
        };
        #[allow(clippy::disallowed_methods)] // the thread of the simulation
        let thread = std::thread::spawn(simulate);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Makes a process and starts it; `main` runs anew after each restart.
    pub fn create<F, Fut>(&self, name: &str, ip: IpAddr, main: F) -> NodeId
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + 'static,
    {
        process::create(&self.handle, name, ip, main)
    }

    /// Ends a process, or takes the power from its machine.
    pub fn kill(&self, name: &str, death: Death) -> bool {
        process::kill(name, death)
    }

    /// Starts a process that is down.
    pub fn restart(&self, name: &str) -> bool {
        process::restart(name)
    }

    pub fn pause(&self, name: &str) -> bool {
        process::pause(name)
    }

    pub fn resume(&self, name: &str) -> bool {
        process::resume(name)
    }

    pub fn net(&self) -> Net {
        net()
    }
}
