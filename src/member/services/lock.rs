//! Locks: who joined first has it, until its key or its lease goes.

use super::{admit, refuse, turns::Queues};
use crate::handle::Handle;
use bytes::Bytes;
use etcd::pb::v3lockpb::{self, LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use store::{Command, DeleteRangeRequest};
use tonic::{Request, Response, Status};

pub struct Lock {
    handle: Handle,
    queues: Queues,
}

impl Lock {
    pub fn new(queues: Queues) -> Self {
        Self { handle: queues.handle().clone(), queues }
    }
}

#[tonic::async_trait]
impl v3lockpb::lock_server::Lock for Lock {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        let (sender, LockRequest { name, lease }) = admit(&self.handle, request).await?;
        let (place, _) = self.queues.join(&sender, name, lease, Bytes::new()).await?;
        let revision = place.turn().await?;
        let header = Some(self.handle.header(revision));
        Ok(Response::new(LockResponse { header, key: place.keep() }))
    }

    async fn unlock(&self, request: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        let (sender, UnlockRequest { key }) = admit(&self.handle, request).await?;
        let command = Command::DeleteRange(DeleteRangeRequest { key, ..Default::default() });
        store::check(&command, 0).map_err(refuse::by_store)?;
        let applied = sender.propose(&self.handle, command).await?;
        applied.response.map_err(refuse::by_store)?;
        Ok(Response::new(UnlockResponse { header: Some(self.handle.header(applied.revision)) }))
    }
}
