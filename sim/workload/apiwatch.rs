//! Readers of the API server: a list, the watch that follows it, and now and then a list at another server. What
//! they are told is held against the store's history.

use super::Ground;
use crate::history::{ApiEvent, ApiList, ApiWatch, seen::Seen};
use crate::nemesis::now;
use client::{Client, ListOptions, WatchEvent};
use objects::{kinds, kinds::Kind};
use std::time::Duration;

const RESOURCES: [&Kind; 3] = [&kinds::pod::KIND, &kinds::replica_set::KIND, &kinds::deployment::KIND];

pub async fn run(name: String, number: u64, ground: Ground) -> Result<(), String> {
    let kind = RESOURCES[number as usize % RESOURCES.len()];
    rt::spawn(lists(format!("{name}/lists"), kind, ground.clone()));
    let mut servers = ground.apiservers.clone();
    let turns = number as usize % servers.len().max(1);
    servers.rotate_left(turns);
    let client = Client::new(servers, &name, &ground.knobs);
    loop {
        follow(&name, kind, &client, &ground.seen).await;
        rt::sleep(Duration::from_millis(300)).await;
    }
}

/// Consistent lists, at each server in turn: no answer may be older than what another has shown before.
async fn lists(name: String, kind: &'static Kind, ground: Ground) {
    let clients: Vec<Client> =
        ground.apiservers.iter().map(|server| Client::new(vec![*server], &name, &ground.knobs)).collect();
    loop {
        for client in &clients {
            rt::sleep(Duration::from_millis(400)).await;
            let call = now();
            let asked =
                rt::timeout(Duration::from_secs(3), client.list(kind, None, &ListOptions::default())).await;
            if let Ok(Ok(list)) = asked {
                let version = list.resource_version.parse().unwrap_or(0);
                let (client, resource) = (name.clone(), kind.plural.to_string());
                let list = ApiList { client, resource, call, ret: now(), version };
                ground.seen.lock().history.lists.push(list);
            }
        }
    }
}

/// A list, and the watch that follows it until it ends.
pub async fn follow(name: &str, kind: &'static Kind, client: &Client, seen: &Seen) {
    let Ok(list) = client.list(kind, None, &ListOptions::default()).await else { return };
    let listed_at = list.resource_version.parse().unwrap_or(0);
    let watch =
        ApiWatch { client: name.into(), resource: kind.plural.into(), listed_at, ..ApiWatch::default() };
    let index = {
        let watches = &mut seen.lock().history.api_watches;
        watches.push(watch);
        watches.len() - 1
    };
    let options = ListOptions { resource_version: list.resource_version, ..ListOptions::default() };
    let mut stream = match client.watch(kind, None, &options).await {
        Ok(stream) => stream,
        Err(error) => {
            seen.lock().history.api_watches[index].ended = Some(error.to_string());
            return;
        }
    };
    while let Some(event) = stream.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                seen.lock().history.api_watches[index].ended = Some(error.to_string());
                return;
            }
        };
        let (kind, object) = match &event {
            WatchEvent::Added(object) => ("ADDED", Some(object)),
            WatchEvent::Modified(object) => ("MODIFIED", Some(object)),
            WatchEvent::Deleted(object) => ("DELETED", Some(object)),
            WatchEvent::Bookmark(_) => ("BOOKMARK", None),
        };
        let (key, version) = match (&event, object) {
            (WatchEvent::Bookmark(version), _) => (String::new(), version.parse().unwrap_or(0)),
            (_, Some(object)) => (client::key_of(object), object.resource_version().parse().unwrap_or(0)),
            _ => continue,
        };
        seen.lock().history.api_watches[index].events.push(ApiEvent { at: now(), kind, key, version });
    }
}
