//! Locks and elections at their edges: only the winner of this very campaign speaks for it, a name is not the beginning
//! of another, who comes back with its lease has kept its place, and who is gone between two others changes nothing.

use super::{
    core::Core,
    operations::metrics,
    turns::{channel, grant, lock},
    with_member,
};
use base::{Knobs, knobs::ms};
use etcd::pb::{
    self,
    v3electionpb::{election_client::ElectionClient, *},
    v3lockpb::{lock_client::LockClient, *},
};
use rt::{JoinHandle, grpc::Channel};
use tonic::Status;

type Elections = ElectionClient<Channel>;

/// Clients that each have a lease, with the number they campaign by.
async fn elections(member: &Core, leases: i64) -> Elections {
    for lease in 1..=leases {
        grant(member, lease).await;
    }
    ElectionClient::new(channel(member).await)
}

/// Campaigns in election `e`, for as long as it takes.
fn campaign(client: &Elections, lease: i64, value: &'static str) -> JoinHandle<Result<LeaderKey, Status>> {
    let mut client = client.clone();
    rt::spawn(async move {
        let request = CampaignRequest { name: "e".into(), lease, value: value.into() };
        client.campaign(request).await.map(|won| won.into_inner().leader.unwrap())
    })
}

async fn win(client: &Elections, lease: i64, value: &'static str) -> LeaderKey {
    let won = rt::timeout(ms(5_000), campaign(client, lease, value)).await;
    won.expect("a victory in time").unwrap().unwrap()
}

async fn proclaim(client: &Elections, leader: &LeaderKey, value: String) -> Result<(), Status> {
    let request = ProclaimRequest { leader: Some(leader.clone()), value: value.into() };
    client.clone().proclaim(request).await.map(drop)
}

async fn resign(client: &Elections, leader: &LeaderKey) {
    client.clone().resign(ResignRequest { leader: Some(leader.clone()) }).await.unwrap();
}

async fn leader(client: &Elections) -> Result<bytes::Bytes, Status> {
    let answer = client.clone().leader(LeaderRequest { name: "e".into() }).await?;
    Ok(answer.into_inner().kv.unwrap().value)
}

async fn observe(client: &Elections) -> tonic::Streaming<LeaderResponse> {
    client.clone().observe(LeaderRequest { name: "e".into() }).await.unwrap().into_inner()
}

async fn observed(stream: &mut tonic::Streaming<LeaderResponse>) -> bytes::Bytes {
    let answer = rt::timeout(ms(5_000), stream.message()).await.expect("a leader in time");
    answer.unwrap().unwrap().kv.unwrap().value
}

#[test]
fn only_who_won_this_campaign_speaks_for_it() {
    with_member(Knobs::default(), async |member: Core| {
        let client = elections(&member, 1).await;
        let won = win(&client, 1, "a").await;
        let other = LeaderKey { rev: won.rev - 1, ..won.clone() };
        let refused = proclaim(&client, &other, "b".into()).await.unwrap_err();
        assert_eq!(refused.message(), "election: not leader");
        resign(&client, &other).await;
        assert_eq!(leader(&client).await.unwrap(), "a", "who does not lead resigns from nothing");
        resign(&client, &won).await;
        assert_eq!(leader(&client).await.unwrap_err().message(), "election: no leader");
        let refused = proclaim(&client, &won, "c".into()).await.unwrap_err();
        assert_eq!(refused.message(), "election: not leader");
        // the next victory is another one, also under the same lease
        let again = win(&client, 1, "d").await;
        assert!(again.rev > won.rev);
        proclaim(&client, &won, "e".into()).await.unwrap_err();
        assert_eq!(leader(&client).await.unwrap(), "d");
    });
}

#[test]
fn a_key_whose_name_begins_like_an_election_is_no_candidate() {
    with_member(Knobs::default(), async |member: Core| {
        member.client().put(pb::PutRequest::of("east", "x")).await.unwrap();
        member.client().put(pb::PutRequest::of("e", "x")).await.unwrap();
        let client = elections(&member, 1).await;
        assert_eq!(win(&client, 1, "a").await.key, "e/1");
        assert_eq!(leader(&client).await.unwrap(), "a");
    });
}

#[test]
fn who_comes_back_with_its_lease_still_leads() {
    with_member(Knobs::default(), async |member: Core| {
        let client = elections(&member, 2).await;
        let won = win(&client, 1, "a").await;
        drop(client);
        let client = ElectionClient::new(channel(&member).await);
        let waiting = campaign(&client, 2, "b");
        rt::sleep(ms(200)).await;
        let again = win(&client, 1, "a").await;
        assert_eq!((again.rev, again.key), (won.rev, won.key));
        assert!(!waiting.is_finished());
        // its lease ends, and with it its leadership
        member.client().lease_revoke(pb::LeaseRevokeRequest { id: 1 }).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().key, "e/2");
    });
}

