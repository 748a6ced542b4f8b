//! What is asked, by how many, for how long. Keys are drawn from a seed: both stores are asked the same.

use super::{
    Error,
    measure::{Measured, Times},
    watching,
};
use clap::ValueEnum;
use etcd::{Client, pb};
use futures::future::{join_all, try_join_all};
use rand::Rng;
use std::{future::Future, sync::Arc, time::Duration};
use tonic::Status;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// Puts of drawn keys.
    Put,
    /// Reads of drawn keys, confirmed by a quorum.
    Get,
    /// The same, as the member has them.
    SerializableGet,
    /// Reads of a hundred keys in a row.
    Range,
    /// Txns that compare one key and put it.
    Txn,
    /// Nine reads for each put.
    Mixed,
    /// Puts below a prefix that a thousand watch: what reaches a watcher counts.
    Watch,
    /// Renewals of a thousand leases.
    Keepalive,
}

#[derive(Clone, Debug)]
pub struct Setting {
    pub clients: u32,
    pub connections: u32,
    pub keys: u32,
    pub value_bytes: usize,
    pub time: Duration,
}

/// Keys in a row that `range` asks for.
const ROW: u32 = 100;
/// Leases that are renewed; the ids are ours.
const LEASES: i64 = 1_000;
/// Puts under way while keys are made.
const MAKING: usize = 256;

impl Load {
    pub fn all() -> Vec<Load> {
        Load::value_variants().to_vec()
    }

    pub fn name(self) -> &'static str {
        match self {
            Load::Put => "put",
            Load::Get => "get",
            Load::SerializableGet => "serializable get",
            Load::Range => "range of 100",
            Load::Txn => "txn",
            Load::Mixed => "9 gets, 1 put",
            Load::Watch => "1,000 watchers",
            Load::Keepalive => "lease keepalive",
        }
    }

    /// Makes what the load needs.
    pub async fn prepare(self, clients: &[Client], setting: &Setting) -> Result<(), Error> {
        match self {
            Load::Watch => Ok(()),
            Load::Keepalive => leases(clients).await,
            _ => keys(clients, setting).await,
        }
    }

    /// Asks until the time is over.
    pub async fn run(self, clients: &[Client], setting: &Setting) -> Result<Measured, Error> {
        if self == Load::Watch {
            return watching::run(clients, setting).await;
        }
        let (began, end) = (rt::now(), rt::now() + setting.time);
        let value: bytes::Bytes = vec![b'x'; setting.value_bytes].into();
        let asking = (0..setting.clients).map(|number| {
            let client = clients[number as usize % clients.len()].clone();
            let (value, keys) = (value.clone(), setting.keys);
            rt::spawn(async move {
                let mut drawn = base::stream::stream(1, &format!("client-{number}"));
                let mut times = Times::default();
                if self == Load::Keepalive {
                    renew(&client, end, &mut drawn, &mut times).await?;
                }
                while rt::now() < end {
                    let asked = rt::now();
                    self.ask(&client, &mut drawn, keys, &value).await?;
                    times.add(asked.elapsed());
                }
                Ok::<Times, Status>(times)
            })
        });
        let mut all = Times::default();
        for times in join_all(asking).await {
            all.join(times?.map_err(|status| format!("{}: {}", self.name(), status.message()))?);
        }
        Ok(all.measured(began.elapsed()))
    }

    async fn ask(
        self,
        client: &Client,
        drawn: &mut impl Rng,
        keys: u32,
        value: &bytes::Bytes,
    ) -> Result<(), Status> {
        let number = drawn.gen_range(0..keys);
        match self {
            Load::Put => client.put(put(number, value)).await.map(drop),
            Load::Mixed if drawn.gen_range(0..10) == 0 => client.put(put(number, value)).await.map(drop),
            Load::Get | Load::Mixed => client.range(get(number)).await.map(drop),
            Load::SerializableGet => {
                client.range(pb::RangeRequest { serializable: true, ..get(number) }).await.map(drop)
            }
            Load::Range => {
                let range_end = key(number + ROW);
                client.range(pb::RangeRequest { range_end, limit: ROW.into(), ..get(number) }).await.map(drop)
            }
            Load::Txn => client.txn(txn(number, value)).await.map(drop),
            Load::Watch | Load::Keepalive => unreachable!("asked in another way"),
        }
    }
}

fn key(number: u32) -> bytes::Bytes {
    format!("key/{number:010}").into()
}

fn put(number: u32, value: &bytes::Bytes) -> pb::PutRequest {
    pb::PutRequest { key: key(number), value: value.clone(), ..Default::default() }
}

fn get(number: u32) -> pb::RangeRequest {
    pb::RangeRequest { key: key(number), ..Default::default() }
}

fn txn(number: u32, value: &bytes::Bytes) -> pb::TxnRequest {
    let exists = pb::Compare {
        result: pb::compare::CompareResult::Greater.into(),
        target: pb::compare::CompareTarget::Version.into(),
        key: key(number),
        target_union: Some(pb::compare::TargetUnion::Version(0)),
        ..Default::default()
    };
    let put = pb::request_op::Request::RequestPut(put(number, value));
    pb::TxnRequest {
        compare: vec![exists],
        success: vec![pb::RequestOp { request: Some(put) }],
        failure: vec![],
    }
}

/// Makes every key once.
async fn keys(clients: &[Client], setting: &Setting) -> Result<(), Error> {
    let value: Arc<bytes::Bytes> = Arc::new(vec![b'x'; setting.value_bytes].into());
    let making = (0..MAKING as u32).map(|part| {
        let (client, value, keys) =
            (clients[part as usize % clients.len()].clone(), value.clone(), setting.keys);
        async move {
            for number in (part..keys).step_by(MAKING) {
                client.put(put(number, &value)).await?;
            }
            Ok::<(), Status>(())
        }
    });
    made(try_join_all(making)).await
}

async fn leases(clients: &[Client]) -> Result<(), Error> {
    let making = (1..=LEASES).map(|id| {
        let client = &clients[id as usize % clients.len()];
        client.lease_grant(pb::LeaseGrantRequest { id, ttl: 3_600 })
    });
    made(try_join_all(making)).await
}

async fn made<T>(making: impl Future<Output = Result<T, Status>>) -> Result<(), Error> {
    making.await.map(drop).map_err(|status| format!("making what is needed: {}", status.message()).into())
}

/// Renews drawn leases, one after the other, over one stream.
async fn renew(
    client: &Client,
    end: rt::Mono,
    drawn: &mut impl Rng,
    times: &mut Times,
) -> Result<(), Status> {
    let mut stream = client.lease_keep_alive().await?;
    while rt::now() < end {
        let asked = rt::now();
        stream.send(pb::LeaseKeepAliveRequest { id: drawn.gen_range(1..=LEASES) }).await?;
        stream.recv().await?;
        times.add(asked.elapsed());
    }
    Ok(())
}
