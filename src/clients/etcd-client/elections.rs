//! Of those who stand for election one leads, and says so until it resigns.

use crate::Outcome;
use etcd_client::{Client, ProclaimOptions, ResignOptions};
use std::time::Duration;

pub async fn lead(client: &mut Client) -> Outcome {
    let lease = client.lease_grant(30, None).await?.id();
    client.leader("election").await.expect_err("nobody leads yet");
    let won = client.campaign("election", "one", lease).await?;
    let me = won.leader().ok_or("who leads")?.clone();
    assert_eq!((me.name(), me.lease()), ("election".as_bytes(), lease));
    client.proclaim("two", Some(ProclaimOptions::new().with_leader(me.clone()))).await?;
    let mut seen = client.observe("election").await?;
    let said = seen.message().await?.ok_or("an answer")?;
    assert_eq!(said.kv().ok_or("who leads")?.value_str()?, "two");
    let leader = client.leader("election").await?;
    assert_eq!(leader.kv().ok_or("who leads")?.key(), me.key());

    let next_lease = client.lease_grant(30, None).await?.id();
    let mut other = client.clone();
    let mut waiting = Box::pin(other.campaign("election", "three", next_lease));
    let soon = Duration::from_millis(300);
    assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "two lead");
    client.resign(Some(ResignOptions::new().with_leader(me))).await?;
    let next = tokio::time::timeout(Duration::from_secs(10), waiting).await.map_err(|_| "nobody leads")??;
    let said = seen.message().await?.ok_or("an answer")?;
    assert_eq!(said.kv().ok_or("who leads")?.value_str()?, "three");
    client.resign(Some(ResignOptions::new().with_leader(next.leader().ok_or("who leads")?.clone()))).await?;
    Ok(())
}
