//! Leases as clients are told of them: any number but 0 names one, the list has those first that end first, each renewal
//! is answered for its own lease, and without a leader nothing is pretended.

use super::{
    core::Core,
    error,
    turns::channel,
    watch::{create, created, next},
    with_member,
};
use base::{Knobs, knobs::ms};
use etcd::{Client, Error, pb};
use pb::lease_client::LeaseClient;

async fn grant(client: &Client, id: i64, ttl: i64) {
    client.lease_grant(pb::LeaseGrantRequest { id, ttl }).await.unwrap();
}

async fn listed(client: &Client) -> Vec<i64> {
    let answer = client.lease_leases(pb::LeaseLeasesRequest {}).await.unwrap();
    answer.leases.into_iter().map(|lease| lease.id).collect()
}

/// The answers to renewals that are sent one after the other on one stream.
async fn renew(client: &Client, ids: &[i64]) -> Vec<(i64, i64)> {
    let mut stream = client.lease_keep_alive().await.unwrap();
    for id in ids {
        stream.send(pb::LeaseKeepAliveRequest { id: *id }).await.unwrap();
    }
    let mut answers = Vec::new();
    while answers.len() < ids.len() {
        let answer = stream.recv().await.unwrap();
        answers.push((answer.id, answer.ttl));
    }
    answers
}

#[test]
fn any_number_but_0_names_a_lease() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for id in [-1, i64::MAX, i64::MIN] {
            grant(&client, id, 60).await;
            client.put(pb::PutRequest { lease: id, ..pb::PutRequest::of("a", "1") }).await.unwrap();
            assert_eq!(client.range(pb::RangeRequest::of_key("a")).await.unwrap().kvs[0].lease, id);
            assert_eq!(renew(&client, &[id]).await, [(id, 60)]);
            let ask = pb::LeaseTimeToLiveRequest { id, keys: true };
            let left = client.lease_time_to_live(ask).await.unwrap();
            assert_eq!((left.id, left.granted_ttl, left.keys.len()), (id, 60, 1));
            assert_eq!(listed(&client).await, [id]);
            client.lease_revoke(pb::LeaseRevokeRequest { id }).await.unwrap();
            assert_eq!(client.range(pb::RangeRequest::of_key("a")).await.unwrap().count, 0);
            assert_eq!(client.lease_time_to_live(ask).await.unwrap().ttl, -1);
        }
    });
}

/// etcd's own clients take the order for granted.
#[test]
fn leases_are_listed_in_the_order_in_which_they_end() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for id in [9, 3, 5] {
            grant(&client, id, 60).await;
            rt::sleep(ms(10)).await;
        }
        assert_eq!(listed(&client).await, [9, 3, 5]);
        renew(&client, &[9]).await;
        assert_eq!(listed(&client).await, [3, 5, 9]);
        grant(&client, 7, 10).await;
        assert_eq!(listed(&client).await, [7, 3, 5, 9]);
    });
}

#[test]
fn each_renewal_of_a_stream_is_answered_for_its_own_lease() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for (id, ttl) in [(1, 60), (2, 60), (3, 30)] {
            grant(&client, id, ttl).await;
        }
        client.lease_revoke(pb::LeaseRevokeRequest { id: 2 }).await.unwrap();
        // one that is gone, and one that there cannot be, end nothing for those that follow
        let answers = renew(&client, &[1, 2, 0, 3, 3]).await;
        assert_eq!(answers, [(1, 60), (2, 0), (0, 0), (3, 30), (3, 30)]);
    });
}

#[test]
fn a_watch_sees_what_goes_with_a_lease() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let mut stream = client.watch().await.unwrap();
        created(&mut stream, create("a", 0)).await;
        grant(&client, 1, 2).await;
        client.put(pb::PutRequest { lease: 1, ..pb::PutRequest::of("a", "1") }).await.unwrap();
        assert_eq!(next(&mut stream).await.events.len(), 1);
        let gone = next(&mut stream).await.events.remove(0);
        assert_eq!(gone.r#type(), pb::event::EventType::Delete);
        assert!(listed(&client).await.is_empty());
    });
}

#[test]
fn without_a_leader_it_is_said_that_there_is_none() {
    let knobs = Knobs { request_timeout_ms: 1_000, client_timeout_ms: 1_000, ..Knobs::default() };
    with_member(knobs, async |member: Core| {
        let client = member.client();
        grant(&client, 1, 60).await;
        member.lead(false);
        let none = Some(Error::NoLeader);
        let mut lease = LeaseClient::new(channel(&member).await);
        let ask = pb::LeaseTimeToLiveRequest { id: 1, keys: false };
        assert_eq!(error(lease.lease_time_to_live(ask).await), none);
        assert_eq!(error(lease.lease_leases(pb::LeaseLeasesRequest {}).await), none);
        assert_eq!(error(lease.lease_grant(pb::LeaseGrantRequest { id: 2, ttl: 60 }).await), none);
        // a stream that does not ask for a leader may be opened, and is told for its renewal
        let requests = futures::stream::iter([pb::LeaseKeepAliveRequest { id: 1 }]);
        let mut answers = lease.lease_keep_alive(requests).await.unwrap().into_inner();
        assert_eq!(error(answers.message().await), none);
        // one that does is told before it asks for anything
        let mut idle = client.lease_keep_alive().await.unwrap();
        let ended = rt::timeout(ms(10_000), idle.recv()).await.expect("an end in time");
        assert_eq!(error(ended), none);
        member.lead(true);
        assert_eq!(renew(&client, &[1]).await, [(1, 60)]);
    });
}
