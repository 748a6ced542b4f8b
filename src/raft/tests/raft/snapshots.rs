//! Snapshots whose bytes are elsewhere: one that cannot be read any more, and one that the state machine takes its time to
//! install.

use crate::cluster::{Cluster, Outcome};
use base::{Index, Knobs, MemberId, marks};
use raft::{Body, Input, Membership, Role};

const LEADER: MemberId = MemberId(1);
const LAGS: MemberId = MemberId(3);

/// Member 3 lacks what the leader has a snapshot of, and has been sent its first piece.
fn one_that_lags() -> Outcome<Cluster> {
    let knobs = Knobs { snapshot_keep: 0, raft_snapshot_chunk_bytes: 16, ..Knobs::default() };
    let mut cluster = Cluster::new(Membership::of_voters([1, 2, 3].map(MemberId)), knobs, 1)?;
    while cluster.node(LEADER).is_some_and(|node| node.role() != Role::Leader) {
        cluster.step(LEADER, Input::Tick)?;
        cluster.quiesce()?;
    }
    without_it(&mut cluster)?;
    while !cluster.wire.iter().any(is_chunk) {
        cluster.step(LEADER, Input::Tick)?;
        let others = std::mem::take(&mut cluster.wire).into_iter().filter(|message| !is_chunk(message));
        for message in others {
            cluster.step(message.to, Input::Message(message))?;
        }
    }
    Ok(cluster)
}

fn is_chunk(message: &raft::Message) -> bool {
    matches!(message.body, Body::SnapshotChunk { .. })
}

/// Something is committed that member 3 does not hear of, and a snapshot of it taken.
fn without_it(cluster: &mut Cluster) -> Outcome {
    cluster.step(LEADER, Input::Propose(vec!["a".into(), "b".into()]))?;
    for _ in 0..20 {
        for message in std::mem::take(&mut cluster.wire) {
            if message.to != LAGS {
                cluster.step(message.to, Input::Message(message))?;
            }
        }
        for id in cluster.ids() {
            cluster.sync(id, usize::MAX)?;
        }
    }
    cluster.snapshot(LEADER).map(drop)
}

fn sent(cluster: &Cluster) -> Vec<Index> {
    let of = |message: &raft::Message| match &message.body {
        Body::SnapshotChunk { meta, .. } => Some(meta.index),
        _ => None,
    };
    cluster.wire.iter().filter_map(of).collect()
}

#[test]
fn one_that_cannot_be_read_gives_way_to_a_newer_one() {
    let mut cluster = one_that_lags().expect("no promise broken");
    let first = sent(&cluster)[0];
    let in_use = |cluster: &Cluster| cluster.node(LEADER).expect("up").snapshots_in_use();
    assert_eq!(in_use(&cluster), [first].into());
    cluster.wire.clear();
    cluster.step(LEADER, Input::SnapshotLost(first)).expect("no promise broken");
    assert_eq!(sent(&cluster), [], "there is no other");
    without_it(&mut cluster).expect("no promise broken");
    let second = sent(&cluster)[0];
    assert!(second > first, "it is sent as soon as it is there");
    assert_eq!(in_use(&cluster), [second].into());
    without_it(&mut cluster).expect("no promise broken");
    assert_eq!(sent(&cluster), [], "it gets the one it is being sent");
    cluster.step(LEADER, Input::SnapshotLost(second)).expect("no promise broken");
    let third = sent(&cluster)[0];
    assert!(third > second, "there is a newer one");
    cluster.settle(200).expect("it gets that one");
    assert_eq!(in_use(&cluster), [].into());
}

/// The newest is written anew, as it could not be read, and has another size than before.
#[test]
fn one_that_was_written_anew_is_sent_from_the_beginning() {
    let mut cluster = one_that_lags().expect("no promise broken");
    let index = sent(&cluster)[0];
    let Some(Body::SnapshotChunk { total, .. }) =
        cluster.wire.iter().find(|message| is_chunk(message)).map(|message| message.body.clone())
    else {
        panic!("a chunk was sent");
    };
    let node = cluster.members.get_mut(&LEADER).and_then(|member| member.node.as_mut()).expect("up");
    let progress = |node: &raft::Node| node.progress(LAGS).expect("it is sent a snapshot");
    let before = progress(node);
    node.step(Input::SnapshotTaken { index, size: total });
    assert_eq!(progress(node), before, "as it was");
    node.step(Input::SnapshotTaken { index, size: total + 8 });
    assert!(progress(node).ends_with(&format!("sent 0 acked 0 of {}", total + 8)), "{}", progress(node));
}

#[test]
fn one_whose_state_is_being_replaced_does_not_stand_for_election() {
    let mut cluster = one_that_lags().expect("no promise broken");
    cluster.lazy = true;
    while cluster.members[&LAGS].installing.is_none() {
        for message in std::mem::take(&mut cluster.wire) {
            cluster.step(message.to, Input::Message(message)).expect("no promise broken");
        }
        cluster.sync(LAGS, usize::MAX).expect("no promise broken");
    }
    cluster.wire.clear();
    let patience = 3 * Knobs::default().raft_election_ticks;
    let stands = |cluster: &mut Cluster| {
        (0..patience).for_each(|_| drop(cluster.step(LAGS, Input::Tick).expect("no promise broken")));
        std::mem::take(&mut cluster.wire).iter().any(|message| matches!(message.body, Body::PreVote { .. }))
    };
    assert!(!stands(&mut cluster), "it could tell nobody how things stand");
    marks::plant(Some("R28"));
    assert_eq!(stands(&mut cluster), marks::COUNTED, "planted, it is seen");
    marks::plant(None);
    assert_eq!(cluster.node(LAGS).expect("up").applied(), Index(1));
    cluster.install(LAGS).expect("no promise broken");
    assert!(stands(&mut cluster));
}
