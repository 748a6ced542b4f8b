//! The process's two clocks, and waiting.
//! Promise: whoever waits, waits by the monotonic clock of its own process, and registers one timer however
//! often it is polled.

mod wall;

use std::{
    fmt,
    future::Future,
    ops::{Add, AddAssign, Sub},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

#[cfg(not(madsim))]
use real as clock;
#[cfg(madsim)]
use sim as clock;
pub use wall::Wall;

/// A reading of the process's monotonic clock: nanoseconds since some start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(u64);

impl Mono {
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }
    pub const fn nanos(self) -> u64 {
        self.0
    }
    /// How long ago `earlier` was; nothing if it lies ahead.
    pub fn saturating_sub(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
    /// Time since this reading.
    pub fn elapsed(self) -> Duration {
        now() - self
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    /// Saturates: an endless wait is a wait until the end of the clock.
    fn add(self, duration: Duration) -> Mono {
        Mono(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Mono {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Mono {
    type Output = Duration;
    fn sub(self, earlier: Mono) -> Duration {
        self.saturating_sub(earlier)
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;
    fn sub(self, duration: Duration) -> Mono {
        Mono(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The process's monotonic clock.
pub fn now() -> Mono {
    Mono(clock::mono_nanos())
}

/// The process's wall clock, which may be wrong and may jump.
pub fn wall() -> Wall {
    Wall(clock::wall_nanos())
}

/// Waits for this long by the process's monotonic clock.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now() + duration)
}

/// Waits until the process's monotonic clock shows this.
pub fn sleep_until(deadline: Mono) -> Sleep {
    Sleep { deadline, inner: clock::sleep_until(deadline.0) }
}

/// A wait; the future of [`sleep`] and [`sleep_until`].
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    deadline: Mono,
    inner: clock::Sleep,
}

impl Sleep {
    pub fn deadline(&self) -> Mono {
        self.deadline
    }

    /// Waits until another time from now on.
    pub fn reset(&mut self, deadline: Mono) {
        *self = sleep_until(deadline);
    }
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish()
    }
}

/// The time given to [`timeout`] ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

/// Gives a future this much time, and drops it afterwards. `Duration::MAX` means for ever.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { sleep: sleep(duration), future: Box::pin(future) }
}

/// The future of [`timeout`].
#[must_use = "a timeout does nothing unless it is awaited"]
pub struct Timeout<F> {
    sleep: Sleep,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut self.sleep).poll(cx).map(|()| Err(Elapsed))
    }
}

/// Ticks at a fixed distance; the first one at once. A tick that was missed is skipped, not made up for.
pub struct Interval {
    period: Duration,
    next: Sleep,
}

pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval of no length would tick for ever at one instant");
    Interval { period, next: sleep_until(now()) }
}

impl Interval {
    /// Waits for the next tick; cancel safe.
    pub async fn tick(&mut self) -> Mono {
        (&mut self.next).await;
        let due = self.next.deadline();
        let late = now() - due;
        let skipped = late.as_nanos() / self.period.as_nanos();
        let steps = u32::try_from(skipped + 1).unwrap_or(u32::MAX);
        self.next.reset(due + self.period.saturating_mul(steps));
        due
    }
}

#[cfg(not(madsim))]
mod real {
    use std::{
        future::Future,
        pin::Pin,
        sync::OnceLock,
        task::{Context, Poll},
        time::{Duration, Instant, SystemTime},
    };

    /// What `Mono` counts from. One second lies before it, so that no reading is 0.
    #[allow(clippy::disallowed_methods)] // the door itself
    fn start() -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    #[allow(clippy::disallowed_methods)] // the door itself
    pub fn mono_nanos() -> u64 {
        let start = start();
        u64::try_from(Instant::now().duration_since(start).as_nanos()).expect("less than 584 years")
            + 1_000_000_000
    }

    #[allow(clippy::disallowed_methods)] // the door itself
    pub fn wall_nanos() -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// tokio counts its timers in milliseconds and refuses ends of time; a century is for ever.
    const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

    pub struct Sleep(Pin<Box<tokio::time::Sleep>>);

    pub fn sleep_until(mono: u64) -> Sleep {
        let wait = Duration::from_nanos(mono.saturating_sub(1_000_000_000)).min(FOREVER);
        Sleep(Box::pin(tokio::time::sleep_until((start() + wait).into())))
    }

    impl Future for Sleep {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.0.as_mut().poll(cx)
        }
    }
}

#[cfg(madsim)]
mod sim {
    pub use world::{
        clock::{mono as mono_nanos, wall as wall_nanos},
        timers::{Sleep, sleep_until},
    };
}
