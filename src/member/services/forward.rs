//! Questions that only the leader can answer, asked of it over its client port. The answer of a member that
//! stopped leading meanwhile is an error, never a guess; a question is not passed on twice.

use super::sender::{self, Shown};
use crate::{Url, handle::Handle};
use base::reached;
use etcd::{TOKEN, error, pb};
use pb::{cluster_client::ClusterClient, lease_client::LeaseClient};
use rt::grpc::{Channel, ChannelOptions};
use std::{collections::BTreeMap, future::Future, sync::Mutex, time::Duration};
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
    channel: Mutex<Option<(Url, Channel)>>,
    /// Tokens of users whose certificates say who they are: the leader would see this member's.
    vouched: Mutex<BTreeMap<String, String>>,
}

/// How a request came: whether another member passed it on, and what it showed of its sender, so that it can be passed on
/// for the same user.
#[derive(Clone, Default)]
pub struct Pass {
    passed_on: bool,
    shown: Shown,
}

impl Pass {
    pub fn of<T>(request: &Request<T>) -> Self {
        Self { passed_on: request.metadata().contains_key(FORWARDED), shown: Shown::of(request) }
    }

    pub fn passed_on(&self) -> bool {
        self.passed_on
    }

    /// The request as it is passed on.
    fn on<T>(&self, message: T, vouched: Option<MetadataValue<Ascii>>) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(FORWARDED, MetadataValue::from_static("true"));
        if let Some(token) = vouched.or_else(|| self.shown.token().cloned()) {
            request.metadata_mut().insert(TOKEN, token);
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
        let request = pass.on(requests, self.vouch(handle, pass).await?);
        let mut leader = self.leader(handle).await?;
        let mut answers = self.checked(leader.lease_keep_alive(request).await)?.into_inner();
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
        let request = pass.on(request, self.vouch(handle, pass).await?);
        let mut leader = self.leader(handle).await?;
        self.checked(leader.lease_time_to_live(request).await).map(Response::into_inner)
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

    /// A token for a sender who showed none, as a certificate says who that is.
    async fn vouch(&self, handle: &Handle, pass: &Pass) -> Result<Option<MetadataValue<Ascii>>, Status> {
        let Some(user) = pass.shown.certified() else { return Ok(None) };
        if !handle.with_store(|store| store.auth().enabled) {
            return Ok(None);
        }
        let known = self.vouched.lock().expect("no holder of the tokens panics").get(user).cloned();
        let counts = |token: &String| match &handle.config().listen.signer {
            Some(signer) => signer
                .read(token, rt::wall())
                .is_some_and(|claims| claims.revision == handle.with_store(|store| store.auth().revision)),
            None => handle.user_of(token).as_deref() == Some(user),
        };
        let token = match known.filter(counts) {
            Some(token) => token,
            None => sender::token_for(handle, user).await?,
        };
        let value = token.parse().map_err(|_| error::invalid_auth_token())?;
        self.vouched.lock().expect("no holder of the tokens panics").insert(user.into(), token);
        Ok(Some(value))
    }

    /// To the leader.
    async fn channel(&self, handle: &Handle) -> Result<Channel, Status> {
        let url = rt::timeout(handle.request_timeout(), leader_url(handle)).await;
        let url = url.unwrap_or_else(|_| Err(error::no_leader()))?;
        let known = self.channel.lock().expect("no holder of the channel panics").clone();
        if let Some((_, channel)) = known.filter(|(known, channel)| *known == url && !channel.closed()) {
            return Ok(channel);
        }
        let tls = handle.config().listen.tls.leader.clone().filter(|_| url.secured);
        let options = ChannelOptions::of(handle.knobs(), tls);
        let connected = Channel::connect(url.addr.clone(), options).await;
        reached!("member: a follower cannot connect to its leader", connected.is_err());
        let channel = connected.map_err(|_| error::no_leader())?;
        *self.channel.lock().expect("no holder of the channel panics") = Some((url, channel.clone()));
        Ok(channel)
    }
}

/// Where the leader serves clients. One that has just been founded may not have said so yet.
async fn leader_url(handle: &Handle) -> Result<Url, Status> {
    loop {
        let seen = handle.members_changed().version();
        let leader = handle.view().leader.ok_or_else(error::no_leader)?;
        if let Some(url) = handle.client_of(leader) {
            return Ok(url);
        }
        reached!("member: a leader has not said yet where it serves clients");
        handle.members_changed().changed(seen).await;
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
                    let request = pass.on(request, self.vouch(handle, pass).await?);
                    let mut leader = self.cluster(handle).await?;
                    self.checked(leader.$name(request).await).map(Response::into_inner)
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

/// Asks again until there is an answer, or the time is up. `ask` says inside why it is worth asking again. If there
/// never was a leader to ask, that is said in the end: then nothing was done.
pub async fn until_answered<T, F>(handle: &Handle, mut ask: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<Result<T, Status>, Status>>,
{
    let mut unheard = true;
    let asking = async {
        loop {
            // what is under way when the time is up may have been heard
            let before = std::mem::replace(&mut unheard, false);
            match ask().await? {
                Ok(answer) => return Ok(answer),
                Err(why) => unheard = before && etcd::kind(&why) == Some(etcd::Error::NoLeader),
            }
            rt::sleep(PAUSE).await;
        }
    };
    let answer = rt::timeout(handle.request_timeout(), asking).await;
    answer.unwrap_or_else(|_| Err(if unheard { error::no_leader() } else { error::timeout() }))
}
