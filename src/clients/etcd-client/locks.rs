//! A lock has one holder; the next waits for it.

use crate::Outcome;
use etcd_client::{Client, LockOptions};
use std::time::Duration;

pub async fn take_turns(client: &mut Client) -> Outcome {
    let first = client.lock("lock", None).await?;
    assert!(first.key().starts_with(b"lock/"));
    let lease = client.lease_grant(30, None).await?.id();
    let mut other = client.clone();
    let mut waiting = Box::pin(other.lock("lock", Some(LockOptions::new().with_lease(lease))));
    let soon = Duration::from_millis(300);
    assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "two hold a lock");
    client.unlock(first.key()).await?;
    let second =
        tokio::time::timeout(Duration::from_secs(10), waiting).await.map_err(|_| "nobody holds it")??;
    assert_eq!(second.key(), format!("lock/{lease:x}").as_bytes());
    client.unlock(second.key()).await?;
    client.lease_revoke(lease).await?;
    Ok(())
}
