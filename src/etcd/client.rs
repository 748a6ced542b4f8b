//! The store's client. It holds one channel at a time to one of its endpoints and picks another when that one
//! fails. Every call has a deadline. Reads are sent again while the deadline allows; writes only when the first
//! attempt surely was not executed (see `retry`).

use crate::{
    credentials::{Credentials, signed},
    error::{Error, kind},
    pb::{
        self, auth_client::AuthClient, cluster_client::ClusterClient, kv_client::KvClient,
        lease_client::LeaseClient, maintenance_client::MaintenanceClient, request_op::Request as Op,
        v3lockpb::lock_client::LockClient, watch_client::WatchClient,
    },
    retry::{self, Call, Verdict},
    streams::{KeepAliveStream, Stream, WatchStream},
    transport::Transport,
};
use base::{Knobs, knobs::ms, reached};
use rt::net::Endpoint;
use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tonic::{Request, Response, Status, Streaming};

/// The longest pause between two attempts of one call; a longer one would only use up the deadline.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a call has its token renewed.
const RENEWALS: u32 = 3;

/// Cheap to clone; clones share the channel.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// Who it asks for; none if the store tells nobody apart.
    credentials: Option<Arc<Credentials>>,
}

struct Shared {
    endpoints: Vec<Endpoint>,
    knobs: Knobs,
    tls: Option<rt::tls::Client>,
    picked: Mutex<Picks>,
    /// Held while a channel is being made, so that a hundred waiting calls make one and not a hundred.
    picking: rt::sync::Mutex<()>,
}

#[derive(Default)]
struct Picks {
    current: Option<Pick>,
    /// Endpoint to try next; none before the first pick.
    next: Option<usize>,
    /// Channels made so far, which names each of them.
    made: u64,
}

/// A channel in use.
#[derive(Clone)]
pub(crate) struct Pick {
    number: u64,
    endpoint: Endpoint,
    transport: Transport,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ident) -> $response:ident: $kind:expr, $client:ident.$method:ident;)+) => {
        impl Client {
            $(
                $(#[$doc])*
                pub async fn $name(&self, request: pb::$request) -> Result<pb::$response, Status> {
                    let kind: fn(&pb::$request) -> Call = $kind;
                    self.call(kind(&request), request, |transport, request| async move {
                        over::$client(transport).$method(request).await
                    })
                    .await
                }
            )+
        }
    };
}

/// The generated clients over our transport, without their limit on the size of an answer.
mod over {
    use super::*;

    pub(super) fn kv(transport: Transport) -> KvClient<Transport> {
        KvClient::new(transport).max_decoding_message_size(usize::MAX)
    }
    pub(super) fn lease(transport: Transport) -> LeaseClient<Transport> {
        LeaseClient::new(transport).max_decoding_message_size(usize::MAX)
    }
    pub(super) fn auth(transport: Transport) -> AuthClient<Transport> {
        AuthClient::new(transport)
    }
    pub(super) fn lock(transport: Transport) -> LockClient<Transport> {
        LockClient::new(transport)
    }
    pub(super) fn cluster(transport: Transport) -> ClusterClient<Transport> {
        ClusterClient::new(transport)
    }
    pub(super) fn maintenance(transport: Transport) -> MaintenanceClient<Transport> {
        MaintenanceClient::new(transport)
    }
    pub(super) fn watch(transport: Transport) -> WatchClient<Transport> {
        WatchClient::new(transport).max_decoding_message_size(usize::MAX)
    }
}

