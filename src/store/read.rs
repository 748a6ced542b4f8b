//! Reads: ranges as they are now or were at a revision, and the history a watcher catches up on. Nothing is
//! copied but the answer.

use crate::state::{Body, key_value};
use crate::{Error, Event, EventKind, KeyRange, KeyValue, RangeRequest, RangeResponse};
use crate::{SortOrder, SortTarget, Store};
use base::{bug, reached};
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Bound;

impl Store {
    /// Answers a range. In the middle of a txn "now" includes what the txn has written so far.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        let range = KeyRange::new(&request.key, &request.range_end);
        match self.readable(request.revision)? {
            Some(revision) if !self.is_unchanged_since(revision) => {
                reached!("store: the past was read");
                Ok(answer(request, self.items_at(&range, revision)))
            }
            _ => Ok(answer(request, self.items(&range))),
        }
    }

    /// The changes of keys in a range from a revision on, in order.
    pub fn history<'a>(
        &'a self,
        range: &'a KeyRange,
        from: i64,
    ) -> Result<impl Iterator<Item = Event> + 'a, Error> {
        if from < self.compacted {
            return Err(Error::Compacted { compacted: self.compacted });
        }
        let changes = self.log.range((from, 0)..).filter(|(_, key)| range.contains(key));
        Ok(changes.map(|((revision, _), key)| self.event(key, *revision)))
    }

    /// The revision to read at if it is not "now", after checking that it can be.
    pub(crate) fn readable(&self, revision: i64) -> Result<Option<i64>, Error> {
        match revision {
            ..=0 => Ok(None),
            _ if revision > self.revision => {
                reached!("store: a read asked for the future");
                Err(Error::FutureRevision { current: self.revision })
            }
            _ if revision < self.compacted => {
                reached!("store: a read asked for what is compacted");
                Err(Error::Compacted { compacted: self.compacted })
            }
            _ => Ok(Some(revision)),
        }
    }

    fn is_unchanged_since(&self, revision: i64) -> bool {
        self.log.get_max().is_none_or(|((last, _), _)| *last <= revision)
    }

    fn items<'a>(&'a self, range: &KeyRange) -> impl Iterator<Item = Item<'a>> {
        let live = self.live.range::<_, [u8]>(range.bounds());
        live.map(|(key, live)| Item { key, modified: live.modified, body: &live.body })
    }

    /// Goes from key to key over the versions, whatever number of them a key has.
    fn items_at<'a>(&'a self, range: &'a KeyRange, revision: i64) -> impl Iterator<Item = Item<'a>> {
        let mut from = Bound::Included((range.start().clone(), i64::MIN));
        std::iter::from_fn(move || {
            loop {
                let ((key, _), _) = self.versions.range((from.clone(), Bound::Unbounded)).next()?;
                if !range.contains(key) {
                    return None;
                }
                from = Bound::Excluded((key.clone(), i64::MAX));
                if let Some((modified, body)) = self.body_at(key, revision) {
                    return Some(Item { key, modified, body });
                }
            }
        })
    }

    /// A key's last version up to a revision, unless it is a deletion.
    fn body_at(&self, key: &Bytes, revision: i64) -> Option<(i64, &Body)> {
        let ((found, modified), version) = self.versions.get_prev(&(key.clone(), revision))?;
        let body = version.body.as_ref().filter(|_| found == key)?;
        Some((*modified, body))
    }

    fn event(&self, key: &Bytes, revision: i64) -> Event {
        let before = if bug!("PREV") { revision - 2 } else { revision - 1 };
        let prev = self.body_at(key, before).map(|(modified, body)| key_value(key, modified, body));
        match self.versions.get(&(key.clone(), revision)).and_then(|version| version.body.as_ref()) {
            Some(body) => Event { kind: EventKind::Put, kv: key_value(key, revision, body), prev },
            None => {
                let kv = KeyValue { key: key.clone(), mod_revision: revision, ..KeyValue::default() };
                Event { kind: EventKind::Delete, kv, prev }
            }
        }
    }
}

/// A key at a revision, borrowed.
#[derive(Clone, Copy)]
struct Item<'a> {
    key: &'a Bytes,
    modified: i64,
    body: &'a Body,
}

/// Counts everything, keeps what is wanted. The limit counts after filters and sorting.
fn answer<'a>(request: &RangeRequest, items: impl Iterator<Item = Item<'a>>) -> RangeResponse {
    let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let sort = ordering(request);
    let enough = if sort.is_some() { usize::MAX } else { limit.saturating_add(1) };
    let mut response = RangeResponse::default();
    let mut kept = Vec::new();
    for item in items {
        response.count += 1;
        if !request.count_only && kept.len() < enough && passes(request, &item) {
            kept.push(item);
        }
    }
    if let Some((target, descending)) = sort {
        // Equal ones stay in the order of their keys, also when it goes down.
        kept.sort_by(|a, b| {
            let order = compare(target, a, b);
            if descending { order.reverse() } else { order }
        });
    }
    response.more = kept.len() > limit;
    reached!("store: a list was cut by its limit", response.more);
    kept.truncate(limit);
    response.kvs = kept.iter().map(|item| wanted(request, item)).collect();
    response
}

fn passes(request: &RangeRequest, item: &Item) -> bool {
    let within = |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    within(item.modified, request.min_mod_revision, request.max_mod_revision)
        && within(item.body.create, request.min_create_revision, request.max_create_revision)
}

/// How to sort, and whether downwards; nothing if the order of keys will do. A target without an order means
/// upwards.
fn ordering(request: &RangeRequest) -> Option<(SortTarget, bool)> {
    match (request.sort_target, request.sort_order) {
        (SortTarget::Key, SortOrder::None | SortOrder::Ascend) => None,
        (target, order) => Some((target, order == SortOrder::Descend)),
    }
}

fn compare(target: SortTarget, a: &Item, b: &Item) -> Ordering {
    match target {
        SortTarget::Key => a.key.cmp(b.key),
        SortTarget::Version => a.body.version.cmp(&b.body.version),
        SortTarget::Create => a.body.create.cmp(&b.body.create),
        SortTarget::Mod => a.modified.cmp(&b.modified),
        SortTarget::Value => a.body.value.cmp(&b.body.value),
    }
}

fn wanted(request: &RangeRequest, item: &Item) -> KeyValue {
    let kv = key_value(item.key, item.modified, item.body);
    if request.keys_only { KeyValue { value: Bytes::new(), ..kv } } else { kv }
}
