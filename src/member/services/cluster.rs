//! The members of the store. They are those of the configuration; changing them while running is not offered.

use super::{admit, refuse};
use crate::handle::Handle;
use etcd::pb;
use tonic::{Request, Response, Status};

pub struct Cluster {
    handle: Handle,
}

impl Cluster {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    fn members(&self) -> Vec<pb::Member> {
        let member = |(id, member): (&base::MemberId, &crate::MemberAddr)| pb::Member {
            id: id.0,
            name: member.name.clone(),
            peer_urls: vec![format!("http://{}", member.peer)],
            client_urls: vec![format!("http://{}", member.client)],
            is_learner: false,
        };
        self.handle.config().members.iter().map(member).collect()
    }
}

fn fixed() -> Status {
    Status::unimplemented("the members of this store are fixed by its configuration")
}

#[tonic::async_trait]
impl pb::cluster_server::Cluster for Cluster {
    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        if admit(&self.handle, request)?.linearizable {
            self.handle.read_index().await.map_err(refuse::by_read)?;
        }
        // The members are no part of the key-value store, hence no revision.
        let header = Some(self.handle.header(base::Revision(0)));
        Ok(Response::new(pb::MemberListResponse { header, members: self.members() }))
    }

    async fn member_add(
        &self,
        _: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        Err(fixed())
    }

    async fn member_remove(
        &self,
        _: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        Err(fixed())
    }

    async fn member_update(
        &self,
        _: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        Err(fixed())
    }

    async fn member_promote(
        &self,
        _: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        Err(fixed())
    }
}
