//! One client of the store: one operation after the other, as planned; everything written down.

use super::{Ground, begin, watch, wire};
use crate::history::{Answer, Body, Change, Guard, LOAD, Outcome, Request, Span, Watch};
use crate::nemesis::{now, until};
use crate::plan::{KvClient, KvDeed};
use base::bug;
use etcd::{Client, pb};
use std::{cell::Cell, collections::BTreeMap, time::Duration};

struct Kv {
    name: String,
    ground: Ground,
    client: Client,
    /// An operation that waits longer is given up; its outcome is unknown.
    patience: Duration,
    /// Bytes up to which values are filled now.
    size: u64,
    /// Whether the last operation was done.
    done: bool,
    /// mod_revision of keys as last seen by this client; 0: not there.
    known: BTreeMap<String, i64>,
    /// The newest revision this client was told.
    newest: i64,
    compacted: i64,
    reads: Cell<u64>,
}

/// Runs the client's plan to its end.
pub async fn run(plan: KvClient, ground: Ground) -> Result<(), String> {
    let client = ground.user(&plan.name);
    let (name, known) = (plan.name.clone(), BTreeMap::new());
    let patience = Duration::from_micros(plan.patience);
    let (size, done, newest, compacted, reads) = (0, true, 0, 0, Cell::new(0));
    let mut kv = Kv { name, ground, client, patience, size, done, known, newest, compacted, reads };
    until(plan.from).await;
    for op in &plan.ops {
        begin(op.when).await;
        if now() / 1_000 >= plan.until {
            break;
        }
        kv.ground.seen.start(&plan.name, now());
        kv.size = op.size;
        kv.insist(&op.deed, plan.retries, plan.until).await;
    }
    // leases go on to be renewed after the last operation
    std::future::pending().await
}

fn put(key: &str, value: &str, lease: i64) -> Change {
    Change::Put { key: key.into(), value: value.into(), lease }
}

/// The same deed once more. What it writes can be told from what was written before.
fn again(deed: &KvDeed, n: u64) -> KvDeed {
    let mut deed = deed.clone();
    if n > 0 {
        match &mut deed {
            KvDeed::Put { value, .. } | KvDeed::Txn { value, .. } | KvDeed::Lease { value, .. } => {
                value.push_str(&format!("~{n}"));
            }
            KvDeed::Transfer { values, .. } => {
                values.iter_mut().for_each(|value| value.push_str(&format!("~{n}")));
            }
            _ => {}
        }
    }
    deed
}

impl Kv {
    /// Does it, and again at once as often as allowed while it is not done.
    async fn insist(&mut self, deed: &KvDeed, retries: u64, until: u64) {
        for n in 0..=retries {
            self.done = true;
            self.perform(&again(deed, n)).await;
            if self.done || now() / 1_000 >= until {
                return;
            }
            if n < retries {
                base::reached!("tank: a client without patience asked again at once");
            }
        }
    }

    fn answer(&mut self, op: usize, outcome: Outcome) {
        self.done = matches!(outcome, Outcome::Done(_));
        self.ground.seen.answer(op, now(), outcome);
    }

    async fn perform(&mut self, deed: &KvDeed) {
        match deed {
            KvDeed::Put { key, value } => {
                self.write(vec![], vec![put(key, value, 0)]).await;
            }
            KvDeed::Txn { key, value } => {
                let guard = Guard { key: key.clone(), modified: self.known.get(key).copied().unwrap_or(0) };
                self.write(vec![guard], vec![put(key, value, 0)]).await;
            }
            KvDeed::Transfer { keys: [a, b], values: [x, y] } => {
                self.write(vec![], vec![put(a, x, 0), put(b, y, 0)]).await;
            }
            KvDeed::Delete { key } => {
                self.write(vec![], vec![Change::Delete { span: Span::one(key.clone()) }]).await;
            }
            KvDeed::Get { key, serializable } => self.read(Span::one(key.clone()), *serializable).await,
            KvDeed::List => self.read(Span::prefix(LOAD), false).await,
            KvDeed::Lease { key, value, ttl, renewals, revoke } => {
                self.lease(key, value, *ttl, *renewals, *revoke).await;
            }
            KvDeed::Lock { name, ttl, hold } => self.lock(name, *ttl, *hold).await,
            KvDeed::Compact { back } => self.compact(self.newest - back).await,
            KvDeed::History => self.history().await,
        }
    }

    async fn read(&mut self, span: Span, serializable: bool) {
        let request = Request::Read { span: span.clone(), at: 0, serializable };
        let op = self.ground.seen.call(&self.name, now(), request);
        let asked = rt::timeout(self.patience, self.client.range(wire::range(&span, 0, serializable))).await;
        let outcome = match asked {
            Ok(Ok(response)) => {
                let mut kvs: Vec<_> = response.kvs.iter().map(wire::kv).collect();
                self.spoil(&mut kvs);
                let revision = wire::revision(&response.header);
                base::reached!("tank: a client reads what is older than it has seen", revision < self.newest);
                self.learn(&span, &kvs, revision);
                Outcome::Done(Answer { revision, body: Body::Kvs(kvs) })
            }
            Ok(Err(status)) => wire::outcome_of(&status),
            Err(_) => late(),
        };
        self.answer(op, outcome);
    }

