//! What etcd has learned since 3.4: reads that are answered in pieces, and tokens whose time can be set.

use crate::{Outcome, users};
use etcd_client::{Client, ConnectOptions, GetOptions};
use std::time::Duration;

pub async fn read_in_pieces(addresses: &[String]) -> Outcome {
    let mut client = Client::connect(addresses, None).await?.kv_client();
    for n in 0..50 {
        client.put(format!("pieces/{n:02}"), vec![b'x'; 100 << 10], None).await?;
    }
    let mut stream = client.get_stream("pieces/", Some(GetOptions::new().with_prefix())).await?;
    let (mut pieces, mut seen) = (0, vec![]);
    while let Some(piece) = stream.message().await? {
        pieces += 1;
        seen.extend(piece.kvs().iter().map(|kv| kv.key().to_vec()));
    }
    assert!(pieces > 1, "5 MB come in more than one");
    assert_eq!(seen, (0..50).map(|n| format!("pieces/{n:02}").into_bytes()).collect::<Vec<_>>());
    let mut stream = client.get_stream("no such key", None).await?;
    let only = stream.message().await?.ok_or("an answer")?;
    assert!(only.count() == 0 && !only.more() && only.kvs().is_empty());
    assert!(stream.message().await?.is_none());
    Ok(())
}

/// A token that was not used for two seconds is no longer good; a client that is asked to gets itself another.
pub async fn outlive_a_token(addresses: &[String]) -> Outcome {
    const DISUSE: Duration = Duration::from_secs(4);
    let root = ("root", "rootpwd");
    let mut nobody = Client::connect(addresses, None).await?;
    users::add(&mut nobody).await?;
    nobody.auth_enable().await?;
    let mut short = users::connect(addresses, ConnectOptions::new(), root).await?;
    let mut long =
        users::connect(addresses, ConnectOptions::new().with_auto_token_refresh(true), root).await?;
    let lock = long.lock("tokens", None).await?;
    tokio::time::sleep(DISUSE).await;
    long.get("token", None).await?;
    tokio::time::sleep(DISUSE).await;
    long.member_list().await?;
    tokio::time::sleep(DISUSE).await;
    long.unlock(lock.key()).await?;
    tokio::time::sleep(DISUSE).await;
    long.user_list().await?;
    short.get("token", None).await.expect_err("its token is too old");
    long.auth_disable().await?;
    Ok(())
}
