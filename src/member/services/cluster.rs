//! The members of the store, and changes of them. Only the leader changes them: other members pass the wish on to it,
//! once.

use super::{
    admit, admit_admin,
    forward::{Forward, Pass},
    refuse,
};
use crate::handle::Handle;
use crate::members::{self, Change, ChangeError, Member, Members};
use base::{MemberId, Revision, reached};
use etcd::{error, pb};
use std::future::Future;
use tonic::{Request, Response, Status};

pub struct Cluster {
    handle: Handle,
    forward: Forward,
}

fn to_pb(members: &Members) -> Vec<pb::Member> {
    let member = |(id, member): (&MemberId, &Member)| pb::Member {
        id: id.0,
        name: member.name.clone(),
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
        is_learner: member.learner,
    };
    members.present.iter().map(member).collect()
}

/// At least one, and each of the form that can be reached.
fn check_urls(urls: &[String]) -> Result<(), Status> {
    let good = !urls.is_empty() && urls.iter().all(|url| members::address(url).is_some());
    if good { Ok(()) } else { Err(error::member_bad_urls()) }
}

impl Cluster {
    pub fn new(handle: Handle) -> Self {
        Self { handle, forward: Forward::default() }
    }

    /// The members are no part of the key-value store, hence no revision.
    fn head(&self) -> Option<pb::ResponseHeader> {
        Some(self.handle.header(Revision(0)))
    }

    /// What came of giving a learner a vote, where this member could say so: it led.
    fn count(&self, promotion: &Result<Members, ChangeError>) {
        let mut meters = self.handle.meters();
        match promotion {
            Ok(_) => meters.promoted += 1,
            Err(ChangeError::NotLeader) => {}
            Err(why) => {
                let said = refuse::by_change(*why).message().to_string();
                *meters.not_promoted.entry(said).or_insert(0) += 1;
            }
        }
    }

    /// Changes the members here if this one leads, else has the leader do so.
    async fn change<T>(
        &self,
        pass: &Pass,
        change: Change,
        done: impl FnOnce(Members) -> T,
        elsewhere: impl Future<Output = Result<T, Status>>,
    ) -> Result<Response<T>, Status> {
        if self.handle.leads() || pass.passed_on() {
            let promotes = matches!(change, Change::Promote { .. });
            let changed = self.handle.change_members(change).await;
            if promotes {
                self.count(&changed);
            }
            return Ok(Response::new(done(changed.map_err(refuse::by_change)?)));
        }
        reached!("member: a change of members is passed on to the leader");
        elsewhere.await.map(Response::new)
    }
}

#[tonic::async_trait]
impl pb::cluster_server::Cluster for Cluster {
    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        sender.require_user(&self.handle)?;
        match request.linearizable {
            true => self.handle.read_index().await.map_err(refuse::by_read)?,
            false => self.handle.stood_up().await,
        }
        let members = to_pb(&self.handle.members());
        Ok(Response::new(pb::MemberListResponse { header: self.head(), members }))
    }

    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        let pass = Pass::of(&request);
        let request = admit_admin(&self.handle, request).await?;
        check_urls(&request.peer_urls)?;
        let (peer_urls, learner) = (request.peer_urls.clone(), request.is_learner);
        let asked = peer_urls.clone();
        let done = |members: Members| {
            let members = to_pb(&members);
            let member = members.iter().find(|member| member.peer_urls == asked).cloned();
            pb::MemberAddResponse { header: self.head(), member, members }
        };
        let elsewhere = self.forward.member_add(&self.handle, &pass, request);
        self.change(&pass, Change::Add { peer_urls, learner }, done, elsewhere).await
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        let pass = Pass::of(&request);
        let request = admit_admin(&self.handle, request).await?;
        let change = Change::Remove { id: MemberId(request.id) };
        let done =
            |members: Members| pb::MemberRemoveResponse { header: self.head(), members: to_pb(&members) };
        let elsewhere = self.forward.member_remove(&self.handle, &pass, request);
        self.change(&pass, change, done, elsewhere).await
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        let pass = Pass::of(&request);
        let request = admit_admin(&self.handle, request).await?;
        check_urls(&request.peer_urls)?;
        let change = Change::Update { id: MemberId(request.id), peer_urls: request.peer_urls.clone() };
        let done =
            |members: Members| pb::MemberUpdateResponse { header: self.head(), members: to_pb(&members) };
        let elsewhere = self.forward.member_update(&self.handle, &pass, request);
        self.change(&pass, change, done, elsewhere).await
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        let pass = Pass::of(&request);
        let request = admit_admin(&self.handle, request).await?;
        let change = Change::Promote { id: MemberId(request.id) };
        let done =
            |members: Members| pb::MemberPromoteResponse { header: self.head(), members: to_pb(&members) };
        let elsewhere = self.forward.member_promote(&self.handle, &pass, request);
        self.change(&pass, change, done, elsewhere).await
    }
}