    /// The canary of the museum: a client that lies, which no sweep may overlook.
    fn spoil(&self, kvs: &mut [crate::history::Kv]) {
        self.reads.set(self.reads.get() + 1);
        if bug!("CANARY") && self.reads.get() > 5 {
            kvs.iter_mut().for_each(|kv| kv.value = format!("{} (sung by the canary)", kv.value).into());
        }
    }

    fn learn(&mut self, span: &Span, kvs: &[crate::history::Kv], revision: i64) {
        self.newest = self.newest.max(revision);
        self.known.retain(|key, _| !span.holds(key));
        self.known.extend(kvs.iter().map(|kv| (kv.key.to_string(), kv.modified)));
    }

    /// Sent as the simplest call that does it: put, delete, or txn.
    async fn write(&mut self, guards: Vec<Guard>, changes: Vec<Change>) -> Option<i64> {
        let written = changes.iter().map(|change| match change {
            Change::Put { key, value, lease } => put(key, &wire::brief(value, self.size), *lease),
            other => other.clone(),
        });
        let request = Request::Write { guards: guards.clone(), changes: written.collect() };
        let op = self.ground.seen.call(&self.name, now(), request);
        let asked = rt::timeout(self.patience, self.send(&guards, &changes)).await;
        let (outcome, made) = match asked {
            Ok(Ok((revision, succeeded, deleted))) => {
                self.newest = self.newest.max(revision);
                if succeeded {
                    self.remember(&changes, revision);
                }
                let body = Body::Wrote { succeeded, deleted };
                (Outcome::Done(Answer { revision, body }), succeeded.then_some(revision))
            }
            Ok(Err(status)) => (wire::outcome_of(&status), None),
            Err(_) => (late(), None),
        };
        self.answer(op, outcome);
        made
    }

    async fn send(
        &self,
        guards: &[Guard],
        changes: &[Change],
    ) -> Result<(i64, bool, Vec<i64>), tonic::Status> {
        match changes {
            [Change::Put { key, value, lease }] if guards.is_empty() => {
                let value = wire::filled(value, self.size);
                let response = self.client.put(wire::put(key, &value, *lease)).await?;
                Ok((wire::revision(&response.header), true, vec![]))
            }
            [Change::Delete { span }] if guards.is_empty() => {
                let response = self.client.delete_range(wire::delete(span)).await?;
                Ok((wire::revision(&response.header), true, vec![response.deleted]))
            }
            _ => {
                let txn = wire::txn(guards, changes, self.size);
                // what users may do in a txn inside a txn is no other matter
                let txn = if self.ground.users { wire::nested(txn) } else { txn };
                let response = self.client.txn(txn).await?;
                Ok((wire::revision(&response.header), response.succeeded, wire::deleted(&response)))
            }
        }
    }

    fn remember(&mut self, changes: &[Change], revision: i64) {
        for change in changes {
            match change {
                Change::Put { key, .. } => self.known.insert(key.clone(), revision),
                Change::Delete { span } => self.known.remove(&span.from),
            };
        }
    }

    /// Waits for a lock, holds it, and lets it go, whatever has become of its lease meanwhile.
    async fn lock(&mut self, name: &str, ttl: i64, hold: u64) {
        let Some((lease, _)) = self.grant(ttl).await else { return };
        let request = Request::Lock { name: name.into(), lease };
        let op = self.ground.seen.call(&self.name, now(), request);
        let name = name.to_string().into();
        let asked = self.client.lock(pb::LockRequest { name, lease });
        let (outcome, key) = match rt::timeout(self.patience, asked).await {
            Ok(Ok(response)) => {
                let key = String::from_utf8_lossy(&response.key).into_owned();
                let revision = wire::revision(&response.header);
                (Outcome::Done(Answer { revision, body: Body::Lock { key: key.clone() } }), Some(key))
            }
            Ok(Err(status)) => (wire::outcome_of(&status), None),
            Err(_) => (late(), None),
        };
        base::reached!("tank: a lock was had", key.is_some());
        self.answer(op, outcome);
        let Some(key) = key else { return };
        rt::sleep(Duration::from_micros(hold)).await;
        let op = self.ground.seen.call(&self.name, now(), Request::Unlock { key: key.clone() });
        let asked = self.client.unlock(pb::UnlockRequest { key: key.into() });
        let outcome = match rt::timeout(self.patience, asked).await {
            Ok(Ok(response)) => {
                let revision = wire::revision(&response.header);
                Outcome::Done(Answer { revision, body: Body::Nothing })
            }
            Ok(Err(status)) => wire::outcome_of(&status),
            Err(_) => late(),
        };
        self.answer(op, outcome);
    }

