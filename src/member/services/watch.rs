//! Watch streams. One task serves a stream: it takes requests, collects what its watches want from the store's
//! history, and sends it as fast as the client reads. The queue to the client is short; everything else waits in
//! history, where it is kept anyway.

use super::{
    hub::Seat,
    refuse, refuse_if_learner, requires_leader,
    sender::{Sender, Shown},
    watcher::{Step, Watcher},
};
use crate::handle::Handle;
use base::{bug, knobs::ms, reached};
use bytes::Bytes;
use etcd::{error, pb};
use futures::{StreamExt, stream::Map};
use pb::watch_request::RequestUnion;
use prost::Message;
use rt::{Mono, memory::Held, sync::mpsc};
use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Responses that wait for the client to read.
const QUEUE: usize = 8;
/// The id of responses that are about no single watch.
const NO_WATCH: i64 = -1;
/// Without a leader for this many election time-outs, a stream that requires one ends.
const LEADERLESS: u32 = 3;

pub struct Watch {
    handle: Handle,
}

impl Watch {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

#[tonic::async_trait]
impl pb::watch_server::Watch for Watch {
    type WatchStream = Answers;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        refuse_if_learner(&self.handle)?;
        let needs_leader = requires_leader(&request);
        if needs_leader && self.handle.view().leader.is_none() {
            reached!("member: a watch stream was refused for want of a leader");
            return Err(error::no_leader());
        }
        let (out, responses) = mpsc::channel(QUEUE);
        let stream = Stream {
            seat: self.handle.hub().join(),
            handle: self.handle.clone(),
            out,
            shown: Shown::of(&request),
            asked_progress: None,
            spoke: BTreeMap::new(),
        };
        rt::spawn(stream.run(request.into_inner(), needs_leader));
        let sent: fn(Queued) -> Result<pb::WatchResponse, Status> = |(response, _)| response;
        Ok(Response::new(ReceiverStream::new(responses).map(sent)))
    }
}

/// A response that waits for the client to read, and what it takes in memory.
type Queued = (Result<pb::WatchResponse, Status>, Held);
type Answers = Map<ReceiverStream<Queued>, fn(Queued) -> Result<pb::WatchResponse, Status>>;

struct Stream {
    handle: Handle,
    seat: Seat,
    out: mpsc::Sender<Queued>,
    /// By the request for the stream.
    shown: Shown,
    /// The store's revision when progress was asked for.
    asked_progress: Option<i64>,
    /// When each watch that wants to hear of progress last heard anything.
    spoke: BTreeMap<i64, Mono>,
}

/// The client has gone.
struct Gone;

impl Stream {
    async fn run(mut self, requests: Streaming<pb::WatchRequest>, needs_leader: bool) {
        let lost = self.handle.clone();
        let mut lost = pin!(async move {
            match needs_leader {
                true => lost.leaderless(LEADERLESS).await,
                false => std::future::pending().await,
            }
        });
        let mut requests = Some(requests);
        let mut alarm = None;
        loop {
            let gone = self.out.clone();
            self.arm(&mut alarm);
            let turn = rt::select! {
                () = gone.closed() => return,
                () = &mut lost => {
                    reached!("member: a watch stream was ended for want of a leader");
                    let last = (Err(error::no_leader()), Held::new(self.handle.watch_queues(), 0));
                    return drop(self.out.send(last).await);
                }
                request = next(&mut requests) => match request {
                    Ok(Some(request)) => self.request(request).await,
                    Ok(None) => Ok(()), // the client asks for nothing more, but still listens
                    Err(_) => return,
                },
                () = self.seat.woken() => self.deliver().await,
                () = ring(&mut alarm) => self.report().await,
            };
            if turn.is_err() {
                return;
            }
        }
    }

    async fn send(&mut self, response: pb::WatchResponse) -> Result<(), Gone> {
        if let Some(spoke) = self.spoke.get_mut(&response.watch_id) {
            *spoke = rt::now();
        }
        let held = Held::new(self.handle.watch_queues(), response.encoded_len() as u64);
        self.out.send((Ok(response), held)).await.map_err(|_| Gone)
    }

    fn response(&self, watch_id: i64, revision: i64) -> pb::WatchResponse {
        let header = Some(self.handle.header(base::Revision(revision)));
        pb::WatchResponse { header, watch_id, ..Default::default() }
    }