calls! {
    /// Reads a key or a range.
    range(RangeRequest) -> RangeResponse: |_| Call::Read, kv.range;
    /// Writes one key.
    put(PutRequest) -> PutResponse: |_| Call::Write, kv.put;
    /// Deletes a key or a range.
    delete_range(DeleteRangeRequest) -> DeleteRangeResponse: |_| Call::Write, kv.delete_range;
    /// Compares, then does one list of operations or the other, at one revision.
    txn(TxnRequest) -> TxnResponse: txn_kind, kv.txn;
    /// Forgets history behind a revision.
    compact(CompactionRequest) -> CompactionResponse: |_| Call::Write, kv.compact;
    /// Makes a lease.
    lease_grant(LeaseGrantRequest) -> LeaseGrantResponse: |_| Call::Write, lease.lease_grant;
    /// Ends a lease and deletes its keys.
    lease_revoke(LeaseRevokeRequest) -> LeaseRevokeResponse: |_| Call::Write, lease.lease_revoke;
    /// How long a lease still lives, and its keys.
    lease_time_to_live(LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse: |_| Call::Read, lease.lease_time_to_live;
    /// All leases.
    lease_leases(LeaseLeasesRequest) -> LeaseLeasesResponse: |_| Call::Read, lease.lease_leases;
    /// The members of the store.
    member_list(MemberListRequest) -> MemberListResponse: |_| Call::Read, cluster.member_list;
    /// Adds a member. It belongs to the cluster before it has started.
    member_add(MemberAddRequest) -> MemberAddResponse: |_| Call::Write, cluster.member_add;
    /// Removes a member for good.
    member_remove(MemberRemoveRequest) -> MemberRemoveResponse: |_| Call::Write, cluster.member_remove;
    /// Gives a learner a vote.
    member_promote(MemberPromoteRequest) -> MemberPromoteResponse: |_| Call::Write, cluster.member_promote;
    /// Has the member at the present endpoint, if it leads, hand on its leadership.
    move_leader(MoveLeaderRequest) -> MoveLeaderResponse: |_| Call::Write, maintenance.move_leader;
    /// Whether all members could be of an older version; that they are to be; that they are not to be after all.
    downgrade(DowngradeRequest) -> DowngradeResponse: |_| Call::Write, maintenance.downgrade;
    /// What the member at the present endpoint says of itself.
    status(StatusRequest) -> StatusResponse: |_| Call::Read, maintenance.status;
    /// Hash of all keys at a revision, as the member at the present endpoint has them.
    hash_kv(HashKvRequest) -> HashKvResponse: |_| Call::Read, maintenance.hash_kv;
    /// Has the member at the present endpoint give back what it does not need of its disk.
    defragment(DefragmentRequest) -> DefragmentResponse: |_| Call::Write, maintenance.defragment;
    /// Alarms. Only the listing of alarms is a read.
    alarm(AlarmRequest) -> AlarmResponse: alarm_kind, maintenance.alarm;
    /// From here on users are told apart.
    auth_enable(AuthEnableRequest) -> AuthEnableResponse: |_| Call::Write, auth.auth_enable;
    /// From here on they are not.
    auth_disable(AuthDisableRequest) -> AuthDisableResponse: |_| Call::Write, auth.auth_disable;
    /// Whether users are told apart, and how often they were changed.
    auth_status(AuthStatusRequest) -> AuthStatusResponse: |_| Call::Read, auth.auth_status;
    /// Adds a user.
    user_add(AuthUserAddRequest) -> AuthUserAddResponse: |_| Call::Write, auth.user_add;
    /// Deletes a user.
    user_delete(AuthUserDeleteRequest) -> AuthUserDeleteResponse: |_| Call::Write, auth.user_delete;
    /// The roles of a user.
    user_get(AuthUserGetRequest) -> AuthUserGetResponse: |_| Call::Read, auth.user_get;
    /// All users, by name.
    user_list(AuthUserListRequest) -> AuthUserListResponse: |_| Call::Read, auth.user_list;
    /// Gives a user another password.
    user_change_password(AuthUserChangePasswordRequest) -> AuthUserChangePasswordResponse: |_| Call::Write, auth.user_change_password;
    /// Gives a user a role.
    user_grant_role(AuthUserGrantRoleRequest) -> AuthUserGrantRoleResponse: |_| Call::Write, auth.user_grant_role;
    /// Takes a role from a user.
    user_revoke_role(AuthUserRevokeRoleRequest) -> AuthUserRevokeRoleResponse: |_| Call::Write, auth.user_revoke_role;
    /// Adds a role.
    role_add(AuthRoleAddRequest) -> AuthRoleAddResponse: |_| Call::Write, auth.role_add;
    /// What a role may do.
    role_get(AuthRoleGetRequest) -> AuthRoleGetResponse: |_| Call::Read, auth.role_get;
    /// All roles, by name.
    role_list(AuthRoleListRequest) -> AuthRoleListResponse: |_| Call::Read, auth.role_list;
    /// Deletes a role; its users have it no more.
    role_delete(AuthRoleDeleteRequest) -> AuthRoleDeleteResponse: |_| Call::Write, auth.role_delete;
    /// Waits for a lock, as long as a call may take; one who gives up leaves the queue.
    lock(LockRequest) -> LockResponse: |_| Call::Write, lock.lock;
    /// Lets a lock go.
    unlock(UnlockRequest) -> UnlockResponse: |_| Call::Write, lock.unlock;
    /// Lets a role do more.
    role_grant_permission(AuthRoleGrantPermissionRequest) -> AuthRoleGrantPermissionResponse: |_| Call::Write, auth.role_grant_permission;
    /// Lets a role do less.
    role_revoke_permission(AuthRoleRevokePermissionRequest) -> AuthRoleRevokePermissionResponse: |_| Call::Write, auth.role_revoke_permission;
}

fn txn_kind(txn: &pb::TxnRequest) -> Call {
    let reads = |op: &pb::RequestOp| match &op.request {
        Some(Op::RequestRange(_)) | None => true,
        Some(Op::RequestTxn(inner)) => txn_kind(inner) == Call::Read,
        Some(Op::RequestPut(_) | Op::RequestDeleteRange(_)) => false,
    };
    if txn.success.iter().chain(&txn.failure).all(reads) { Call::Read } else { Call::Write }
}

fn alarm_kind(request: &pb::AlarmRequest) -> Call {
    if request.action() == pb::alarm_request::AlarmAction::Get { Call::Read } else { Call::Write }
}

impl Client {
    /// A client of the store at these endpoints. Connects when first used, to one of them at random.
    pub fn new(endpoints: Vec<impl Into<Endpoint>>, knobs: &Knobs) -> Self {
        Self::secured(endpoints, None, knobs)
    }

    /// The same, over channels that are secured by `tls`; plain if there is nothing.
    pub fn secured(endpoints: Vec<impl Into<Endpoint>>, tls: Option<rt::tls::Client>, knobs: &Knobs) -> Self {
        let shared = Shared {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            knobs: knobs.clone(),
            tls,
            picked: Mutex::default(),
            picking: rt::sync::Mutex::new(()),
        };
        Self { shared: Arc::new(shared), credentials: None }
    }

    /// The same client, over the same channel, for a user.
    pub fn for_user(&self, name: &str, password: &str) -> Self {
        let credentials = Arc::new(Credentials::new(name.into(), password.into()));
        Self { shared: self.shared.clone(), credentials: Some(credentials) }
    }

    /// Has the next call ask for a new token.
    pub fn renew(&self) {
        if let Some(credentials) = &self.credentials {
            credentials.forget(credentials.token().as_deref());
        }
    }

    /// The endpoint of the present channel.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.picks().current.as_ref().map(|pick| pick.endpoint.clone())
    }

    /// A watch stream. It ends with an error when the member loses its leader or the connection is lost;
    /// the caller then opens another and takes up from the last revision seen.
    pub async fn watch(&self) -> Result<WatchStream, Status> {
        let token = self.token(self.deadline()).await?;
        let pick = self.pick().await?;
        let open = |transport, requests| {
            Box::pin(async move { over::watch(transport).watch(requests).await.map(Response::into_inner) })
                as _
        };
        Stream::open(self.clone(), pick, token, open)
    }

    /// The whole state of the member at the present endpoint, piece by piece, and its hash at the end.
    pub async fn snapshot(&self) -> Result<Streaming<pb::SnapshotResponse>, Status> {
        let open = |transport, request| async move { over::maintenance(transport).snapshot(request).await };
        self.parts(pb::SnapshotRequest {}, open).await
    }

    /// A range in parts.
    pub async fn range_stream(
        &self,
        request: pb::RangeRequest,
    ) -> Result<Streaming<pb::RangeStreamResponse>, Status> {
        self.parts(
            request,
            |transport, request| async move { over::kv(transport).range_stream(request).await },
        )
        .await
    }

    /// A call whose answer comes in parts. It is made once.
    async fn parts<Req, Resp, Fut>(
        &self,
        request: Req,
        open: impl FnOnce(Transport, Request<Req>) -> Fut,
    ) -> Result<Streaming<Resp>, Status>
    where
        Fut: Future<Output = Result<Response<Streaming<Resp>>, Status>>,
    {
        let token = self.token(self.deadline()).await?;
        let pick = self.pick().await?;
        let opened = open(pick.transport(), signed(request, token.as_deref())?).await;
        opened.map(Response::into_inner).inspect_err(|status| {
            self.forget(token.as_deref(), status);
            if retry::judge(Call::Read, status) != Verdict::Give {
                self.drop_pick(&pick);
            }
        })
    }

    /// A lease keepalive stream.
    pub async fn lease_keep_alive(&self) -> Result<KeepAliveStream, Status> {
        let token = self.token(self.deadline()).await?;
        let pick = self.pick().await?;
        let open = |transport, requests| {
            Box::pin(async move {
                over::lease(transport).lease_keep_alive(requests).await.map(Response::into_inner)
            }) as _
        };
        Stream::open(self.clone(), pick, token, open)
    }

    fn deadline(&self) -> rt::Mono {
        rt::now() + ms(self.shared.knobs.client_timeout_ms)
    }

    /// One call with its attempts, under one deadline.
    async fn call<Req, Resp, F, Fut>(&self, call: Call, request: Req, send: F) -> Result<Resp, Status>
    where
        Req: Clone,
        F: Fn(Transport, Request<Req>) -> Fut,
        Fut: Future<Output = Result<Response<Resp>, Status>>,
    {
        let deadline = self.deadline();
        for renewed in 0.. {
            let token = self.token(deadline).await?;
            let sign = || signed(request.clone(), token.as_deref());
            let answer = self.attempts(call, deadline, &sign, &send).await;
            match answer {
                Err(status) if renewed < RENEWALS && self.forget(token.as_deref(), &status) => {
                    reached!("etcd: a token that is known no more is exchanged for another");
                }
                answer => return answer,
            }
        }
        unreachable!("tokens are renewed a few times only")
    }

    async fn attempts<Req, Resp, F, Fut>(
        &self,
        call: Call,
        deadline: rt::Mono,
        sign: &impl Fn() -> Result<Request<Req>, Status>,
        send: &F,
    ) -> Result<Resp, Status>
    where
        F: Fn(Transport, Request<Req>) -> Fut,
        Fut: Future<Output = Result<Response<Resp>, Status>>,
    {
        for attempt in 0.. {
            let picked = self.pick_until(deadline).await;
            let (pick, status) = match picked {
                Err(status) => (None, status),
                Ok(pick) => match self.attempt(call, deadline, send(pick.transport.clone(), sign()?)).await {
                    Ok(response) => return Ok(response),
                    Err(status) => (Some(pick), status),
                },
            };
            let verdict = retry::judge(call, &status);
            note_verdict(call, verdict, &status);
            if matches!(verdict, Verdict::GiveAndMove | Verdict::RetryElsewhere) {
                pick.inspect(|pick| self.drop_pick(pick));
            }
            let pause = self.pause(attempt);
            let again = matches!(verdict, Verdict::RetryElsewhere | Verdict::RetryLater);
            if !again || rt::now() + pause >= deadline {
                return Err(status);
            }
            rt::sleep(pause).await;
        }
        unreachable!("the attempts end with an answer or at the deadline")
    }

    /// The user's token, asked for if there is none; nothing if the client asks for nobody, or nobody is told apart.
    async fn token(&self, deadline: rt::Mono) -> Result<Option<String>, Status> {
        let Some(credentials) = &self.credentials else { return Ok(None) };
        if credentials.token().is_none() {
            let _asking = credentials.asking.lock().await;
            if credentials.token().is_none() {
                credentials.set(self.authenticate(credentials, deadline).await?);
            }
        }
        Ok(credentials.token().filter(|token| !token.is_empty()))
    }

    async fn authenticate(&self, credentials: &Credentials, deadline: rt::Mono) -> Result<String, Status> {
        let (name, password) = (credentials.name.clone(), credentials.password.clone());
        let request = pb::AuthenticateRequest { name, password };
        let sign = || Ok(Request::new(request.clone()));
        let send = |transport, request| async move { over::auth(transport).authenticate(request).await };
        match self.attempts(Call::Read, deadline, &sign, &send).await {
            Ok(answer) => Ok(answer.token),
            Err(status) if kind(&status) == Some(Error::AuthNotEnabled) => Ok(String::new()),
            Err(status) => Err(status),
        }
    }

    /// Forgets a token that the store does not know, or that it misses. True if there may be another.
    pub(crate) fn forget(&self, token: Option<&str>, status: &Status) -> bool {
        let unknown =
            matches!(kind(status), Some(Error::InvalidAuthToken | Error::UserEmpty | Error::AuthOldRevision));
        let credentials = self.credentials.as_ref().filter(|_| unknown);
        credentials.inspect(|credentials| credentials.forget(Some(token.unwrap_or_default()))).is_some()
    }

    /// One attempt. A read waits for half a deadline at most, so that a silent endpoint leaves time for another.
    async fn attempt<Resp>(
        &self,
        call: Call,
        deadline: rt::Mono,
        answer: impl Future<Output = Result<Response<Resp>, Status>>,
    ) -> Result<Resp, Status> {
        let left = deadline - rt::now();
        let (limit, late) = match call {
            Call::Read if left > ms(self.shared.knobs.client_timeout_ms / 2) => {
                (left / 2, retry::connection_lost("no answer in time"))
            }
            _ => (left, retry::deadline_exceeded()),
        };
        match rt::timeout(limit, answer).await {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => {
                reached!("etcd: a call got no answer in its time", call == Call::Write);
                reached!("etcd: a read is taken away from a silent member", call == Call::Read);
                Err(late)
            }
        }
    }

    fn pause(&self, attempt: u32) -> Duration {
        let knobs = &self.shared.knobs;
        let most =
            retry::back_off(attempt, ms(knobs.backoff_min_ms), ms(knobs.backoff_max_ms).min(LONGEST_PAUSE));
        let least = most / 2;
        least + Duration::from_nanos(rt::random_range(0..1 + (most - least).as_nanos() as u64))
    }

    fn picks(&self) -> MutexGuard<'_, Picks> {
        self.shared.picked.lock().expect("no holder of the picks panics")
    }

    async fn pick_until(&self, deadline: rt::Mono) -> Result<Pick, Status> {
        match rt::timeout(deadline - rt::now(), self.pick()).await {
            Ok(picked) => picked,
            Err(_) => Err(retry::not_sent("none could be made before the deadline")),
        }
    }

    /// The present channel, or a new one to the next endpoint that accepts.
    async fn pick(&self) -> Result<Pick, Status> {
        if let Some(pick) = self.present() {
            return Ok(pick);
        }
        let _picking = self.shared.picking.lock().await;
        if let Some(pick) = self.present() {
            reached!("etcd: calls waited for one channel to be made");
            return Ok(pick);
        }
        let mut last = "no endpoints were given".to_string();
        for _ in 0..self.shared.endpoints.len() {
            let endpoint = self.next_endpoint();
            match rt::grpc::Channel::connect(endpoint.clone(), self.options()).await {
                Ok(channel) => return Ok(self.picked(endpoint, Transport::new(channel))),
                Err(error) => {
                    reached!("etcd: an endpoint takes no connection");
                    last = format!("{endpoint}: {error}");
                }
            }
        }
        Err(retry::not_sent(last))
    }

    fn present(&self) -> Option<Pick> {
        self.picks().current.clone().filter(|pick| !pick.transport.closed())
    }

    fn next_endpoint(&self) -> Endpoint {
        let endpoints = &self.shared.endpoints;
        let mut picks = self.picks();
        let at = picks.next.unwrap_or_else(|| rt::random_range(0..endpoints.len() as u64) as usize);
        picks.next = Some((at + 1) % endpoints.len());
        endpoints[at].clone()
    }

    fn picked(&self, endpoint: Endpoint, transport: Transport) -> Pick {
        let mut picks = self.picks();
        picks.made += 1;
        let pick = Pick { number: picks.made, endpoint, transport };
        picks.current = Some(pick.clone());
        pick
    }

    /// Uses this channel no more, unless another has been picked already.
    pub(crate) fn drop_pick(&self, pick: &Pick) {
        let mut picks = self.picks();
        if picks.current.as_ref().is_some_and(|current| current.number == pick.number) {
            picks.current = None;
        } else {
            reached!("etcd: a channel failed that was no longer in use");
        }
    }

    fn options(&self) -> rt::grpc::ChannelOptions {
        rt::grpc::ChannelOptions::of(&self.shared.knobs, self.shared.tls.clone())
    }
}

