//! Elections: who joined first leads, and says something of itself; others may follow what leaders say.

use super::{
    admit, convert, refuse,
    sender::Sender,
    turns::{self, Queues},
    watcher::Watcher,
};
use crate::handle::Handle;
use base::Revision;
use bytes::Bytes;
use etcd::pb::{self, v3electionpb::*};
use rt::sync::mpsc;
use store::{DeleteRangeRequest, KeyValue, PutRequest, TxnOp, TxnRequest};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Leaders that wait for an observer to read.
const QUEUE: usize = 8;

#[derive(Clone)]
pub struct Election {
    handle: Handle,
    queues: Queues,
}

fn not_leader() -> Status {
    Status::unknown("election: not leader")
}

fn no_leader() -> Status {
    Status::unknown("election: no leader")
}

/// A leader's key, which requests about it must name.
fn named(leader: Option<LeaderKey>) -> Result<LeaderKey, Status> {
    leader.ok_or_else(|| Status::invalid_argument("\"leader\" field must be provided"))
}

impl Election {
    pub fn new(queues: Queues) -> Self {
        Self { handle: queues.handle().clone(), queues }
    }

    fn head(&self, revision: Revision) -> Option<pb::ResponseHeader> {
        Some(self.handle.header(revision))
    }

    /// Says something else, as long as the key is the one meant.
    async fn say(
        &self,
        sender: &Sender,
        (key, created, lease): (&Bytes, i64, i64),
        value: Bytes,
    ) -> Result<Revision, Status> {
        let put = PutRequest { key: key.clone(), value, lease, ..PutRequest::default() };
        let request = TxnRequest {
            compare: vec![turns::made_by(key, created)],
            success: vec![TxnOp::Put(put)],
            failure: vec![],
        };
        let (said, _, revision) = turns::txn(&self.handle, sender, request).await?;
        if said { Ok(revision) } else { Err(not_leader()) }
    }

    /// Tells every leader, and everything it says, until nobody listens.
    async fn follow(
        self,
        sender: Sender,
        name: Bytes,
        out: mpsc::Sender<Result<LeaderResponse, Status>>,
    ) -> Result<(), Status> {
        let seat = self.handle.hub().join();
        let (key, range_end) = turns::below(&name);
        let current = self.handle.with_store(|store| store.revision().0);
        let create = pb::WatchCreateRequest { key, range_end, ..Default::default() };
        seat.add(1, Watcher::new(create, current)); // it only wakes: what counts is who leads now
        self.handle.read_index().await.map_err(refuse::by_read)?;
        let mut told: Option<(Bytes, i64)> = None;
        loop {
            let (leader, revision) = turns::first(&self.handle, &sender, &name)?;
            let news = leader.filter(|kv| told.as_ref() != Some(&(kv.key.clone(), kv.mod_revision)));
            if let Some(kv) = news {
                told = Some((kv.key.clone(), kv.mod_revision));
                if out.send(Ok(self.leads(kv, revision))).await.is_err() {
                    return Ok(());
                }
            }
            rt::select! {
                () = out.closed() => return Ok(()),
                () = seat.woken() => {}
            }
        }
    }

    fn leads(&self, kv: KeyValue, revision: Revision) -> LeaderResponse {
        LeaderResponse { header: self.head(revision), kv: Some(convert::key_value(kv)) }
    }
}

#[tonic::async_trait]
impl election_server::Election for Election {
    type ObserveStream = ReceiverStream<Result<LeaderResponse, Status>>;

    async fn campaign(
        &self,
        request: Request<CampaignRequest>,
    ) -> Result<Response<CampaignResponse>, Status> {
        let (sender, CampaignRequest { name, lease, value }) = admit(&self.handle, request).await?;
        let (place, there) = self.queues.join(&sender, name.clone(), lease, value.clone()).await?;
        let (created, lease) = (place.created(), place.lease());
        if there.is_some_and(|said| said != value) {
            self.say(&sender, (place.key(), created, lease), value).await?;
        }
        let revision = place.turn().await?;
        let leader = Some(LeaderKey { name, key: place.keep(), rev: created, lease });
        Ok(Response::new(CampaignResponse { header: self.head(revision), leader }))
    }

    async fn proclaim(
        &self,
        request: Request<ProclaimRequest>,
    ) -> Result<Response<ProclaimResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let leader = named(request.leader)?;
        let revision = self.say(&sender, (&leader.key, leader.rev, leader.lease), request.value).await?;
        Ok(Response::new(ProclaimResponse { header: self.head(revision) }))
    }

    async fn leader(&self, request: Request<LeaderRequest>) -> Result<Response<LeaderResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        self.handle.read_index().await.map_err(refuse::by_read)?;
        let (leader, revision) = turns::first(&self.handle, &sender, &request.name)?;
        let leader = leader.ok_or_else(no_leader)?;
        Ok(Response::new(self.leads(leader, revision)))
    }

    async fn observe(
        &self,
        request: Request<LeaderRequest>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let (out, leaders) = mpsc::channel(QUEUE);
        let (election, failed) = (self.clone(), out.clone());
        rt::spawn(async move {
            if let Err(status) = election.follow(sender, request.name, out).await {
                let _ = failed.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(leaders)))
    }

    async fn resign(&self, request: Request<ResignRequest>) -> Result<Response<ResignResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let leader = named(request.leader)?;
        let delete = TxnOp::DeleteRange(DeleteRangeRequest { key: leader.key.clone(), ..Default::default() });
        let request = TxnRequest {
            compare: vec![turns::made_by(&leader.key, leader.rev)],
            success: vec![delete],
            failure: vec![],
        };
        let (_, _, revision) = turns::txn(&self.handle, &sender, request).await?;
        Ok(Response::new(ResignResponse { header: self.head(revision) }))
    }
}
