//! Leadership is handed on, whatever clients go on asking for.

use crate::cluster::{Cluster, Outcome};
use base::{Knobs, MemberId, marks};
use raft::{Input, Membership};

const LEADER: MemberId = MemberId(1);
const NEXT: MemberId = MemberId(2);

/// Whether the successor leads in the end, though something new is proposed for every message that arrives.
fn hands_on() -> Outcome<bool> {
    let mut cluster = Cluster::new(Membership::of_voters([1, 2, 3].map(MemberId)), Knobs::default(), 1)?;
    while cluster.leader() != Some(LEADER) {
        cluster.step(LEADER, Input::Tick)?;
        cluster.quiesce()?;
    }
    cluster.step(LEADER, Input::Propose(vec!["first".into()]))?;
    cluster.step(LEADER, Input::Transfer(NEXT))?;
    for _ in 0..200 {
        cluster.step(LEADER, Input::Propose(vec!["more".into()]))?;
        if !cluster.wire.is_empty() {
            let message = cluster.wire.remove(0);
            cluster.step(message.to, Input::Message(message))?;
        }
        for id in cluster.ids() {
            cluster.sync(id, usize::MAX)?;
        }
        if cluster.leader() == Some(NEXT) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The bug museum's R30, planted: who goes on writing keeps the successor from ever holding all there is.
#[test]
fn writes_wait_while_leadership_is_handed_on() {
    assert!(hands_on().expect("no promise broken"));
    marks::plant(Some("R30"));
    assert_eq!(hands_on().expect("no promise broken"), !marks::COUNTED, "planted, it is seen");
    marks::plant(None);
}
