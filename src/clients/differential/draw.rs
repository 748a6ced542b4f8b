//! Operations, drawn so that they meet one another: few keys, few leases, revisions near the present one, and now and
//! then what is refused.

use super::differs;
use etcd::pb;
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// One operation.
#[derive(Clone, Debug)]
pub enum Op {
    Range(pb::RangeRequest),
    Put(pb::PutRequest),
    Delete(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
    Compact(pb::CompactionRequest),
    Grant(pb::LeaseGrantRequest),
    Revoke(pb::LeaseRevokeRequest),
    TimeToLive(pb::LeaseTimeToLiveRequest),
    Leases,
}

impl Op {
    pub fn name(&self) -> &'static str {
        match self {
            Op::Range(_) => "range",
            Op::Put(_) => "put",
            Op::Delete(_) => "delete",
            Op::Txn(_) => "txn",
            Op::Compact(_) => "compact",
            Op::Grant(_) => "grant",
            Op::Revoke(_) => "revoke",
            Op::TimeToLive(_) => "time to live",
            Op::Leases => "leases",
        }
    }
}

pub struct Drawer {
    rng: ChaCha8Rng,
    revision: i64,
    compacted: i64,
    written: u64,
}

const KEYS: [&str; 7] = ["a", "b", "ba", "bb", "c", "d", "dd"];
/// Leases live long enough for none to end by itself.
const TTL: i64 = 100_000;

