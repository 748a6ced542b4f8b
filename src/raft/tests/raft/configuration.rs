//! Configurations are data: they come with snapshots, from the disk and from the leader, and say who is listened to.

use base::{Index, Knobs, MemberId, Term};
use raft::{
    Body, Config, Data, Effects, HardState, Input, Membership, Message, Node, Recovered, Role, Snapshot,
    SnapshotMeta,
};
use std::collections::BTreeSet;

fn set(ids: &[u64]) -> BTreeSet<MemberId> {
    ids.iter().map(|id| MemberId(*id)).collect()
}

fn joint() -> Membership {
    Membership { voters: set(&[1, 2, 3]), learners: set(&[4]), outgoing: set(&[3, 5]) }
}

fn snapshot(membership: Membership) -> Snapshot {
    Snapshot { meta: SnapshotMeta { index: Index(7), term: Term(2), membership }, data: Data::from("state") }
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
    let Snapshot { meta, data } = snapshot(joint());
    let total = data.len() as u64;
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
fn who_is_no_member_is_not_listened_to() {
    let beat = || Body::Heartbeat { commit: Index(0), round: 1 };
    let mut founded = node(None);
    let effects = hear(&mut founded, 5, 9, beat());
    assert!(effects.send.is_empty() && effects.persist.is_none() && effects.role.is_none());
    assert_eq!((founded.term(), founded.leader()), (Term(2), None));
    // Where 5 is a member, if only one that is being left, it is.
    let mut moving = node(Some(snapshot(joint())));
    hear(&mut moving, 5, 9, beat());
    assert_eq!((moving.term(), moving.leader()), (Term(9), Some(MemberId(5))));
}

#[test]
fn who_is_a_learner_now_does_not_campaign() {
    let learns = Membership { voters: set(&[1, 2]), learners: set(&[3]), outgoing: set(&[]) };
    let mut node = node(Some(snapshot(learns)));
    (0..100).for_each(|_| drop(node.step(Input::Tick)));
    assert_eq!((node.role(), node.term()), (Role::Follower, Term(2)));
}
