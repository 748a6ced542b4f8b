//! Leader election on a Lease (coordination.k8s.io/v1; client-go, tools/leaderelection), and the fence.
//!
//! Another's lease counts as expired only by the local monotonic clock, measured from when its last change
//! was *seen*: wall clocks of two machines are never compared. The holder stops when it has not renewed
//! within the renew deadline, which is shorter than the lease. The fence makes the stop real: every write of
//! a fenced client is refused from that moment, also when the process slept through it (bug museum E01).

use crate::{Client, Error};
use base::{Knobs, Note, bug, knobs::ms, reached};
use http::Method;
use objects::{Object, kinds};
use serde_json::json;
use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

const NAMESPACE: &str = "kube-system";

/// What one look at the lock leads to.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Create,
    /// It is free or expired, or ours: write our claim over it.
    Claim {
        takeover: bool,
    },
    Wait,
}

/// The lock as last seen, and when it was first seen so.
#[derive(Debug, Default)]
struct Observed {
    version: String,
    at: Duration,
}

impl Observed {
    fn look(&mut self, version: &str, now: Duration) {
        if self.version != version {
            *self = Observed { version: version.to_string(), at: now };
        }
    }
}

/// Pure: what to do about the lock as it is now.
fn decide(lock: Option<&Object>, observed: &Observed, identity: &str, now: Duration) -> Action {
    let Some(lock) = lock else { return Action::Create };
    let holder = lock.get_str(&["spec", "holderIdentity"]);
    let duration = lock.get_i64(&["spec", "leaseDurationSeconds"]).unwrap_or(0).max(0) as u64;
    if holder == identity {
        return Action::Claim { takeover: false };
    }
    if holder.is_empty() || now >= observed.at + Duration::from_secs(duration) {
        return Action::Claim { takeover: true };
    }
    Action::Wait
}

/// Says whether its holder may still write. Shared by the elector and every fenced client.
#[derive(Clone)]
pub struct Fence {
    identity: Arc<str>,
    lock: Arc<str>,
    /// Until when, by the monotonic clock, the lock is ours beyond doubt.
    until: Arc<Mutex<Option<rt::Mono>>>,
}

impl Fence {
    fn new(identity: &str, lock: &str) -> Self {
        Fence { identity: identity.into(), lock: lock.into(), until: Arc::default() }
    }

    fn set(&self, until: Option<rt::Mono>) {
        let mut held = self.until.lock().expect("no one panics while holding a fence");
        if held.is_some() != until.is_some() {
            let (identity, lock) = (self.identity.to_string(), self.lock.to_string());
            rt::note(Note::Elected { identity, lock, held: until.is_some() });
        }
        *held = until;
    }

    /// True while the lock is held beyond doubt.
    pub fn holds(&self) -> bool {
        let until = *self.until.lock().expect("no one panics while holding a fence");
        until.is_some_and(|until| bug!("E01") || rt::now() < until)
    }

    /// Lets a write pass, or says why not.
    pub(crate) fn check(&self, method: &Method, url: &str) -> Result<(), Error> {
        let (identity, lock) = (self.identity.to_string(), self.lock.to_string());
        if !self.holds() {
            reached!("elect: the fence refused a write");
            return Err(Error::Fenced { identity, lock });
        }
        rt::note(Note::FencedWrite { identity, lock, what: format!("{method} {url}") });
        Ok(())
    }
}

/// A candidate for one lock.
pub struct Elector {
    client: Client,
    lock: String,
    identity: String,
    knobs: Knobs,
    observed: Observed,
    epoch: rt::Mono,
    fence: Fence,
}

impl Elector {
    /// A candidate called `identity` for the Lease `lock` in kube-system.
    pub fn new(client: &Client, lock: &str, identity: &str) -> Self {
        Elector {
            client: client.clone(),
            lock: lock.to_string(),
            identity: identity.to_string(),
            knobs: client.knobs().clone(),
            observed: Observed::default(),
            epoch: rt::now(),
            fence: Fence::new(identity, lock),
        }
    }

    /// Waits for the lock, then runs `work` with a fenced client until the lock is lost; then waits again.
    /// `work` is dropped where it stands when the lock is lost.
    pub async fn run<F, Fut>(mut self, work: F)
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = ()>,
    {
        loop {
            self.acquire().await;
            reached!("elect: the lock was won");
            let fenced = self.client.fenced(self.fence.clone());
            rt::select! {
                () = self.hold() => {}
                () = work(fenced) => {}
            }
            reached!("elect: the lock was lost");
            self.fence.set(None);
        }
    }

    async fn acquire(&mut self) {
        while self.attempt().await.is_err() {
            let retry = self.knobs.elect_retry_ms;
            rt::sleep(ms(retry + rt::random_range(0..retry / 5 + 1))).await; // upstream's jitter factor is 1.2
        }
    }

