//! The same watches into the history of both: the same events in the same order, however they are cut into answers.

use super::{draw::Drawer, pair::Clients};
use etcd::{Client, WatchStream, pb};
use std::time::Duration;

/// Watches that are compared at a time.
const WATCHES: usize = 8;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Silence after which nothing more is expected.
const SILENCE: Duration = Duration::from_millis(250);

pub async fn compare(clients: &Clients, drawer: &mut Drawer) -> Result<(), String> {
    for _ in 0..WATCHES {
        let create = drawer.watch();
        let ours = follow(&clients.ours, &create, Until::Progress(drawer.revision())).await;
        // etcd 3.4 answers a wish for progress before it has shown everything (etcd-io/etcd#15220)
        let until = if let Shown::Events(events) = &ours { events.len() } else { 0 };
        let theirs = follow(&clients.theirs, &create, Until::Events(until)).await;
        if ours != theirs {
            return Err(format!("{create:?}\nwe show\n{ours:?}\netcd shows\n{theirs:?}"));
        }
    }
    Ok(())
}

/// When a watch has shown everything.
#[derive(Clone, Copy)]
enum Until {
    /// It says so itself, of this revision.
    Progress(i64),
    /// So many events have come, and then none for a while.
    Events(usize),
}

/// What a watch shows: its events, or that it was cancelled, when, and why.
#[derive(Debug, PartialEq)]
enum Shown {
    Events(Vec<pb::Event>),
    Cancelled { created: bool, compact_revision: i64, reason: String },
}

async fn follow(client: &Client, create: &pb::WatchCreateRequest, until: Until) -> Shown {
    let mut stream = client.watch().await.expect("a stream");
    stream.send(create.clone()).await.expect("a stream");
    let mut events = Vec::new();
    loop {
        let Some(answer) = next(&mut stream, until, events.len()).await else { return Shown::Events(events) };
        if answer.canceled {
            let pb::WatchResponse { created, compact_revision, cancel_reason: reason, .. } = answer;
            return Shown::Cancelled { created, compact_revision, reason };
        }
        events.extend(answer.events);
        let at = answer.header.map_or(0, |header| header.revision);
        match until {
            Until::Progress(revision) if answer.watch_id == -1 && at >= revision => {
                return Shown::Events(events);
            }
            Until::Progress(_) => stream.send(pb::WatchRequest::progress()).await.expect("a stream"),
            Until::Events(_) => {}
        }
    }
}

/// The next answer; nothing after a silence, when as much as was expected has come.
async fn next(stream: &mut WatchStream, until: Until, events: usize) -> Option<pb::WatchResponse> {
    let patience = match until {
        Until::Events(count) if events >= count => SILENCE,
        _ => PATIENCE,
    };
    rt::timeout(patience, stream.recv()).await.ok().map(|answer| answer.expect("an answer"))
}
