//! Watches see what they asked for from when they asked, several on a stream, until they are cancelled.

use crate::Outcome;
use etcd_client::{
    Client, CompactionOptions, Event, EventType, WatchFilterType, WatchOptions, WatchResponse, WatchStream,
};
use std::{error::Error, time::Duration};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(10);

async fn next(stream: &mut WatchStream) -> Result<WatchResponse, Box<dyn Error>> {
    let answer =
        tokio::time::timeout(PATIENCE, stream.message()).await.map_err(|_| "the watch hears nothing")?;
    Ok(answer?.ok_or("the watch ended")?)
}

/// So many events of a watch, whatever answers they come in.
async fn events(stream: &mut WatchStream, watch: i64, count: usize) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut seen = vec![];
    while seen.len() < count {
        let answer = next(stream).await?;
        assert_eq!(answer.watch_id(), watch);
        seen.extend_from_slice(answer.events());
    }
    Ok(seen)
}

/// Kind, key and value of each.
fn shown(events: &[Event]) -> Vec<(EventType, &str, &str)> {
    events
        .iter()
        .map(|event| {
            let kv = event.kv().expect("a key");
            (event.event_type(), kv.key_str().expect("a text"), kv.value_str().expect("a text"))
        })
        .collect()
}

pub async fn see_one_key(client: &mut Client) -> Outcome {
    let mut stream = client.watch("watch/one", None).await?;
    let created = next(&mut stream).await?;
    assert!(created.created() && !created.canceled());
    client.put("watch/one", "1", None).await?;
    client.put("watch/other", "1", None).await?;
    client.delete("watch/one", None).await?;
    let seen = events(&mut stream, created.watch_id(), 2).await?;
    assert_eq!(shown(&seen), [(EventType::Put, "watch/one", "1"), (EventType::Delete, "watch/one", "")]);
    stream.cancel(created.watch_id()).await?;
    let last = next(&mut stream).await?;
    assert_eq!((last.watch_id(), last.canceled()), (created.watch_id(), true));
    Ok(())
}

pub async fn share_a_stream(client: &mut Client) -> Outcome {
    let mut stream = client.watch("watch/a", Some(WatchOptions::new().with_watch_id(1))).await?;
    assert!(next(&mut stream).await?.created());
    client.put("watch/a", "1", None).await?;
    assert_eq!(events(&mut stream, 1, 1).await?.len(), 1);
    stream.request_progress().await?;
    let progress = next(&mut stream).await?;
    assert!(progress.events().is_empty() && !progress.created() && !progress.canceled(), "{progress:?}");
    assert!(progress.header().ok_or("a header")?.revision() > 1);
    stream.watch("watch/b", Some(WatchOptions::new().with_watch_id(2))).await?;
    let second = next(&mut stream).await?;
    assert_eq!((second.created(), second.watch_id()), (true, 2));
    client.put("watch/b", "1", None).await?;
    assert_eq!(shown(&events(&mut stream, 2, 1).await?), [(EventType::Put, "watch/b", "1")]);
    for id in [1, 2] {
        stream.cancel(id).await?;
        let last = next(&mut stream).await?;
        assert_eq!((last.canceled(), last.watch_id()), (true, id));
    }
    Ok(())
}

pub async fn choose_what_to_see(client: &mut Client) -> Outcome {
    client.put("watch/c/1", "before", None).await?;
    let options = WatchOptions::new().with_prefix().with_prev_key().with_filters([WatchFilterType::NoPut]);
    let mut stream = client.watch("watch/c/", Some(options.with_fragment())).await?;
    let watch = next(&mut stream).await?.watch_id();
    client.put("watch/c/1", "after", None).await?;
    client.delete("watch/c/1", None).await?;
    let seen = events(&mut stream, watch, 1).await?;
    assert_eq!(shown(&seen), [(EventType::Delete, "watch/c/1", "")]);
    assert_eq!(seen[0].prev_kv().ok_or("what was there before")?.value_str()?, "after");
    Ok(())
}

pub async fn look_back(client: &mut Client) -> Outcome {
    let first = client.put("watch/d", "1", None).await?.header().ok_or("a header")?.revision();
    let last = client.put("watch/d", "2", None).await?.header().ok_or("a header")?.revision();
    let from = |revision| Some(WatchOptions::new().with_start_revision(revision));
    let mut stream = client.watch("watch/d", from(first)).await?;
    let watch = next(&mut stream).await?.watch_id();
    let seen = events(&mut stream, watch, 2).await?;
    assert_eq!(shown(&seen), [(EventType::Put, "watch/d", "1"), (EventType::Put, "watch/d", "2")]);
    client.compact(last, Some(CompactionOptions::new().with_physical())).await?;
    // a member that has not come to the compaction yet shows what it has
    for _ in 0..100 {
        let mut stream = client.watch("watch/d", from(first)).await?;
        assert!(next(&mut stream).await?.created());
        let answer = next(&mut stream).await?;
        if answer.canceled() {
            assert_eq!(answer.compact_revision(), last);
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("a watch from before the compaction goes on".into())
}
