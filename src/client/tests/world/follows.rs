//! Informers: they list, watch, resume and relist, and what they tell adds up to what is there.

use crate::{client, map, ready, stack};
use base::{Knobs, Note, knobs::ms};
use client::{Client, Delta, Informer, ListOptions, informer::Scope, key_of};
use objects::kinds::config_map;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use world::{Death, World};

/// The objects that handlers were told of.
type Told = Arc<Mutex<BTreeMap<String, String>>>;

/// An informer of all ConfigMaps, and the objects that its handlers were told of.
fn follow(api: &Client) -> (Informer, Told) {
    let told = Told::default();
    let keep = told.clone();
    let handler = move |delta: &Delta| {
        let (key, version) = (key_of(delta.object()), delta.object().resource_version().to_string());
        let mut told = keep.lock().unwrap();
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

async fn churn(api: &Client, count: usize) {
    for turn in 0..count {
        let name = format!("m{}", turn % 7);
        let value = rt::random_u64().to_string();
        let _ = match turn % 3 {
            0 => api.create(&config_map::KIND, &map(&name, &value)).await.map(drop),
            1 => api.update(&config_map::KIND, &map(&name, &value)).await.map(drop),
            _ => api.delete(&config_map::KIND, Some("default"), &name, &Default::default()).await,
        };
    }
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
    assert_eq!(*told.lock().unwrap(), wanted);
}

const RESUMED: &str = "informer: a watch ended and is resumed";
const RELISTED: &str = "informer: the version to resume from is gone, relist";

/// A follower, harmed now and then while objects come and go. Gives the marks reached after its first list, and how
/// often its cache was brought up to a version as a whole since: by a list, or by a bookmark.
fn run(knobs: Knobs, harm: impl Fn() + Send + Sync + 'static) -> (BTreeMap<&'static str, u64>, u64) {
    World::run(5, move |world| async move {
        let versions = Arc::new(Mutex::new(0));
        let count = versions.clone();
        world::set_note_sink(Box::new(move |_, _, note| match note {
            Note::Cache { process, .. } if process == "follower" => *count.lock().unwrap() += 1,
            _ => {}
        }));
        stack::start(&world, 1, 2, &knobs);
        stack::process(&world, "follower", move || async move {
            ready(2, &knobs).await;
            let api = client(2, "follower", &knobs);
            churn(&api, 20).await;
            let (informer, told) = follow(&api);
            informer.synced().await;
            catches_up(&api, &informer, &told).await;
            base::marks::take_reached();
            *versions.lock().unwrap() = 0;
            for _ in 0..3 {
                harm();
                churn(&api, 200).await;
                rt::sleep(ms(2_000)).await;
                catches_up(&api, &informer, &told).await;
            }
            let versions = *versions.lock().unwrap();
            (base::marks::take_reached(), versions)
        })
        .await
    })
}

/// A watch that ends in peace ends with a bookmark, and nothing else says that the cache is whole.
#[test]
fn a_watch_that_ends_is_resumed_where_it_stopped() {
    let knobs = Knobs { watch_timeout_ms: 1_000, ..Knobs::default() };
    let (marks, versions) = run(knobs, || {});
    assert!(marks[RESUMED] >= 5 && !marks.contains_key(RELISTED), "{marks:?}");
    assert_eq!(versions, marks[RESUMED], "no list");
}

#[test]
fn a_server_that_dies_is_left_for_the_next_without_a_new_list() {
    let (marks, versions) = run(Knobs::default(), || {
        let name = stack::server(1);
        world::process::kill(&name, Death::Process);
        world::process::restart(&name);
    });
    assert!(!marks.contains_key(RELISTED), "{marks:?}");
    assert_eq!(versions, 0, "neither a list nor a bookmark");
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
            assert!(told.lock().unwrap().len() > 1);
        });
        futures::join!(writes, follows);
    });
}

/// What a controller must know before it takes silence for an answer.
#[test]
fn a_server_is_heard_from_the_first_word_after_a_failure() {
    let knobs = Knobs { watch_timeout_ms: 1_000, ..Knobs::default() };
    World::run(8, move |world| async move {
        stack::start(&world, 1, 1, &knobs);
        stack::process(&world, "follower", move || async move {
            ready(1, &knobs).await;
            let api = client(1, "follower", &knobs);
            let (informer, _) = follow(&api);
            informer.synced().await;
            rt::sleep(ms(5_000)).await;
            assert!(informer.heard_for() >= ms(4_500), "watches whose time was up are no failures");
            world::process::kill(&stack::server(1), Death::Process);
            rt::sleep(ms(10_000)).await;
            assert_eq!(informer.heard_for(), ms(0));
            world::process::restart(&stack::server(1));
            ready(1, &knobs).await;
            let began = rt::now();
            while informer.heard_for() == ms(0) {
                rt::sleep(ms(10)).await;
            }
            assert!(informer.heard_for() <= rt::now() - began, "not from before the failure");
        })
        .await;
    });
}
