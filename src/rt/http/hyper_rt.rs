//! What hyper needs of a runtime: tasks and time.

use crate::time;
use std::{
    future::Future,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// HTTP/2 connections spawn their streams through this.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exec;

impl<F> hyper::rt::Executor<F> for Exec
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        crate::spawn(future);
    }
}

/// Header time-outs and HTTP/2 keepalive wait by this: by the process's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer;

struct Wait(time::Sleep);

impl Future for Wait {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl hyper::rt::Sleep for Wait {}

/// hyper adds times up, and panics where there is no such time; a century is for ever.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Silence and patience of keepalive, as hyper takes them; no silence at all: no pings.
pub(crate) fn keepalive(silence: Duration, patience: Duration) -> (Option<Duration>, Duration) {
    let silence = Some(silence).filter(|silence| !silence.is_zero());
    (silence.map(|silence| silence.min(FOREVER)), patience.min(FOREVER))
}

/// hyper speaks in `Instant`s. They carry a reading of our clock: so long after a fixed origin.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[allow(clippy::disallowed_methods)] // only distances from it are ever used
    *ORIGIN.get_or_init(Instant::now)
}

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Wait(time::sleep(duration)))
    }
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let since = deadline.saturating_duration_since(origin());
        Box::pin(Wait(time::sleep_until(time::Mono::default() + since)))
    }
    fn now(&self) -> Instant {
        origin() + Duration::from_nanos(time::now().nanos())
    }
}
