//! The wish of the person at the terminal.

/// Resolves when the process is asked to end: Ctrl-C or SIGTERM.
#[cfg(not(madsim))]
pub async fn shutdown() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the kernel takes a handler for SIGTERM");
    crate::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Nobody asks in the tank: processes are killed there.
#[cfg(madsim)]
pub async fn shutdown() {
    std::future::pending().await
}
