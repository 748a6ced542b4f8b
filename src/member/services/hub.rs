//! Who watches: it wakes the streams that an event concerns, and moves all other watches past its revision at
//! once, so that a quiet watch never falls behind a compaction.

use super::watcher::{Step, Watcher};
use base::bug;
use rt::sync::Notify;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use store::{Event, Store};

#[derive(Default)]
pub struct Hub {
    streams: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    last: u64,
    by_number: BTreeMap<u64, Stream>,
}

#[derive(Default)]
struct Stream {
    wake: Arc<Notify>,
    /// Id to give to the next watch that did not choose one.
    next_id: i64,
    watchers: BTreeMap<i64, Watcher>,
}

/// A stream's place in the hub; leaves when dropped.
pub struct Seat {
    hub: Arc<Hub>,
    number: u64,
    wake: Arc<Notify>,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().expect("no holder of the streams panics")
    }

    /// A new stream without watches.
    pub fn join(self: &Arc<Self>) -> Seat {
        let mut streams = self.lock();
        streams.last += 1;
        let number = streams.last;
        let stream = Stream::default();
        let wake = stream.wake.clone();
        streams.by_number.insert(number, stream);
        Seat { hub: self.clone(), number, wake }
    }

    /// Tells all watches of a revision that was applied. Revisions come in order.
    pub fn publish(&self, revision: i64, events: &[Event]) {
        for stream in self.lock().by_number.values_mut() {
            let mut wanted = false;
            for watcher in stream.watchers.values_mut() {
                wanted |= watcher.offer(revision, events);
            }
            if wanted {
                stream.wake.notify_one();
            }
        }
    }

    /// Has every stream look at the store again.
    pub fn wake_all(&self) {
        self.lock().by_number.values().for_each(|stream| stream.wake.notify_one());
    }

    /// Has every watch begin anew, as no watch ever may (bug museum W01).
    pub fn rewind(&self) {
        let mut streams = self.lock();
        let watchers = streams.by_number.values_mut().flat_map(|stream| stream.watchers.values_mut());
        watchers.for_each(Watcher::rewind);
    }

    /// Streams and watches there are.
    pub fn count(&self) -> (usize, usize) {
        let streams = self.lock();
        (streams.by_number.len(), streams.by_number.values().map(|stream| stream.watchers.len()).sum())
    }
}

impl Seat {
    fn with<T>(&self, act: impl FnOnce(&mut Stream) -> T) -> T {
        let mut streams = self.hub.lock();
        act(streams.by_number.get_mut(&self.number).expect("a stream stays until its seat is dropped"))
    }

    /// Waits until there may be something to collect. One that comes between two waits is not lost.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Has the stream look again.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Adds a watch under the id chosen by the client, or one of ours if that is 0; none if the id is taken.
    pub fn add(&self, id: i64, watcher: Watcher) -> Option<i64> {
        let id = self.with(|stream| {
            let id = if id != 0 { id } else { stream.free_id() };
            if stream.watchers.contains_key(&id) {
                return None;
            }
            stream.watchers.insert(id, watcher);
            Some(id)
        });
        // What was published while the watch was being made, or lies in the past.
        self.wake();
        id
    }

    /// Removes a watch; false if there is none.
    pub fn remove(&self, id: i64) -> bool {
        self.with(|stream| stream.watchers.remove(&id).is_some())
    }

    pub fn ids(&self) -> Vec<i64> {
        self.with(|stream| stream.watchers.keys().copied().collect())
    }

    /// The watch's settings and position.
    pub fn watcher(&self, id: i64) -> Option<Watcher> {
        self.with(|stream| stream.watchers.get(&id).cloned())
    }

    /// Takes what comes next for a watch.
    pub fn collect(&self, id: i64, store: &Store, most: usize) -> Step {
        self.with(|stream| match stream.watchers.get_mut(&id) {
            Some(watcher) => watcher.collect(store, most),
            None => Step::Nothing,
        })
    }

    /// The revision up to which all watches have been handed everything; `current` if there are none. None when
    /// a watch starts beyond the store's next revision: it must not hear of earlier ones.
    pub fn progress(&self, current: i64) -> Option<i64> {
        self.with(|stream| {
            let future = stream.watchers.values().any(|watcher| watcher.next() > current + 1);
            let least = stream.watchers.values().map(|watcher| watcher.next() - 1).min();
            (!future || bug!("W05")).then(|| least.unwrap_or(current))
        })
    }
}

impl Stream {
    fn free_id(&mut self) -> i64 {
        while self.watchers.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Ok(mut streams) = self.hub.streams.lock() {
            streams.by_number.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd::pb::WatchCreateRequest;

    fn watcher(start_revision: i64) -> Watcher {
        Watcher::new(WatchCreateRequest { key: "a".into(), start_revision, ..Default::default() }, 1)
    }

    #[test]
    fn ids_are_chosen_by_the_client_or_counted_from_0() {
        let hub = Arc::new(Hub::default());
        let seat = hub.join();
        assert_eq!(seat.add(1, watcher(0)), Some(1));
        assert_eq!(seat.add(0, watcher(0)), Some(0));
        assert_eq!(seat.add(0, watcher(0)), Some(2));
        assert_eq!(seat.add(1, watcher(0)), None);
        assert!(seat.remove(1) && !seat.remove(1));
    }

    #[test]
    fn progress_is_that_of_the_slowest_watch() {
        let hub = Arc::new(Hub::default());
        let seat = hub.join();
        assert_eq!(seat.progress(9), Some(9));
        seat.add(0, watcher(10));
        assert_eq!(seat.progress(9), Some(9));
        seat.add(0, watcher(3));
        assert_eq!(seat.progress(9), Some(2));
        seat.add(0, watcher(11));
        assert_eq!(seat.progress(9), None);
    }

    #[test]
    fn a_stream_leaves_with_its_seat() {
        let hub = Arc::new(Hub::default());
        let seat = hub.join();
        seat.add(0, watcher(0));
        assert_eq!(hub.count(), (1, 1));
        drop(seat);
        assert_eq!(hub.count(), (0, 0));
    }
}
