//! Who watches a kind, and what each of them is told. Pure but for the queues.
//!
//! Promises: a watcher gets every event after its start that concerns it, once, in order, until its queue is
//! ended; a queue that is full is ended, never waited for. An object that comes into a selection is ADDED to
//! it and one that leaves it is DELETED from it, whatever happened to it in the store.

use crate::{
    cache::item::{Change, Event, Item},
    select::Selection,
};
use rt::{
    memory::Gauge,
    sync::mpsc::{
        self,
        error::{TryRecvError, TrySendError},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What one watcher is told.
#[derive(Clone)]
pub struct Notice {
    pub change: Change,
    pub item: Arc<Item>,
}

/// What a watcher wants to know of.
#[derive(Clone)]
pub struct Interest {
    /// Keys below the kind's prefix start with this.
    pub scope: String,
    pub selection: Selection,
}

impl Interest {
    /// What the event is to someone with this interest.
    pub fn notice(&self, event: &Event) -> Option<Notice> {
        if !event.key().starts_with(&self.scope) {
            return None;
        }
        let gone = event.change == Change::Deleted;
        let now = !gone && self.selection.matches(&event.item.object());
        let before = event.previous.as_ref().is_some_and(|item| self.selection.matches(&item.object()));
        base::reached!("api: an object left a watcher's selection", before && !now && !gone);
        base::reached!(
            "api: an object entered a watcher's selection",
            !before && now && event.previous.is_some()
        );
        let (change, item) = match (before, now) {
            (false, true) => (Change::Added, event.item.clone()),
            (true, true) => (Change::Modified, event.item.clone()),
            (true, false) if gone => (Change::Deleted, event.item.clone()),
            (true, false) => (Change::Deleted, event.parting()),
            (false, false) => return None,
        };
        Some(Notice { change, item })
    }
}

struct Watcher {
    interest: Interest,
    /// Only what came after this revision.
    after: i64,
    queue: mpsc::Sender<Notice>,
}

/// What a watcher has not been told yet.
pub struct Queue {
    notices: mpsc::Receiver<Notice>,
    queued: Gauge,
}

/// Bytes that a notice takes in a queue. Its object is counted as it is, once, however many queues it stands in.
const NOTICE: u64 = size_of::<Notice>() as u64;

impl Queue {
    pub async fn recv(&mut self) -> Option<Notice> {
        let notice = self.notices.recv().await?;
        self.queued.sub(NOTICE);
        Some(notice)
    }

    pub fn try_recv(&mut self) -> Result<Notice, TryRecvError> {
        self.notices.try_recv().inspect(|_| self.queued.sub(NOTICE))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.notices.close();
        self.queued.sub(NOTICE * self.notices.len() as u64);
    }
}

pub struct Watchers {
    all: BTreeMap<u64, Watcher>,
    /// Those who want to know of one node's objects only, so that an event does not pass by every kubelet.
    by_node: BTreeMap<String, BTreeSet<u64>>,
    others: BTreeSet<u64>,
    last_id: u64,
    /// What all queues take in memory.
    queued: Gauge,
}

impl Default for Watchers {
    fn default() -> Self {
        let (all, by_node, others, last_id) = Default::default();
        Self { all, by_node, others, last_id, queued: Gauge::new("watchers' queues") }
    }
}

impl Watchers {
    pub fn add(&mut self, interest: Interest, after: i64, room: usize) -> (u64, Queue) {
        self.last_id += 1;
        let id = self.last_id;
        match interest.selection.node() {
            Some(node) => self.by_node.entry(node.to_string()).or_default().insert(id),
            None => self.others.insert(id),
        };
        let (queue, notices) = mpsc::channel(room.max(1));
        self.all.insert(id, Watcher { interest, after, queue });
        (id, Queue { notices, queued: self.queued.clone() })
    }

    pub fn remove(&mut self, id: u64) {
        let Some(watcher) = self.all.remove(&id) else { return };
        self.others.remove(&id);
        let Some(node) = watcher.interest.selection.node() else { return };
        if let Some(of_node) = self.by_node.get_mut(node) {
            of_node.remove(&id);
            if of_node.is_empty() {
                self.by_node.remove(node);
            }
        }
    }

    /// Ends every watch.
    pub fn clear(&mut self) {
        base::reached!("api: watches ended because their cache was read anew", !self.all.is_empty());
        let (last_id, queued) = (self.last_id, self.queued.clone());
        *self = Watchers { last_id, queued, ..Watchers::default() };
    }

    pub fn dispatch(&mut self, event: &Event) {
        let mut ended = vec![];
        for id in self.concerned(event) {
            let Some(watcher) = self.all.get(&id).filter(|watcher| event.revision > watcher.after) else {
                continue;
            };
            let Some(notice) = watcher.interest.notice(event) else { continue };
            match watcher.queue.try_send(notice) {
                Ok(()) => self.queued.add(NOTICE),
                // kubernetes#131020: the end of a watch gets lost where its queue is full.
                Err(TrySendError::Full(_)) if base::bug!("A18") => {}
                Err(TrySendError::Full(_)) => {
                    base::reached!("a slow watcher was dropped");
                    ended.push(id);
                }
                Err(TrySendError::Closed(_)) => ended.push(id),
            }
        }
        for id in ended {
            self.remove(id);
        }
    }

    /// In the order they came.
    fn concerned(&self, event: &Event) -> BTreeSet<u64> {
        let mut ids = self.others.clone();
        let before = event.previous.as_ref().map(|item| &item.node);
        // kubernetes#125145: A12 looks for watchers under another key than they are filed under.
        let now = Some(&event.item.node).filter(|_| !base::bug!("A12"));
        for node in [now, before].into_iter().flatten() {
            if let Some(of_node) = self.by_node.get(node) {
                ids.extend(of_node);
            }
        }
        ids
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use objects::{Object, kinds::by_kind};

    fn pod(revision: i64, app: &str, node: &str) -> Arc<Item> {
        let mut object = Object::new("v1", "Pod");
        object.set_label("app", app);
        object.set(&["spec", "nodeName"], node);
        Item::new("n/a", revision, object)
    }

    fn interest(scope: &str, labels: &str, fields: &str) -> Interest {
        let selection = Selection::parse(by_kind("v1", "Pod").unwrap(), labels, fields).unwrap();
        Interest { scope: scope.into(), selection }
    }

    fn told(interest: &Interest, event: &Event) -> Option<(Change, i64, String)> {
        let notice = interest.notice(event)?;
        let app = notice.item.object().label("app").unwrap_or_default().to_string();
        Some((notice.change, notice.item.revision, app))
    }

    #[test]
    fn a_selection_turns_changes_into_coming_and_going() {
        let x = interest("n/", "app=x", "");
        let comes = Event::put(pod(2, "x", ""), Some(pod(1, "y", "")));
        assert_eq!(told(&x, &comes), Some((Change::Added, 2, "x".into())));
        let stays = Event::put(pod(3, "x", ""), Some(pod(2, "x", "")));
        assert_eq!(told(&x, &stays), Some((Change::Modified, 3, "x".into())));
        let goes = Event::put(pod(4, "y", ""), Some(pod(3, "x", "")));
        assert_eq!(told(&x, &goes), Some((Change::Deleted, 4, "x".into())));
        assert_eq!(told(&x, &Event::delete(pod(4, "y", ""), 5)), None);
        assert_eq!(told(&x, &Event::delete(pod(4, "x", ""), 5)), Some((Change::Deleted, 5, "x".into())));
        assert_eq!(told(&interest("m/", "", ""), &stays), None);
    }

    #[test]
    fn only_those_of_the_node_are_told_and_also_of_an_object_that_leaves_it() {
        let mut watchers = Watchers::default();
        let (_, mut on_a) = watchers.add(interest("", "", "spec.nodeName=a"), 0, 8);
        let (_, mut on_b) = watchers.add(interest("", "", "spec.nodeName=b"), 0, 8);
        watchers.dispatch(&Event::put(pod(2, "x", "a"), Some(pod(1, "x", ""))));
        watchers.dispatch(&Event::put(pod(3, "x", "b"), Some(pod(2, "x", "a"))));
        assert_eq!(on_a.try_recv().unwrap().change, Change::Added);
        assert_eq!(on_a.try_recv().unwrap().change, Change::Deleted);
        assert_eq!(on_b.try_recv().unwrap().change, Change::Added);
        assert!(on_b.try_recv().is_err());
    }

    #[test]
    fn a_full_queue_is_ended_after_what_it_holds() {
        let mut watchers = Watchers::default();
        let (_, mut slow) = watchers.add(interest("", "", ""), 0, 1);
        watchers.dispatch(&Event::listed(pod(2, "x", "")));
        watchers.dispatch(&Event::listed(pod(3, "x", "")));
        assert_eq!(watchers.len(), 0);
        assert_eq!(slow.try_recv().unwrap().item.revision, 2);
        assert_eq!(slow.try_recv().err(), Some(mpsc::error::TryRecvError::Disconnected));
    }

    #[test]
    fn queues_are_counted_and_an_object_for_as_long_as_one_of_them_holds_it() {
        let (mut watchers, objects) = (Watchers::default(), Gauge::new("objects"));
        let [(_, mut one), (_, other)] = [0, 1].map(|_| watchers.add(interest("", "", ""), 0, 8));
        let item = Item::read("n/a", 2, (*pod(2, "x", "").object()).clone(), 100);
        item.count(&objects);
        item.count(&objects);
        watchers.dispatch(&Event::listed(item));
        assert_eq!((watchers.queued.bytes(), objects.bytes()), (2 * NOTICE, 100));
        let told = one.try_recv().unwrap();
        let encoded = told.item.json().len() as u64;
        assert_eq!((watchers.queued.bytes(), objects.bytes()), (NOTICE, 100 + encoded));
        drop(told);
        assert_eq!(objects.bytes(), 100 + encoded, "the other queue has it");
        drop(other);
        assert_eq!((watchers.queued.bytes(), objects.bytes()), (0, 0));
    }

    #[test]
    fn a_watch_that_starts_ahead_of_the_cache_is_not_told_of_the_past() {
        let mut watchers = Watchers::default();
        let (_, mut ahead) = watchers.add(interest("", "", ""), 10, 8);
        watchers.dispatch(&Event::listed(pod(10, "x", "")));
        watchers.dispatch(&Event::listed(pod(11, "x", "")));
        assert_eq!(ahead.try_recv().unwrap().item.revision, 11);
    }
}
