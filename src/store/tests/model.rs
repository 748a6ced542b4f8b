//! Random operations against a model that keeps a full copy of the keyspace for every revision there ever was.
//! The model is written from the rules, not from the store.

use base::{Index, stream::Stream};
use bytes::Bytes;
use rand::{Rng, seq::SliceRandom};
use std::collections::{BTreeMap, BTreeSet};
use store::*;

type Keys = BTreeMap<Bytes, KeyValue>;

/// Every revision's keyspace and changes, from revision 1 on.
#[derive(Clone)]
struct Model {
    states: Vec<Keys>,
    changes: Vec<Vec<(EventKind, Bytes)>>,
    compacted: i64,
    leases: BTreeMap<i64, u64>,
    index: u64,
}

impl Model {
    fn new() -> Self {
        Self {
            states: vec![Keys::new(), Keys::new()],
            changes: vec![vec![], vec![]],
            compacted: -1,
            leases: BTreeMap::new(),
            index: 0,
        }
    }

    fn revision(&self) -> i64 {
        self.states.len() as i64 - 1
    }

    fn now(&self) -> &Keys {
        self.states.last().unwrap()
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        self.index += 1;
        let mut draft = Draft { keys: self.now().clone(), changes: vec![], revision: self.revision() + 1 };
        let result = self.run(command, &mut draft);
        let mut events = vec![];
        if result.is_ok() && !draft.changes.is_empty() {
            self.states.push(draft.keys);
            self.changes.push(draft.changes);
            events = self.events_of(self.revision(), false);
        }
        Outcome { response: result, events }
    }

    fn run(&mut self, command: &Command, draft: &mut Draft) -> Result<Response, Error> {
        match command {
            Command::Put(put) if !self.has_lease(put) => Err(Error::LeaseNotFound),
            Command::Put(put) => self.put(put, draft).map(Response::Put),
            Command::DeleteRange(delete) => Ok(Response::DeleteRange(draft.delete(delete))),
            Command::Txn(txn) => {
                changed_twice(&[TxnOp::Txn(txn.clone())])?;
                let mut late = None;
                let response = self.txn(txn, draft, &mut late)?;
                late.map_or(Ok(Response::Txn(response)), Err)
            }
            Command::Compact { revision } | Command::AutoCompact { revision } => {
                if *revision <= self.compacted {
                    return Err(Error::Compacted { compacted: self.compacted });
                }
                if *revision > self.revision() {
                    return Err(Error::FutureRevision { current: self.revision() });
                }
                self.compacted = *revision;
                Ok(Response::Compact)
            }
            Command::LeaseGrant { id, ttl } => {
                if self.leases.contains_key(id) {
                    return Err(Error::LeaseExists);
                }
                self.leases.insert(*id, self.index);
                Ok(Response::LeaseGrant { id: *id, ttl: *ttl })
            }
            Command::LeaseRevoke { id } => self.end_lease(*id, draft).map(|()| Response::LeaseRevoke),
            Command::LeaseExpire { id, granted } => {
                if self.leases.get(id) != Some(granted) {
                    return Err(Error::LeaseNotFound);
                }
                self.end_lease(*id, draft).map(|()| Response::LeaseExpire)
            }
            Command::LeaseCheckpoint(_) => Ok(Response::LeaseCheckpoint),
            // who the members are touches nothing that is modelled here
            Command::Members(_) | Command::Found(_) | Command::Publish { .. } => Ok(Response::Members),
            // users, roles and alarms have scripts of their own
            Command::Auth(_) | Command::Authenticate { .. } | Command::Alarm(_) => {
                unreachable!("none is made")
            }
        }
    }

    fn end_lease(&mut self, id: i64, draft: &mut Draft) -> Result<(), Error> {
        self.leases.remove(&id).ok_or(Error::LeaseNotFound)?;
        let keys: Vec<_> = draft.keys.values().filter(|kv| kv.lease == id).map(|kv| kv.key.clone()).collect();
        keys.into_iter().for_each(|key| draft.remove(&key));
        Ok(())
    }

