//! The only door to the runtime: tasks, time, randomness, network, HTTP, gRPC, files and signals.
//! All code above compiles unchanged in both builds: on tokio for real, and on madsim and `world` in the tank.
//!
//! | module | promise |
//! |---|---|
//! | `task` | `spawn`, computing what takes long, and running a whole program |
//! | `time` | the process's two clocks, and waiting by the monotonic one |
//! | `random` | the process's own random stream, and its boot id |
//! | `sync` | channels and locks that wake in a fixed order, and `Signal` |
//! | `net` | TCP, and `Peers`: datagrams between members |
//! | `tls` | the same, secured; for real only |
//! | `http`, `grpc` | the real wire formats over `net` |
//! | `fs` | files whose bytes are durable only after a sync |
//! | `memory` | what the process holds, by part |
//! | `note` | facts for whoever watches |
//! | `complaints` | what goes wrong again and again, said once in a while; for real only |
//! | `command` | the line that started the process |
//! | `shutdown` | the wish of the person at the terminal |
//! | `testing` | a seeded run of one future, for the tests of the crates above |

mod command;
#[cfg(not(madsim))]
mod complaints;
pub mod fs;
pub mod grpc;
pub mod http;
pub mod memory;
pub mod net;
mod note;
mod random;
mod shutdown;
pub mod sync;
mod task;
pub mod testing;
mod time;
pub mod tls;

pub use command::command_line;
pub use note::{aside, delivery, note};
pub use random::{boot_id, machine_id, random_bytes, random_range, random_u64};
pub use shutdown::shutdown;
pub use task::{AbortHandle, JoinError, JoinHandle, heavy, in_background, run, spawn, yield_now};
pub use time::{
    Elapsed, Interval, Mono, Sleep, Timeout, Wall, interval, now, sleep, sleep_until, timeout, wall,
};

#[doc(hidden)]
pub use tokio as __tokio;

/// Waits for the first of several futures; always looks at them in the order they are written.
/// The unbiased form draws from a generator no seed reaches.
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => {
        $crate::__tokio::select! { biased; $($arms)* }
    };
}
