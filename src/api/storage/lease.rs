//! Leases for objects that expire. One lease serves many objects made at about the same time, so that a storm
//! of Events is not a storm of leases.

use base::Knobs;
use etcd::pb::LeaseGrantRequest;
use rt::Mono;
use std::time::Duration;
use tonic::Status;

/// Objects on one lease at the most, as upstream.
const OBJECTS: u64 = 1_000;
/// A lease is shared for no longer than this, as upstream.
const SHARED_FOR: Duration = Duration::from_secs(60);

pub struct Pool {
    ttl: Duration,
    current: rt::sync::Mutex<Option<Current>>,
}

struct Current {
    id: i64,
    granted: Mono,
    objects: u64,
}

impl Pool {
    pub fn new(knobs: &Knobs) -> Self {
        Pool { ttl: base::knobs::ms(knobs.event_ttl_ms), current: rt::sync::Mutex::new(None) }
    }

    /// A lease that lives at least the full time from now on.
    pub async fn lease(&self, etcd: &etcd::Client) -> Result<i64, Status> {
        let shared_for = SHARED_FOR.min(self.ttl / 20);
        let mut current = self.current.lock().await;
        if let Some(lease) = current.as_mut()
            && lease.objects < OBJECTS
            && lease.granted.elapsed() < shared_for
        {
            lease.objects += 1;
            return Ok(lease.id);
        }
        let ttl = (self.ttl + shared_for).as_secs().max(1);
        let granted = rt::now();
        let request = LeaseGrantRequest { ttl: i64::try_from(ttl).unwrap_or(i64::MAX), id: 0 };
        let id = etcd.lease_grant(request).await?.id;
        *current = Some(Current { id, granted, objects: 1 });
        Ok(id)
    }

    /// Does not hand out this lease again.
    pub async fn forget(&self, id: i64) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|lease| lease.id == id) {
            *current = None;
        }
    }
}
