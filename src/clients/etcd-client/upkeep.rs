//! A member says how it is and what its state amounts to, gives it away as a file, and lets another lead.

use crate::Outcome;
use etcd_client::{AlarmAction, AlarmOptions, AlarmType, Client};
use std::time::Duration;

pub async fn raise_alarms(client: &mut Client) -> Outcome {
    // of no kind: nothing is taken back
    let none = client.alarm(AlarmAction::Deactivate, AlarmType::None, Some(AlarmOptions::new())).await?;
    assert!(none.alarms().is_empty());
    assert!(client.alarm(AlarmAction::Get, AlarmType::None, None).await?.alarms().is_empty());
    let mut of_seven = AlarmOptions::new();
    of_seven.with_member(7);
    let raised = client.alarm(AlarmAction::Activate, AlarmType::Nospace, Some(of_seven.clone())).await?;
    assert_eq!((raised.alarms()[0].member_id(), raised.alarms()[0].alarm()), (7, AlarmType::Nospace));
    let refused = client.put("alarm", "1", None).await.expect_err("there is no space");
    assert!(refused.to_string().contains("etcdserver: mvcc: database space exceeded"), "{refused}");
    let told = client.alarm(AlarmAction::Get, AlarmType::Nospace, None).await?;
    assert_eq!(told.alarms().len(), 1);
    let calmed = client.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(of_seven)).await?;
    assert_eq!(calmed.alarms().len(), 1);
    client.put("alarm", "1", None).await?;
    Ok(())
}

pub async fn look_at(client: &mut Client) -> Outcome {
    let status = client.status().await?;
    assert!(status.version().starts_with("3.") && status.errors().is_empty(), "{status:?}");
    assert!(status.db_size() > 0 && status.leader() != 0 && status.raft_term() > 0, "{status:?}");
    assert!(status.raft_index() > 0 && !status.is_learner(), "{status:?}");
    assert!(client.defragment().await?.header().is_none());
    let hash = client.hash().await?;
    assert!(hash.hash() != 0 && hash.header().is_some());
    let of_keys = client.hash_kv(0).await?;
    assert!(
        of_keys.hash() != 0 && of_keys.header().is_some() && of_keys.compact_version() > 0,
        "{of_keys:?}"
    );
    Ok(())
}

/// The state in pieces, the last of which is the hash of the rest.
pub async fn back_up(client: &mut Client) -> Outcome {
    let mut stream = client.snapshot().await?;
    let (mut sizes, mut left) = (vec![], None);
    while let Some(piece) = stream.message().await? {
        assert!(piece.header().is_none() && !piece.blob().is_empty());
        sizes.push(piece.blob().len());
        left = Some(piece.remaining_bytes());
    }
    assert_eq!((left, sizes.last()), (Some(0), Some(&32)));
    assert_eq!(sizes.iter().sum::<usize>() % 512, 32);
    Ok(())
}

/// The one that leads, and the others' ids.
async fn leader(addresses: &[String]) -> Result<(Client, u64, Vec<u64>), Box<dyn std::error::Error>> {
    let (mut leading, mut others) = (None, vec![]);
    for address in addresses {
        let mut client = Client::connect([address], None).await?;
        let status = client.status().await?;
        let id = status.header().ok_or("a header")?.member_id();
        match id == status.leader() {
            true => leading = Some((client, id)),
            false => others.push(id),
        }
    }
    let (client, id) = leading.ok_or("nobody leads")?;
    Ok((client, id, others))
}

pub async fn move_leader(addresses: &[String]) -> Outcome {
    let (mut client, me, others) = leader(addresses).await?;
    client.move_leader(1 << 40).await.expect_err("there is no such member");
    let target = others.first().copied().unwrap_or(me);
    assert!(client.move_leader(target).await?.header().is_none());
    for _ in 0..100 {
        if client.status().await?.leader() == target {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("it did not move".into())
}