    /// A lease, and the time it is to live.
    async fn grant(&mut self, ttl: i64) -> Option<(i64, i64)> {
        let op = self.ground.seen.call(&self.name, now(), Request::Grant { ttl });
        let asked =
            rt::timeout(self.patience, self.client.lease_grant(pb::LeaseGrantRequest { ttl, id: 0 })).await;
        let (outcome, lease) = match asked {
            Ok(Ok(response)) => {
                let body = Body::Lease { lease: response.id, ttl: response.ttl };
                let lease = (response.id, response.ttl);
                (Outcome::Done(Answer { revision: wire::revision(&response.header), body }), Some(lease))
            }
            Ok(Err(status)) => (wire::outcome_of(&status), None),
            Err(_) => (late(), None),
        };
        self.answer(op, outcome);
        lease
    }

    async fn lease(&mut self, key: &str, value: &str, ttl: i64, renewals: u64, revoke: bool) {
        let Some((lease, ttl)) = self.grant(ttl).await else { return };
        self.write(vec![], vec![put(key, value, lease)]).await;
        let holder = Holder {
            name: self.name.clone(),
            ground: self.ground.clone(),
            client: self.client.clone(),
            lease,
        };
        rt::spawn(async move { holder.hold(ttl, renewals, revoke).await });
    }

    async fn compact(&mut self, at: i64) {
        if at <= 1 {
            return;
        }
        let op = self.ground.seen.call(&self.name, now(), Request::Compact { at });
        let request = pb::CompactionRequest { revision: at, physical: false };
        let outcome = match rt::timeout(self.patience, self.client.compact(request)).await {
            Ok(Ok(response)) => {
                self.compacted = at;
                Outcome::Done(Answer { revision: wire::revision(&response.header), body: Body::Nothing })
            }
            Ok(Err(status)) => wire::outcome_of(&status),
            Err(_) => late(),
        };
        self.answer(op, outcome);
    }

    /// History from the last compaction on must still be there.
    async fn history(&mut self) {
        let from = if self.compacted > 0 { self.compacted } else { (self.newest - 3).max(1) };
        let mut watch = Watch::new(&self.name, Span::prefix(LOAD), from, now());
        watch.prev_kv = true;
        let most = Duration::from_secs(2);
        watch::follow(
            &self.client,
            &self.ground.seen,
            watch,
            watch::Manner { most: Some(most), enough: self.newest, ..watch::Manner::default() },
        )
        .await;
    }
}

fn late() -> Outcome {
    base::reached!("tank: a client gave up waiting for an answer");
    Outcome::Unknown("no answer in time".into())
}

/// A revocation that waits longer is given up.
const LEASE_PATIENCE: Duration = Duration::from_secs(8);

/// Keeps a lease alive for a while.
struct Holder {
    name: String,
    ground: Ground,
    client: Client,
    lease: i64,
}

impl Holder {
    async fn hold(self, ttl: i64, renewals: u64, revoke: bool) {
        // Some renew for the last time when the lease's end may be under way.
        let whole = ttl as u64 * 1_000 + self.lease as u64 % 700;
        for n in 1..=renewals {
            let last = n == renewals && renewals % 2 == 1;
            rt::sleep(Duration::from_millis(if last { whole } else { ttl as u64 * 1_000 / 3 })).await;
            if now() / 1_000 >= self.ground.until || !self.renew().await {
                return;
            }
        }
        if revoke {
            let op = self.ground.seen.call(&self.name, now(), Request::Revoke { lease: self.lease });
            let request = pb::LeaseRevokeRequest { id: self.lease };
            let outcome = match rt::timeout(LEASE_PATIENCE, self.client.lease_revoke(request)).await {
                Ok(Ok(response)) => {
                    let revision = wire::revision(&response.header);
                    Outcome::Done(Answer { revision, body: Body::Nothing })
                }
                Ok(Err(status)) => wire::outcome_of(&status),
                Err(_) => late(),
            };
            self.ground.seen.answer(op, now(), outcome);
        }
    }

    /// True while there is a lease to renew.
    async fn renew(&self) -> bool {
        let op = self.ground.seen.call(&self.name, now(), Request::KeepAlive { lease: self.lease });
        let asked = rt::timeout(Duration::from_secs(2), async {
            let mut stream = self.client.lease_keep_alive().await?;
            stream.send(pb::LeaseKeepAliveRequest { id: self.lease }).await?;
            stream.recv().await
        });
        let (outcome, lives) = match asked.await {
            Ok(Ok(response)) => {
                let body = Body::Lease { lease: self.lease, ttl: response.ttl };
                (Outcome::Done(Answer { revision: wire::revision(&response.header), body }), response.ttl > 0)
            }
            Ok(Err(status)) => (wire::outcome_of(&status), true),
            Err(_) => (late(), true),
        };
        self.ground.seen.answer(op, now(), outcome);
        lives
    }
}
