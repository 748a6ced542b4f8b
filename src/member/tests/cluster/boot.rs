//! Members by etcd's flags: what each is to do follows from its folder, and from what the others say.

use crate::group::{Group, name, put, read_all};
use crate::knobs;
use etcd::pb;
use member::{Boot, Listen, Url, boot::State};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use world::{Death, World, disk, process};

const SECOND: Duration = Duration::from_secs(1);

pub fn peer(id: u64) -> Url {
    Url::plain(SocketAddr::from(([10, 0, 0, id as u8], 2380)))
}

/// Member `id` of a cluster of so many.
pub fn boot(id: u64, size: u64, state: State) -> Boot {
    Boot {
        name: name(id),
        data_dir: "/data".into(),
        listen: Listen::plain(
            SocketAddr::from(([10, 0, 0, id as u8], 2380)),
            SocketAddr::from(([10, 0, 0, id as u8], 2379)),
        ),
        peer: peer(id),
        initial: (1..=size).map(|id| (name(id), peer(id))).collect(),
        state,
        force_new_cluster: false,
        cluster_id: 77,
        knobs: knobs(),
    }
}

pub async fn three(world: World) -> Group {
    let group = Group::empty(world, 3, knobs());
    (1..=3).for_each(|id| group.boot(boot(id, 3, State::New)));
    group.client(1, |client| async move { client.put(put("a", "1")).await.expect("a put") }).await;
    group
}

pub async fn members(group: &Group, client: u8) -> BTreeMap<u64, (String, Vec<String>)> {
    let list = |client: etcd::Client| async move {
        client.member_list(pb::MemberListRequest { linearizable: true }).await.expect("a list")
    };
    let list = group.client(client, list).await;
    list.members.into_iter().map(|member| (member.id, (member.name, member.client_urls))).collect()
}

#[test]
fn a_cluster_is_founded_and_each_member_says_where_it_serves() {
    World::run(11, |world| async move {
        let group = three(world).await;
        madsim::time::sleep(5 * SECOND).await;
        let url = |id: u64| (id, (name(id), vec![format!("http://10.0.0.{id}:2379")]));
        assert_eq!(members(&group, 2).await, (1..=3).map(url).collect());
        group.assert_no_faults();
    });
}

#[test]
fn flags_about_the_founding_are_not_asked_again() {
    World::run(12, |world| async move {
        let group = three(world).await;
        for id in 1..=3 {
            group.world.kill(&name(id), Death::Power);
        }
        madsim::time::sleep(SECOND).await;
        // in this order of names the ids would be others, and the cluster another
        let mut wrong = boot(3, 3, State::New);
        wrong.initial.insert("a-member".into(), peer(9));
        wrong.cluster_id = 78;
        group.world.restart(&name(1));
        group.world.restart(&name(2));
        group.boot(wrong);
        group.world.kill(&name(1), Death::Process);
        assert_eq!(group.client(3, read_all).await.len(), 1, "the second and the third are a quorum");
        group.assert_no_faults();
    });
}

#[test]
fn a_member_that_lost_its_disk_does_not_found_the_cluster_again() {
    for state in [State::New, State::Existing] {
        World::run(13, move |world| async move {
            let group = three(world).await;
            madsim::time::sleep(3 * SECOND).await;
            group.world.kill(&name(2), Death::Power);
            disk::control(&name(2)).expect("its disk").wipe();
            group.boot(boot(2, 3, state));
            madsim::time::sleep(5 * SECOND).await;
            group.world.kill(&name(1), Death::Process);
            assert_eq!(group.client(3, read_all).await.len(), 1, "{state:?}: it has a vote again");
            assert_eq!(group.seen.lock().unwrap().recalled, 1, "{state:?}: but not before it asked");
            group.assert_no_faults();
        });
    }
}

#[test]
fn a_member_that_was_added_joins() {
    World::run(14, |world| async move {
        let group = three(world).await;
        group.members_change();
        let add = |client: etcd::Client| async move {
            let add = pb::MemberAddRequest { peer_urls: vec![peer(4).to_string()], is_learner: false };
            client.member_add(add).await.expect("a member more")
        };
        let added = group.client(2, add).await.member.expect("it is named").id;
        // its token is another than that of the cluster: it is told to which it belongs
        group.boot(Boot { cluster_id: 5, ..boot(4, 4, State::Existing) });
        madsim::time::sleep(5 * SECOND).await;
        group.world.kill(&name(4), Death::Process);
        madsim::time::sleep(SECOND).await;
        group.world.restart(&name(4));
        madsim::time::sleep(3 * SECOND).await;
        let list = members(&group, 3).await;
        assert_eq!(list.get(&added), Some(&(name(4), vec!["http://10.0.0.4:2379".to_string()])));
    });
}

#[test]
fn one_that_joined_and_lost_its_disk_does_not_join_again() {
    World::run(16, |world| async move {
        let group = three(world).await;
        group.members_change();
        let add = |client: etcd::Client| async move {
            let add = pb::MemberAddRequest { peer_urls: vec![peer(4).to_string()], is_learner: false };
            client.member_add(add).await.expect("a member more")
        };
        group.client(2, add).await;
        group.boot(boot(4, 4, State::Existing));
        madsim::time::sleep(5 * SECOND).await;
        group.world.kill(&name(4), Death::Power);
        disk::control(&name(4)).expect("its disk").wipe();
        group.world.restart(&name(4));
        madsim::time::sleep(5 * SECOND).await;
        let end = format!("{:?}", process::status(&name(4)).expect("a process").exit);
        assert!(end.contains("members have changed since the cluster was founded"), "{end}");
    });
}

#[test]
fn what_cannot_be_is_said() {
    World::run(15, |world| async move {
        let group = Group::empty(world, 3, knobs());
        let mut unnamed = boot(1, 3, State::New);
        unnamed.initial.remove(&name(1));
        group.boot(unnamed);
        group.boot(boot(2, 2, State::Existing));
        let mut alone = boot(3, 3, State::Existing);
        alone.initial.retain(|_, peer| *peer == alone.peer);
        group.boot(alone);
        madsim::time::sleep(3 * SECOND).await;
        let end = |id| process::status(&name(id)).expect("a process").exit;
        let said = |id| format!("{:?}", end(id));
        assert!(said(1).contains("expected one of the names in --initial-cluster"), "{}", said(1));
        assert!(end(2).is_none(), "it asks on: {}", said(2));
        assert!(said(3).contains("nobody to ask"), "{}", said(3));
    });
}
