//! Watches of the store: the observer that sees everything, the watchers of a plan, and looks into history.

use super::{Ground, wire};
use crate::history::{Frame, FrameKind, LOAD, Span, Watch, seen::Seen};
use crate::nemesis::{now, until};
use crate::plan::Watcher;
use etcd::{Client, pb};
use std::time::Duration;

/// How a watch is followed.
#[derive(Clone, Default)]
pub struct Manner {
    /// Between one answer and the reading of the next.
    pub pause: Duration,
    /// The watch is dropped after so long.
    pub most: Option<Duration>,
    /// Or when everything up to here has come (0: never).
    pub enough: i64,
    /// Asks for progress when nothing came for so long.
    pub progress: Option<Duration>,
    /// What comes is also what there is now.
    pub observing: bool,
}

/// How a watch ended, and where the next one starts.
pub struct Ended {
    pub next: i64,
    pub compacted: bool,
}

/// The one watch of everything that no harm is aimed at. It resumes until the run ends.
pub async fn observe(ground: Ground) -> Result<(), String> {
    let client = ground.root();
    let mut start = 1;
    let progress = Some(Duration::from_secs(1));
    loop {
        let mut watch = Watch::new("observer", Span::all(), start, now());
        watch.prev_kv = true;
        let manner = Manner { progress, observing: true, ..Manner::default() };
        let ended = follow(&client, &ground.seen, watch, manner).await;
        start = ended.next;
        rt::sleep(Duration::from_millis(100)).await;
    }
}

/// A watcher of the plan: it drops its stream now and then, and resumes behind what it has seen.
pub async fn run(plan: Watcher, ground: Ground) -> Result<(), String> {
    let client = ground.root();
    until(plan.from).await;
    let mut start = 0;
    loop {
        let mut watch = Watch::new(&plan.name, Span::prefix(LOAD), start, now());
        (watch.prev_kv, watch.no_put, watch.no_delete) = (plan.prev_kv, plan.no_put, plan.no_delete);
        let manner = Manner {
            pause: Duration::from_micros(plan.pause),
            most: Some(Duration::from_micros(plan.lives)),
            progress: plan.progress.map(Duration::from_micros),
            ..Manner::default()
        };
        let ended = follow(&client, &ground.seen, watch, manner).await;
        if ended.compacted {
            base::reached!("tank: a watcher was told that its history is gone");
        }
        start = ended.next;
        rt::sleep(Duration::from_millis(100)).await;
    }
}

/// Follows one watch to its end, and writes down every frame.
pub async fn follow(client: &Client, seen: &Seen, watch: Watch, manner: Manner) -> Ended {
    let start = watch.start;
    let create = pb::WatchCreateRequest {
        key: watch.span.from.clone().into(),
        range_end: watch.span.to.clone().into(),
        start_revision: start,
        prev_kv: watch.prev_kv,
        filters: filters(&watch),
        ..Default::default()
    };
    let index = seen.open(watch);
    let mut ended = Ended { next: start, compacted: false };
    let asked = rt::timeout(Duration::from_secs(5), async {
        let stream = client.watch().await?;
        stream.send(pb::WatchRequest::from(create)).await?;
        Ok::<_, tonic::Status>(stream)
    });
    let mut stream = match asked.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(status)) => {
            seen.end(index, status.message());
            return ended;
        }
        Err(_) => {
            seen.end(index, "no connection in time");
            return ended;
        }
    };
    let deadline = manner.most.map(|most| rt::now() + most);
    loop {
        let silence = manner.progress.unwrap_or(Duration::from_secs(3600));
        let wait = deadline.map_or(silence, |deadline| silence.min(deadline - rt::now()));
        match rt::timeout(wait, stream.recv()).await {
            Ok(Ok(response)) => {
                let mut frame = frame(&response);
                if manner.observing {
                    seen.observe(&mut frame);
                }
                if matches!(&frame.what, FrameKind::Cancelled { reason, .. } if reason.starts_with("rpc error"))
                {
                    base::reached!("tank: a watch needs another token");
                    client.renew();
                }
                let stop = take(&frame, &mut ended);
                seen.frame(index, frame);
                if stop || (manner.enough > 0 && ended.next > manner.enough) {
                    break;
                }
            }
            Ok(Err(status)) => {
                seen.end(index, status.message());
                return ended;
            }
            Err(_) if deadline.is_some_and(|deadline| rt::now() >= deadline) => break,
            Err(_) => {
                let asked =
                    rt::timeout(Duration::from_secs(1), stream.send(pb::WatchRequest::progress())).await;
                if !matches!(asked, Ok(Ok(()))) {
                    break;
                }
            }
        }
        if !manner.pause.is_zero() {
            rt::sleep(manner.pause).await;
        }
    }
    seen.end(index, "dropped by its client");
    ended
}

fn filters(watch: &Watch) -> Vec<i32> {
    use pb::watch_create_request::FilterType;
    let wanted = [(watch.no_put, FilterType::Noput), (watch.no_delete, FilterType::Nodelete)];
    wanted.iter().filter(|(on, _)| *on).map(|(_, filter)| *filter as i32).collect()
}

/// Where the next watch starts after this frame; true when the watch has ended.
fn take(frame: &Frame, ended: &mut Ended) -> bool {
    match &frame.what {
        FrameKind::Events { partial: false } => {
            let last = frame.events.last().map_or(0, |event| event.kv.modified);
            ended.next = ended.next.max(last + 1);
        }
        FrameKind::Progress => ended.next = ended.next.max(frame.revision + 1),
        // only a watch from now on learns its place from the answer
        FrameKind::Created if ended.next == 0 => ended.next = frame.revision + 1,
        FrameKind::Cancelled { compacted, .. } => {
            ended.compacted = *compacted > 0;
            ended.next = ended.next.max(*compacted);
            return true;
        }
        _ => {}
    }
    false
}

fn frame(response: &pb::WatchResponse) -> Frame {
    let what = if response.canceled {
        FrameKind::Cancelled { compacted: response.compact_revision, reason: response.cancel_reason.clone() }
    } else if response.created {
        FrameKind::Created
    } else if response.events.is_empty() {
        FrameKind::Progress
    } else {
        FrameKind::Events { partial: response.fragment }
    };
    let events = response.events.iter().map(wire::event).collect();
    Frame { at: now(), revision: wire::revision(&response.header), what, events }
}
