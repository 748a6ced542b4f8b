//! Questions that only the leader can answer, asked of it over its client port. The answer of a member that
//! stopped leading meanwhile is an error, never a guess; a question is not passed on twice.

use crate::handle::Handle;
use base::{knobs::ms, reached};
use etcd::{TOKEN, error, pb};
use pb::{cluster_client::ClusterClient, lease_client::LeaseClient};
use rt::grpc::{Channel, ChannelOptions};
use std::{future::Future, net::SocketAddr, sync::Mutex, time::Duration};
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
};

/// Marks a request that another member passed on.
const FORWARDED: &str = "wavetank-forwarded";
/// Between two attempts to find a leader that answers.
const PAUSE: Duration = Duration::from_millis(50);

/// A channel to the last leader asked.
#[derive(Default)]
pub struct Forward {
    channel: Mutex<Option<(SocketAddr, Channel)>>,
}

/// How a request came: whether another member passed it on, and with which token, so that it can be passed on for the
/// same user.
#[derive(Clone, Default)]
pub struct Pass {
    passed_on: bool,
    token: Option<MetadataValue<Ascii>>,
}

impl Pass {
    pub fn of<T>(request: &Request<T>) -> Self {
        let metadata = request.metadata();
        Self { passed_on: metadata.contains_key(FORWARDED), token: metadata.get(TOKEN).cloned() }
    }

    pub fn passed_on(&self) -> bool {
        self.passed_on
    }

    fn on<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(FORWARDED, MetadataValue::from_static("true"));
        if let Some(token) = &self.token {
            request.metadata_mut().insert(TOKEN, token.clone());
        }
        request
    }
}

impl Forward {
    /// Asks the leader to renew a lease.
    pub async fn keep_alive(
        &self,
        handle: &Handle,
        pass: &Pass,
        id: i64,
    ) -> Result<pb::LeaseKeepAliveResponse, Status> {
        let requests = futures::stream::iter([pb::LeaseKeepAliveRequest { id }]);
        let mut leader = self.leader(handle).await?;
        let mut answers = self.checked(leader.lease_keep_alive(pass.on(requests)).await)?.into_inner();
        let answer = self.checked(answers.message().await)?;
        answer.ok_or_else(error::leader_changed)
    }

    /// Asks the leader how long a lease still lives.
    pub async fn time_to_live(
        &self,
        handle: &Handle,
        pass: &Pass,
        request: pb::LeaseTimeToLiveRequest,
    ) -> Result<pb::LeaseTimeToLiveResponse, Status> {
        let mut leader = self.leader(handle).await?;
        self.checked(leader.lease_time_to_live(pass.on(request)).await).map(Response::into_inner)
    }

    async fn cluster(&self, handle: &Handle) -> Result<ClusterClient<Channel>, Status> {
        self.channel(handle).await.map(ClusterClient::new)
    }

    async fn leader(&self, handle: &Handle) -> Result<LeaseClient<Channel>, Status> {
        self.channel(handle).await.map(LeaseClient::new)
    }

    /// Forgets the channel after a failure.
    fn checked<T>(&self, answer: Result<T, Status>) -> Result<T, Status> {
        if answer.is_err() {
            reached!("member: what was passed on to the leader failed");
            *self.channel.lock().expect("no holder of the channel panics") = None;
        }
        answer
    }

    /// To the leader.
    async fn channel(&self, handle: &Handle) -> Result<Channel, Status> {
        let leader = handle.view().leader.and_then(|leader| handle.client_of(leader));
        let addr = leader.ok_or_else(error::no_leader)?;
        let known = self.channel.lock().expect("no holder of the channel panics").clone();
        if let Some((_, channel)) = known.filter(|(known, channel)| *known == addr && !channel.closed()) {
            return Ok(channel);
        }
        let knobs = handle.knobs();
        let options = ChannelOptions {
            keepalive: ms(knobs.keepalive_ms),
            keepalive_timeout: ms(knobs.keepalive_timeout_ms),
            connect_timeout: ms(knobs.connect_timeout_ms),
        };
        let connected = Channel::connect(addr, options).await;
        reached!("member: a follower cannot connect to its leader", connected.is_err());
        let channel = connected.map_err(|_| error::no_leader())?;
        *self.channel.lock().expect("no holder of the channel panics") = Some((addr, channel.clone()));
        Ok(channel)
    }
}

macro_rules! changes {
    ($($name:ident($request:ident) -> $response:ident;)+) => {
        impl Forward {
            $(
                pub async fn $name(
                    &self,
                    handle: &Handle,
                    pass: &Pass,
                    request: pb::$request,
                ) -> Result<pb::$response, Status> {
                    let mut leader = self.cluster(handle).await?;
                    self.checked(leader.$name(pass.on(request)).await).map(Response::into_inner)
                }
            )+
        }
    };
}

changes! {
    member_add(MemberAddRequest) -> MemberAddResponse;
    member_remove(MemberRemoveRequest) -> MemberRemoveResponse;
    member_update(MemberUpdateRequest) -> MemberUpdateResponse;
    member_promote(MemberPromoteRequest) -> MemberPromoteResponse;
}

/// Asks again until there is an answer, or the time is up. `ask` says `None` when it is worth asking again.
pub async fn until_answered<T, F>(handle: &Handle, mut ask: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<Option<T>, Status>>,
{
    let asking = async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            rt::sleep(PAUSE).await;
        }
    };
    rt::timeout(handle.request_timeout(), asking).await.unwrap_or_else(|_| Err(error::timeout()))
}
