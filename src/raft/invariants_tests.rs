//! No promise is trusted before it was seen broken: a picture of a cluster for each that breaks this one and no
//! other, and that none was forgotten.

use crate::invariants::{Checker, Violation};
use crate::{
    Body, Config, Data, Effects, Entry, HardState, Membership, Message, Node, Payload, Persist, ReadReady,
    Recovered, Role, Snapshot, SnapshotMeta, Ticket,
};
use base::{Index, Knobs, MemberId, Term};
use std::collections::BTreeSet;

const M1: MemberId = MemberId(1);
const M2: MemberId = MemberId(2);
const M3: MemberId = MemberId(3);

fn membership() -> Membership {
    Membership { learners: BTreeSet::from([MemberId(4)]), ..Membership::of_voters([M1, M2, M3]) }
}

fn entry(index: u64, term: u64, text: &str) -> Entry {
    Entry { index: Index(index), term: Term(term), payload: Payload::Command(Data::from(text)) }
}

/// A member whose log holds entries of these terms.
fn node(id: MemberId, term: u64, log: &[u64]) -> Node {
    let entries = log.iter().zip(1..).map(|(term, index)| entry(index, *term, "x")).collect();
    let config = Config { id, membership: membership(), seed: 1, knobs: Knobs::default() };
    let hard = HardState { term: Term(term), vote: None };
    Node::new(config, Recovered { hard, entries, ..Recovered::default() })
}

fn with(mut node: Node, change: impl FnOnce(&mut Node)) -> Node {
    change(&mut node);
    node
}

fn leads(node: Node) -> Node {
    with(node, |node| node.role = Role::Leader)
}

fn commits(node: Node, commit: u64) -> Node {
    with(node, |node| node.commit = Index(commit))
}

fn says(from: MemberId, to: MemberId, term: u64, body: Body) -> Message {
    Message { from, to, term: Term(term), body }
}

fn writes(entries: Vec<Entry>) -> Effects {
    Effects {
        persist: Some(Persist { hard: None, piece: None, snapshot: None, entries, ticket: Ticket(1) }),
        ..Effects::default()
    }
}

fn applies(committed: Vec<Entry>) -> Effects {
    Effects { committed, ..Effects::default() }
}

/// A checker that saw these members start.
fn watching<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Checker {
    let mut check = Checker::default();
    nodes.into_iter().for_each(|node| check.started(node).expect("members that start well"));
    check
}

/// Three members of which the first two hold, and the first has committed, one entry of t1.
fn committed_one() -> Checker {
    let nodes = [node(M1, 1, &[1]), node(M2, 1, &[1]), node(M3, 1, &[])];
    let mut check = watching(&nodes);
    check.stepped(&commits(node(M1, 1, &[1]), 1), &Effects::default()).expect("a quorum of disks holds it");
    check
}

fn of_votes() -> Vec<(&'static str, Result<(), Violation>)> {
    let granted = || Body::VoteAnswer { granted: true };
    let mut voted = watching([&node(M1, 1, &[])]);
    voted.sent(&says(M1, M2, 1, granted())).expect("a first vote");
    let twice = voted.sent(&says(M1, M3, 1, granted()));
    let mut asked = watching([&node(M1, 1, &[])]);
    let ask = Body::Vote { last_index: Index(0), last_term: Term(0), handed_on: false };
    asked.sent(&says(M1, M2, 1, ask)).expect("a vote for oneself");
    let after_asking = asked.sent(&says(M1, M3, 1, granted()));
    let forgot = voted.started(&node(M1, 1, &[]));
    voted.started(&node(M1, 2, &[])).expect("a later term forgets nothing");
    vec![("one vote a term", twice), ("one vote a term", after_asking), ("a vote survives a crash", forgot)]
}

fn of_leaders() -> Vec<(&'static str, Result<(), Violation>)> {
    let none = Effects::default();
    let mut two = watching(&[node(M1, 1, &[]), node(M2, 1, &[])]);
    two.stepped(&leads(node(M1, 1, &[])), &none).expect("a first leader");
    let second = two.stepped(&leads(node(M2, 1, &[])), &none);
    let learner = node(MemberId(4), 1, &[]);
    let learner_leads = watching([&learner]).stepped(&leads(node(MemberId(4), 1, &[])), &none);
    let without = committed_one().stepped(&leads(node(M3, 2, &[])), &none);
    let leader = leads(node(M1, 1, &[1, 1]));
    let replaces = watching([&leader]).stepped(&leader, &writes(vec![entry(2, 1, "x")]));
    vec![
        ("one leader a term", second),
        ("a leader votes", learner_leads),
        ("a leader holds all that was committed", without),
        ("a leader only appends", replaces),
    ]
}

