//! What watchers are told, also when servers, members and connections come and go.

use crate::{Cluster, PODS, cluster::Client, config_map, names, pod, stack::server, with_servers};
use base::{Knobs, knobs::ms};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use world::{Death, World};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[test]
fn a_watch_begins_with_the_state_or_after_a_version() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let made = api.send("POST", PODS, &pod("a")).await.1;
        let version = made["metadata"]["resourceVersion"].as_str().unwrap().to_string();
        let list = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let mut state = api.watch(&format!("{PODS}?watch=1&{list}")).await.unwrap();
        let mut after = api.watch(&format!("{PODS}?watch=1&resourceVersion={version}")).await.unwrap();
        api.send("POST", PODS, &pod("b")).await;
        assert_eq!(state.some(3).await, ["ADDED a", "BOOKMARK ", "ADDED b"]);
        assert_eq!(after.some(1).await, ["ADDED b"]);
    });
}

#[test]
fn a_selection_is_entered_and_left() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        api.send("POST", PODS, &pod("a")).await;
        let selector = "labelSelector=x%3Dy&resourceVersion=0";
        let mut watch = api.watch(&format!("{PODS}?watch=1&{selector}")).await.unwrap();
        let label = |value: Value| json!({ "metadata": { "labels": { "x": value } } });
        let one = format!("{PODS}/a");
        api.send("PATCH", &one, &label(json!("y"))).await;
        let left = api.send("PATCH", &one, &label(json!("z"))).await.1;
        let came = watch.next().await.unwrap();
        assert_eq!((came.word.as_str(), came.name.as_str()), ("ADDED", "a"));
        let went = watch.next().await.unwrap();
        assert_eq!(went.word, "DELETED");
        assert_eq!(went.object["metadata"]["labels"]["x"], "y");
        assert_eq!(went.object["metadata"]["resourceVersion"], left["metadata"]["resourceVersion"]);
    });
}

#[test]
fn bookmarks_move_on_a_quiet_kind_and_old_versions_expire() {
    let knobs = Knobs { bookmark_ms: 2_000, watch_cache_events: 4, ..Knobs::default() };
    with_servers(1, knobs, |clients| async move {
        let api = &clients[0];
        let mut quiet =
            api.watch("/api/v1/nodes?watch=1&resourceVersion=0&allowWatchBookmarks=true").await.unwrap();
        for count in 0..10 {
            api.send("POST", MAPS, &config_map(&format!("m{count}"))).await;
        }
        let written: i64 =
            api.get(MAPS).await.1["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        loop {
            let event = quiet.next().await.expect("the watch goes on");
            assert_eq!(event.word, "BOOKMARK");
            if event.version >= written {
                break;
            }
        }
        let mut old = api.watch(&format!("{MAPS}?watch=1&resourceVersion=2")).await.unwrap();
        let event = old.next().await.unwrap();
        assert_eq!((event.word.as_str(), &event.object["code"]), ("ERROR", &json!(410)));
        assert!(event.object["message"].as_str().unwrap().starts_with("too old resource version: 2 ("));
        assert!(old.next().await.is_none());
    });
}

/// A watcher that does not read loses its watch; writers and other watchers never wait for it.
#[test]
fn a_watcher_that_does_not_read_is_dropped_and_holds_nobody_up() {
    let knobs = Knobs { watcher_queue: 8, ..Knobs::default() };
    with_servers(1, knobs, |clients| async move {
        let api = &clients[0];
        let mut version = api.send("POST", MAPS, &config_map("m")).await.1;
        let from = version["metadata"]["resourceVersion"].as_str().unwrap().to_string();
        let path = format!("{MAPS}?watch=1&resourceVersion={from}");
        let (mut slow, mut quick) = (api.watch(&path).await.unwrap(), api.watch(&path).await.unwrap());
        base::marks::take_reached();
        for count in 0..80 {
            let began = rt::now();
            version["data"] = json!({ "k": format!("{count:060000}") });
            version = api.send("PUT", &format!("{MAPS}/m"), &version).await.1;
            assert!(began.elapsed() < ms(100), "a write took {:?}", began.elapsed());
            let event = quick.next().await.expect("who reads misses nothing");
            assert_eq!(event.object["metadata"], version["metadata"]);
        }
        assert!(base::marks::take_reached().contains_key("a slow watcher was dropped"));
        let (mut read, began) = (0, rt::now());
        while let Some(event) = slow.next().await {
            let text = event.object["data"]["k"].as_str().unwrap();
            assert_eq!(text.parse::<u32>().unwrap(), read, "what it is told before the end is whole");
            read += 1;
        }
        assert!(read < 80);
        assert!(began.elapsed() < ms(2_000), "it is told at once that there is no more");
    });
}

#[test]
fn a_watch_of_a_table_describes_its_columns_once() {
    with_servers(1, Knobs::default(), |clients| async move {
        let api = &clients[0];
        let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
        api.send("POST", PODS, &pod("a")).await;
        api.send("POST", PODS, &pod("b")).await;
        let path = format!("{PODS}?watch=1&resourceVersion=0&timeoutSeconds=1");
        let (_, _, text) = api.full("GET", &path, &accept, "").await;
        let frames: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let columns = |frame: &Value| frame["object"]["columnDefinitions"].as_array().unwrap().len();
        assert_eq!(frames.len(), 2, "{text}");
        assert!(columns(&frames[0]) > 4 && columns(&frames[1]) == 0);
        assert_eq!(frames[1]["object"]["rows"][0]["cells"][0], "b");
    });
}

/// Objects as a client knows them: by list and watch, from whichever server answers.
#[derive(Default)]
struct Known {
    versions: BTreeMap<String, i64>,
    at: i64,
    lists: u32,
    resumes: u32,
}