    fn has_lease(&self, put: &PutRequest) -> bool {
        put.lease == 0 || self.leases.contains_key(&put.lease)
    }

    fn put(&self, put: &PutRequest, draft: &mut Draft) -> Result<PutResponse, Error> {
        let old = draft.keys.get(&put.key).cloned();
        if old.is_none() && (put.ignore_value || put.ignore_lease) {
            return Err(Error::KeyNotFound);
        }
        if !self.has_lease(put) {
            return Err(Error::LeaseNotFound);
        }
        let mut new = KeyValue {
            key: put.key.clone(),
            value: put.value.clone(),
            lease: put.lease,
            create_revision: draft.revision,
            mod_revision: draft.revision,
            version: 1,
        };
        if let Some(old) = &old {
            new.create_revision = old.create_revision;
            new.version = old.version + 1;
            if put.ignore_value {
                new.value = old.value.clone();
            }
            if put.ignore_lease {
                new.lease = old.lease;
            }
        }
        draft.keys.insert(put.key.clone(), new);
        draft.changes.push((EventKind::Put, put.key.clone()));
        Ok(PutResponse { prev: if put.prev_kv { old } else { None } })
    }

    /// A put that cannot be done refuses the whole at once; a read does so only if nothing else does (`late`).
    fn txn(
        &self,
        txn: &TxnRequest,
        draft: &mut Draft,
        late: &mut Option<Error>,
    ) -> Result<TxnResponse, Error> {
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare));
        let mut responses = vec![];
        for op in if succeeded { &txn.success } else { &txn.failure } {
            responses.push(match op {
                TxnOp::Range(range) => {
                    let compacted = Error::Compacted { compacted: self.compacted };
                    let answer = match range.revision < 0 && range.revision < self.compacted {
                        true => Err(compacted),
                        false => self.range_in(range, &draft.keys),
                    };
                    TxnOpResponse::Range(answer.unwrap_or_else(|error| {
                        late.get_or_insert(error);
                        RangeResponse::default()
                    }))
                }
                TxnOp::Put(put) => TxnOpResponse::Put(self.put(put, draft)?),
                TxnOp::DeleteRange(delete) => TxnOpResponse::DeleteRange(draft.delete(delete)),
                TxnOp::Txn(txn) => TxnOpResponse::Txn(self.txn(txn, draft, late)?),
            });
        }
        Ok(TxnResponse { succeeded, responses })
    }

    /// Compares look at the state before the whole command.
    fn holds(&self, compare: &Compare) -> bool {
        let found: Vec<_> =
            self.now().values().filter(|kv| within(&kv.key, &compare.key, &compare.range_end)).collect();
        let test = |kv: &KeyValue| {
            let order = match &compare.target {
                CompareTarget::Version(number) => kv.version.cmp(number),
                CompareTarget::Create(number) => kv.create_revision.cmp(number),
                CompareTarget::Mod(number) => kv.mod_revision.cmp(number),
                CompareTarget::Lease(number) => kv.lease.cmp(number),
                CompareTarget::Value(value) => kv.value.cmp(value),
            };
            match compare.op {
                CompareOp::Equal => order.is_eq(),
                CompareOp::NotEqual => order.is_ne(),
                CompareOp::Less => order.is_lt(),
                CompareOp::Greater => order.is_gt(),
            }
        };
        match found.is_empty() {
            true => !matches!(compare.target, CompareTarget::Value(_)) && test(&KeyValue::default()),
            false => found.into_iter().all(test),
        }
    }

    fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        self.range_in(request, self.now())
    }

    fn range_in(&self, request: &RangeRequest, now: &Keys) -> Result<RangeResponse, Error> {
        let keys = if request.revision <= 0 {
            now
        } else if request.revision > self.revision() {
            return Err(Error::FutureRevision { current: self.revision() });
        } else if request.revision < self.compacted {
            return Err(Error::Compacted { compacted: self.compacted });
        } else {
            &self.states[request.revision as usize]
        };
        let mut kvs: Vec<_> =
            keys.values().filter(|kv| within(&kv.key, &request.key, &request.range_end)).cloned().collect();
        let count = kvs.len() as i64;
        let too_low = |number: i64, min: i64| min > 0 && number < min;
        let too_high = |number: i64, max: i64| max > 0 && number > max;
        kvs.retain(|kv| !too_low(kv.mod_revision, request.min_mod_revision));
        kvs.retain(|kv| !too_high(kv.mod_revision, request.max_mod_revision));
        kvs.retain(|kv| !too_low(kv.create_revision, request.min_create_revision));
        kvs.retain(|kv| !too_high(kv.create_revision, request.max_create_revision));
        match request.sort_target {
            SortTarget::Key => {}
            SortTarget::Version => kvs.sort_by_key(|kv| kv.version * sign(request)),
            SortTarget::Create => kvs.sort_by_key(|kv| kv.create_revision * sign(request)),
            SortTarget::Mod => kvs.sort_by_key(|kv| kv.mod_revision * sign(request)),
            SortTarget::Value if sign(request) < 0 => kvs.sort_by(|a, b| b.value.cmp(&a.value)),
            SortTarget::Value => kvs.sort_by(|a, b| a.value.cmp(&b.value)),
        }
        if request.sort_target == SortTarget::Key && sign(request) < 0 {
            kvs.reverse();
        }
        if request.count_only {
            kvs.clear();
        }
        let limit = if request.limit > 0 { request.limit as usize } else { kvs.len() };
        let more = kvs.len() > limit;
        kvs.truncate(limit);
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value = Bytes::new());
        }
        Ok(RangeResponse { kvs, more, count })
    }

    fn events_of(&self, revision: i64, forget: bool) -> Vec<Event> {
        let (before, after) = (&self.states[revision as usize - 1], &self.states[revision as usize]);
        let event = |(kind, key): &(EventKind, Bytes)| {
            let gone = KeyValue { key: key.clone(), mod_revision: revision, ..KeyValue::default() };
            let kv = after.get(key).cloned().unwrap_or(gone);
            let forgotten = forget && revision - 1 < self.compacted;
            Event { kind: *kind, kv, prev: before.get(key).filter(|_| !forgotten).cloned() }
        };
        self.changes[revision as usize].iter().map(event).collect()
    }

    fn history(&self, key: &Bytes, end: &Bytes, from: i64) -> Result<Vec<Event>, Error> {
        if from < self.compacted {
            return Err(Error::Compacted { compacted: self.compacted });
        }
        let events = (from.max(1)..=self.revision()).flat_map(|revision| self.events_of(revision, true));
        Ok(events.filter(|event| within(&event.kv.key, key, end)).collect())
    }
}