fn of_logs() -> Vec<(&'static str, Result<(), Violation>)> {
    let none = Effects::default();
    let (one, other) = (node(M1, 1, &[1]), node(M2, 1, &[1]));
    let mut differ = watching(&[node(M1, 1, &[]), node(M2, 1, &[])]);
    differ.stepped(&one, &writes(vec![entry(1, 1, "x")])).expect("a first entry");
    let differs = differ.stepped(&other, &writes(vec![entry(1, 1, "y")]));
    let mut before = watching(&[node(M1, 2, &[1]), node(M2, 2, &[2])]);
    before.stepped(&node(M1, 2, &[1, 2]), &writes(vec![entry(2, 2, "x")])).expect("a first entry");
    let differs_before = before.stepped(&node(M2, 2, &[2, 2]), &writes(vec![entry(2, 2, "x")]));
    let other_commit = committed_one().stepped(&commits(node(M3, 2, &[2]), 1), &none);
    let nothing = watching([&node(M1, 1, &[])]).stepped(&commits(node(M1, 1, &[]), 1), &none);
    let alone = watching(&[node(M1, 1, &[1]), node(M2, 1, &[]), node(M3, 1, &[])]);
    let mut alone = alone;
    let minority = alone.stepped(&commits(node(M1, 1, &[1]), 1), &none);
    let term = watching([&node(M1, 2, &[])]).stepped(&node(M1, 1, &[]), &none);
    let commit = watching([&commits(node(M1, 1, &[1]), 1)]).stepped(&node(M1, 1, &[1]), &none);
    let same = "logs that share an entry share all before it";
    vec![
        (same, differs),
        (same, differs_before),
        ("one entry is committed at an index", other_commit),
        ("what commits is in the log", nothing),
        ("what commits is on a quorum of disks", minority),
        ("terms never go back", term),
        ("commit never goes back", commit),
    ]
}

fn of_disks() -> Vec<(&'static str, Result<(), Violation>)> {
    let holds = node(M1, 1, &[1]);
    let acknowledged = watching([&holds]).sent(&says(M1, M2, 1, Body::Appended { index: Index(2) }));
    watching([&holds]).sent(&says(M1, M2, 1, Body::Appended { index: Index(1) })).expect("it is on the disk");
    // Written, but no sync has come.
    let mut writing = watching([&node(M1, 1, &[])]);
    writing.stepped(&holds, &writes(vec![entry(1, 1, "x")])).expect("an entry");
    let unsynced = writing.sent(&says(M1, M2, 1, Body::Appended { index: Index(1) }));
    writing.synced(M1, &crate::Synced(1));
    writing.sent(&says(M1, M2, 1, Body::Appended { index: Index(1) })).expect("a sync has come");
    let applied = watching([&node(M1, 1, &[])]).stepped(&holds, &applies(vec![entry(1, 1, "x")]));
    let skips =
        watching([&node(M1, 1, &[1, 1])]).stepped(&node(M1, 1, &[1, 1]), &applies(vec![entry(2, 1, "x")]));
    let again = {
        let mut check = watching([&holds]);
        check.stepped(&holds, &applies(vec![entry(1, 1, "x")])).expect("once");
        check.stepped(&holds, &applies(vec![entry(1, 1, "x")]))
    };
    let meta =
        SnapshotMeta { index: Index(3), term: Term(1), membership: membership(), configured: Index(0) };
    let snapshot = Snapshot { meta, size: 5 };
    let installs = || Effects { install: Some(snapshot.clone()), ..Effects::default() };
    let not_there = watching([&holds]).stepped(&holds, &installs());
    let config = Config { id: M1, membership: membership(), seed: 1, knobs: Knobs::default() };
    let from_snapshot =
        Node::new(config, Recovered { snapshot: Some(snapshot.clone()), ..Recovered::default() });
    let backward = watching([&from_snapshot]).stepped(&from_snapshot, &installs());
    vec![
        ("what is acknowledged is on the disk", acknowledged),
        ("what is acknowledged is on the disk", unsynced),
        ("what is applied is on the disk", applied),
        ("entries are applied once and in order", skips),
        ("entries are applied once and in order", again),
        ("what is applied is on the disk", not_there),
        ("a snapshot leads forward", backward),
    ]
}

fn of_reads() -> Vec<(&'static str, Result<(), Violation>)> {
    let mut check = committed_one();
    check.read_began(7);
    let answers = |index| Effects { reads: vec![ReadReady { context: 7, index }], ..Effects::default() };
    check.stepped(&node(M2, 1, &[1]), &answers(Index(1))).expect("it sees what was committed");
    vec![(
        "a read sees all that was committed before it",
        check.stepped(&node(M2, 1, &[1]), &answers(Index(0))),
    )]
}

#[test]
fn every_promise_can_be_seen_broken() {
    let all = [of_votes(), of_leaders(), of_logs(), of_disks(), of_reads()].concat();
    for (promise, verdict) in &all {
        let found = verdict.as_ref().map_err(|violation| violation.promise);
        assert_eq!(found, Err(*promise), "{verdict:?}");
    }
    let broken: BTreeSet<&str> = all.iter().map(|(promise, _)| *promise).collect();
    let source = include_str!("invariants.rs");
    let quoted =
        |opening: &'static str| source.split(opening).skip(1).filter_map(|text| text.split('"').next());
    let promised: BTreeSet<&str> = quoted("hold(\"").chain(quoted("promise: \"")).collect();
    assert_eq!(broken, promised);
}