impl Drawer {
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), revision: 1, compacted: 0, written: 0 }
    }

    /// What was answered last: the revision, and the revision up to which history went, if any did.
    pub fn learn(&mut self, (revision, compacted): (i64, Option<i64>)) {
        self.revision = self.revision.max(revision);
        self.compacted = compacted.unwrap_or(self.compacted);
    }

    pub fn revision(&self) -> i64 {
        self.revision
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.gen_ratio(percent, 100)
    }

    pub fn next(&mut self) -> Op {
        match self.rng.gen_range(0..100) {
            0..=34 => Op::Range(self.range()),
            35..=54 => Op::Put(self.put()),
            55..=62 => Op::Delete(self.delete()),
            63..=86 => Op::Txn(self.txn(2)),
            87 => Op::Compact(self.compact()),
            88..=91 => Op::Grant(pb::LeaseGrantRequest { ttl: self.ttl(), id: self.lease().max(1) }),
            92..=94 => Op::Revoke(pb::LeaseRevokeRequest { id: self.lease() }),
            95..=98 => Op::TimeToLive(pb::LeaseTimeToLiveRequest { id: self.lease(), keys: self.chance(50) }),
            _ => Op::Leases,
        }
    }

    fn ttl(&mut self) -> i64 {
        *[TTL, TTL, TTL, 9_000_000_001].choose(&mut self.rng).expect("some")
    }

    fn lease(&mut self) -> i64 {
        self.rng.gen_range(0..6)
    }

    fn key(&mut self) -> bytes::Bytes {
        if self.chance(2) {
            return bytes::Bytes::new();
        }
        (*KEYS.choose(&mut self.rng).expect("some")).into()
    }

    fn end(&mut self) -> bytes::Bytes {
        match self.rng.gen_range(0..10) {
            0..=4 => bytes::Bytes::new(),
            5 => bytes::Bytes::from_static(&[0]),
            6 => etcd::keys::prefix_end(&self.key()),
            _ => self.key(),
        }
    }

    fn value(&mut self) -> bytes::Bytes {
        self.written += 1;
        match self.rng.gen_range(0..6) {
            0 => bytes::Bytes::new(),
            1 => "same".into(),
            _ => format!("v{}", self.written).into(),
        }
    }

    /// Near the present one; 0 most of the time.
    fn moment(&mut self, zero: u32) -> i64 {
        if self.chance(zero) {
            return 0;
        }
        (self.revision + self.rng.gen_range(-12..=2)).max(-1)
    }

    pub fn range(&mut self) -> pb::RangeRequest {
        let filters = self.chance(20);
        let filter = |drawer: &mut Self| if filters { drawer.moment(70) } else { 0 };
        let mut request = pb::RangeRequest {
            min_mod_revision: filter(self),
            max_mod_revision: filter(self),
            min_create_revision: filter(self),
            max_create_revision: filter(self),
            key: self.key(),
            range_end: self.end(),
            limit: if self.chance(30) { self.rng.gen_range(-1..4) } else { 0 },
            revision: self.moment(70),
            sort_order: if self.chance(30) { self.rng.gen_range(0..3) } else { 0 },
            sort_target: if self.chance(30) { self.rng.gen_range(0..5) } else { 0 },
            serializable: self.chance(10),
            keys_only: self.chance(10),
            count_only: self.chance(10),
        };
        if differs::sorts_what_it_took(&request) {
            request.limit = 0;
        }
        request
    }

    fn put(&mut self) -> pb::PutRequest {
        let (ignore_value, ignore_lease) = (self.chance(8), self.chance(8));
        let value = if ignore_value && self.chance(80) { bytes::Bytes::new() } else { self.value() };
        let lease = match (ignore_lease, self.chance(40)) {
            (true, _) if self.chance(80) => 0,
            (_, true) => self.lease(),
            _ => 0,
        };
        pb::PutRequest { key: self.key(), value, lease, prev_kv: self.chance(30), ignore_value, ignore_lease }
    }

    fn delete(&mut self) -> pb::DeleteRangeRequest {
        pb::DeleteRangeRequest { key: self.key(), range_end: self.end(), prev_kv: self.chance(40) }
    }

    fn txn(&mut self, depth: u32) -> pb::TxnRequest {
        let compares = self.rng.gen_range(0..3);
        let compare = (0..compares).map(|_| self.compare()).collect();
        pb::TxnRequest { compare, success: self.ops(depth), failure: self.ops(depth) }
    }

    fn ops(&mut self, depth: u32) -> Vec<pb::RequestOp> {
        let count = self.rng.gen_range(0..4);
        let op = |drawer: &mut Self| match drawer.rng.gen_range(0..10) {
            0..=3 => Request::RequestRange(drawer.range()),
            4..=6 => Request::RequestPut(drawer.put()),
            7 | 8 => Request::RequestDeleteRange(drawer.delete()),
            _ if depth > 0 => Request::RequestTxn(drawer.txn(depth - 1)),
            _ => Request::RequestPut(drawer.put()),
        };
        (0..count).map(|_| pb::RequestOp { request: Some(op(self)) }).collect()
    }

    fn compare(&mut self) -> pb::Compare {
        let target = self.rng.gen_range(0..5);
        let union = match CompareTarget::try_from(target).expect("one of five") {
            CompareTarget::Version => TargetUnion::Version(self.rng.gen_range(0..4)),
            CompareTarget::Create => TargetUnion::CreateRevision(self.moment(30)),
            CompareTarget::Mod => TargetUnion::ModRevision(self.moment(30)),
            CompareTarget::Value => TargetUnion::Value(self.value()),
            CompareTarget::Lease => TargetUnion::Lease(self.lease()),
        };
        pb::Compare {
            result: self.rng.gen_range(0..CompareResult::NotEqual as i32 + 1),
            target,
            key: self.key(),
            range_end: if self.chance(15) { self.end() } else { bytes::Bytes::new() },
            target_union: self.chance(95).then_some(union),
        }
    }

    fn compact(&mut self) -> pb::CompactionRequest {
        let revision =
            if self.chance(80) { self.revision - self.rng.gen_range(0..8) } else { self.moment(10) };
        pb::CompactionRequest { revision, physical: true }
    }

    /// A watch into history, and what it is to show.
    pub fn watch(&mut self) -> pb::WatchCreateRequest {
        let whole = self.chance(40);
        let start = (self.revision - self.rng.gen_range(0..80)).max(1);
        let filters: &[i32] = [&[][..], &[][..], &[0][..], &[1][..]].choose(&mut self.rng).expect("some");
        pb::WatchCreateRequest {
            key: if whole { bytes::Bytes::from_static(&[0]) } else { self.key() },
            range_end: if whole { bytes::Bytes::from_static(&[0]) } else { self.end() },
            start_revision: start + i64::from(differs::forgets_a_deletion(start, self.compacted)),
            prev_kv: self.chance(50),
            filters: filters.to_vec(),
            ..Default::default()
        }
    }
}
