//! Right histories, made by the model: tests plant violations in them, the bench measures checks on them.

use crate::history::*;
use crate::model::kv::{Model, Told};
use base::stream::Stream;
use rand::Rng;

/// `count` operations of `clients` clients on `keys` keys, overlapping in time, each answered as the model says at a moment
/// between call and return; one in eight writes loses its answer. A watch of all keys sees everything.
pub fn right(stream: &mut Stream, clients: usize, keys: u64, count: usize) -> History {
    let mut model = Model::default();
    let mut history = History::default();
    let mut watch = Watch::new("observer", Span::all(), 2, 0);
    watch.prev_kv = true;
    watch.frames.push(Frame { at: 0, revision: 1, what: FrameKind::Created, events: vec![] });
    let mut now = vec![0u64; clients];
    let mut done = vec![];
    for n in 0..count {
        let client = stream.gen_range(0..clients);
        let call = now[client] + stream.gen_range(1..50);
        let point = call + stream.gen_range(1..50);
        now[client] = point + stream.gen_range(1..50);
        done.push((point, client, call, now[client], n));
    }
    done.sort_unstable();
    for (point, client, call, ret, n) in done {
        let request = draw(stream, &model, keys, n);
        let (answer, events) = execute(&mut model, &request);
        if !events.is_empty() {
            let (at, what) = (point + 1, FrameKind::Events { partial: false });
            watch.frames.push(Frame { at, revision: answer.revision, what, events });
        }
        let lost = matches!(request, Request::Write { .. }) && stream.gen_ratio(1, 8);
        let outcome = if lost { Outcome::Unknown("lost".into()) } else { Outcome::Done(answer) };
        let ret = if lost { u64::MAX } else { ret };
        history.operations.push(Operation {
            client: format!("client-{client}"),
            call,
            ret,
            request,
            outcome,
        });
    }
    history.watches.push(watch);
    history
}

fn draw(stream: &mut Stream, model: &Model, keys: u64, n: usize) -> Request {
    let key = format!("{LOAD}{}", stream.gen_range(0..keys));
    let put = Change::Put { key: key.clone(), value: format!("v{n}"), lease: 0 };
    let known = match model.get(&key) {
        Told::Sure(Some(kv)) => kv.modified,
        _ => 0,
    };
    match stream.gen_range(0..10) {
        0..4 => Request::Write { guards: vec![], changes: vec![put] },
        4..6 => Request::Read { span: Span::one(key), at: 0, serializable: false },
        6 => Request::Read { span: Span::prefix(LOAD), at: 0, serializable: false },
        7 => Request::Write { guards: vec![], changes: vec![Change::Delete { span: Span::one(key) }] },
        _ => {
            let modified = if stream.gen_bool(0.7) { known } else { 1_000 };
            Request::Write { guards: vec![Guard { key, modified }], changes: vec![put] }
        }
    }
}

fn execute(model: &mut Model, request: &Request) -> (Answer, Vec<Event>) {
    match request {
        Request::Read { span, .. } => {
            let Told::Sure(kvs) = model.range(span) else { unreachable!() };
            (Answer { revision: model.revision, body: Body::Kvs(kvs.into_iter().cloned().collect()) }, vec![])
        }
        Request::Write { guards, changes } => {
            let succeeded = model.holds(guards).unwrap();
            let next = model.revision + 1;
            let events = if succeeded { model.effect(changes, next).unwrap() } else { vec![] };
            if !events.is_empty() {
                model.apply(next, &events);
            }
            let deletions = changes.iter().filter(|change| matches!(change, Change::Delete { .. }));
            let deleted =
                deletions.map(|_| events.iter().filter(|event| event.delete).count() as i64).collect();
            (Answer { revision: model.revision, body: Body::Wrote { succeeded, deleted } }, events)
        }
        _ => unreachable!(),
    }
}
