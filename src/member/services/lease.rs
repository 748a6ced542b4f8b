//! Leases. Grants and revocations are commands. Their time is known to the leader alone: other members ask it,
//! and it answers only after it has proved that it leads and has applied all that was committed before.

use super::{
    admit, checkpointer,
    forward::{Forward, Pass, until_answered},
    lease_clock::Renewal,
    refuse, requires_leader,
    sender::Sender,
    space,
};
use crate::handle::{Handle, ReadError};
use base::{Revision, Term, reached};
use etcd::{error, pb};
use rt::sync::mpsc;
use std::{pin::pin, sync::Arc};
use store::{Command, auth::Access};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

/// Keepalive answers that wait for the client to read.
const QUEUE: usize = 8;
/// Without a leader for this many election time-outs, a stream that requires one ends.
const LEADERLESS: u32 = 3;

#[derive(Clone)]
pub struct Lease {
    handle: Handle,
    forward: Arc<Forward>,
}

impl Lease {
    pub fn new(handle: Handle) -> Self {
        Self { handle, forward: Arc::default() }
    }

    fn head(&self) -> Option<pb::ResponseHeader> {
        Some(self.handle.header(self.handle.with_store(store::Store::revision)))
    }

    async fn grant(
        &self,
        sender: &Sender,
        id: i64,
        ttl: i64,
    ) -> Result<Option<pb::LeaseGrantResponse>, Status> {
        let chosen = id != 0;
        let id = if chosen { id } else { random_id() };
        let command = Command::LeaseGrant { id, ttl };
        store::check(&command, 0).map_err(refuse::by_store)?;
        space::afford(&self.handle, &command).await?;
        let applied = sender.propose(&self.handle, command).await?;
        match applied.response {
            Ok(_) => {
                let header = Some(self.handle.header(applied.revision));
                Ok(Some(pb::LeaseGrantResponse { header, id, ttl, error: String::new() }))
            }
            Err(store::Error::LeaseExists) if !chosen => Ok(None),
            Err(refusal) => Err(refuse::by_store(refusal)),
        }
    }

    /// Renews a lease here if this member leads, else asks the leader; a lease that is gone has 0 s.
    async fn keep_alive(&self, id: i64, pass: &Pass) -> Result<pb::LeaseKeepAliveResponse, Status> {
        until_answered(&self.handle, async || match self.handle.confirm_leadership().await {
            Ok(Some(term)) => Ok(self.renew(id, term).await.ok_or_else(error::timeout)),
            Ok(None) if pass.passed_on() => {
                reached!("member: a renewal was passed on to one that does not lead");
                Err(error::not_leader())
            }
            Ok(None) => {
                reached!("member: a renewal is passed on to the leader");
                Ok(self.forward.keep_alive(&self.handle, pass, id).await)
            }
            Err(ReadError::Stopped) => Err(error::stopped()),
            Err(_) if pass.passed_on() => Err(error::leader_changed()),
            Err(why) => {
                reached!("member: a renewal waits until leadership is proved");
                Ok(Err(refuse::by_read(why)))
            }
        })
        .await
    }

    /// Renews a lease that this member granted for a client that waits here.
    pub async fn renew_own(&self, id: i64) -> Result<(), Status> {
        self.keep_alive(id, &Pass::default()).await.map(drop)
    }

    /// Nothing, if it has to be tried again.
    async fn renew(&self, id: i64, term: Term) -> Option<pb::LeaseKeepAliveResponse> {
        // the clock is let go before anything is waited for
        let renewal = self.handle.leases().renew(id, rt::now());
        let ttl = match renewal {
            Renewal::Done { ttl } => ttl,
            Renewal::Gone => {
                reached!("member: a renewal found its lease gone");
                0
            }
            Renewal::Ending => {
                reached!("a lease was to be renewed while it was being ended");
                return None;
            }
            Renewal::UnderWay => return None,
            Renewal::Marked(checkpoint) => {
                checkpointer::agree(&self.handle, vec![checkpoint], term).await;
                return None;
            }
        };
        Some(pb::LeaseKeepAliveResponse { header: self.head(), id, ttl })
    }

    async fn time_to_live(
        &self,
        sender: &Sender,
        request: pb::LeaseTimeToLiveRequest,
        pass: &Pass,
    ) -> Result<pb::LeaseTimeToLiveResponse, Status> {
        until_answered(&self.handle, async || match self.handle.confirm_leadership().await {
            Ok(Some(_)) => self.left(sender, &request).map(Ok),
            Ok(None) if pass.passed_on() => Err(error::not_leader()),
            Ok(None) => match self.forward.time_to_live(&self.handle, pass, request).await {
                Err(refusal) if refusal.code() == Code::PermissionDenied => Err(refusal),
                answer => Ok(answer),
            },
            Err(ReadError::Stopped) => Err(error::stopped()),
            Err(_) if pass.passed_on() => Err(error::leader_changed()),
            Err(why) => Ok(Err(refuse::by_read(why))),
        })
        .await
    }

