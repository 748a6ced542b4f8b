//! A lease keeps its keys as long as it is kept alive, and takes them with it.

use crate::Outcome;
use etcd_client::{Client, LeaseClientPrefix, LeaseGrantOptions, LeaseTimeToLiveOptions, PutOptions};
use std::time::Duration;

pub async fn keep_alive(client: &mut Client) -> Outcome {
    let granted = client.lease_grant(60, None).await?;
    assert_eq!(granted.ttl(), 60);
    client.put("lease/a", "1", Some(PutOptions::new().with_lease(granted.id()))).await?;
    let (mut keeper, mut stream) = client.lease_keep_alive(granted.id()).await?;
    keeper.keep_alive().await?;
    let kept = stream.message().await?.ok_or("an answer")?;
    assert_eq!((kept.id(), kept.ttl()), (granted.id(), 60));
    let with_keys = Some(LeaseTimeToLiveOptions::new().with_keys());
    let left = client.lease_time_to_live(granted.id(), with_keys.clone()).await?;
    assert!((1..=60).contains(&left.ttl()) && left.granted_ttl() == 60, "{left:?}");
    assert_eq!(left.keys(), ["lease/a".as_bytes()]);
    let mut within = LeaseClientPrefix::new(client.lease_client(), "lease/".into());
    assert_eq!(within.time_to_live(granted.id(), with_keys).await?.keys(), ["a".as_bytes()]);
    client.lease_revoke(granted.id()).await?;
    assert_eq!(client.get("lease/a", None).await?.count(), 0);
    client.lease_keep_alive(granted.id()).await.expect_err("it is gone");
    let gone = client.lease_time_to_live(granted.id(), None).await?;
    assert_eq!((gone.ttl(), gone.granted_ttl()), (-1, 0));
    client.lease_revoke(granted.id()).await.expect_err("it is gone");
    Ok(())
}

pub async fn list(client: &mut Client) -> Outcome {
    let ids = [100, 101, 102];
    for id in ids {
        let granted = client.lease_grant(60, Some(LeaseGrantOptions::new().with_id(id))).await?;
        assert_eq!((granted.id(), granted.ttl()), (id, 60));
    }
    client
        .lease_grant(60, Some(LeaseGrantOptions::new().with_id(100)))
        .await
        .expect_err("it is there already");
    let all: Vec<i64> = client.leases().await?.leases().iter().map(|lease| lease.id()).collect();
    assert!(ids.iter().all(|id| all.contains(id)), "{all:?}");
    for id in ids {
        client.lease_revoke(id).await?;
    }
    Ok(())
}

pub async fn end(client: &mut Client) -> Outcome {
    let granted = client.lease_grant(1, None).await?;
    client.put("lease/b", "1", Some(PutOptions::new().with_lease(granted.id()))).await?;
    for _ in 0..100 {
        if client.get("lease/b", None).await?.count() == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("a lease of a second did not end in ten".into())
}
