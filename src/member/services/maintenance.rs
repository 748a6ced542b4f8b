//! The state of this member, and hashes of what it holds.

use super::{VERSION, admit, admit_at_learner, refuse};
use crate::handle::Handle;
use base::MemberId;
use etcd::{error, pb};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

pub struct Maintenance {
    handle: Handle,
}

impl Maintenance {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    fn head(&self) -> Option<pb::ResponseHeader> {
        Some(self.handle.header(self.handle.with_store(store::Store::revision)))
    }

    fn hash_at(&self, revision: i64) -> Result<(Option<pb::ResponseHeader>, store::HashAt), Status> {
        // A hash takes long; it is made of a copy, so that writes need not wait.
        let store = self.handle.store();
        let hash = store.hash_at(revision).map_err(refuse::by_store)?;
        Ok((Some(self.handle.header(store.revision())), hash))
    }
}

#[tonic::async_trait]
impl pb::maintenance_server::Maintenance for Maintenance {
    type SnapshotStream = ReceiverStream<Result<pb::SnapshotResponse, Status>>;

    async fn alarm(&self, request: Request<pb::AlarmRequest>) -> Result<Response<pb::AlarmResponse>, Status> {
        // There is no quota and no corruption check, so that no alarm is ever raised.
        if admit(&self.handle, request)?.action() == pb::alarm_request::AlarmAction::Activate {
            return Err(Status::unimplemented("alarms cannot be raised by hand"));
        }
        Ok(Response::new(pb::AlarmResponse { header: self.head(), alarms: Vec::new() }))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        admit_at_learner(&self.handle, request)?;
        let view = self.handle.view();
        // What it holds of a disk is a snapshot.
        let (applied, bytes) = self.handle.with_store(|store| (store.applied(), store.bytes() as i64));
        let errors =
            if view.leader.is_none() { vec![error::Error::NoLeader.text().into()] } else { Vec::new() };
        Ok(Response::new(pb::StatusResponse {
            header: self.head(),
            version: VERSION.into(),
            db_size: bytes,
            leader: view.leader.map_or(0, |leader| leader.0),
            raft_index: view.committed.0,
            raft_term: view.term.0,
            raft_applied_index: applied.0,
            errors,
            db_size_in_use: bytes,
            is_learner: self.handle.learns(),
            ..Default::default()
        }))
    }

    async fn defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        admit(&self.handle, request)?; // nothing here gets fragmented
        Ok(Response::new(pb::DefragmentResponse { header: self.head() }))
    }

    async fn hash(&self, request: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        admit(&self.handle, request)?;
        let (header, hash) = self.hash_at(0)?;
        Ok(Response::new(pb::HashResponse { header, hash: hash.hash }))
    }

    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        let request = admit(&self.handle, request)?;
        let (header, hash) = self.hash_at(request.revision)?;
        let (compact_revision, hash_revision) = (hash.compacted, hash.revision);
        Ok(Response::new(pb::HashKvResponse { header, hash: hash.hash, compact_revision, hash_revision }))
    }

    async fn snapshot(
        &self,
        _: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        Err(Status::unimplemented("snapshots are not offered yet"))
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        let target = MemberId(admit(&self.handle, request)?.target_id);
        self.handle.transfer(target).await.map_err(refuse::by_transfer)?;
        Ok(Response::new(pb::MoveLeaderResponse { header: self.head() }))
    }
}
