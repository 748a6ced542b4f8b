//! Runs one future of a test: in a world made from a seed, or for real.

use std::future::Future;

/// Runs the future in the tank, on a thread of its own, as the process `test` (10.0.0.1) of a fresh world.
#[cfg(madsim)]
pub fn run<T, F>(seed: u64, future: impl FnOnce() -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    #[allow(clippy::disallowed_methods)] // one thread for each simulation
    let thread = std::thread::spawn(move || {
        let runtime = madsim::runtime::Runtime::with_seed_and_config(seed, Default::default());
        runtime.block_on(async move { future().await })
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs the future for real; the seed has no meaning here.
#[cfg(not(madsim))]
pub fn run<T, F>(_seed: u64, future: impl FnOnce() -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    crate::run(future())
}
