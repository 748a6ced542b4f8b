//! What a page draws, of runs that were simulated and of events made up one by one.

use super::super::html;
use super::*;
use crate::history::{Event, Kv, seen::Effect};
use crate::plan::{Aim, Blow, PlannedHarm};
use crate::scenario::{Process, Role};
use crate::story::{Happening, Write, tests::story};
use base::{MemberId, Note, Term};
use serde_json::json;

const S: Nanos = 1_000_000_000;

/// A story of these events alone, of one member.
fn told(events: &[(Nanos, &str, &str, &str)]) -> Story {
    let mut told = story(None);
    told.notes.clear();
    told.writes.clear();
    told.operations.clear();
    told.outcome.harms.clear();
    told.plan.harms.clear();
    let event = |(number, (at, process, kind, detail)): (usize, &(Nanos, &str, &str, &str))| Happening {
        number: number as u64,
        at: *at,
        process: process.to_string(),
        kind: kind.to_string(),
        detail: detail.to_string(),
    };
    told.events = events.iter().enumerate().map(event).collect();
    told
}

fn lane<'a>(run: &'a Run, name: &str) -> (usize, &'a lanes::Lane) {
    run.lanes.iter().enumerate().find(|(_, lane)| lane.name == name).unwrap()
}

#[test]
fn a_run_in_which_a_leader_lost_power_shows_its_cause() {
    let told = story(Some("R15"));
    let run = Run::of(&told, "This run");
    let (member, _) = lane(&run, "member-1");
    let (client, named) = lane(&run, "client-3");
    assert!(named.named && run.lanes.iter().filter(|lane| lane.named).count() == 1);
    assert_eq!(lane(&run, "observer").1.kind, lanes::LOOKER_ON);
    let [fate] = &run.fates[..] else { panic!("{:?}", run.fates) };
    assert_eq!((fate.lane, fate.state, fate.why), (member, "down", "lost power"));
    assert_eq!((fate.from / 1_000_000, fate.to / 1_000_000), (2_500, 2_503));
    let [first, second] = &run.reigns[..] else { panic!("{:?}", run.reigns) };
    assert_eq!((&*first.what, first.to), ("leader, term 1", fate.from));
    assert_eq!((&*second.what, second.to), ("leader, term 2", told.end()));
    assert_eq!(run.terms.iter().map(|term| term.term).collect::<Vec<_>>(), [0, 1, 2]);
    let [harm] = &run.harms[..] else { panic!("{:?}", run.harms) };
    assert_eq!((harm.kind, &harm.lanes[..]), ("death", &[member][..]));
    let [put, get] = &run.operations[..] else { panic!("{:?}", run.operations) };
    assert_eq!((&*put.short, &*get.short), ("put load/0 = a @2", "get load/1 = nothing @1"));
    assert!(put.evidence && get.evidence && put.lane == client);
    assert!(second.from < get.to, "the new leader answered it");
    assert!(run.places.last().unwrap().evidence.contains("get load/1"));
}

#[test]
fn columns_hold_every_event() {
    let told = story(None);
    let run = Run::of(&told, "This run");
    let (mut at, columns) = (0, &run.events);
    assert_eq!(columns.since.len(), told.events.len());
    for (n, event) in told.events.iter().enumerate() {
        at += columns.since[n];
        assert_eq!(at, event.at);
        assert_eq!(run.lanes[columns.lane[n]].name, event.process);
        assert_eq!(columns.kinds[columns.kind[n]], event.kind);
    }
    let mut number = 0;
    for (since, from) in &columns.messages {
        number += since;
        let from = format!("from {}", run.lanes[*from].name);
        assert!(told.events[number].detail.starts_with(&from), "{:?}", told.events[number]);
    }
    assert!(!columns.messages.is_empty());
}

#[test]
fn the_dead_neither_die_again_nor_wake_from_a_pause() {
    let told = told(&[
        (S, "member-1", "pause", ""),
        (2 * S, "member-1", "kill", "Process"),
        (3 * S, "member-1", "resume", ""),
        (4 * S, "member-1", "kill", "Power"),
        (5 * S, "member-1", "restart", ""),
        (6 * S, "member-1", "exit", "a disk failed"),
        (8 * S, "observer", "tcp reset", ""),
    ]);
    let fates = Run::of(&told, "").fates;
    let said: Vec<_> = fates.iter().map(|fate| (fate.from / S, fate.to / S, fate.state, fate.why)).collect();
    let right =
        [(1, 2, "paused", "stood still"), (2, 5, "down", "crashed"), (6, 8, "down", "ended by itself")];
    assert_eq!(said, right);
}

