//! What readers of the API server saw, against the store's history: a list and the watch that follows it leave no
//! gap, and nobody is shown what is older than what was there to see.

use super::Verdict;
use crate::history::{ApiWatch, Event, History, seconds};
use std::collections::{BTreeMap, BTreeSet};

/// `namespace/name` of a key of the store.
fn name_of(key: &str, resource: &str) -> Option<String> {
    key.strip_prefix("/registry/")?.strip_prefix(resource)?.strip_prefix('/').map(str::to_string)
}

pub fn no_gap(history: &History, log: &BTreeMap<i64, Vec<Event>>) -> Verdict {
    let mut count = 0;
    for watch in &history.api_watches {
        match one(watch, log) {
            Ok(seen) => count += seen,
            Err(text) => {
                let who =
                    format!("{}: {} from resourceVersion {}", watch.client, watch.resource, watch.listed_at);
                return Verdict::Broken(vec![who, text]);
            }
        }
    }
    let watches = history.api_watches.len();
    if count == 0 { Verdict::Idle } else { Verdict::Held(format!("{count} events to {watches} watches")) }
}

fn one(watch: &ApiWatch, log: &BTreeMap<i64, Vec<Event>>) -> Result<u64, String> {
    let mut last = watch.listed_at;
    for event in &watch.events {
        let fresh = if event.kind == "BOOKMARK" { event.version >= last } else { event.version > last };
        if !fresh {
            return Err(format!(
                "{} {} of {} at {} after {last}",
                event.kind,
                event.key,
                event.version,
                seconds(event.at)
            ));
        }
        last = event.version;
    }
    let mut owed = vec![];
    for (revision, events) in log.range(watch.listed_at + 1..).take_while(|(revision, _)| **revision <= last)
    {
        let of_kind =
            events.iter().filter_map(|event| Some((name_of(&event.kv.key, &watch.resource)?, event.delete)));
        owed.extend(of_kind.map(|(name, delete)| (*revision, name, delete)));
    }
    let got = watch.events.iter().filter(|event| event.kind != "BOOKMARK");
    let got: BTreeSet<_> =
        got.map(|event| (event.version, event.key.clone(), event.kind == "DELETED")).collect();
    // what the judge itself is not sure of is not owed; what it is sure of must be there
    if let Some((revision, name, _)) = owed.iter().find(|event| !got.contains(event)) {
        return Err(format!("the change of {name} at {revision} never came, though {last} did"));
    }
    Ok(got.len() as u64)
}

/// A list that began after another had been answered is not older than that.
pub fn never_back(history: &History) -> Verdict {
    let mut lists: Vec<_> = history.lists.iter().collect();
    let mut answered = lists.clone();
    lists.sort_by_key(|list| list.call);
    answered.sort_by_key(|list| list.ret);
    let mut answered = answered.into_iter().peekable();
    let mut newest: Option<&crate::history::ApiList> = None;
    for list in &lists {
        while let Some(earlier) = answered.next_if(|earlier| earlier.ret < list.call) {
            newest = if newest.is_none_or(|known| known.version < earlier.version) {
                Some(earlier)
            } else {
                newest
            };
        }
        if let Some(known) = newest.filter(|known| known.version > list.version) {
            let text = format!(
                "{} listed {} at {} and was shown {}",
                list.client,
                list.resource,
                seconds(list.call),
                list.version
            );
            let before = format!(
                "{} of {} had been answered to {} at {}",
                known.resource,
                known.version,
                known.client,
                seconds(known.ret)
            );
            return Verdict::Broken(vec![text, before]);
        }
    }
    if lists.is_empty() { Verdict::Idle } else { Verdict::Held(format!("{} lists", lists.len())) }
}