#[test]
fn a_compaction_takes_no_leader_from_its_observers() {
    with_member(Knobs::default(), async |member: Core| {
        let client = elections(&member, 1).await;
        let won = win(&client, 1, "a").await;
        let revision = won.rev + 5;
        for _ in 0..5 {
            member.client().put(pb::PutRequest::of("other", "x")).await.unwrap();
        }
        member.client().compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
        let mut stream = observe(&client).await;
        assert_eq!(observed(&mut stream).await, "a");
        proclaim(&client, &won, "b".into()).await.unwrap();
        assert_eq!(observed(&mut stream).await, "b");
    });
}

/// An observer may miss what was said in between, but never hears anything older than what it heard, and ends with the
/// last.
#[test]
fn observers_hear_what_is_said_in_order() {
    with_member(Knobs::default(), async |member: Core| {
        let client = elections(&member, 1).await;
        let won = win(&client, 1, "0").await;
        let (mut one, mut two) = (observe(&client).await, observe(&client).await);
        for n in 1..10 {
            proclaim(&client, &won, n.to_string()).await.unwrap();
        }
        for stream in [&mut one, &mut two] {
            let mut last = bytes::Bytes::new();
            while last != "9" {
                let value = observed(stream).await;
                assert!(value > last, "{value:?} after {last:?}");
                last = value;
            }
        }
    });
}

#[test]
fn an_observer_that_leaves_is_counted_as_one() {
    with_member(Knobs::default(), async |member: Core| {
        let client = elections(&member, 1).await;
        win(&client, 1, "a").await;
        let mut stream = observe(&client).await;
        observed(&mut stream).await;
        drop(stream);
        let name = "grpc_server_handled_total{grpc_code=\"Canceled\",grpc_method=\"Observe\",\
                    grpc_service=\"v3electionpb.Election\",grpc_type=\"server_stream\"}";
        for _ in 0..50 {
            let (values, _) = metrics(&member).await;
            if let Some(count) = values.get(name) {
                return assert_eq!(count, "1");
            }
            rt::sleep(ms(100)).await;
        }
        panic!("expected {name}");
    });
}

/// Were the one behind to wait for the one before it alone, the end of that one's lease would let it in past the holder.
#[test]
fn who_waits_waits_for_the_holder_though_one_between_them_is_gone() {
    with_member(Knobs::default(), async |member: Core| {
        for lease in [1, 2, 3] {
            grant(&member, lease).await;
        }
        lock(&member, 1).await.unwrap();
        let waiting = |lease| {
            let member = member.clone();
            rt::spawn(async move { lock(&member, lease).await })
        };
        let second = waiting(2);
        rt::sleep(ms(200)).await;
        let third = waiting(3);
        rt::sleep(ms(200)).await;
        member.client().lease_revoke(pb::LeaseRevokeRequest { id: 2 }).await.unwrap();
        rt::sleep(ms(500)).await;
        assert!(!third.is_finished(), "the holder still has the lock");
        let mut client = LockClient::new(channel(&member).await);
        client.unlock(UnlockRequest { key: "l/1".into() }).await.unwrap();
        assert_eq!(third.await.unwrap().unwrap(), "l/3");
        assert_eq!(etcd::kind(&second.await.unwrap().unwrap_err()), Some(etcd::Error::LeaseNotFound));
    });
}

#[test]
fn who_has_a_lock_has_it_again_at_once() {
    with_member(Knobs::default(), async |member: Core| {
        grant(&member, 1).await;
        grant(&member, 2).await;
        let first = lock(&member, 1).await.unwrap();
        let other = member.clone();
        let waiting = rt::spawn(async move { lock(&other, 2).await });
        rt::sleep(ms(200)).await;
        let again = rt::timeout(ms(5_000), lock(&member, 1)).await.expect("a lock in time");
        assert_eq!(again.unwrap(), first);
        assert!(!waiting.is_finished());
    });
}

/// Who got a lock later is told a later revision, so that the revision may serve to tell the holders apart.
#[test]
fn whoever_has_a_lock_later_is_told_a_later_revision() {
    with_member(Knobs::default(), async |member: Core| {
        let client = LockClient::new(channel(&member).await);
        let have = |lease: i64| {
            let mut client = client.clone();
            async move { client.lock(LockRequest { name: "l".into(), lease }).await.unwrap().into_inner() }
        };
        grant(&member, 1).await;
        grant(&member, 2).await;
        let first = have(1).await;
        let second = rt::spawn(have(2));
        rt::sleep(ms(200)).await;
        assert!(!second.is_finished());
        let key = first.key.clone();
        let unlocked = client.clone().unlock(UnlockRequest { key }).await.unwrap().into_inner();
        let second = second.await.unwrap();
        let revisions = [first.header, unlocked.header, second.header].map(|head| head.unwrap().revision);
        assert!(revisions[0] < revisions[1] && revisions[1] <= revisions[2], "{revisions:?}");
        assert_ne!(first.key, second.key);
    });
}