#[test]
fn two_may_believe_that_they_lead() {
    let mut told = told(&[
        (S, "member-1", "note", ""),
        (2 * S, "member-2", "note", ""),
        (3 * S, "member-1", "note", ""),
        (4 * S, "manager-1", "note", ""),
        (5 * S, "manager-1", "note", ""),
        (6 * S, "manager-1", "kill", "Process"),
        (7 * S, "observer", "tcp reset", ""),
    ]);
    let held = Note::Elected { identity: "manager-1".into(), lock: "lock".into(), held: true };
    told.notes = [
        (0, Note::Leader { member: MemberId(1), term: Term(1) }),
        (1, Note::Leader { member: MemberId(2), term: Term(2) }),
        (2, Note::Deposed { member: MemberId(1), term: Term(2) }),
        (3, held.clone()),
        (4, held),
    ]
    .into();
    let reigns = Run::of(&told, "").reigns;
    let said: Vec<_> = reigns.iter().map(|reign| (reign.from / S, reign.to / S, &*reign.what)).collect();
    // a lock that is told of twice is held once
    assert_eq!(said, [(1, 3, "leader, term 1"), (2, 7, "leader, term 2"), (4, 6, "holds lock")]);
}

#[test]
fn harms_last_as_long_as_they_are_felt() {
    let mut told = told(&[
        (S, "member-1", "clock step", "-5000000000"),
        (4 * S, "member-1", "clock step", "5000000000"),
        (9 * S, "observer", "tcp reset", ""),
    ]);
    let harm = |at, until, line, blow| PlannedHarm {
        at,
        until,
        upon: None,
        of: vec![Aim::Process(Process { role: Role::Member, number: 1 })],
        blow,
        line,
        owed: crate::plan::Owed::SomeTouch,
    };
    told.plan.harms = vec![
        harm(1_000_000, 1_000_000, 1, Blow::Step(-5_000_000)),
        harm(8_000_000, 20_000_000, 2, Blow::Pause),
    ];
    told.outcome.harms = vec![Effect {
        at: S,
        until: S,
        of: vec!["member-1".into()],
        line: 1,
        required: false,
        what: "clock jumps by -5.0 s at member-1".into(),
        did: String::new(),
    }];
    let harms = Run::of(&told, "").harms;
    let said: Vec<_> = harms.iter().map(|harm| (harm.from / S, harm.to / S, harm.kind, &*harm.did)).collect();
    assert_eq!(said, [(1, 4, "clock", "no effect"), (8, 9, "pause", "not counted yet")]);
}

fn write(at: Nanos, key: &str, value: Option<serde_json::Value>) -> Write {
    let value_text = value.as_ref().map_or(String::new(), |value| value.to_string());
    let kv =
        Kv { key: key.into(), value: value_text.into(), modified: at as i64 / 1_000_000, ..Kv::default() };
    Write { at, event: Event { delete: value.is_none(), kv, prev: None } }
}

fn pod(node: Option<&str>, ready: bool) -> Option<serde_json::Value> {
    let conditions = json!([{ "type": "Ready", "status": if ready { "True" } else { "False" } }]);
    Some(json!({
        "metadata": { "ownerReferences": [{ "uid": "set" }] },
        "spec": { "nodeName": node },
        "status": { "conditions": conditions },
    }))
}

fn set(replicas: i64) -> Option<serde_json::Value> {
    let owners = json!([{ "uid": "web" }]);
    Some(json!({ "metadata": { "uid": "set", "ownerReferences": owners }, "spec": { "replicas": replicas } }))
}

