//! What operations cost as the store grows (`cargo bench -p store`): each is about one key, or ten, or copies nothing,
//! and must cost about the same among a thousand times as many keys. Whatever went through the keyspace, or copied
//! it, would cost a thousand times as much. Measured, not asserted: machines are shared.

use bytes::Bytes;
use divan::Bencher;
use store::*;

const KEYS: [usize; 2] = [50, 50_000];

fn main() {
    divan::main();
}

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

/// What it costs among so many keys; the copy it works on costs nothing, and is not counted.
fn among(bencher: Bencher<'_, '_>, keys: usize, act: fn(&mut Store)) {
    let store = filled(keys);
    bencher.with_inputs(|| store.clone()).bench_local_refs(act);
}

fn range(from: usize, to: usize, revision: i64) -> RangeRequest {
    RangeRequest { key: key(from), range_end: key(to), revision, ..RangeRequest::default() }
}

#[divan::bench(args = KEYS)]
fn put_a_key_there_is(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| apply(store, &Command::Put(put(25))));
}

#[divan::bench(args = KEYS)]
fn put_a_new_key_and_delete_it(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| {
        apply(store, &Command::Put(put(999_999)));
        let delete = DeleteRangeRequest { key: key(999_999), ..DeleteRangeRequest::default() };
        apply(store, &Command::DeleteRange(delete));
    });
}

#[divan::bench(args = KEYS)]
fn txn_of_a_compare_and_a_put(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| {
        let compare = Compare {
            key: key(25),
            range_end: Bytes::new(),
            op: CompareOp::Greater,
            target: CompareTarget::Mod(0),
        };
        let success = vec![TxnOp::Put(put(25))];
        apply(store, &Command::Txn(TxnRequest { compare: vec![compare], success, ..TxnRequest::default() }));
    });
}

#[divan::bench(args = KEYS)]
fn grant_a_lease_and_revoke_it(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| {
        apply(store, &Command::LeaseGrant { id: 8, ttl: 60 });
        apply(store, &Command::LeaseRevoke { id: 8 });
    });
}

#[divan::bench(args = KEYS)]
fn read_a_key(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| {
        let request = RangeRequest { key: key(25), ..RangeRequest::default() };
        assert_eq!(store.range(&request).expect("a read").count, 1);
    });
}

#[divan::bench(args = KEYS)]
fn read_ten_keys(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| assert_eq!(store.range(&range(20, 30, 0)).expect("a read").count, 10));
}

#[divan::bench(args = KEYS)]
fn read_ten_keys_as_they_were(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| assert_eq!(store.range(&range(20, 30, 45)).expect("a read").count, 10));
}

#[divan::bench(args = KEYS)]
fn read_a_key_of_many_versions_as_it_was(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| {
        let request = RangeRequest { key: key(0), revision: 45, ..RangeRequest::default() };
        assert_eq!(store.range(&request).expect("a read").kvs[0].mod_revision, 2);
    });
}

#[divan::bench(args = KEYS)]
fn history_from_the_present_on(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| {
        let all = KeyRange::new(&key(0), &Bytes::from_static(b"\0"));
        assert_eq!(store.history(&all, store.revision().0).expect("history").count(), 1);
    });
}

#[divan::bench(args = KEYS)]
fn keep_a_copy_and_put(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| {
        let kept = store.clone();
        apply(store, &Command::Put(put(25)));
        assert!(kept.revision() < store.revision());
    });
}

#[divan::bench(args = KEYS)]
fn begin_a_snapshot_and_put(bencher: Bencher<'_, '_>, keys: usize) {
    among(bencher, keys, |store| {
        let mut encoder = Encoder::new(store);
        apply(store, &Command::Put(put(25)));
        assert!(encoder.next_piece(64).is_some());
    });
}