    /// Which keys hang on a lease is told to those only who may read all of them (CVE-2023-32082).
    fn left(
        &self,
        sender: &Sender,
        request: &pb::LeaseTimeToLiveRequest,
    ) -> Result<pb::LeaseTimeToLiveResponse, Status> {
        let left = self.handle.leases().left(request.id, rt::now());
        let (header, id, store) = (self.head(), request.id, self.handle.store());
        let (Some(lease), Some(left)) = (store.lease(id), left) else {
            return Ok(pb::LeaseTimeToLiveResponse { header, id, ttl: -1, ..Default::default() });
        };
        let by = sender.identity(&store);
        let one = bytes::Bytes::new();
        let may_read = |key| store.auth().permit(by.as_ref(), key, &one, Access::Read);
        let mut keys = Vec::new();
        if request.keys {
            lease.keys.iter().try_for_each(may_read).map_err(refuse::by_store)?;
            keys.extend(lease.keys.iter().cloned());
        }
        let (ttl, granted_ttl) = (left.as_secs() as i64, lease.ttl);
        Ok(pb::LeaseTimeToLiveResponse { header, id, ttl, granted_ttl, keys })
    }

    /// Answers a client's keepalives one after the other.
    async fn serve(
        self,
        mut requests: Streaming<pb::LeaseKeepAliveRequest>,
        out: mpsc::Sender<Result<pb::LeaseKeepAliveResponse, Status>>,
        needs_leader: bool,
        pass: Pass,
    ) {
        let mut lost = pin!(async {
            match needs_leader {
                true => self.handle.leaderless(LEADERLESS).await,
                false => std::future::pending().await,
            }
        });
        loop {
            let answer = rt::select! {
                () = out.closed() => return,
                () = &mut lost => Err(error::no_leader()),
                request = requests.message() => match request {
                    Ok(Some(request)) => self.keep_alive(request.id, &pass).await,
                    Ok(None) | Err(_) => return,
                },
            };
            let failed = answer.is_err();
            if out.send(answer).await.is_err() || failed {
                return;
            }
        }
    }
}

fn random_id() -> i64 {
    ((rt::random_u64() >> 1) as i64).max(1)
}

#[tonic::async_trait]
impl pb::lease_server::Lease for Lease {
    type LeaseKeepAliveStream = ReceiverStream<Result<pb::LeaseKeepAliveResponse, Status>>;

    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let least = self.handle.knobs().lease_min_ttl_ms.div_ceil(1_000) as i64;
        let ttl = request.ttl.max(least);
        loop {
            // An id of ours may be taken already; then another is drawn.
            if let Some(response) = self.grant(&sender, request.id, ttl).await? {
                return Ok(Response::new(response));
            }
        }
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let command = Command::LeaseRevoke { id: request.id };
        let applied = sender.propose(&self.handle, command).await?;
        applied.response.map_err(refuse::by_store)?;
        let header = Some(self.handle.header(applied.revision));
        Ok(Response::new(pb::LeaseRevokeResponse { header }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let (needs_leader, pass) = (requires_leader(&request), Pass::of(&request));
        let (sender, requests) = admit(&self.handle, request).await?;
        sender.require_user(&self.handle)?;
        let (out, answers) = mpsc::channel(QUEUE);
        rt::spawn(self.clone().serve(requests, out, needs_leader, pass));
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let pass = Pass::of(&request);
        let (sender, request) = admit(&self.handle, request).await?;
        sender.require_user(&self.handle)?;
        self.time_to_live(&sender, request, &pass).await.map(Response::new)
    }

    async fn lease_leases(
        &self,
        request: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        let (sender, _) = admit(&self.handle, request).await?;
        sender.require_user(&self.handle)?;
        self.handle.read_index().await.map_err(refuse::by_read)?;
        let (mut ids, revision): (Vec<i64>, Revision) =
            self.handle.with_store(|store| (store.leases().map(|(id, _)| id).collect(), store.revision()));
        let (now, clock) = (rt::now(), self.handle.leases());
        // which ends first comes first, as far as this member knows
        ids.sort_by_key(|id| clock.left(*id, now));
        drop(clock);
        let leases = ids.into_iter().map(|id| pb::LeaseStatus { id }).collect();
        Ok(Response::new(pb::LeaseLeasesResponse { header: Some(self.handle.header(revision)), leases }))
    }
}