fn note_verdict(call: Call, verdict: Verdict, status: &Status) {
    reached!("etcd: a call is made again over another channel", verdict == Verdict::RetryElsewhere);
    reached!("etcd: a call waits because the store is overloaded", verdict == Verdict::RetryLater);
    reached!(
        "etcd: the outcome of a write is unknown",
        call == Call::Write && retry::outcome_unknown(status)
    );
    reached!("etcd: a request never left", status.message().starts_with(retry::NOT_SENT));
}

impl Pick {
    pub(crate) fn transport(&self) -> Transport {
        self.transport.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(request: Op) -> pb::RequestOp {
        pb::RequestOp { request: Some(request) }
    }

    #[test]
    fn a_txn_is_a_read_only_if_both_its_branches_read() {
        let read = op(Op::RequestRange(pb::RangeRequest::of_key("a")));
        let put = op(Op::RequestPut(pb::PutRequest::of("a", "b")));
        let reads =
            pb::TxnRequest { success: vec![read.clone()], failure: vec![read.clone()], ..Default::default() };
        assert_eq!(txn_kind(&reads), Call::Read);
        let writes = pb::TxnRequest { success: vec![read], failure: vec![put], ..Default::default() };
        assert_eq!(txn_kind(&writes), Call::Write);
        let nested = pb::TxnRequest { success: vec![op(Op::RequestTxn(writes))], ..Default::default() };
        assert_eq!(txn_kind(&nested), Call::Write);
    }
}
