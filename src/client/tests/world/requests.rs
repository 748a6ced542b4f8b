//! Requests: a client moves between servers, and no write is done twice.

use crate::{map, stack, with_client};
use base::{Knobs, knobs::ms};
use client::{Error, ListOptions, Recorder, WorkQueue};
use objects::kinds::{config_map, event};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use world::{Death, World};

const NAMESPACE: Option<&str> = Some("default");

#[test]
fn a_client_moves_on_from_a_server_that_died() {
    with_client(2, Knobs::default(), |api| async move {
        api.create(&config_map::KIND, &map("a", "1")).await.expect("the first server answers");
        world::process::kill(&stack::server(1), Death::Process);
        rt::sleep(ms(100)).await; // until the reset has come: what is sent before may have been executed
        let began = rt::now();
        api.create(&config_map::KIND, &map("b", "1")).await.expect("a refused write goes to the next");
        api.get(&config_map::KIND, NAMESPACE, "a").await.expect("and so does a read");
        assert!(began.elapsed() < ms(1_000), "it took {:?}", began.elapsed());
        // Now the one it went to loses its power, and says nothing at all.
        world::process::restart(&stack::server(1));
        rt::sleep(ms(3_000)).await;
        world::process::kill(&stack::server(2), Death::Power);
        let list = api.list(&config_map::KIND, NAMESPACE, &ListOptions::default()).await;
        let list = match list {
            Err(Error::Unknown(_)) => api.list(&config_map::KIND, NAMESPACE, &ListOptions::default()).await,
            list => list,
        };
        assert_eq!(list.expect("the next one answers").items.len(), 2);
    });
}

/// The connection breaks when the write has been done and not answered. Were it sent again, to the other server,
/// there would be two objects.
#[test]
fn a_write_without_an_answer_is_not_sent_again() {
    with_client(2, Knobs::default(), |api| async move {
        let list = async || api.list(&config_map::KIND, NAMESPACE, &ListOptions::default()).await;
        assert_eq!(list().await.expect("an answer").items.len(), 0);
        world::net().cut(&stack::server(1), "client");
        let breaks = async {
            rt::sleep(ms(500)).await;
            assert!(world::net().reset_connections("client", &stack::server(1)) > 0);
        };
        let wish = map("a-", "1");
        let (lost, ()) = futures::join!(api.create(&config_map::KIND, &wish), breaks);
        assert!(matches!(&lost, Err(Error::Unknown(_))), "{lost:?}");
        world::net().heal_all();
        rt::sleep(ms(10_000)).await;
        assert_eq!(list().await.expect("an answer").items.len(), 1, "it was done, once");
    });
}

#[test]
fn what_is_told_again_is_counted() {
    with_client(1, Knobs::default(), |api| async move {
        let about = api.create(&config_map::KIND, &map("a", "1")).await.expect("made");
        let about = Arc::new(about);
        let recorder = Recorder::new(&api, "tester");
        for _ in 0..3 {
            recorder.normal(&about, "Pulled", "again".into());
        }
        recorder.warning(&about, "Failed", "once".into());
        rt::sleep(ms(1_000)).await;
        let told = api.list(&event::KIND, NAMESPACE, &ListOptions::default()).await.expect("events").items;
        let mut told: Vec<_> = told
            .iter()
            .map(|event| {
                assert_eq!(event.get_str(&["involvedObject", "uid"]), about.uid());
                assert_eq!(event.get_str(&["source", "component"]), "tester");
                let text = |name: &str| event.get_str(&[name]).to_string();
                (text("type"), text("reason"), text("message"), event.get_i64(&["count"]))
            })
            .collect();
        told.sort();
        let wanted = [("Normal", "Pulled", "again", 3), ("Warning", "Failed", "once", 1)];
        let wanted = wanted.map(|(a, b, c, n)| (a.to_string(), b.to_string(), c.to_string(), Some(n)));
        assert_eq!(told, wanted);
    });
}

/// No server is needed: only the process's clock.
#[test]
fn a_key_that_fails_comes_later_and_later_and_is_never_with_two_workers() {
    World::run(1, |world| async move {
        stack::process(&world, "client", || async move {
            let knobs = Knobs { backoff_min_ms: 100, backoff_max_ms: 1_000, ..Knobs::default() };
            let queue = WorkQueue::new("test", &knobs);
            for wait in [100, 200, 400, 800, 1_000, 1_000] {
                let began = rt::now();
                queue.add_rate_limited("a");
                assert_eq!(queue.pop().await, "a");
                let took = began.elapsed();
                assert!(took >= ms(wait) && took < ms(wait + 5), "{took:?} instead of {wait} ms");
                queue.done("a");
            }
            queue.forget("a");
            let began = rt::now();
            queue.add_rate_limited("a");
            queue.pop().await;
            assert!(began.elapsed() < ms(105), "what succeeded starts anew");
            queue.done("a");
            let working = Arc::new(Mutex::new((BTreeSet::new(), 0)));
            let worker = async || {
                loop {
                    let key = queue.pop().await;
                    assert!(working.lock().unwrap().0.insert(key.clone()), "{key} is with another worker");
                    rt::sleep(ms(7)).await;
                    let mut state = working.lock().unwrap();
                    state.0.remove(&key);
                    state.1 += 1;
                    queue.done(&key);
                }
            };
            let adds = async || {
                for count in 0..300 {
                    queue.add(["x", "y"][count % 2]);
                    rt::sleep(ms(1)).await;
                }
            };
            let work = async { futures::join!(worker(), worker(), worker()) };
            rt::select! {
                _ = work => {}
                () = async { adds().await; rt::sleep(ms(50)).await } => {}
            }
            let done = working.lock().unwrap().1;
            assert!(
                (60..110).contains(&done),
                "{done}: as often as it was done, not as often as it was added"
            );
        })
        .await;
    });
}
