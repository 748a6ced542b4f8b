//! Members compare what they hold: a difference is found, told of the right one, and stops everything; where there is
//! none, nothing is said, whatever else happens.

use crate::group::{Group, client_of, name, put_for};
use crate::knobs;
use base::{Knobs, knobs::ms};
use etcd::{Client, Error, pb};
use std::time::Duration;
use world::{Death, World, process};

const SECOND: Duration = Duration::from_secs(1);

fn everyone(group: &Group) -> Client {
    Client::new((1..=3).map(client_of).collect(), &group.knobs)
}

async fn alarms(client: &Client) -> Vec<pb::AlarmMember> {
    client.alarm(pb::AlarmRequest::default()).await.map(|answer| answer.alarms).unwrap_or_default()
}

fn run<F>(more: Knobs, act: impl FnOnce(std::rc::Rc<Group>) -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    World::run(1, move |world| async move {
        act(std::rc::Rc::new(Group::start(world, 3, more))).await;
    });
}

#[test]
fn a_member_that_holds_something_else_is_found_and_nothing_is_served_any_more() {
    run(Knobs { corrupt_check_ms: 1_000, ..knobs() }, |group| async move {
        base::marks::plant(Some("B08"));
        let client = everyone(&group);
        put_for(client.clone(), "key".into(), 5 * SECOND).await;
        let found = alarms(&client).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].member_id, found[0].alarm()), (2, pb::AlarmType::Corrupt));
        let refused = client.put(pb::PutRequest::of("a", "1")).await.expect_err("refused");
        assert_eq!(etcd::kind(&refused), Some(Error::Corrupt));
    });
}

#[test]
fn a_member_that_holds_something_else_does_not_serve_where_it_has_to_compare_first() {
    let check = Knobs { corrupt_check_at_start: 1, snapshot_every: 20, snapshot_keep: 5, ..knobs() };
    run(check, |group| async move {
        base::marks::plant(Some("B08"));
        let client = everyone(&group);
        put_for(client.clone(), "key".into(), 5 * SECOND).await;
        for id in [1, 2] {
            group.world.kill(&name(id), Death::Process);
            rt::sleep(SECOND).await;
            group.world.restart(&name(id));
            rt::sleep(3 * SECOND).await;
            let up = process::status(&name(id)).expect("a process").up;
            assert_eq!(up, id == 1, "{id} holds what the others do, or not");
        }
    });
}

/// Writes, compactions, and leaders that are lost.
#[test]
fn no_difference_is_found_where_there_is_none() {
    let check = Knobs {
        corrupt_check_ms: 50,
        corrupt_check_at_start: 1,
        auto_compact_revisions: 10,
        auto_compact_every_ms: 70,
        snapshot_every: 50,
        snapshot_keep: 5,
        ..knobs()
    };
    run(check, |group| async move {
        let client = everyone(&group);
        let writer = rt::spawn(put_for(client.clone(), "key".into(), 20 * SECOND));
        for round in 0..6 {
            rt::sleep(ms(1_500)).await;
            let leader = group.leader().expect("a leader");
            group.bounce(&leader, if round % 2 == 0 { Death::Power } else { Death::Process }, SECOND).await;
        }
        let (done, _) = writer.await.expect("a writer that runs to its end");
        assert!(done.len() > 200, "{}", done.len());
        assert_eq!(alarms(&client).await, []);
        group.assert_no_faults();
    });
}
