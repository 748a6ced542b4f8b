//! What a member does to its log, drawn from a stream: batches and syncs, conflicts, own snapshots and
//! releases, snapshots from the leader.

use crate::{install as install_pieces, model::Oracle, open, take};
use base::{Index, MemberId, Term, stream::Stream};
use rand::Rng;
use std::sync::{Arc, Mutex};
use wal::{Entry, Error, HardState, Record, Snapshot, Wal};

pub type Shared = Arc<Mutex<(Oracle, Stream)>>;

pub fn shared(seed: u64) -> Shared {
    Arc::new(Mutex::new((Oracle::default(), base::stream::stream(seed, "workload"))))
}

/// One life: opens the log, holds it against the oracle, and works on.
pub async fn live(shared: Shared, steps: u64) -> Result<(), Error> {
    let (mut wal, found) = open().await?;
    shared.lock().unwrap().0.recovered(&found);
    for _ in 0..steps {
        step(&mut wal, &shared).await?;
    }
    Ok(())
}

fn draw<T>(shared: &Shared, draw: impl FnOnce(&Oracle, &mut Stream) -> T) -> T {
    let (oracle, stream) = &mut *shared.lock().unwrap();
    draw(oracle, stream)
}

async fn step(wal: &mut Wal, shared: &Shared) -> Result<(), Error> {
    match draw(shared, |_, stream| stream.gen_range(0..10)) {
        0 => own_snapshot(wal, shared).await,
        1 => install(wal, shared).await,
        kind => {
            for _ in 0..draw(shared, |_, stream| stream.gen_range(1..4)) {
                append(wal, shared, kind == 2).await?;
            }
            if kind < 9 { sync(wal, shared).await } else { Ok(()) }
        }
    }
}

async fn append(wal: &mut Wal, shared: &Shared, conflict: bool) -> Result<(), Error> {
    let records = draw(shared, |oracle, stream| batch(oracle, stream, conflict));
    {
        let oracle = &mut shared.lock().unwrap().0;
        let mut state = oracle.now().clone();
        records.iter().for_each(|record| state.record(record));
        oracle.may_be(state);
    }
    wal.append(&records).await
}

fn batch(oracle: &Oracle, stream: &mut Stream, conflict: bool) -> Vec<Record> {
    let state = oracle.now();
    let (mut records, mut term) = (Vec::new(), state.hard.term);
    if conflict || term == Term(0) || stream.gen_bool(0.2) {
        term = term.next();
        let vote = stream.gen_bool(0.5).then(|| MemberId(stream.gen_range(1..4)));
        records.push(Record::HardState(HardState { term, vote }));
    }
    let mut next = state.last().next();
    if conflict && state.last() > state.covered() {
        next = Index(stream.gen_range(state.covered().0 + 1..=state.last().0));
    }
    for index in next.0..next.0 + stream.gen_range(1..4) {
        let len = if stream.gen_bool(0.1) { stream.gen_range(500..2_000) } else { stream.gen_range(0..60) };
        // Runs of zeros look like sectors that were never written.
        let byte = if stream.gen_bool(0.3) { 0 } else { stream.r#gen::<u8>() };
        records.push(Record::Entry(Entry { index: Index(index), term, data: vec![byte; len] }));
    }
    records
}

async fn sync(wal: &mut Wal, shared: &Shared) -> Result<(), Error> {
    wal.sync().await?;
    shared.lock().unwrap().0.durable();
    Ok(())
}

fn snapshot(index: Index, term: Term, stream: &mut Stream) -> Snapshot {
    // now and then of several blocks, and pieces
    let size = if stream.gen_bool(0.1) { stream.gen_range(0..200_000) } else { stream.gen_range(0..1_500) };
    Snapshot { index, term, meta: vec![stream.r#gen(); 5], size }
}

/// A member takes a snapshot only of what its disk holds.
async fn own_snapshot(wal: &mut Wal, shared: &Shared) -> Result<(), Error> {
    sync(wal, shared).await?;
    let taken = draw(shared, |oracle, stream| {
        let state = oracle.now();
        let behind = state.covered().next();
        let index = Index(stream.gen_range(behind.0..=state.last().0.max(behind.0)));
        state.term_at(index).map(|term| snapshot(index, term, stream))
    });
    let Some(taken) = taken else { return Ok(()) };
    {
        let oracle = &mut shared.lock().unwrap().0;
        let state = crate::model::State { snapshot: Some(taken.clone()), ..oracle.now().clone() };
        oracle.may_be(state);
    }
    let written = take(wal, &taken).await?;
    shared.lock().unwrap().0.durable();
    wal.release(written.index()).await.map(drop)
}

async fn install(wal: &mut Wal, shared: &Shared) -> Result<(), Error> {
    let received = draw(shared, |oracle, stream| {
        let state = oracle.now();
        let index = Index(state.covered().0 + stream.gen_range(1..12));
        let own = state.term_at(index).filter(|_| stream.gen_bool(0.5));
        snapshot(index, own.unwrap_or(state.hard.term), stream)
    });
    {
        let oracle = &mut shared.lock().unwrap().0;
        let state = oracle.now().clone();
        oracle.may_be(state.half_installed(&received));
        oracle.may_be(state.installed(&received));
    }
    install_pieces(wal, &received).await?;
    shared.lock().unwrap().0.durable();
    Ok(())
}