impl Known {
    /// Follows until `stop` is there.
    async fn follow(mut self, clients: Vec<Client>, stop: &str) -> Known {
        for turn in 0.. {
            let client = &clients[turn % clients.len()];
            let done = self.turn(client, stop).await;
            if done {
                return self;
            }
            rt::sleep(ms(50)).await;
        }
        unreachable!("turns do not end")
    }

    async fn turn(&mut self, client: &Client, stop: &str) -> bool {
        if self.at == 0 && !self.list(client).await {
            return false;
        }
        self.resumes += 1;
        let path = format!("{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion={}", self.at);
        let Some(mut watch) = client.watch(&path).await else { return false };
        while !self.versions.contains_key(stop) {
            let Ok(Some(event)) = rt::timeout(ms(5_000), watch.next()).await else { return false };
            if event.word == "ERROR" {
                self.at = 0;
                return false;
            }
            assert!(event.version >= self.at, "{event:?} after {}", self.at);
            self.at = event.version;
            match event.word.as_str() {
                "ADDED" => assert!(self.versions.insert(event.name, event.version).is_none()),
                "MODIFIED" => assert!(self.versions.insert(event.name, event.version).is_some()),
                "DELETED" => assert!(self.versions.remove(&event.name).is_some()),
                _ => {}
            }
        }
        true
    }

    async fn list(&mut self, client: &Client) -> bool {
        let Some((200, list)) = client.try_get(MAPS).await else { return false };
        self.lists += 1;
        self.at = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        self.versions = versions(&list);
        true
    }
}

fn versions(list: &Value) -> BTreeMap<String, i64> {
    let version = |item: &Value| {
        let text = |field: &str| item["metadata"][field].as_str().unwrap().to_string();
        (text("name"), text("resourceVersion").parse().unwrap())
    };
    list["items"].as_array().unwrap().iter().map(version).collect()
}

/// Makes, changes and deletes objects for a while, through whichever server answers; last of all makes `stop`.
async fn churn(clients: Vec<Client>, rounds: u32, stop: &str) {
    for round in 0..rounds {
        let client = &clients[round as usize % clients.len()];
        let name = format!("m{}", rt::random_range(0..8));
        let one = format!("{MAPS}/{name}");
        match rt::random_range(0..3) {
            0 => client.try_send("POST", MAPS, &config_map(&name)).await,
            1 => {
                let mut map = config_map(&name);
                map["data"] = json!({ "round": round.to_string() });
                client.try_send("PUT", &one, &map).await
            }
            _ => client.try_send("DELETE", &one, &json!({})).await,
        };
        rt::sleep(ms(rt::random_range(0..40))).await;
    }
    for turn in 0.. {
        let client = &clients[turn % clients.len()];
        if let Some((201 | 409, _)) = client.try_send("POST", MAPS, &config_map(stop)).await {
            return;
        }
        rt::sleep(ms(100)).await;
    }
}

/// What a follower knows at the end must be what is there.
fn follows<F>(
    seed: u64,
    knobs: Knobs,
    harm: impl FnOnce(std::rc::Rc<Cluster>) -> F + Send + 'static,
) -> (u32, u32)
where
    F: Future<Output = ()> + 'static,
{
    World::run(seed, move |world| async move {
        let cluster = std::rc::Rc::new(Cluster::start(world, 3, 2, knobs));
        let harmed = cluster.clone();
        let acting = cluster.client(|clients| async move {
            let known = Known::default().follow(clients.clone(), "stop");
            let (known, ()) = futures::join!(known, churn(clients.clone(), 600, "stop"));
            let mut there = clients[0].get(MAPS).await;
            while there.0 != 200 {
                rt::sleep(ms(200)).await;
                there = clients[0].get(MAPS).await;
            }
            assert_eq!(known.versions, versions(&there.1));
            assert!(names(&there.1).contains(&"stop"));
            (known.lists, known.resumes)
        });
        let (counts, ()) = futures::join!(acting, harm(harmed));
        counts
    })
}

#[test]
fn a_follower_knows_all_although_servers_are_killed() {
    let (lists, resumes) = follows(11, Knobs::default(), |cluster| async move {
        for round in 0..6u8 {
            madsim::time::sleep(ms(2_500)).await;
            let name = server(1 + round % 2);
            cluster.world.kill(&name, if round % 3 == 0 { Death::Power } else { Death::Process });
            madsim::time::sleep(ms(700)).await;
            cluster.world.restart(&name);
        }
    });
    assert!(resumes >= 4 && lists >= 1, "{lists} lists, {resumes} watches");
}

#[test]
fn a_follower_knows_all_although_members_are_cut_off_and_killed() {
    follows(12, Knobs::default(), |cluster| async move {
        for round in 0..6u8 {
            madsim::time::sleep(ms(2_000)).await;
            let name = format!("member-{}", 1 + round % 3);
            if round % 2 == 0 {
                cluster.world.kill(&name, Death::Power);
                madsim::time::sleep(ms(1_000)).await;
                cluster.world.restart(&name);
            } else {
                cluster.world.net().cut(&name, &server(1));
                madsim::time::sleep(ms(4_000)).await;
                cluster.world.net().heal_all();
            }
        }
    });
}

#[test]
fn a_follower_knows_all_although_history_is_cut_off() {
    let knobs =
        Knobs { compact_every_ms: 1_500, watch_cache_events: 16, watcher_queue: 4, ..Knobs::default() };
    follows(13, knobs, |cluster| async move {
        for _ in 0..4 {
            madsim::time::sleep(ms(2_000)).await;
            cluster.world.kill(&server(1), Death::Process);
            madsim::time::sleep(ms(1_500)).await;
            cluster.world.restart(&server(1));
        }
    });
}
