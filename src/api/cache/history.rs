//! The window of past events that a watch may start in. Pure.
//!
//! Promises: events come out in the order they went in; a start at or behind `from` gets every event after it,
//! an earlier one is refused, never served with a gap. The window only moves forward, also when the cache is
//! filled anew (bug museum A05, A10, A14).

use crate::cache::item::Event;
use std::{collections::VecDeque, sync::Arc};

pub struct History {
    events: VecDeque<Arc<Event>>,
    capacity: usize,
    /// Every event after this revision is here.
    from: i64,
}

/// The start asked for lies before the window.
#[derive(Debug, PartialEq, Eq)]
pub struct TooOld {
    pub asked: i64,
    pub oldest: i64,
}

impl History {
    /// Empty, of a state as it was at `from`.
    pub fn new(capacity: usize, from: i64) -> Self {
        History { events: VecDeque::new(), capacity: capacity.max(1), from }
    }

    /// The state was read anew at `from`: what happened in between is not known.
    pub fn restart(&mut self, from: i64) {
        base::invariant!(from >= self.from, "a watch cache's window never goes back");
        self.events.clear();
        self.from = from;
    }

    pub fn push(&mut self, event: Arc<Event>) {
        let last = self.events.back().map_or(self.from, |last| last.revision);
        base::invariant!(event.revision >= last, "watch events come in order of revision");
        while self.events.len() >= self.capacity {
            if let Some(gone) = self.events.pop_front() {
                self.from = gone.revision;
                gone.item.cool();
            }
        }
        self.events.push_back(event);
    }

    /// Everything after `revision`.
    pub fn since(&self, revision: i64) -> Result<Vec<Arc<Event>>, TooOld> {
        if revision < self.from && !base::bug!("A10") {
            return Err(TooOld { asked: revision, oldest: self.from });
        }
        // kubernetes#116436: A05 reads the window by an index that no longer fits it.
        let fits = !base::bug!("A05");
        let start = self.events.partition_point(|event| fits && event.revision <= revision);
        Ok(self.events.range(start..).cloned().collect())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::item::Item;
    use objects::Object;

    fn event(revision: i64) -> Arc<Event> {
        Event::listed(Item::new("n/a", revision, Object::new("v1", "Pod")))
    }

    fn revisions(events: Vec<Arc<Event>>) -> Vec<i64> {
        events.iter().map(|event| event.revision).collect()
    }

    #[test]
    fn a_start_inside_the_window_gets_everything_after_it() {
        let mut history = History::new(3, 10);
        assert_eq!(revisions(history.since(10).unwrap()), [0; 0]);
        for revision in [11, 13, 17] {
            history.push(event(revision));
        }
        assert_eq!(revisions(history.since(10).unwrap()), [11, 13, 17]);
        assert_eq!(revisions(history.since(13).unwrap()), [17]);
        assert_eq!(revisions(history.since(99).unwrap()), [0; 0]);
    }

    #[test]
    fn a_start_before_the_window_is_refused_by_what_was_dropped_not_by_what_is_left() {
        let mut history = History::new(2, 10);
        for revision in [11, 13, 17] {
            history.push(event(revision));
        }
        assert_eq!(history.len(), 2);
        assert_eq!(history.since(10).unwrap_err(), TooOld { asked: 10, oldest: 11 });
        assert_eq!(revisions(history.since(11).unwrap()), [13, 17]);
    }

    #[test]
    fn a_restart_forgets_the_past() {
        let mut history = History::new(2, 10);
        history.push(event(11));
        history.restart(20);
        assert_eq!(history.since(19).unwrap_err(), TooOld { asked: 19, oldest: 20 });
        assert!(history.since(20).unwrap().is_empty());
    }

    #[test]
    #[should_panic(expected = "in order of revision")]
    fn an_event_out_of_order_is_a_broken_promise() {
        let mut history = History::new(2, 10);
        history.push(event(9));
    }
}
