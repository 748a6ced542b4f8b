//! Locks and elections: who came first, and who comes when that one is gone.

use super::{core::Core, with_member};
use base::{Knobs, knobs::ms};
use etcd::pb::{
    self,
    v3electionpb::{election_client::ElectionClient, *},
    v3lockpb::{lock_client::LockClient, *},
};
use rt::grpc::{Channel, ChannelOptions};
use tonic::{Request, Status};

pub async fn channel(member: &Core) -> Channel {
    let options = ChannelOptions { connect_timeout: ms(1_000), ..ChannelOptions::default() };
    Channel::connect(member.addr, options).await.unwrap()
}

pub async fn grant(member: &Core, id: i64) {
    member.client().lease_grant(pb::LeaseGrantRequest { id, ttl: 60 }).await.unwrap();
}

pub async fn lock(member: &Core, lease: i64) -> Result<bytes::Bytes, Status> {
    let request = LockRequest { name: "l".into(), lease };
    let locked = LockClient::new(channel(member).await).lock(request).await?;
    Ok(locked.into_inner().key)
}

#[test]
fn a_lock_is_had_by_one_after_the_other() {
    with_member(Knobs::default(), async |member: Core| {
        for lease in [1, 2, 3] {
            grant(&member, lease).await;
        }
        assert_eq!(lock(&member, 1).await.unwrap(), "l/1");
        let waiting = |lease| {
            let member = member.clone();
            rt::spawn(async move { lock(&member, lease).await })
        };
        let second = waiting(2);
        rt::sleep(ms(100)).await;
        let third = waiting(3);
        rt::sleep(ms(500)).await;
        assert!(!second.is_finished() && !third.is_finished());
        // who gives up while it waits is passed over
        second.abort();
        rt::sleep(ms(100)).await;
        let mut client = LockClient::new(channel(&member).await);
        client.unlock(UnlockRequest { key: "l/1".into() }).await.unwrap();
        assert_eq!(third.await.unwrap().unwrap(), "l/3");
        let keys = member.client().range(pb::RangeRequest::of_prefix("l/")).await.unwrap();
        assert_eq!(keys.kvs.len(), 1, "{keys:?}");
    });
}

/// Museum L08: a lease that ends while its client waits gives no lock.
#[test]
fn whose_lease_ended_while_it_waited_has_no_lock() {
    with_member(Knobs::default(), async |member: Core| {
        grant(&member, 1).await;
        let waiting = async || {
            grant(&member, 2).await;
            lock(&member, 1).await.unwrap();
            let waiter = member.clone();
            let waiting = rt::spawn(async move { lock(&waiter, 2).await });
            rt::sleep(ms(100)).await;
            member.client().lease_revoke(pb::LeaseRevokeRequest { id: 2 }).await.unwrap();
            member.client().delete_range(pb::DeleteRangeRequest::of_key("l/1")).await.unwrap();
            waiting.await.unwrap()
        };
        let refused = waiting().await.unwrap_err();
        assert_eq!(etcd::kind(&refused), Some(etcd::Error::LeaseNotFound));
        base::marks::plant(Some("L08"));
        assert_eq!(waiting().await.is_ok(), base::marks::COUNTED, "planted, it is seen");
        base::marks::plant(None);
    });
}

#[test]
fn a_lock_without_a_lease_hangs_on_one_of_the_servers_own() {
    with_member(Knobs::default(), async |member: Core| {
        let key = lock(&member, 0).await.unwrap();
        let there = member.client().range(pb::RangeRequest::of_key(key)).await.unwrap();
        let left = pb::LeaseTimeToLiveRequest { id: there.kvs[0].lease, keys: false };
        assert_eq!(member.client().lease_time_to_live(left).await.unwrap().granted_ttl, 60);
        let unknown = lock(&member, 77).await.unwrap_err();
        assert_eq!(etcd::kind(&unknown), Some(etcd::Error::LeaseNotFound));
    });
}

#[test]
fn leaders_follow_one_another_and_observers_hear_of_them() {
    with_member(Knobs::default(), async |member: Core| {
        let client = ElectionClient::new(channel(&member).await);
        let ask = || LeaderRequest { name: "e".into() };
        let none = client.clone().leader(ask()).await.unwrap_err();
        assert_eq!(none.message(), "election: no leader");
        let mut observed = client.clone().observe(Request::new(ask())).await.unwrap().into_inner();
        let campaign = |lease: i64, value: &'static str| {
            let mut client = client.clone();
            let request = CampaignRequest { name: "e".into(), lease, value: value.into() };
            rt::spawn(async move { client.campaign(request).await.map(|won| won.into_inner().leader) })
        };
        grant(&member, 10).await;
        grant(&member, 11).await;
        let first = campaign(10, "a").await.unwrap().unwrap().unwrap();
        assert_eq!((&first.key[..], first.lease), (&b"e/a"[..], 10), "the lease in hexadecimal");
        let second = campaign(11, "b");
        let value = |answer: LeaderResponse| answer.kv.unwrap().value;
        assert_eq!(value(observed.message().await.unwrap().unwrap()), "a");
        let proclaim = |leader: &LeaderKey, value: &'static str| ProclaimRequest {
            leader: Some(leader.clone()),
            value: value.into(),
        };
        client.clone().proclaim(proclaim(&first, "a2")).await.unwrap();
        assert_eq!(value(observed.message().await.unwrap().unwrap()), "a2");
        assert_eq!(value(client.clone().leader(ask()).await.unwrap().into_inner()), "a2");
        assert!(!second.is_finished());
        client.clone().resign(ResignRequest { leader: Some(first.clone()) }).await.unwrap();
        let second = second.await.unwrap().unwrap().unwrap();
        assert_eq!(value(observed.message().await.unwrap().unwrap()), "b");
        let late = client.clone().proclaim(proclaim(&first, "a3")).await.unwrap_err();
        assert_eq!(late.message(), "election: not leader");
        // who campaigns again says what it says now
        let again = campaign(11, "b2").await.unwrap().unwrap().unwrap();
        assert_eq!(again.rev, second.rev);
        assert_eq!(value(observed.message().await.unwrap().unwrap()), "b2");
        let missing = client.clone().resign(ResignRequest { leader: None }).await.unwrap_err();
        assert_eq!(missing.message(), "\"leader\" field must be provided");
    });
}
