//! What this process holds in memory, in bytes, by part: counted by those who hold it.
//! Promise: a gauge costs a few additions, whatever it counts. In the tank the world adds up the gauges of a process,
//! and may limit what it holds; for real a gauge only counts.

use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[cfg(not(madsim))]
pub use real::Gauge;
#[cfg(madsim)]
pub use world::memory::Gauge;

/// So many bytes of a gauge, for as long as this lives.
pub struct Held {
    gauge: Gauge,
    bytes: AtomicU64,
}

impl Held {
    pub fn new(gauge: &Gauge, bytes: u64) -> Self {
        gauge.add(bytes);
        Self { gauge: gauge.clone(), bytes: bytes.into() }
    }

    /// So many more.
    pub fn grow(&self, bytes: u64) {
        self.gauge.add(bytes);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// So many fewer; no more than there are.
    pub fn shrink(&self, bytes: u64) {
        self.gauge.sub(bytes);
        self.bytes.fetch_sub(bytes, Relaxed);
    }

    pub fn gauge(&self) -> &Gauge {
        &self.gauge
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.sub(self.bytes.load(Relaxed));
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.load(Relaxed))
    }
}

/// The same bytes, counted until the last who shares them lets them go.
pub fn counted(gauge: &Gauge, bytes: Bytes) -> Bytes {
    struct Counted {
        bytes: Bytes,
        _held: Held,
    }
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    let _held = Held::new(gauge, bytes.len() as u64);
    Bytes::from_owner(Counted { bytes, _held })
}

#[cfg(not(madsim))]
mod real {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    /// What one part of this process holds, in bytes. Clones are one gauge.
    #[derive(Clone)]
    pub struct Gauge(Arc<AtomicU64>);

    impl Gauge {
        /// A gauge at 0.
        pub fn new(_part: &'static str) -> Self {
            Self(Arc::default())
        }

        pub fn bytes(&self) -> u64 {
            self.0.load(Relaxed)
        }

        pub fn set(&self, bytes: u64) {
            self.0.store(bytes, Relaxed);
        }

        pub fn add(&self, bytes: u64) {
            self.0.fetch_add(bytes, Relaxed);
        }

        /// No more than there is may be taken away.
        pub fn sub(&self, bytes: u64) {
            self.0.fetch_sub(bytes, Relaxed);
        }
    }
}
