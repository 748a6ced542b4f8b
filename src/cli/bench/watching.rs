//! A thousand watchers of one prefix, on as many streams as there are connections. Each put reaches all of them; how long
//! that takes is counted from when the put was sent. There is one put at a time: what is measured is how wide an event goes
//! out, not how many puts are agreed on.

use super::{
    Error,
    loads::Setting,
    measure::{Measured, Times},
};
use etcd::{Client, pb};
use futures::future::join_all;
use std::time::Duration;
use tonic::Status;

const WATCHERS: usize = 1_000;
const PREFIX: &str = "watched/";
/// The last event: behind it nothing comes.
const LAST: &str = "watched/last";

pub async fn run(clients: &[Client], setting: &Setting) -> Result<Measured, Error> {
    let streams = clients.len();
    let (ready, mut wait) = rt::sync::mpsc::channel(streams);
    let watching = clients.iter().enumerate().map(|(number, client)| {
        let watchers = WATCHERS / streams + usize::from(number < WATCHERS % streams);
        rt::spawn(watch(client.clone(), watchers, ready.clone()))
    });
    let watching: Vec<_> = watching.collect();
    for _ in 0..streams {
        if wait.recv().await.is_none() {
            break;
        }
    }
    let puts = rt::now();
    write(&clients[0], setting).await.map_err(|status| format!("watch: {}", status.message()))?;
    let mut all = Times::default();
    for times in join_all(watching).await {
        all.join(times?.map_err(|status| format!("watch: {}", status.message()))?);
    }
    Ok(all.measured(puts.elapsed()))
}

/// Puts, each with the time at which it was sent in front of its value.
async fn write(client: &Client, setting: &Setting) -> Result<(), Status> {
    let end = rt::now() + setting.time;
    let mut number = 0u32;
    while rt::now() < end {
        let mut value = rt::now().nanos().to_le_bytes().to_vec();
        value.resize(setting.value_bytes.max(value.len()), b'x');
        let key = format!("{PREFIX}{:04}", number % 1_000).into();
        client.put(pb::PutRequest { key, value: value.into(), ..Default::default() }).await?;
        number += 1;
    }
    let key = LAST.to_string().into();
    client.put(pb::PutRequest { key, ..Default::default() }).await.map(drop)
}

/// Watches on one stream until the last event has reached every watcher of it.
async fn watch(client: Client, watchers: usize, ready: rt::sync::mpsc::Sender<()>) -> Result<Times, Status> {
    let mut stream = client.watch().await?;
    let create = pb::WatchCreateRequest {
        key: PREFIX.to_string().into(),
        range_end: "watched0".to_string().into(),
        ..Default::default()
    };
    let (mut times, mut created, mut ended) = (Times::default(), 0, 0);
    for _ in 0..watchers {
        stream.send(create.clone()).await?;
        created += usize::from(stream.recv().await?.created);
    }
    let _ = ready.send(()).await;
    while ended < created {
        let response = stream.recv().await?;
        for event in response.events {
            let Some(kv) = event.kv else { continue };
            match kv.value.first_chunk() {
                Some(sent) => times.add(since(*sent)),
                None => ended += 1,
            }
        }
    }
    Ok(times)
}

/// Since a time of this process's clock, as it stands in a value.
fn since(sent: [u8; 8]) -> Duration {
    Duration::from_nanos(rt::now().nanos().saturating_sub(u64::from_le_bytes(sent)))
}
