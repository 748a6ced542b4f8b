//! What operations cost as the store grows: those on one key, and what copies nothing, cost about the same in a
//! store a thousand times as large. Whatever went through the keyspace, or copied it, would cost a thousand times
//! as much.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "cost is what this measures")]

use bytes::Bytes;
use std::time::{Duration, Instant};
use store::*;

const SMALL: usize = 50;
const LARGE: usize = 50_000;
/// Far above what the logarithm and the processor's caches make, far below the thousand of a scan.
const MOST: u32 = 60;
/// Where a clock is too coarse.
const LEAST: Duration = Duration::from_micros(20);

fn key(number: usize) -> Bytes {
    Bytes::from(format!("key-{number:06}"))
}

fn put(number: usize) -> PutRequest {
    PutRequest { key: key(number), value: Bytes::from_static(b"value"), ..PutRequest::default() }
}

fn apply(store: &mut Store, command: &Command) {
    let outcome = store.apply(store.applied().next(), command);
    outcome.response.expect("a command that is done");
}

/// A store of so many keys, each on a lease; the first has as many versions more.
fn filled(keys: usize) -> Store {
    let mut store = Store::new();
    apply(&mut store, &Command::LeaseGrant { id: 7, ttl: 60 });
    for number in 0..keys {
        apply(&mut store, &Command::Put(PutRequest { lease: 7, ..put(number) }));
    }
    for _ in 0..keys {
        apply(&mut store, &Command::Put(put(0)));
    }
    store
}

/// The least time that a few turns took: what the machine does beside is no part of it.
fn time(store: &Store, act: fn(&mut Store)) -> Duration {
    let turn = || {
        let mut store = store.clone();
        let began = Instant::now();
        (0..20).for_each(|_| act(&mut store));
        began.elapsed()
    };
    (0..9).map(|_| turn()).min().expect("some turns")
}

fn range(from: usize, to: usize, revision: i64) -> RangeRequest {
    RangeRequest { key: key(from), range_end: key(to), revision, ..RangeRequest::default() }
}

type Act = (&'static str, fn(&mut Store));

/// Each is about one key, or ten, whatever the number of keys there are.
const ACTS: [Act; 11] = [
    ("a put of a key there is", |store| apply(store, &Command::Put(put(25)))),
    ("a put of a new key, and its deletion", |store| {
        apply(store, &Command::Put(put(999_999)));
        let delete = DeleteRangeRequest { key: key(999_999), ..DeleteRangeRequest::default() };
        apply(store, &Command::DeleteRange(delete));
    }),
    ("a txn of a compare and a put", |store| {
        let compare = Compare {
            key: key(25),
            range_end: Bytes::new(),
            op: CompareOp::Greater,
            target: CompareTarget::Mod(0),
        };
        let success = vec![TxnOp::Put(put(25))];
        apply(store, &Command::Txn(TxnRequest { compare: vec![compare], success, ..TxnRequest::default() }));
    }),
    ("a lease granted and revoked", |store| {
        apply(store, &Command::LeaseGrant { id: 8, ttl: 60 });
        apply(store, &Command::LeaseRevoke { id: 8 });
    }),
    ("a read of a key", |store| {
        let request = RangeRequest { key: key(25), ..RangeRequest::default() };
        assert_eq!(store.range(&request).expect("a read").count, 1);
    }),
    ("a read of ten keys", |store| assert_eq!(store.range(&range(20, 30, 0)).expect("a read").count, 10)),
    ("a read of ten keys as they were", |store| {
        assert_eq!(store.range(&range(20, 30, 45)).expect("a read").count, 10);
    }),
    ("a read of a key of many versions as it was", |store| {
        let request = RangeRequest { key: key(0), revision: 45, ..RangeRequest::default() };
        assert_eq!(store.range(&request).expect("a read").kvs[0].mod_revision, 2);
    }),
    ("history from the present on", |store| {
        let all = KeyRange::new(&key(0), &Bytes::from_static(b"\0"));
        assert_eq!(store.history(&all, store.revision().0).expect("history").count(), 1);
    }),
    ("a copy that is kept", |store| {
        let kept = store.clone();
        apply(store, &Command::Put(put(25)));
        assert!(kept.revision() < store.revision());
    }),
    ("the beginning of a snapshot, and a put", |store| {
        let mut encoder = Encoder::new(store);
        apply(store, &Command::Put(put(25)));
        assert!(encoder.next_piece(64).is_some());
    }),
];

#[test]
fn an_operation_on_a_key_costs_no_more_because_there_are_many() {
    let (small, large) = (filled(SMALL), filled(LARGE));
    for (name, act) in ACTS {
        let (least, most) = (time(&small, act).max(LEAST), time(&large, act));
        assert!(most < least * MOST, "{name}: {least:?} among {SMALL} keys, {most:?} among {LARGE}");
    }
}