struct Draft {
    keys: Keys,
    changes: Vec<(EventKind, Bytes)>,
    revision: i64,
}

impl Draft {
    fn remove(&mut self, key: &Bytes) {
        self.keys.remove(key);
        self.changes.push((EventKind::Delete, key.clone()));
    }

    fn delete(&mut self, delete: &DeleteRangeRequest) -> DeleteRangeResponse {
        let found: Vec<KeyValue> = self
            .keys
            .values()
            .filter(|kv| within(&kv.key, &delete.key, &delete.range_end))
            .cloned()
            .collect();
        found.iter().for_each(|kv| self.remove(&kv.key));
        let deleted = found.len() as i64;
        DeleteRangeResponse { deleted, prev_kvs: if delete.prev_kv { found } else { vec![] } }
    }
}

fn sign(request: &RangeRequest) -> i64 {
    if request.sort_order == SortOrder::Descend { -1 } else { 1 }
}

fn within(key: &Bytes, start: &Bytes, end: &Bytes) -> bool {
    if end.is_empty() {
        return key == start;
    }
    key >= start && (end.as_ref() == [0] || key < end)
}

/// Goes through every combination of branches and looks whether one puts a key that it changes elsewhere.
fn changed_twice(ops: &[TxnOp]) -> Result<(), Error> {
    for path in paths(ops) {
        let mut puts = BTreeSet::new();
        for (key, _, _) in path.iter().filter(|(_, _, is_put)| *is_put) {
            if !puts.insert(key.clone()) {
                return Err(Error::DuplicateKey);
            }
        }
        let hit = |key: &Bytes| path.iter().any(|(from, end, is_put)| !is_put && within(key, from, end));
        if puts.iter().any(hit) {
            return Err(Error::DuplicateKey);
        }
    }
    Ok(())
}

