//! Tasks. A task runs until it ends, is aborted, or its process dies; dropping its handle lets it run on.

use std::future::Future;

pub use tokio::task::{AbortHandle, JoinError, JoinHandle, yield_now};

/// Starts a task in this process.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[cfg(madsim)]
    let future = world::cpu::paced(future);
    tokio::spawn(future)
}

/// Computes what takes long without keeping tasks waiting.
#[cfg(not(madsim))]
pub async fn heavy<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> T {
    let computed = tokio::task::spawn_blocking(compute).await;
    computed.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))
}

/// In the tank a computation takes no time but what its process's slow CPU costs it.
#[cfg(madsim)]
pub async fn heavy<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> T {
    let computed = compute();
    yield_now().await;
    computed
}

/// The same where nobody waits for it; what it leaves behind is its own business. In the tank it is done at once.
pub fn in_background(compute: impl FnOnce() + Send + 'static) {
    #[cfg(not(madsim))]
    drop(tokio::task::spawn_blocking(compute));
    #[cfg(madsim)]
    compute();
}

/// Runs a whole program to its end.
#[cfg(not(madsim))]
pub fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("the operating system gives threads and a poller").block_on(future)
}

/// The simulator build has no world of its own to run a program in: the tank brings one.
#[cfg(madsim)]
pub fn run<F: Future>(_: F) -> F::Output {
    eprintln!("this is the simulator build, which runs inside the tank only; the real one: cargo wavetank");
    std::process::exit(2)
}
