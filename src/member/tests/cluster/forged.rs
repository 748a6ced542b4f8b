//! Frames that no member sent, from one that can speak with members all the same: they stop nobody.

use crate::group::{Group, config, name, put_for, read_all};
use crate::knobs;
use base::{MemberId, Term, knobs::ms};
use bytes::Bytes;
use member::{
    frame::{self, Forwarded, Frame},
    proposal::ProposalId,
};
use std::time::Duration;
use world::{World, process};

const SECOND: Duration = Duration::from_secs(1);

/// The cluster and the addresses of `group::config`.
fn forge(term: Term, data: &str) -> Bytes {
    let id = ProposalId { origin: MemberId(2), run: 5, count: 1 };
    let proposals = vec![Forwarded { id, data: data.into() }];
    frame::seal(config(1, 3, &knobs()).cluster_id, &Frame::Propose { term, proposals })
}

/// Sends a frame to all three members, a few times.
fn send(group: &Group, forged: Bytes) {
    group.world.create("liar", [10, 0, 2, 1].into(), move || {
        let forged = forged.clone();
        async move {
            let here = "10.0.2.1:2380".parse().unwrap();
            let peers = rt::net::Peers::bind(here, None).await.map_err(|error| error.to_string())?;
            for _ in 0..5 {
                (1..=3).for_each(|id| peers.send(config(id, 3, &knobs()).listen.peers, forged.clone()));
                rt::sleep(ms(50)).await;
            }
            Ok(())
        }
    });
}

#[test]
fn a_proposal_that_cannot_be_read_never_comes_into_the_log() {
    World::run(1, |world| async move {
        let group = Group::start(world, 3, knobs());
        let (before, _) = group.client(1, |client| put_for(client, "before".into(), 2 * SECOND)).await;
        let term = *group.seen.lock().unwrap().leaders.last_key_value().expect("a leader").0;
        send(&group, forge(term, "no proposal"));
        let (after, _) = group.client(2, |client| put_for(client, "after".into(), 5 * SECOND)).await;
        for id in 1..=3 {
            let exit = process::status(&name(id)).expect("a process").exit;
            assert!(exit.is_none(), "{} ended: {exit:?}", name(id));
        }
        let terms = group.seen.lock().unwrap().leaders.len();
        assert_eq!(terms, 1, "it still leads in the term that was forged for");
        let found = group.client(3, read_all).await;
        assert!(before.len() > 10 && after.len() > 100, "{} and {} writes", before.len(), after.len());
        assert!(before.iter().chain(&after).all(|key| found.contains_key(key)));
        group.assert_no_faults();
    });
}