#[test]
fn pods_and_rollouts_follow_the_store() {
    let mut told = told(&[(0, "node-1", "tcp reset", ""), (9 * S, "observer", "tcp reset", "")]);
    let rolling =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": 1 } });
    let web = json!({ "metadata": { "uid": "web" }, "spec": { "replicas": 3, "strategy": rolling } });
    const WEB: &str = "/registry/deployments/default/web";
    const SET: &str = "/registry/replicasets/default/web-abc";
    const POD: &str = "/registry/pods/default/web-abc-1";
    told.writes = vec![
        write(S, WEB, Some(web)),
        write(2 * S, SET, set(3)),
        write(3 * S, POD, pod(None, false)),
        write(4 * S, POD, pod(Some("node-1"), false)),
        write(5 * S, POD, pod(Some("node-1"), true)),
        write(6 * S, SET, set(1)),
        write(7 * S, POD, pod(Some("node-1"), false)),
        write(8 * S, POD, None),
    ];
    let run = Run::of(&told, "");
    let [pod] = &run.pods[..] else { panic!("{:?}", run.pods) };
    assert_eq!((pod.lane, pod.from, pod.to), (lane(&run, "node-1").0, 4 * S, 8 * S));
    assert_eq!(pod.ready, [(5 * S, 7 * S)]);
    let steps: Vec<_> = run.populations.iter().map(|one| (one.at / S, one.bound, one.ready)).collect();
    assert_eq!(steps, [(4, 1, 0), (5, 1, 1), (7, 1, 0), (8, 0, 0)]);
    let scaled: Vec<_> = run.scalings.iter().map(|one| (one.at / S, &*one.set, one.from, one.to)).collect();
    assert_eq!(scaled, [(2, "abc", 0, 3), (6, "abc", 3, 1)]);
    let steps: Vec<_> =
        run.rollouts.iter().map(|one| (one.at / S, one.asked, one.there, one.available)).collect();
    let right =
        [(1, 0, 0, 0), (2, 3, 0, 0), (3, 3, 1, 0), (5, 3, 1, 1), (6, 1, 1, 1), (7, 1, 1, 0), (8, 1, 0, 0)];
    assert_eq!(steps, right);
    assert_eq!((run.rollouts[0].wanted, run.rollouts[0].least, run.rollouts[0].most), (3, 2, 4));
    assert_eq!(lane(&run, "deployment default/web").0, run.rollouts[0].lane);
}

#[test]
fn a_cache_lags_by_the_changes_of_its_own_resource() {
    let mut told = told(&[(5 * S, "apiserver-1", "note", ""), (6 * S, "apiserver-1", "note", "")]);
    told.writes = vec![
        write(S, "/registry/pods/default/a", pod(None, false)),
        write(2 * S, "/registry/events/default/x", None),
        write(3 * S, "/registry/pods/default/b", pod(None, false)),
    ];
    let cache = |revision| Note::Cache {
        process: "apiserver-1".into(),
        resource: "pods".into(),
        revision,
        objects: 1,
        hash: 0,
    };
    told.notes = [(0, cache(1_000)), (1, cache(3_000))].into();
    let run = Run::of(&told, "");
    let [lag] = &run.lags[..] else { panic!("{:?}", run.lags) };
    assert_eq!((lag.at, &*lag.resource, lag.behind), (5 * S, "pods", 1));
}

#[test]
fn a_page_needs_nothing_but_itself_whatever_the_store_holds() {
    let mut told = story(Some("R15"));
    let evil = "</script><script src=\"http://example.com/x.js\"></script>{{script}}<!--";
    told.outcome.scenario = evil.into();
    told.writes[0].event.kv.value = evil.into();
    told.writes[0].event.kv.key = "k".into();
    told.operations[0].client = evil.into();
    let commands = vec![html::Command { name: "again", line: format!("cargo tank run '{evil}'") }];
    let calm = story(None);
    let shown = html::Shown { story: &told, beside: Some((&calm, "calm".into())), commands };
    let page = html::page(&shown).unwrap();
    assert_eq!(page.matches("</script>").count(), 2, "the data's, and the script's own");
    assert_eq!(page.matches("<script").count(), page.matches("<script>").count() + 1 + evil_in_data(&page));
    assert!(page.contains("<h1>&lt;/script&gt;"));
    let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert!(data["runs"][0]["writes"][0][2].as_str().unwrap().contains("k"));
    assert_eq!(data["runs"].as_array().unwrap().len(), 2);
    assert!(page.trim_end().ends_with("</html>"));
}

/// Times that the data speaks of a script with a source: text in a string, which no browser runs.
fn evil_in_data(page: &str) -> usize {
    page.matches("<script src=").count()
}