    fn revision(&self) -> i64 {
        self.handle.with_store(|store| store.revision().0)
    }

    async fn request(&mut self, request: pb::WatchRequest) -> Result<(), Gone> {
        match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => self.create(create).await,
            Some(RequestUnion::CancelRequest(cancel)) => self.cancel(cancel.watch_id).await,
            Some(RequestUnion::ProgressRequest(_)) if bug!("W03") => {
                self.send(self.response(NO_WATCH, self.revision())).await
            }
            Some(RequestUnion::ProgressRequest(_)) => {
                self.asked_progress = Some(self.revision());
                self.answer_progress().await
            }
            None => Ok(()),
        }
    }

    async fn create(&mut self, create: pb::WatchCreateRequest) -> Result<(), Gone> {
        let (id, notify) = (create.watch_id, create.progress_notify);
        let revision = self.revision();
        let refused = |stream: &Self, reason: &str| pb::WatchResponse {
            created: true,
            canceled: true,
            cancel_reason: reason.into(),
            ..stream.response(NO_WATCH, revision)
        };
        if let Err(why) = self.permit(&create).await {
            reached!("member: a watch was refused to a user");
            let reason = format!("rpc error: code = {:?} desc = {}", why.code(), why.message());
            return self.send(refused(self, &reason)).await;
        }
        if is_empty(&create) {
            return self.send(refused(self, error::EMPTY_WATCHER_RANGE)).await;
        }
        if create.start_revision < 0 {
            return self.send(refused(self, error::Error::Compacted.text())).await;
        }
        reached!("member: a watch begins in the past", (1..=revision).contains(&create.start_revision));
        reached!("member: a watch begins in the future", create.start_revision > revision + 1);
        let Some(id) = self.seat.add(id, Watcher::new(create, revision)) else {
            return self.send(refused(self, error::DUPLICATE_WATCH_ID)).await;
        };
        if notify {
            self.spoke.insert(id, rt::now());
        }
        self.send(pb::WatchResponse { created: true, ..self.response(id, revision) }).await
    }

    /// Refuses who may not read all of what is to be watched. An end that is no end counts.
    async fn permit(&self, create: &pb::WatchCreateRequest) -> Result<(), Status> {
        let sender = Sender::of(&self.handle, &self.shown).await?;
        let key = if create.key.is_empty() { Bytes::from_static(&[0]) } else { create.key.clone() };
        // GHSA-xg4h-6gfc-h4m8: the key was looked at, and not how far from it the watch goes
        let end = if bug!("W09") { Bytes::new() } else { create.range_end.clone() };
        let permitted = self.handle.with_store(|store| {
            store.auth().permit(sender.identity(store).as_ref(), &key, &end, store::auth::Access::Read)
        });
        permitted.map_err(refuse::by_store)
    }

    async fn cancel(&mut self, id: i64) -> Result<(), Gone> {
        if !self.seat.remove(id) {
            return Ok(());
        }
        self.spoke.remove(&id);
        let response = pb::WatchResponse { canceled: true, ..self.response(id, self.revision()) };
        self.send(response).await
    }

    /// Gives each watch its next batch. Those that have more come again after the requests that wait.
    async fn deliver(&mut self) -> Result<(), Gone> {
        let most = self.handle.knobs().watch_queue as usize;
        for id in self.seat.ids() {
            let store = self.handle.store();
            match self.seat.collect(id, &store, most) {
                Step::Nothing => {}
                Step::Compacted { revision } => self.compacted(id, revision).await?,
                Step::Events { revision, events } => {
                    if revision < store.revision().0 {
                        self.seat.wake();
                    }
                    if !events.is_empty() {
                        self.events(id, revision, events).await?;
                    }
                }
            }
        }
        self.answer_progress().await
    }

    async fn compacted(&mut self, id: i64, compact_revision: i64) -> Result<(), Gone> {
        if bug!("W06") {
            self.seat.wake(); // etcd-io/etcd#21174: it is never let go of, and told again
        } else {
            self.seat.remove(id);
        }
        self.spoke.remove(&id);
        let response = self.response(id, self.revision());
        self.send(pb::WatchResponse { canceled: true, compact_revision, ..response }).await
    }

    /// Sends events in one response, or in several if they are too large and the client can put them together.
    async fn events(&mut self, id: i64, revision: i64, events: Vec<pb::Event>) -> Result<(), Gone> {
        let fragment = self.seat.watcher(id).is_some_and(|watcher| watcher.fragment);
        let most = self.handle.knobs().request_bytes as usize + super::OVERHEAD;
        let mut parts = match fragment {
            true => split(events, most),
            false if bug!("ATOMIC") => split(events, 1),
            false => vec![events],
        };
        let last = parts.pop().unwrap_or_default();
        for events in parts {
            reached!("events were sent in fragments");
            let response = self.response(id, revision);
            self.send(pb::WatchResponse { fragment, events, ..response }).await?;
        }
        let response = self.response(id, revision);
        self.send(pb::WatchResponse { events: last, ..response }).await
    }

    /// Says how far the stream is, once that is at least as far as the store was when it was asked.
    async fn answer_progress(&mut self) -> Result<(), Gone> {
        let Some(asked) = self.asked_progress else { return Ok(()) };
        let Some(reached) = self.seat.progress(self.revision()) else {
            reached!("progress was asked for while a watch starts in the future");
            self.asked_progress = None;
            return Ok(());
        };
        if reached < asked {
            reached!("progress was asked for while a watch is behind");
            self.seat.wake();
            return Ok(());
        }
        self.asked_progress = None;
        self.send(self.response(NO_WATCH, reached)).await
    }

    /// Sets the alarm for the first watch that is due to hear of progress. One that is set stays set, though
    /// the watch may have heard something since: a timer for each event would be dear.
    fn arm(&self, alarm: &mut Option<Alarm>) {
        let every = ms(self.handle.knobs().watch_progress_ms);
        if let (None, Some(spoke)) = (&alarm, self.spoke.values().min()) {
            *alarm = Some(Box::pin(rt::sleep_until(*spoke + every)));
        }
    }

    /// Tells the watches that have heard nothing for long how far they are.
    async fn report(&mut self) -> Result<(), Gone> {
        let (now, every) = (rt::now(), ms(self.handle.knobs().watch_progress_ms));
        let due: Vec<i64> =
            self.spoke.iter().filter(|(_, spoke)| **spoke + every <= now).map(|(id, _)| *id).collect();
        for id in due {
            self.spoke.insert(id, now);
            let Some(watcher) = self.seat.watcher(id) else { continue };
            let (next, current) = (watcher.next(), self.revision());
            // One that is behind has events coming; one from the future must not hear of earlier revisions.
            if watcher.progress_notify && next == current + 1 {
                reached!("member: a quiet watch hears how far it is");
                self.send(self.response(id, current)).await?;
            }
        }
        Ok(())
    }
}

