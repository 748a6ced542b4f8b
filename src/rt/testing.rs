//! Runs one future of a test: in a world made from a seed, or for real.

use std::future::Future;

/// Runs the future in the tank, on a thread of its own, as the process `test` (10.0.0.1) of a fresh world.
#[cfg(madsim)]
pub fn run<T, F>(seed: u64, future: impl FnOnce() -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    use std::sync::{Arc, Mutex};
    world::World::run(seed, |world| async move {
        let (answer, result) = tokio::sync::oneshot::channel();
        let once = Arc::new(Mutex::new(Some((future, answer))));
        world.create("test", [10, 0, 0, 1].into(), move || {
            let once = once.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
            async move {
                if let Some((future, answer)) = once {
                    let _ = answer.send(future().await);
                }
                Ok(())
            }
        });
        result.await.expect("the process `test` lives until its future ends")
    })
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

/// As `run`, for a great many short futures: for real all of one runs on the caller's thread.
#[cfg(madsim)]
pub fn run_here<T, F>(seed: u64, future: impl FnOnce() -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    run(seed, future)
}

/// As `run`, for a great many short futures: all of one runs on the caller's thread.
#[cfg(not(madsim))]
pub fn run_here<T, F>(_seed: u64, future: impl FnOnce() -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the operating system gives a poller").block_on(future())
}
