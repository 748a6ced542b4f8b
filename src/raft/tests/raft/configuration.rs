//! Configurations are data: they come with snapshots, from the disk and from the leader, and say who is listened to.

use base::{Index, Knobs, MemberId, Term};
use raft::{
    Body, Config, Data, Effects, Entry, HardState, Input, Membership, Message, Node, Payload, Recovered,
    Role, Snapshot, SnapshotMeta,
};
use std::collections::BTreeSet;

fn set(ids: &[u64]) -> BTreeSet<MemberId> {
    ids.iter().map(|id| MemberId(*id)).collect()
}

fn joint() -> Membership {
    Membership { voters: set(&[1, 2, 3]), learners: set(&[4]), outgoing: set(&[3, 5]) }
}

fn snapshot(membership: Membership) -> Snapshot {
    Snapshot {
        meta: SnapshotMeta { index: Index(7), term: Term(2), membership, configured: Index(5) },
        size: 5,
    }
}

/// Member 3 of a cluster founded by 1, 2 and 3.
fn node(snapshot: Option<Snapshot>) -> Node {
    let membership = Membership::of_voters([1, 2, 3].map(MemberId));
    let config = Config { id: MemberId(3), membership, seed: 1, knobs: Knobs::default() };
    let hard = HardState { term: Term(2), vote: None };
    Node::new(config, Recovered { hard, snapshot, ..Recovered::default() })
}

fn hear(node: &mut Node, from: u64, term: u64, body: Body) -> Effects {
    node.step(Input::Message(Message { from: MemberId(from), to: node.id(), term: Term(term), body }))
}

#[test]
fn the_snapshot_on_the_disk_says_who_the_members_are() {
    assert_eq!(*node(None).membership(), Membership::of_voters([1, 2, 3].map(MemberId)));
    let node = node(Some(snapshot(joint())));
    assert_eq!(*node.membership(), joint());
    assert_eq!(
        node.snapshot_meta(Index(7)).map(|meta| meta.membership),
        Some(joint()),
        "and the next one too"
    );
}

#[test]
fn a_snapshot_from_the_leader_says_who_the_members_are() -> Result<(), String> {
    let mut node = node(None);
    let Snapshot { meta, size: total } = snapshot(joint());
    let data = Data::from("state");
    let effects = hear(&mut node, 1, 2, Body::SnapshotChunk { meta, total, offset: 0, data });
    assert_eq!(*node.membership(), joint());
    let persist = effects.persist.ok_or("expected a snapshot to write")?;
    assert_eq!(persist.snapshot.map(|snapshot| snapshot.meta.membership), Some(joint()));
    let synced = persist.ticket.redeem(Ok::<_, String>(()))?;
    let installed = node.step(Input::Synced(synced)).install.ok_or("expected it to be installed")?;
    assert_eq!(installed.meta.membership, joint());
    Ok(())
}

#[test]
fn whoever_joins_takes_no_snapshot_before_it_knows_who_votes() -> Result<(), String> {
    let config =
        Config { id: MemberId(4), membership: Membership::default(), seed: 1, knobs: Knobs::default() };
    let mut joins = Node::new(config, Recovered::default());
    let entry = |index, payload| Entry { index: Index(index), term: Term(1), payload };
    let membership = Membership { learners: set(&[4]), ..Membership::of_voters([1, 2, 3].map(MemberId)) };
    let changed = Payload::Config { membership: membership.clone(), context: Data::default() };
    let entries = vec![entry(1, Payload::Noop), entry(2, Payload::Noop), entry(3, changed)];
    let (prev_index, prev_term, commit) = (Index(0), Term(0), Index(3));
    let effects = hear(&mut joins, 1, 1, Body::Append { prev_index, prev_term, entries, commit });
    let persist = effects.persist.ok_or("expected entries to write")?;
    joins.step(Input::Synced(persist.ticket.redeem(Ok::<_, String>(()))?));
    assert_eq!(joins.applied(), Index(3));
    assert_eq!(joins.snapshot_meta(Index(2)), None);
    assert_eq!(joins.snapshot_meta(Index(3)).map(|meta| meta.membership), Some(membership));
    Ok(())
}

#[test]
fn who_is_no_member_yet_is_listened_to() {
    // A log that lags does not know of the change that made 5 a member, and then leader.
    let mut lags = node(None);
    hear(&mut lags, 5, 9, Body::Heartbeat { commit: Index(0), round: 1 });
    assert_eq!((lags.term(), lags.leader()), (Term(9), Some(MemberId(5))));
}

#[test]
fn the_configuration_in_the_log_counts_before_it_is_committed_and_goes_with_its_entry() {
    let mut node = node(None);
    let entry = |index, term, payload| Entry { index: Index(index), term: Term(term), payload };
    let config = Payload::Config { membership: joint(), context: Data::from("why") };
    let entries = vec![entry(1, 2, Payload::Noop), entry(2, 2, config)];
    let append =
        |entries| Body::Append { prev_index: Index(0), prev_term: Term(0), entries, commit: Index(0) };
    hear(&mut node, 1, 2, append(entries));
    assert_eq!((node.membership(), node.configured_at()), (&joint(), Index(2)));
    hear(&mut node, 2, 3, append(vec![entry(1, 3, Payload::Noop)]));
    let founding = Membership::of_voters([1, 2, 3].map(MemberId));
    assert_eq!((node.membership(), node.configured_at()), (&founding, Index(0)));
}

/// What makes changing one voter at a time safe, and why it takes more to change two: over all sets of up to five.
#[test]
fn quorums_of_configurations_that_differ_by_one_voter_meet_and_others_need_a_joint_one() {
    let sets: Vec<BTreeSet<MemberId>> = (1..32_u64)
        .map(|bits| (1..=5).filter(|id| bits >> (id - 1) & 1 == 1).map(MemberId).collect())
        .collect();
    let plain = |voters: &BTreeSet<MemberId>| Membership { voters: voters.clone(), ..Membership::default() };
    let quorums = |membership: &Membership| -> Vec<&BTreeSet<MemberId>> {
        sets.iter().filter(|set| membership.is_quorum(|id| set.contains(&id))).collect()
    };
    let meet = |one: &Membership, other: &Membership| {
        let others = quorums(other);
        quorums(one).iter().all(|quorum| others.iter().all(|other| !quorum.is_disjoint(other)))
    };
    let mut apart = 0;
    for (from, to) in sets.iter().flat_map(|from| sets.iter().map(move |to| (from, to))) {
        let joint = Membership { outgoing: from.clone(), ..plain(to) };
        assert!(meet(&plain(from), &joint) && meet(&joint, &plain(to)), "{from:?} {to:?}");
        match from.symmetric_difference(to).count() {
            0 | 1 => assert!(meet(&plain(from), &plain(to)), "{from:?} {to:?}"),
            _ => apart += u32::from(!meet(&plain(from), &plain(to))),
        }
    }
    assert!(apart > 100, "{apart} pairs have quorums apart");
}

#[test]
fn who_is_a_learner_now_does_not_campaign() {
    let learns = Membership { voters: set(&[1, 2]), learners: set(&[3]), outgoing: set(&[]) };
    let mut node = node(Some(snapshot(learns)));
    (0..100).for_each(|_| drop(node.step(Input::Tick)));
    assert_eq!((node.role(), node.term()), (Role::Follower, Term(2)));
}