/// Whether no key can ever be in the range of a watch.
fn is_empty(create: &pb::WatchCreateRequest) -> bool {
    let end = create.range_end.as_ref();
    !matches!(end, [] | [0]) && create.key.as_ref() >= end
}

/// The client's next request; waits for ever once it said that there are no more.
async fn next(
    requests: &mut Option<Streaming<pb::WatchRequest>>,
) -> Result<Option<pb::WatchRequest>, Status> {
    let Some(stream) = requests else { return std::future::pending().await };
    let request = stream.message().await?;
    if request.is_none() {
        *requests = None;
    }
    Ok(request)
}

type Alarm = Pin<Box<rt::Sleep>>;

/// Waits for the alarm, if there is one, and takes it away.
async fn ring(alarm: &mut Option<Alarm>) {
    match alarm {
        Some(sleep) => sleep.await,
        None => std::future::pending().await,
    }
    *alarm = None;
}

/// Cuts a list of events so that no part is larger than `most`, unless a single event is.
fn split(events: Vec<pb::Event>, most: usize) -> Vec<Vec<pb::Event>> {
    let mut parts: Vec<Vec<pb::Event>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        let size = event.encoded_len();
        match parts.last_mut() {
            Some(part) if bytes + size <= most => {
                bytes += size;
                part.push(event);
            }
            _ => {
                bytes = size;
                parts.push(vec![event]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_where_they_grow_too_large() {
        let kv = pb::KeyValue { value: vec![0; 100].into(), ..Default::default() };
        let events = vec![pb::Event { kv: Some(kv), ..Default::default() }; 5];
        let sizes = |most| split(events.clone(), most).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(250), [2, 2, 1]);
        assert_eq!(sizes(10), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(10_000), [5]);
    }
}
