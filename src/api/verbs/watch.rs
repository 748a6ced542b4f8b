//! watch: changes as newline-delimited JSON, from a revision on or from the present state on.
//!
//! Promises: no change after the start is left out, none is sent twice, in the order of revisions, until the
//! stream ends; a bookmark at R is sent only when everything up to R has been sent. A stream that cannot keep
//! these ends, and the client takes up from the last revision it saw.

use crate::{
    answer::{self, Form},
    cache::{
        cacher::{Late, Ready, Start, Subscription, not_ready},
        watcher::{Interest, Notice},
    },
    pipeline::{Answer, Call},
    refusal::Refusal,
    request::Query,
    select::Selection,
    storage::keys,
    verbs::list::{parse_version, present},
};
use axum::body::Body;
use base::{knobs::ms, reached};
use bytes::{BufMut, Bytes, BytesMut};
use objects::Kind;
use rt::Mono;
use serde_json::{Value, json};
use std::{convert::Infallible, time::Duration};

/// The annotation of the bookmark that ends the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";
/// A piece of the stream is sent when it has grown to this.
const PIECE: usize = 64 << 10;

/// Where a watch begins, as the client says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// With the present state: of the store (None), or any that is not older than this.
    State { at_least: Option<i64> },
    /// With what comes after the store's present revision.
    Now,
    /// With what comes after this.
    After(i64),
}

pub async fn watch(call: Call) -> Answer {
    let kind = call.target.kind;
    let from = parse_from(&call.query)?;
    let selection = Selection::parse(kind, call.query.get("labelSelector"), &fields(&call))?;
    let interest = Interest { scope: keys::scope(kind, &call.target.namespace), selection };
    match begin(&call, from, interest).await {
        Ok(subscription) => {
            let announce = call.query.is_true("sendInitialEvents");
            let stream = Stream::new(&call, subscription, announce)?;
            Ok(streamed(futures::stream::unfold(stream, |mut stream| async {
                let piece = stream.next().await?;
                Some((Ok::<Bytes, Infallible>(piece), stream))
            })))
        }
        // Once the version was understood, what is wrong is said in the stream, as upstream does.
        Err(refusal) if refusal.status.code == 410 => {
            reached!("a watch asked for events that are gone");
            let frame = frame("ERROR", refusal.body().to_string().as_bytes());
            Ok(streamed(futures::stream::iter([Ok::<Bytes, Infallible>(frame)])))
        }
        Err(refusal) => Err(refusal),
    }
}

/// The field selector; a watch of one object by its path selects it by its name.
fn fields(call: &Call) -> String {
    let given = call.query.get("fieldSelector");
    let by_name = match call.target.name.as_str() {
        "" => String::new(),
        name => format!("metadata.name={name}"),
    };
    let both = [given, &by_name];
    both.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(",")
}

fn parse_from(query: &Query) -> Result<From, Refusal> {
    let (version, rule) = (query.get("resourceVersion"), query.get("resourceVersionMatch"));
    let initial = query.flag("sendInitialEvents");
    match (initial, rule) {
        (None, "") | (Some(_), "NotOlderThan") => {}
        (None, _) => {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(Refusal::bad_request(why));
        }
        (Some(_), _) => {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(Refusal::bad_request(why));
        }
    }
    let revision = parse_version(version)?;
    Ok(match initial {
        None | Some(true) if version.is_empty() => From::State { at_least: None },
        Some(true) => From::State { at_least: Some(revision) },
        None if revision == 0 => From::State { at_least: Some(0) },
        Some(false) if revision == 0 => From::Now,
        _ => From::After(revision),
    })
}

async fn begin(call: &Call, from: From, interest: Interest) -> Result<Subscription, Refusal> {
    let (server, kind) = (&call.server, call.target.kind);
    let cacher = server.cache(kind);
    let start = match from {
        From::State { at_least: None } => {
            present(server, kind).await?.ok_or_else(not_ready)?;
            Start::State
        }
        From::State { at_least: Some(revision) } => match cacher.at_least(revision).await {
            Ok(_) => Start::State,
            Err(Late::NotReady) => return Err(not_ready()),
            Err(Late::Behind { current }) => return Err(Refusal::too_new(revision, current)),
        },
        From::Now => Start::After(present(server, kind).await?.ok_or_else(not_ready)?.revision),
        From::After(revision) => {
            cacher.at_least(0).await.map_err(|_| not_ready())?;
            Start::After(revision)
        }
    };
    cacher.watch(start, interest)
}