    /// Renews until the renew deadline passes without success.
    async fn hold(&mut self) {
        let mut renewed = rt::now();
        loop {
            rt::sleep(ms(self.knobs.elect_retry_ms)).await;
            let deadline = renewed + ms(self.knobs.elect_renew_ms);
            let left = deadline - rt::now();
            match rt::timeout(left, self.attempt()).await {
                Ok(Ok(())) => renewed = rt::now(),
                Ok(Err(Lost::Taken)) if !bug!("E01") => {
                    return reached!("elect: another has the lock already");
                }
                Ok(Err(_)) | Err(_) => {}
            }
            if rt::now() >= deadline && !bug!("E01") {
                return reached!("elect: the lock could not be renewed in time");
            }
        }
    }

    /// Looks at the lock and claims or renews it if that is possible. The lease runs from before the request: an
    /// answer that comes after its time is no claim. (client-go takes it for one: it then leads, and has no fence.)
    async fn attempt(&mut self) -> Result<(), Lost> {
        let asked = rt::now();
        let lock = match self.client.get(&kinds::lease::KIND, Some(NAMESPACE), &self.lock).await {
            Ok(lock) => Some(lock),
            Err(error) if error.is_not_found() => None,
            Err(_) => {
                reached!("elect: nobody can be asked who has the lock");
                return Err(Lost::Unreachable);
            }
        };
        let now = rt::now() - self.epoch;
        if let Some(lock) = &lock {
            self.observed.look(lock.resource_version(), now);
        }
        let written = match decide(lock.as_ref(), &self.observed, &self.identity, now) {
            Action::Create => {
                reached!("elect: the lock is there for the first time");
                self.client.create(&kinds::lease::KIND, &self.claim(None, true)).await
            }
            Action::Claim { takeover } => {
                reached!("elect: the lock of one that fell silent is claimed", takeover);
                self.client.update(&kinds::lease::KIND, &self.claim(lock.as_ref(), takeover)).await
            }
            Action::Wait => return Err(Lost::Taken),
        };
        match written {
            Ok(lock) => {
                self.observed.look(lock.resource_version(), rt::now() - self.epoch);
                if asked.elapsed() >= ms(self.knobs.elect_renew_ms) && !bug!("E02") {
                    reached!("elect: a claim was answered after its time");
                    return Err(Lost::Unreachable);
                }
                self.fence.set(Some(asked + ms(self.knobs.elect_renew_ms)));
                Ok(())
            }
            Err(error) => {
                reached!(
                    "elect: two claimed the lock at once",
                    error.is_conflict() || error.is_already_exists()
                );
                Err(Lost::Unreachable)
            }
        }
    }

    /// The Lease with our name on it.
    fn claim(&self, lock: Option<&Object>, takeover: bool) -> Object {
        let now = rt::wall().rfc3339_micros();
        let mut value = lock.map_or_else(
            || {
                json!({
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": { "name": self.lock, "namespace": NAMESPACE },
                })
            },
            |lock| lock.value().clone(),
        );
        let changes = lock.and_then(|lock| lock.get_i64(&["spec", "leaseTransitions"])).unwrap_or(0);
        let spec = &mut value["spec"];
        spec["holderIdentity"] = self.identity.clone().into();
        spec["leaseDurationSeconds"] = (self.knobs.elect_lease_ms / 1000).max(1).into();
        spec["renewTime"] = now.clone().into();
        if takeover {
            spec["acquireTime"] = now.into();
            spec["leaseTransitions"] = (changes + i64::from(lock.is_some())).into();
        }
        Object::from_value(value).expect("a Lease made from a Lease")
    }
}

/// Why a claim failed.
#[derive(Debug, PartialEq, Eq)]
enum Lost {
    /// Someone else holds the lock.
    Taken,
    /// No answer, or a conflict: look again.
    Unreachable,
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn lease(holder: &str) -> Object {
        let spec = json!({ "holderIdentity": holder, "leaseDurationSeconds": 15 });
        let value = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec,
            "metadata": { "name": "x", "namespace": NAMESPACE, "resourceVersion": "3" } });
        Object::from_value(value).expect("a lease")
    }

    #[test]
    fn a_lease_is_taken_over_only_after_its_whole_length_unchanged() {
        let mut observed = Observed::default();
        observed.look("3", S(100));
        observed.look("3", S(110));
        assert_eq!(decide(Some(&lease("other")), &observed, "me", S(114)), Action::Wait);
        assert_eq!(decide(Some(&lease("other")), &observed, "me", S(115)), Action::Claim { takeover: true });
        observed.look("4", S(114));
        assert_eq!(decide(Some(&lease("other")), &observed, "me", S(115)), Action::Wait);
    }

    #[test]
    fn our_own_and_a_released_lease_are_claimed_at_once() {
        let observed = Observed::default();
        assert_eq!(decide(None, &observed, "me", S(0)), Action::Create);
        assert_eq!(decide(Some(&lease("me")), &observed, "me", S(0)), Action::Claim { takeover: false });
        assert_eq!(decide(Some(&lease("")), &observed, "me", S(0)), Action::Claim { takeover: true });
    }
}
