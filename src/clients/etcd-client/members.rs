//! The members are listed; one more learns, gets a vote, and is removed again.

use crate::Outcome;
use etcd_client::{Client, Member, MemberAddOptions};
use std::time::Duration;

pub async fn list(client: &mut Client) -> Outcome {
    let members = client.member_list().await?;
    assert!(!members.members().is_empty());
    for member in members.members() {
        let (peers, clients) = (member.peer_urls(), member.client_urls());
        assert!(member.id() != 0 && !member.name().is_empty() && !member.is_learner(), "{member:?}");
        assert!(peers[0].starts_with("http://") && clients[0].starts_with("http://"), "{member:?}");
    }
    client.member_promote(members.members()[0].id()).await.expect_err("it has a vote");
    client
        .member_update(1 << 40, ["http://127.0.0.1:1".to_string()])
        .await
        .expect_err("there is no such member");
    client.member_remove(1 << 40).await.expect_err("there is no such member");
    Ok(())
}

/// Somebody starts the member as soon as it is listed.
pub async fn come_and_go(addresses: &[String], url: &str) -> Outcome {
    let mut client = Client::connect(addresses, None).await?;
    let before = client.member_list().await?.members().len();
    let added = client.member_add([url], Some(MemberAddOptions::new().with_is_learner())).await?;
    let id = added.member().ok_or("the new member")?.id();
    assert_eq!(added.member_list().len(), before + 1);
    let mut left = 120;
    while let Err(error) = client.member_promote(id).await {
        left -= 1;
        if left == 0 {
            return Err(error.into());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    listed(&mut client, |members| {
        let member = members.iter().find(|member| member.id() == id);
        member.is_some_and(|member| !member.is_learner() && member.peer_urls() == [url])
    })
    .await?;
    assert_eq!(client.member_remove(id).await?.members().len(), before);
    listed(&mut client, |members| members.iter().all(|member| member.id() != id)).await
}

/// This client has each member list those it knows of, which may be a moment behind.
async fn listed(client: &mut Client, holds: impl Fn(&[Member]) -> bool) -> Outcome {
    for _ in 0..100 {
        if holds(client.member_list().await?.members()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the change of members is not listed".into())
}
