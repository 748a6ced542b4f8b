//! The promises of a watch (etcd API guarantees, "Watch APIs"), each judged against the order of commits.

use super::Verdict;
use crate::history::{Event, FrameKind, History, Kv, Watch, seconds};
use crate::model::log::say;
use std::collections::{BTreeMap, BTreeSet};

type Log = BTreeMap<i64, Vec<Event>>;

/// Runs one judge over every watch; the first complaint wins.
fn each(history: &History, judge: impl Fn(&Watch) -> Result<usize, Vec<String>>) -> Verdict {
    let mut events = 0;
    for watch in &history.watches {
        match judge(watch) {
            Ok(looked_at) => events += looked_at,
            Err(evidence) => {
                let from = if watch.start > 0 {
                    format!("from revision {}", watch.start)
                } else {
                    "from now".into()
                };
                let who = format!(
                    "{}: watch of {} {from}, opened at {}",
                    watch.client,
                    watch.span,
                    seconds(watch.opened)
                );
                return Verdict::Broken([vec![who], evidence].concat());
            }
        }
    }
    if events == 0 {
        Verdict::Idle
    } else {
        Verdict::Held(format!("{events} events to {} watches", history.watches.len()))
    }
}

fn events(watch: &Watch) -> impl Iterator<Item = (u64, &Event)> {
    watch.frames.iter().flat_map(|frame| frame.events.iter().map(|event| (frame.at, event)))
}

pub fn ordered(history: &History) -> Verdict {
    each(history, |watch| {
        let mut last = watch.start;
        let mut count = 0;
        for (at, event) in events(watch) {
            count += 1;
            let revision = event.kv.modified;
            if revision < last {
                let what = if count == 1 { "the start" } else { "revision" };
                return Err(vec![format!(
                    "{} at {}: revision {revision} after {what} {last}",
                    say(event),
                    seconds(at)
                )]);
            }
            last = revision;
        }
        Ok(count)
    })
}

pub fn unique(history: &History) -> Verdict {
    each(history, |watch| {
        let mut seen = BTreeSet::new();
        for (at, event) in events(watch) {
            if !seen.insert((event.kv.modified, event.kv.key.as_str())) {
                return Err(vec![format!(
                    "{} of revision {} came twice, again at {}",
                    say(event),
                    event.kv.modified,
                    seconds(at)
                )]);
            }
        }
        Ok(seen.len())
    })
}

pub fn atomic(history: &History) -> Verdict {
    each(history, |watch| {
        let mut count = 0;
        let mut closed = 0;
        for frame in &watch.frames {
            let FrameKind::Events { partial } = frame.what else { continue };
            count += frame.events.len();
            if let Some(event) = frame.events.iter().find(|event| event.kv.modified == closed) {
                return Err(vec![format!(
                    "revision {closed} came in two answers: {} at {}",
                    say(event),
                    seconds(frame.at)
                )]);
            }
            if !partial {
                closed = frame.events.last().map_or(closed, |event| event.kv.modified);
            }
        }
        Ok(count)
    })
}

pub fn filtered(history: &History) -> Verdict {
    each(history, |watch| {
        let mut count = 0;
        for (at, event) in events(watch) {
            count += 1;
            let unwanted = if event.delete { watch.no_delete } else { watch.no_put };
            if unwanted || !watch.span.holds(&event.kv.key) {
                return Err(vec![format!("{} at {} was not asked for", say(event), seconds(at))]);
            }
        }
        Ok(count)
    })
}

/// No gap between where the watch began and what it delivered last. `resumed`: only watches with a start revision.
pub fn reliable(history: &History, log: &Log, resumed: bool) -> Verdict {
    each(history, |watch| {
        if resumed != (watch.start > 0) {
            return Ok(0);
        }
        let Some(from) = watch.owes_from() else { return Ok(0) };
        let to = watch.complete_to();
        let got: BTreeSet<(i64, &str)> =
            events(watch).map(|(_, e)| (e.kv.modified, e.kv.key.as_str())).collect();
        let mut count = 0;
        for (revision, owed) in log.range(from..).take_while(|(revision, _)| **revision <= to) {
            let wanted = |e: &&Event| {
                watch.span.holds(&e.kv.key) && !(if e.delete { watch.no_delete } else { watch.no_put })
            };
            for event in owed.iter().filter(wanted) {
                count += 1;
                if !got.contains(&(*revision, event.kv.key.as_str())) {
                    let text =
                        format!("revision {revision}, {}, never came, though revision {to} did", say(event));
                    return Err(vec![text]);
                }
            }
        }
        Ok(count)
    })
}

pub fn bookmark(history: &History) -> Verdict {
    each(history, |watch| {
        let (mut told, mut count) = (0, 0);
        for frame in &watch.frames {
            if frame.what == FrameKind::Progress {
                count += 1;
                if watch.start > 0 && frame.revision < watch.start - 1 {
                    let text = format!(
                        "a notice of revision {} to a watch that starts later, at {}",
                        frame.revision,
                        seconds(frame.at)
                    );
                    return Err(vec![text]);
                }
                told = told.max(frame.revision);
            } else if let Some(event) = frame.events.iter().find(|event| event.kv.modified <= told) {
                let text = format!(
                    "{} of revision {} at {}, after a notice that all up to {told} had been sent",
                    say(event),
                    event.kv.modified,
                    seconds(frame.at)
                );
                return Err(vec![text]);
            }
        }
        Ok(count)
    })
}

pub fn previous(history: &History, log: &Log) -> Verdict {
    let compacted = history.compacted();
    let mut state: BTreeMap<&str, Option<&Kv>> = BTreeMap::new();
    let mut before: BTreeMap<(i64, &str), Option<&Kv>> = BTreeMap::new();
    let mut expected = log.keys().next().copied().unwrap_or(2);
    for (revision, events) in log {
        if *revision != expected {
            state.clear();
        }
        expected = revision + 1;
        for event in events {
            if let Some(prev) = state.get(event.kv.key.as_str()) {
                before.insert((*revision, &event.kv.key), *prev);
            }
            state.insert(&event.kv.key, (!event.delete).then_some(&event.kv));
        }
    }
    each(history, |watch| {
        let mut count = 0;
        for (at, event) in events(watch).filter(|_| watch.prev_kv) {
            let Some(right) = before.get(&(event.kv.modified, event.kv.key.as_str())) else { continue };
            count += 1;
            let excused = event.prev.is_none() && compacted >= event.kv.modified;
            if event.prev.as_ref() != *right && !excused {
                let (told, right) = (say_prev(event.prev.as_ref()), say_prev(*right));
                return Err(vec![format!(
                    "{} at {}: told {told} before it; it was {right}",
                    say(event),
                    seconds(at)
                )]);
            }
        }
        Ok(count)
    })
}

fn say_prev(kv: Option<&Kv>) -> String {
    kv.map_or("nothing".into(), |kv| format!("{} (mod {})", kv.value, kv.modified))
}

/// A watch is refused as compacted only where history really is gone.
pub fn compacted(history: &History) -> Verdict {
    each(history, |watch| {
        for frame in &watch.frames {
            if let FrameKind::Cancelled { compacted, .. } = frame.what
                && compacted > 0
                && watch.start >= compacted
            {
                let text = format!(
                    "cancelled at {} as compacted at {compacted}, but it began at {}",
                    seconds(frame.at),
                    watch.start
                );
                return Err(vec![text]);
            }
        }
        Ok(1)
    })
}
