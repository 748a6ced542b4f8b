//! Which events each revision holds. etcd numbers every write, so the order of commits need not be searched for:
//! it is put together from watches that saw everything, from acknowledged writes and from what reads showed.

use crate::history::{Event, History, Watch};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct Log {
    pub events: BTreeMap<i64, Vec<Event>>,
    /// Revisions that a watch of all keys has delivered whole.
    pub whole: BTreeSet<i64>,
    /// Two watches told different things of one revision.
    pub contradiction: Option<String>,
}

impl Log {
    pub fn from_watches(history: &History) -> Log {
        let mut log = Log::default();
        for watch in history.watches.iter().filter(|watch| watch.is_plain()) {
            log.take(watch);
        }
        log
    }

    fn take(&mut self, watch: &Watch) {
        for event in watch.frames.iter().flat_map(|frame| &frame.events) {
            let revision = event.kv.modified;
            let known = self.events.entry(revision).or_default();
            match known.iter_mut().find(|other| other.kv.key == event.kv.key) {
                Some(other) if other.kv != event.kv || other.delete != event.delete => {
                    let (a, b) = (say(other), say(event));
                    let text = format!("revision {revision}: {a} to one watch, {b} to {}", watch.client);
                    self.contradiction.get_or_insert(text);
                }
                Some(other) if other.prev.is_none() => other.prev.clone_from(&event.prev),
                Some(_) => {}
                // most revisions hold one event, and a day of them a million: no room for more
                None => {
                    known.reserve_exact(1);
                    known.push(event.clone());
                }
            }
        }
        if watch.span.is_all()
            && let Some(from) = watch.owes_from()
        {
            self.whole.extend(from..=watch.complete_to());
        }
    }

    pub fn last(&self) -> i64 {
        let seen = self.events.keys().next_back().copied().unwrap_or(1);
        seen.max(self.whole.iter().next_back().copied().unwrap_or(1))
    }
}

pub fn say(event: &Event) -> String {
    if event.delete {
        format!("{} deleted", event.kv.key)
    } else {
        format!("{} = {}", event.kv.key, event.kv.value)
    }
}