fn streamed(
    stream: impl futures::Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> axum::response::Response {
    let mut response = answer::bytes(200, Bytes::new());
    *response.body_mut() = Body::from_stream(stream);
    response
}

/// One line of the stream.
fn frame(word: &str, object: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(object.len() + 40);
    put_frame(&mut out, word, object);
    out.freeze()
}

fn put_frame(out: &mut BytesMut, word: &str, object: &[u8]) {
    out.put(&b"{\"type\":\""[..]);
    out.put(word.as_bytes());
    out.put(&b"\",\"object\":"[..]);
    out.put(object);
    out.put(&b"}\n"[..]);
}

/// A watch on its way to one client.
struct Stream {
    subscription: Subscription,
    kind: &'static Kind,
    form: Form,
    /// Bookmarks at this distance; None when the client wants none.
    bookmarks: Option<Duration>,
    next_bookmark: Mono,
    end: Mono,
    /// The end of the initial events is still to be announced.
    announce: bool,
    /// Columns of a Table are described once.
    described: bool,
    sent: i64,
    ended: bool,
}

impl Stream {
    fn new(call: &Call, subscription: Subscription, announce: bool) -> Result<Self, Refusal> {
        let knobs = &call.server.config.knobs;
        let wanted = call.query.is_true("allowWatchBookmarks");
        let lasts = match call.query.number("timeoutSeconds")? {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
            // Not all at the same time.
            _ => ms(knobs.watch_timeout_ms + rt::random_range(0..knobs.watch_timeout_ms.max(1))),
        };
        let every = ms(knobs.bookmark_ms);
        Ok(Stream {
            kind: call.target.kind,
            form: call.form,
            bookmarks: wanted.then_some(every),
            next_bookmark: rt::now() + every,
            end: rt::now() + lasts,
            announce: announce && wanted,
            described: false,
            sent: 0,
            ended: false,
            subscription,
        })
    }

    /// The next piece of the stream; None at its end.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        while !self.ended {
            self.drain(&mut out);
            if !out.is_empty() {
                break;
            }
            if self.ended {
                return None;
            }
            let until = if self.bookmarks.is_some() { self.next_bookmark.min(self.end) } else { self.end };
            rt::select! {
                notice = self.subscription.next() => match notice {
                    Some(notice) => self.put(&mut out, &notice),
                    None => {
                        reached!("api: a watch was ended from this side");
                        self.ended = true;
                    }
                },
                () = rt::sleep_until(until) => self.on_time(&mut out),
            }
        }
        (!out.is_empty()).then(|| out.freeze())
    }

    /// Everything that is there already, up to the size of a piece. True when nothing is left and the watch lives.
    fn drain(&mut self, out: &mut BytesMut) -> bool {
        while out.len() < PIECE {
            if self.announce && !self.subscription.in_first() {
                self.announce = false;
                self.put_bookmark(out, self.subscription.since, true);
            }
            match self.subscription.try_next() {
                Ready::Notice(notice) => self.put(out, &notice),
                Ready::Nothing => return true,
                Ready::Ended => {
                    reached!("api: a watch ended behind what was queued");
                    self.ended = true;
                    return false;
                }
            }
        }
        false
    }

    /// A bookmark is due, or the end, which comes with one.
    fn on_time(&mut self, out: &mut BytesMut) {
        let now = rt::now();
        if let Some(every) = self.bookmarks {
            self.next_bookmark = now + every;
            let up_to = self.subscription.queued_up_to();
            if self.drain(out) {
                reached!("api: a bookmark was sent");
                self.put_bookmark(out, up_to.max(self.sent), false);
            } else {
                reached!("api: a bookmark gave way to events");
            }
        }
        reached!("api: a watch came to the end of its time", now >= self.end);
        self.ended |= now >= self.end;
    }

    fn put(&mut self, out: &mut BytesMut, notice: &Notice) {
        self.sent = self.sent.max(notice.item.revision);
        let object = answer::encode(self.kind, &notice.item, self.form, !self.described);
        self.described = true;
        put_frame(out, notice.change.word(), &object);
    }

    fn put_bookmark(&mut self, out: &mut BytesMut, revision: i64, initial_end: bool) {
        let mut metadata = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if initial_end {
            metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
        }
        let object = bookmark(self.kind, self.form, metadata);
        put_frame(out, "BOOKMARK", object.to_string().as_bytes());
    }
}

fn bookmark(kind: &Kind, form: Form, metadata: Value) -> Value {
    match form {
        Form::Object => json!({ "kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata }),
        Form::Metadata => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        }),
        Form::Table(_) => json!({
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": [], "rows": [],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_watch_begins() {
        let from = |query: &str| parse_from(&Query::parse(query)).ok();
        assert_eq!(from(""), Some(From::State { at_least: None }));
        assert_eq!(from("resourceVersion=0"), Some(From::State { at_least: Some(0) }));
        assert_eq!(from("resourceVersion=7"), Some(From::After(7)));
        let list = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
        assert_eq!(from(list), Some(From::State { at_least: None }));
        assert_eq!(from(&format!("{list}&resourceVersion=7")), Some(From::State { at_least: Some(7) }));
        let none = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
        assert_eq!(from(none), Some(From::Now));
        assert_eq!(from("sendInitialEvents=true"), None);
        assert_eq!(from("resourceVersionMatch=NotOlderThan&resourceVersion=7"), None);
    }

    #[test]
    fn a_frame_is_a_line() {
        assert_eq!(&frame("ADDED", b"{}")[..], b"{\"type\":\"ADDED\",\"object\":{}}\n");
    }
}