type Path = Vec<(Bytes, Bytes, bool)>;

fn paths(ops: &[TxnOp]) -> Vec<Path> {
    let mut all: Vec<Path> = vec![vec![]];
    for op in ops {
        let choices = match op {
            TxnOp::Range(_) => vec![vec![]],
            TxnOp::Put(put) => vec![vec![(put.key.clone(), Bytes::new(), true)]],
            TxnOp::DeleteRange(delete) => vec![vec![(delete.key.clone(), delete.range_end.clone(), false)]],
            TxnOp::Txn(txn) => [paths(&txn.success), paths(&txn.failure)].concat(),
        };
        all = all.iter().flat_map(|path| choices.iter().map(|more| [&path[..], more].concat())).collect();
    }
    all
}

/// Draws requests over few keys, so that they meet.
struct Draw {
    chance: Stream,
    revision: i64,
    leases: Vec<(i64, u64)>,
}

impl Draw {
    fn key(&mut self) -> Bytes {
        let keys: [&'static str; 7] = ["a", "aa", "ab", "b", "c", "ca", "d"];
        Bytes::from_static(keys.choose(&mut self.chance).unwrap().as_bytes())
    }

    fn end(&mut self) -> Bytes {
        match self.chance.gen_range(0..6) {
            0 => Bytes::from_static(b"\0"),
            1 | 2 => self.key(),
            _ => Bytes::new(),
        }
    }

    fn value(&mut self) -> Bytes {
        Bytes::from(self.chance.gen_range(0..4u8).to_string())
    }

    fn flag(&mut self, one_in: u32) -> bool {
        self.chance.gen_ratio(1, one_in)
    }

    fn some_revision(&mut self) -> i64 {
        let least = (self.revision - 12).max(0);
        self.chance.gen_range(least..=self.revision + 1)
    }

    fn lease(&mut self) -> i64 {
        if self.flag(3) { self.chance.gen_range(1..5) } else { 0 }
    }

    fn put(&mut self) -> PutRequest {
        let (ignore_value, ignore_lease) = (self.flag(8), self.flag(8));
        PutRequest {
            key: self.key(),
            value: if ignore_value { Bytes::new() } else { self.value() },
            lease: if ignore_lease { 0 } else { self.lease() },
            prev_kv: self.flag(2),
            ignore_value,
            ignore_lease,
        }
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        DeleteRangeRequest { key: self.key(), range_end: self.end(), prev_kv: self.flag(2) }
    }

    fn range(&mut self) -> RangeRequest {
        let orders = [SortOrder::None, SortOrder::Ascend, SortOrder::Descend];
        let targets =
            [SortTarget::Key, SortTarget::Version, SortTarget::Create, SortTarget::Mod, SortTarget::Value];
        let filter = |draw: &mut Self| if draw.flag(8) { draw.some_revision() } else { 0 };
        RangeRequest {
            min_mod_revision: filter(self),
            max_mod_revision: filter(self),
            min_create_revision: filter(self),
            max_create_revision: filter(self),
            key: self.key(),
            range_end: self.end(),
            limit: if self.flag(2) { self.chance.gen_range(-1..4) } else { 0 },
            revision: if self.flag(2) { self.some_revision() } else { 0 },
            sort_order: *orders.choose(&mut self.chance).unwrap(),
            sort_target: *targets.choose(&mut self.chance).unwrap(),
            keys_only: self.flag(6),
            count_only: self.flag(8),
        }
    }

    fn compare(&mut self) -> Compare {
        let ops = [CompareOp::Equal, CompareOp::NotEqual, CompareOp::Less, CompareOp::Greater];
        let target = match self.chance.gen_range(0..5) {
            0 => CompareTarget::Version(self.chance.gen_range(0..3)),
            1 => CompareTarget::Create(self.some_revision()),
            2 => CompareTarget::Mod(self.some_revision()),
            3 => CompareTarget::Lease(self.lease()),
            _ => CompareTarget::Value(self.value()),
        };
        let op = *ops.choose(&mut self.chance).unwrap();
        Compare { key: self.key(), range_end: self.end(), op, target }
    }

    fn txn(&mut self, depth: u32) -> TxnRequest {
        let compares = self.chance.gen_range(0..3);
        TxnRequest {
            compare: (0..compares).map(|_| self.compare()).collect(),
            success: self.ops(depth),
            failure: self.ops(depth),
        }
    }

    fn ops(&mut self, depth: u32) -> Vec<TxnOp> {
        let count = self.chance.gen_range(0..4);
        let op = |draw: &mut Self| match draw.chance.gen_range(0..7) {
            0 | 1 => TxnOp::Range(RangeRequest { revision: 0, ..draw.range() }),
            2 => TxnOp::Range(draw.range()),
            3 | 4 => TxnOp::Put(draw.put()),
            5 => TxnOp::DeleteRange(draw.delete()),
            _ if depth == 0 => TxnOp::Put(draw.put()),
            _ => TxnOp::Txn(draw.txn(depth - 1)),
        };
        (0..count).map(|_| op(self)).collect()
    }

    fn command(&mut self) -> Command {
        match self.chance.gen_range(0..40) {
            0..14 => Command::Put(self.put()),
            14..22 => Command::DeleteRange(self.delete()),
            22..34 => Command::Txn(self.txn(2)),
            34 => Command::Compact { revision: self.some_revision() },
            35 | 36 => Command::LeaseGrant { id: self.chance.gen_range(1..5), ttl: 60 },
            37 => Command::LeaseRevoke { id: self.chance.gen_range(1..5) },
            38 => {
                let (id, granted) = self.leases.choose(&mut self.chance).copied().unwrap_or((1, 1));
                let left = self.chance.gen_range(0..60);
                Command::LeaseCheckpoint(vec![Checkpoint { id, granted, left }])
            }
            _ => {
                let (id, granted) = self.leases.choose(&mut self.chance).copied().unwrap_or((1, 1));
                Command::LeaseExpire { id, granted: granted + u64::from(self.flag(3)) }
            }
        }
    }
}

fn walk(seed: u64, steps: u32) {
    let mut draw = Draw { chance: base::stream::stream(seed, "model"), revision: 1, leases: vec![] };
    let (mut store, mut other, mut model) = (Store::new(), Store::new(), Model::new());
    let mut kept = (store.clone(), model.clone());
    for step in 0..steps {
        draw.revision = model.revision();
        draw.leases = model.leases.iter().map(|(id, granted)| (*id, *granted)).collect();
        let command = draw.command();
        let context = format!("seed {seed} step {step}: {command:?}");
        let index = Index(u64::from(step) + 1);
        let expected = model.apply(&command);
        assert_eq!(store.apply(index, &command), expected, "{context}");
        other.apply(index, &command);
        assert_eq!(store.hash(), other.hash(), "{context}");
        assert_eq!(store.revision().0, model.revision(), "{context}");
        for _ in 0..3 {
            compare_reads(&store, &model, &mut draw, &context);
        }
        if draw.flag(20) {
            kept = (store.clone(), model.clone());
        }
        compare_reads(&kept.0, &kept.1, &mut draw, &context);
        if draw.flag(25) {
            let bytes = store.snapshot();
            assert_eq!(store.bytes(), bytes.len() as u64, "the size is known without looking");
            let restored = Store::restore(&bytes).expect("its own snapshot");
            assert_eq!(restored, store, "{context}");
            assert_eq!(restored.hash_at(0), other.hash_at(0), "{context}");
            store = restored;
        }
    }
}

fn compare_reads(store: &Store, model: &Model, draw: &mut Draw, context: &str) {
    let request = draw.range();
    assert_eq!(store.range(&request), model.range(&request), "{context}, then {request:?}");
    let (key, end, from) = (draw.key(), draw.end(), draw.some_revision());
    let range = KeyRange::new(&key, &end);
    let history = store.history(&range, from).map(|events| events.collect::<Vec<_>>());
    assert_eq!(history, model.history(&key, &end, from), "{context}, then watch from {from}");
}

#[test]
fn the_store_does_what_the_model_does() {
    for seed in 0..60 {
        walk(seed, 1_500);
    }
}

/// The museum's M02: a deletion exactly at the compaction goes with it.
#[cfg(madsim)]
#[test]
fn the_model_finds_the_deletion_lost_in_a_compaction() {
    base::marks::plant(Some("M02"));
    let found = (0..20).any(|seed| std::panic::catch_unwind(|| walk(seed, 1_500)).is_err());
    base::marks::plant(None);
    assert!(found, "M02 is planted and nobody noticed");
}

#[test]
fn a_damaged_snapshot_is_refused_and_says_where() {
    let mut store = Store::new();
    let put =
        |key: &'static str| PutRequest { key: key.into(), value: "value".into(), ..PutRequest::default() };
    store.apply(Index(1), &Command::LeaseGrant { id: 7, ttl: 60 });
    store.apply(Index(2), &Command::Put(PutRequest { lease: 7, ..put("a") }));
    store.apply(Index(3), &Command::Put(put("b")));
    let bytes = store.snapshot();
    for cut in 0..bytes.len() {
        assert!(Store::restore(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Store::restore(&damaged).is_err(), "flipped at {at}");
    }
    let mut newer = bytes.clone();
    newer[13] = 9;
    assert_eq!(Store::restore(&newer), Err(RestoreError::Newer { found: 9 }));
    assert_eq!(Store::restore(b"something else"), Err(RestoreError::Magic));
}

#[test]
fn a_snapshot_in_small_pieces_is_the_same_while_writes_go_on() {
    let mut store = Store::new();
    for index in 1..200 {
        let key = Bytes::from(format!("key-{}", index % 50));
        store.apply(Index(index), &Command::Put(PutRequest { key, ..PutRequest::default() }));
    }
    let (frozen, whole) = (store.clone(), store.snapshot());
    let mut encoder = Encoder::new(&store);
    let mut bytes = Vec::new();
    for index in 200.. {
        let Some(piece) = encoder.next_piece(64) else { break };
        bytes.extend(piece);
        store.apply(Index(index), &Command::Put(PutRequest { key: "x".into(), ..PutRequest::default() }));
    }
    assert_eq!(bytes, whole);
    assert_eq!(Store::restore(&bytes), Ok(frozen.clone()));
    for size in [1, 3, 64, 1_000] {
        let mut decoder = Decoder::new();
        bytes.chunks(size).for_each(|piece| decoder.feed(piece).expect("a piece"));
        assert_eq!(decoder.finish(), Ok(frozen.clone()), "in pieces of {size} bytes");
    }
}

#[test]
fn behind_a_snapshot_stands_nothing_or_zeros_where_that_is_wanted() {
    let bytes = Store::new().snapshot();
    for size in [1, 7, 4_096] {
        for (behind, sound, padded) in
            [(vec![], true, true), (vec![0; 20], false, true), (vec![0, 1], false, false)]
        {
            let bytes = [bytes.clone(), behind].concat();
            let feed = |each: fn(&mut Decoder, &[u8]) -> Result<(), RestoreError>| {
                let mut decoder = Decoder::new();
                bytes.chunks(size).try_for_each(|piece| each(&mut decoder, piece)).is_ok()
            };
            assert_eq!((feed(Decoder::feed), feed(Decoder::feed_padded)), (sound, padded), "{size}");
        }
    }
}
