//! What members send each other: raw, and behind a right checksum, where a Raft node hears it.

use crate::{
    Seed,
    input::{Input, Output},
    node::{CLUSTER, Hearer, ME, Past, Stopped, command},
};
use base::{Index, MemberId, Term};
use member::{
    codec,
    frame::{self, Forwarded, Frame},
    join,
    members::{self, Member, Members},
    proposal::ProposalId,
};
use raft::{Body, Data, Entry, Membership, Message, Payload, SnapshotMeta};
use rt::net::Endpoint;
use std::net::SocketAddr;

/// The whole input is one frame; else it is blocks, each the body of one.
const RAW: u8 = 0x80;

pub fn frames(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let first = input.byte();
    if first & RAW != 0 {
        let _ = frame::describe(input.rest());
        let _ = frame::open(CLUSTER, &bytes[1..]);
        return;
    }
    let mut hearer = Hearer::new(Past::of(first));
    while !input.is_empty() {
        let ticks = input.byte() % 16;
        if (0..ticks).any(|_| hearer.step(raft::Input::Tick).is_err())
            || hear(&mut hearer, input.block()).is_err()
        {
            return;
        }
    }
}

fn hear(hearer: &mut Hearer, body: &[u8]) -> Result<(), Stopped> {
    let sealed = frame::envelope(CLUSTER, body);
    let Ok(frame) = frame::open(CLUSTER, &sealed) else { return Ok(()) };
    assert!(frame::describe(&sealed).is_some(), "what can be opened can be described");
    assert_eq!(frame::open(CLUSTER, &frame::seal(CLUSTER, &frame)).as_ref(), Ok(&frame));
    match frame {
        Frame::Raft { message, .. } if hearer.may_hear(&message) => {
            hearer.step(raft::Input::Message(message))
        }
        Frame::Propose { proposals, .. } => {
            let data = proposals.into_iter().map(|Forwarded { data, .. }| data);
            hearer.step(raft::Input::Propose(data.collect()))
        }
        Frame::YouAre { members, id, instead, .. } => {
            join::is_another(&hearer.node, id, instead);
            look_at(&members);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Where members are found.
fn look_at(list: &Members) {
    let found = join::found(list);
    let urls = list.present.values().flat_map(|member| member.peer_urls.iter().chain(&member.client_urls));
    for url in urls {
        let addr = members::address(url);
        let again = url.parse::<member::Url>().ok().map(|url| members::address(&url.to_string()));
        assert_eq!(again, addr.map(Some), "a URL that is written is the one that was read");
    }
    assert!(found.len() <= list.present.len());
}

fn every_message() -> Vec<(&'static str, Body)> {
    let (index, term) = (Index(7), Term(3));
    let entry = |index, payload| Entry { term: Term(3), index: Index(index), payload };
    let put = store::PutRequest { key: "a".into(), value: "1".into(), ..Default::default() };
    let membership = Membership::of_voters([1, 2].map(MemberId));
    let entries = vec![
        entry(8, Payload::Noop),
        entry(9, Payload::Command(command(store::Command::Put(put)))),
        entry(10, Payload::Config { membership, context: command(store::Command::Members(a_list())) }),
    ];
    let mut store = store::Store::new();
    (1..=8).for_each(|index| store.skip(Index(index)));
    let data = Data::from(store.snapshot());
    let total = data.len() as u64;
    let membership = Membership::of_voters((1..=3).map(MemberId));
    let meta = SnapshotMeta { index: Index(8), term, membership, configured: Index(0) };
    vec![
        ("pre-vote", Body::PreVote { last_index: index, last_term: term }),
        ("pre-vote-answer", Body::PreVoteAnswer { granted: true }),
        ("vote", Body::Vote { last_index: index, last_term: term, handed_on: true }),
        ("vote-answer", Body::VoteAnswer { granted: true }),
        ("append", Body::Append { prev_index: index, prev_term: term, entries, commit: Index(10) }),
        ("appended", Body::Appended { index }),
        ("append-refused", Body::AppendRefused { prev_index: index, hint_index: Index(5), hint_term: term }),
        ("heartbeat", Body::Heartbeat { commit: Index(6), round: 1 }),
        ("heartbeat-answer", Body::HeartbeatAnswer { round: 1 }),
        ("commit", Body::Commit { index: Index(6) }),
        ("snapshot", Body::SnapshotChunk { meta, total, offset: 0, data }),
        ("snapshot-answer", Body::SnapshotAnswer { index: Index(4), received: 9 }),
        ("read", Body::ReadRequest { context: 5 }),
        ("read-answer", Body::ReadAnswer { context: 5, index }),
        ("stale", Body::Stale),
        ("stand", Body::StandForElection),
    ]
}

fn a_list() -> Members {
    let member = Member {
        name: "two".into(),
        peer_urls: vec!["http://10.0.0.2:2380".into()],
        client_urls: vec!["https://localhost:2379/".into()],
        learner: true,
    };
    Members { present: [(MemberId(2), member)].into(), removed: [MemberId(3)].into() }
}

pub fn seeds() -> Vec<Seed> {
    let (from, nonce, term) = (MemberId(2), 5, Term(3));
    let id = ProposalId { origin: from, run: 5, count: 1 };
    let data = command(store::Command::Compact { revision: 1 });
    let (members, peer) = (a_list(), Endpoint::from(SocketAddr::from(([10, 0, 0, 2], 2380))));
    let others = [
        ("propose", Frame::Propose { term, proposals: vec![Forwarded { id, data }] }),
        ("recall", Frame::Recall { from, nonce }),
        ("recalled", Frame::Recalled { from, nonce, term, changed: true }),
        ("who-am-i", Frame::WhoAmI { nonce, peer: peer.clone(), id: Some(ME) }),
        ("you-are", Frame::YouAre { nonce, cluster: 9, id: ME, members, started: true, instead: false }),
        ("removed", Frame::Removed),
        ("compare", Frame::Compare { from, nonce, revision: 7 }),
        ("compare-compacted", Frame::CompareCompacted { from, nonce, revision: 7 }),
        ("compared", Frame::Compared { from, nonce, held: None }),
    ];
    let of_raft = every_message().into_iter().flat_map(|(name, body)| {
        [(3, false), (4, true)].map(|(term, leads)| {
            let message = Message { from, to: ME, term: Term(term), body: body.clone() };
            let name = format!("{name}{}", if leads { "-to-a-leader" } else { "" });
            (name, if leads { 3 } else { 1 }, Frame::Raft { message, sender: peer.clone() })
        })
    });
    let others = others.into_iter().map(|(name, frame)| (name.to_string(), 3, frame));
    let all: Vec<_> = of_raft.chain(others).collect();
    let raw = all.iter().map(|(name, _, frame)| {
        (format!("raw-{name}"), Output::default().byte(RAW).rest(&frame::seal(CLUSTER, frame)).into_bytes())
    });
    let sealed = all.iter().map(|(name, past, frame)| {
        let body = codec::encode(frame);
        (name.clone(), Output::default().byte(*past).byte(0).block(&body).byte(12).block(&body).into_bytes())
    });
    raw.chain(sealed).collect()
}
