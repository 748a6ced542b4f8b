//! Informers: they list, watch, resume and relist, and what they tell adds up to what is there.

use crate::{client, map, ready, stack};
use base::{Knobs, knobs::ms};
use client::{Client, Delta, Informer, ListOptions, informer::Scope, key_of};
use objects::kinds::config_map;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use world::{Death, World};

/// The objects that handlers were told of, and how many changes.
type Told = Arc<Mutex<(BTreeMap<String, String>, usize)>>;

/// An informer of all ConfigMaps, and the objects that its handlers were told of.
fn follow(api: &Client) -> (Informer, Told) {
    let told = Told::default();
    let keep = told.clone();
    let handler = move |delta: &Delta| {
        let (key, version) = (key_of(delta.object()), delta.object().resource_version().to_string());
        let mut kept = keep.lock().unwrap();
        kept.1 += 1;
        let told = &mut kept.0;
        match delta {
            Delta::Added(_) => assert!(told.insert(key, version).is_none(), "added twice"),
            Delta::Modified { old, .. } => {
                assert_eq!(told.insert(key, version).as_deref(), Some(old.resource_version()));
            }
            Delta::Deleted(_) => assert!(told.remove(&key).is_some(), "deleted, and never added"),
        }
    };
    (Informer::start(api, Scope::all(&config_map::KIND), &[], vec![Box::new(handler)]), told)
}

/// Gives how many changes were made.
async fn churn(api: &Client, count: usize) -> usize {
    let mut made = 0;
    for turn in 0..count {
        let name = format!("m{}", turn % 7);
        let value = rt::random_u64().to_string(); // an update that changes nothing is not told of
        let done = match turn % 3 {
            0 => api.create(&config_map::KIND, &map(&name, &value)).await.map(drop),
            1 => api.update(&config_map::KIND, &map(&name, &value)).await.map(drop),
            _ => api.delete(&config_map::KIND, Some("default"), &name, &Default::default()).await,
        };
        made += usize::from(done.is_ok());
    }
    made
}

/// Four writers of one object: a gap of one round trip hides a change.
async fn hot(api: &Client) -> usize {
    let write = async || {
        for _ in 0..100 {
            let value = rt::random_u64().to_string();
            api.update(&config_map::KIND, &map("hot", &value)).await.expect("written");
        }
    };
    futures::join!(write(), write(), write(), write());
    400
}

async fn there(api: &Client) -> BTreeMap<String, String> {
    let list = api.list(&config_map::KIND, None, &ListOptions::default()).await.expect("a list");
    list.items.iter().map(|item| (key_of(item), item.resource_version().to_string())).collect()
}

/// Waits until the informer has what is there; what it told must add up to the same.
async fn catches_up(api: &Client, informer: &Informer, told: &Told) {
    let wanted = there(api).await;
    let has = || -> BTreeMap<String, String> {
        let cache = informer.cache();
        cache.iter().map(|item| (key_of(item), item.resource_version().to_string())).collect()
    };
    for _ in 0..600 {
        if has() == wanted {
            break;
        }
        rt::sleep(ms(100)).await;
    }
    assert_eq!(has(), wanted);
    assert_eq!(told.lock().unwrap().0, wanted);
}

const RESUMED: &str = "informer: a watch ended and is resumed";
const RELISTED: &str = "informer: the version to resume from is gone, relist";

/// A follower behind links that come and go, and a writer that is not hindered. Gives the marks reached.
fn run(knobs: Knobs, harm: impl Fn() + Send + Sync + 'static) -> BTreeMap<&'static str, u64> {
    World::run(5, move |world| async move {
        stack::start(&world, 1, 2, &knobs);
        stack::process(&world, "follower", move || async move {
            ready(2, &knobs).await;
            let api = client(2, "follower", &knobs);
            churn(&api, 20).await;
            api.create(&config_map::KIND, &map("hot", "1")).await.expect("made");
            let (informer, told) = follow(&api);
            informer.synced().await;
            catches_up(&api, &informer, &told).await;
            base::marks::take_reached();
            let (before, mut made) = (told.lock().unwrap().1, 0);
            for _ in 0..3 {
                harm();
                made += churn(&api, 100).await;
                made += hot(&api).await;
                rt::sleep(ms(2_000)).await;
                catches_up(&api, &informer, &told).await;
            }
            let heard = told.lock().unwrap().1 - before;
            assert!(heard >= made, "a new list hides some of the changes between: told {heard} of {made}");
            base::marks::take_reached()
        })
        .await
    })
}

#[test]
fn a_watch_that_ends_is_resumed_where_it_stopped() {
    let knobs = Knobs { watch_timeout_ms: 200, ..Knobs::default() };
    let marks = run(knobs, || {});
    assert!(marks.contains_key(RESUMED) && !marks.contains_key(RELISTED), "{marks:?}");
}

#[test]
fn a_server_that_dies_is_left_for_the_next_without_a_new_list() {
    let marks = run(Knobs::default(), || {
        let name = stack::server(1);
        world::process::kill(&name, Death::Process);
        world::process::restart(&name);
    });
    assert!(!marks.contains_key(RELISTED), "{marks:?}");
}

/// The follower's watch is cut off while more happens than is remembered.
#[test]
fn a_version_that_is_gone_means_a_new_list() {
    let knobs =
        Knobs { watch_cache_events: 8, keepalive_ms: 1_000, keepalive_timeout_ms: 1_000, ..Knobs::default() };
    World::run(6, move |world| async move {
        stack::start(&world, 1, 1, &knobs);
        let writer = knobs.clone();
        let writes = stack::process(&world, "writer", move || async move {
            ready(1, &writer).await;
            let api = client(1, "writer", &writer);
            rt::sleep(ms(5_000)).await;
            world::net().cut("follower", &stack::server(1));
            world::net().cut(&stack::server(1), "follower");
            churn(&api, 60).await;
            rt::sleep(ms(10_000)).await;
            world::net().heal_all();
        });
        let follows = stack::process(&world, "follower", move || async move {
            ready(1, &knobs).await;
            let api = client(1, "follower", &knobs);
            api.create(&config_map::KIND, &map("gone-by-then", "1")).await.expect("made");
            let (informer, told) = follow(&api);
            informer.synced().await;
            base::marks::take_reached();
            rt::sleep(ms(30_000)).await;
            catches_up(&api, &informer, &told).await;
            let marks = base::marks::take_reached();
            assert!(marks.contains_key(RELISTED), "{marks:?}");
            assert!(told.lock().unwrap().0.len() > 1);
        });
        futures::join!(writes, follows);
    });
}
