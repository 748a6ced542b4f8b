//! Writers that go on whatever happens; what was acknowledged to them, and when.

use super::trio::Trio;
use base::{Knobs, knobs::ms};
use etcd::{Client, pb};
use rt::Mono;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

const WRITERS: u64 = 8;
/// Between two writes of one writer.
const PAUSE_MS: u64 = 2;
const VALUE: usize = 256;

/// What was acknowledged, in the order in which that was heard of.
type Acked = Arc<Mutex<Vec<(String, Mono)>>>;

pub struct Load {
    stop: Arc<AtomicBool>,
    acked: Acked,
    writers: thread::JoinHandle<()>,
}

/// A client of all three that is sure after three seconds that it does not know.
pub async fn client(trio: &Trio) -> Client {
    client_at(trio, 1..=3).await
}

pub async fn client_at(trio: &Trio, numbers: impl IntoIterator<Item = u16>) -> Client {
    let endpoints = numbers.into_iter().map(|number| trio.client(number)).collect();
    let tls = rt::tls::Client::load(trio.calling()).await.expect("the client's certificate");
    let knobs = Knobs { client_timeout_ms: 3_000, ..Knobs::default() };
    Client::secured(endpoints, Some(tls), &knobs)
}

impl Load {
    /// Begins, and comes back when a first write is acknowledged.
    pub fn start(trio: &Trio) -> Self {
        let (stop, acked) = (Arc::new(AtomicBool::new(false)), Acked::default());
        let clients: Vec<Client> =
            rt::run(async { futures::future::join_all((0..WRITERS).map(|_| client(trio))).await });
        let (until, heard) = (stop.clone(), acked.clone());
        let write = move || {
            rt::run(async move {
                let writers = (0..).zip(&clients).map(|(n, client)| write(n, client, &until, &heard));
                futures::future::join_all(writers).await;
            });
        };
        #[allow(clippy::disallowed_methods)] // a client's process, for real
        let load = Self { stop, acked, writers: thread::spawn(write) };
        load.serves_within(Duration::from_secs(30), trio);
        load
    }

    /// Waits for a write that is acknowledged from now on.
    pub fn serves_within(&self, patience: Duration, trio: &Trio) {
        let since = rt::now();
        crate::harness::eventually("a write is acknowledged", patience, || {
            let acked = self.acked.lock().expect("no writer panics");
            let last = acked.last().filter(|(_, at)| *at > since);
            last.map(drop).ok_or_else(|| format!("none; {}", trio.log()))
        });
    }

    /// Ends; gives the keys that were acknowledged, and the longest time without any since then.
    pub fn stop(self, since: Mono) -> (BTreeSet<String>, Duration) {
        self.stop.store(true, Relaxed);
        self.writers.join().expect("writers end");
        let acked = self.acked.lock().expect("no writer panics");
        let times: Vec<Mono> =
            [since].into_iter().chain(acked.iter().map(|(_, at)| *at).filter(|at| *at > since)).collect();
        let gap = times.windows(2).map(|two| two[1] - two[0]).max();
        (acked.iter().map(|(key, _)| key.clone()).collect(), gap.unwrap_or_default())
    }
}

async fn write(writer: u64, client: &Client, stop: &AtomicBool, acked: &Acked) {
    for count in 0.. {
        if stop.load(Relaxed) {
            return;
        }
        let key = format!("load/{writer}/{count:06}");
        let put =
            pb::PutRequest { key: key.clone().into(), value: vec![b'v'; VALUE].into(), ..Default::default() };
        if client.put(put).await.is_ok() {
            acked.lock().expect("no writer panics").push((key, rt::now()));
        }
        rt::sleep(ms(PAUSE_MS)).await;
    }
}
