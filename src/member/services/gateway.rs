//! The JSON gateway: `POST /v3/...` with a message as JSON is the call with that message, and its answer comes as JSON.
//! Calls go through the services themselves, so that a client of either kind is told the same.
//!
//! Bytes are base64, 64-bit numbers are strings, what is at its default is left out, names are the protocol's. An answer
//! that is a stream is a line for each message, `{"result": ...}`. Source: etcd documentation, "gRPC gateway"; the JSON
//! mapping of protobuf.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base::reached;
use etcd::DESCRIPTORS;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions,
};
use rt::sync::{OwnedSemaphorePermit, Semaphore};
use serde_json::json;
use std::sync::{Arc, LazyLock};
use tonic::Code;
use tower::ServiceExt;

/// Bytes in front of a message on a gRPC stream: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Where each method is, and its service.
pub const PATHS: &[(&str, &str, &str)] = &[
    ("/v3/kv/range", "etcdserverpb.KV", "Range"),
    ("/v3/kv/put", "etcdserverpb.KV", "Put"),
    ("/v3/kv/deleterange", "etcdserverpb.KV", "DeleteRange"),
    ("/v3/kv/txn", "etcdserverpb.KV", "Txn"),
    ("/v3/kv/compaction", "etcdserverpb.KV", "Compact"),
    ("/v3/watch", "etcdserverpb.Watch", "Watch"),
    ("/v3/lease/grant", "etcdserverpb.Lease", "LeaseGrant"),
    ("/v3/lease/revoke", "etcdserverpb.Lease", "LeaseRevoke"),
    ("/v3/kv/lease/revoke", "etcdserverpb.Lease", "LeaseRevoke"),
    ("/v3/lease/keepalive", "etcdserverpb.Lease", "LeaseKeepAlive"),
    ("/v3/lease/timetolive", "etcdserverpb.Lease", "LeaseTimeToLive"),
    ("/v3/kv/lease/timetolive", "etcdserverpb.Lease", "LeaseTimeToLive"),
    ("/v3/lease/leases", "etcdserverpb.Lease", "LeaseLeases"),
    ("/v3/kv/lease/leases", "etcdserverpb.Lease", "LeaseLeases"),
    ("/v3/cluster/member/add", "etcdserverpb.Cluster", "MemberAdd"),
    ("/v3/cluster/member/remove", "etcdserverpb.Cluster", "MemberRemove"),
    ("/v3/cluster/member/update", "etcdserverpb.Cluster", "MemberUpdate"),
    ("/v3/cluster/member/list", "etcdserverpb.Cluster", "MemberList"),
    ("/v3/cluster/member/promote", "etcdserverpb.Cluster", "MemberPromote"),
    ("/v3/maintenance/alarm", "etcdserverpb.Maintenance", "Alarm"),
    ("/v3/maintenance/status", "etcdserverpb.Maintenance", "Status"),
    ("/v3/maintenance/defragment", "etcdserverpb.Maintenance", "Defragment"),
    ("/v3/maintenance/hash", "etcdserverpb.Maintenance", "Hash"),
    ("/v3/maintenance/hashkv", "etcdserverpb.Maintenance", "HashKV"),
    ("/v3/maintenance/snapshot", "etcdserverpb.Maintenance", "Snapshot"),
    ("/v3/maintenance/transfer-leadership", "etcdserverpb.Maintenance", "MoveLeader"),
    ("/v3/maintenance/downgrade", "etcdserverpb.Maintenance", "Downgrade"),
    ("/v3/auth/enable", "etcdserverpb.Auth", "AuthEnable"),
    ("/v3/auth/disable", "etcdserverpb.Auth", "AuthDisable"),
    ("/v3/auth/status", "etcdserverpb.Auth", "AuthStatus"),
    ("/v3/auth/authenticate", "etcdserverpb.Auth", "Authenticate"),
    ("/v3/auth/user/add", "etcdserverpb.Auth", "UserAdd"),
    ("/v3/auth/user/get", "etcdserverpb.Auth", "UserGet"),
    ("/v3/auth/user/list", "etcdserverpb.Auth", "UserList"),
    ("/v3/auth/user/delete", "etcdserverpb.Auth", "UserDelete"),
    ("/v3/auth/user/changepw", "etcdserverpb.Auth", "UserChangePassword"),
    ("/v3/auth/user/grant", "etcdserverpb.Auth", "UserGrantRole"),
    ("/v3/auth/user/revoke", "etcdserverpb.Auth", "UserRevokeRole"),
    ("/v3/auth/role/add", "etcdserverpb.Auth", "RoleAdd"),
    ("/v3/auth/role/get", "etcdserverpb.Auth", "RoleGet"),
    ("/v3/auth/role/list", "etcdserverpb.Auth", "RoleList"),
    ("/v3/auth/role/delete", "etcdserverpb.Auth", "RoleDelete"),
    ("/v3/auth/role/grant", "etcdserverpb.Auth", "RoleGrantPermission"),
    ("/v3/auth/role/revoke", "etcdserverpb.Auth", "RoleRevokePermission"),
    ("/v3/lock/lock", "v3lockpb.Lock", "Lock"),
    ("/v3/lock/unlock", "v3lockpb.Lock", "Unlock"),
    ("/v3/election/campaign", "v3electionpb.Election", "Campaign"),
    ("/v3/election/proclaim", "v3electionpb.Election", "Proclaim"),
    ("/v3/election/leader", "v3electionpb.Election", "Leader"),
    ("/v3/election/observe", "v3electionpb.Election", "Observe"),
    ("/v3/election/resign", "v3electionpb.Election", "Resign"),
];

/// One call: the services, and which method is meant.
#[derive(Clone)]
struct Call {
    services: Router,
    method: MethodDescriptor,
    /// Largest body taken.
    limit: usize,
    /// Calls that may still begin; one that may not waits.
    turns: Arc<Semaphore>,
}

/// What every message looks like; made once, which takes as long as a great many calls.
static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("the descriptors of our own files"));

/// Everything below `/v3`: bodies up to `limit`, and no more calls at a time than `most`.
pub fn router(services: &Router, limit: usize, most: u64) -> Router {
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
    let turns = Arc::new(Semaphore::new(most));
    let mut router = Router::new();
    for (path, service, method) in PATHS {
        let service = POOL.get_service_by_name(service).expect("a service of the protocol");
        let method = service.methods().find(|known| known.name() == *method).expect("a method of it");
        let call = Arc::new(Call { services: services.clone(), method, limit, turns: turns.clone() });
        router = router.route(path, post(serve).with_state(call));
    }
    router
}

async fn serve(State(call): State<Arc<Call>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    reached!("member: a call came as JSON");
    let messages = match call.messages(body).await {
        Ok(messages) => messages,
        Err(why) => return refusal(Code::InvalidArgument, &why),
    };
    reached!("member: a call by JSON waits for others to end", call.turns.available_permits() == 0);
    let turn = call.turns.clone().acquire_owned().await.expect("it is never closed");
    call.forward(&head.headers, messages, turn).await
}

impl Call {
    /// The messages of a body, framed as gRPC has them. No body is a message without anything in it.
    async fn messages(&self, body: Body) -> Result<Vec<u8>, String> {
        let body = axum::body::to_bytes(body, self.limit).await.map_err(|why| why.to_string())?;
        let input = self.method.input();
        let mut messages = Vec::new();
        let values = serde_json::Deserializer::from_slice(&body).into_iter::<serde_json::Value>();
        for value in values {
            let value = value.map_err(|why| format!("expected JSON: {why}"))?;
            let message =
                DynamicMessage::deserialize_with_options(input.clone(), value, &DeserializeOptions::new())
                    .map_err(|why| why.to_string())?;
            frame(&message, &mut messages);
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            frame(&DynamicMessage::new(input), &mut messages);
        }
        Ok(messages)
    }

    async fn forward(&self, headers: &HeaderMap, messages: Vec<u8>, turn: OwnedSemaphorePermit) -> Response {
        let path = format!("/{}/{}", self.method.parent_service().full_name(), self.method.name());
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/grpc");
        request = request.header(header::TE, "trailers");
        if let Some(token) = headers.get(header::AUTHORIZATION) {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Body::from(messages)).expect("a request of known parts");
        let Ok(response) = self.services.clone().oneshot(request).await;
        if let Some((code, message)) = status(response.headers()) {
            return refusal(code, &message);
        }
        let (body, output) = (response.into_body(), self.method.output());
        let answers = Answers { body, output, read: Vec::new(), _turn: turn };
        match self.method.is_server_streaming() {
            true => answers.lines(),
            false => answers.only().await,
        }
    }
}

fn frame(message: &DynamicMessage, out: &mut Vec<u8>) {
    out.push(0);
    out.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
    out.extend_from_slice(&message.encode_to_vec());
}

/// The error that headers or trailers tell of, if they tell of one.
fn status(headers: &HeaderMap) -> Option<(Code, String)> {
    let status = tonic::Status::from_header_map(headers)?;
    (status.code() != Code::Ok).then(|| (status.code(), status.message().to_string()))
}

/// What a service answers, message by message.
struct Answers {
    body: Body,
    output: MessageDescriptor,
    /// Of the body, and not taken yet.
    read: Vec<u8>,
    /// Until all is answered, or nobody listens.
    _turn: OwnedSemaphorePermit,
}

impl Answers {
    /// The next message as JSON; an error if the call ended with one.
    async fn next(&mut self) -> Option<Result<serde_json::Value, (Code, String)>> {
        loop {
            if let Some(message) = self.take() {
                return Some(message);
            }
            match self.body.frame().await? {
                Ok(frame) if frame.is_data() => {
                    self.read.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
                Ok(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return status(&trailers).map(Err);
                }
                Err(why) => return Some(Err((Code::Unavailable, why.to_string()))),
            }
        }
    }

    fn take(&mut self) -> Option<Result<serde_json::Value, (Code, String)>> {
        let length = self.read.get(1..PREFIX)?;
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let message = Bytes::copy_from_slice(self.read.get(PREFIX..PREFIX + length)?);
        self.read.drain(..PREFIX + length);
        let broken = |why: String| (Code::Internal, why);
        let message = DynamicMessage::decode(self.output.clone(), message);
        Some(message.map_err(|why| broken(why.to_string())).and_then(|message| {
            let options = SerializeOptions::new().use_proto_field_name(true);
            let value = message.serialize_with_options(serde_json::value::Serializer, &options);
            value.map_err(|why| broken(why.to_string()))
        }))
    }

    /// The answer to a call that has one.
    async fn only(mut self) -> Response {
        match self.next().await {
            Some(Ok(value)) => axum::Json(value).into_response(),
            Some(Err((code, message))) => refusal(code, &message),
            None => refusal(Code::Internal, "the call ended without an answer"),
        }
    }

    /// A line for each answer, as they come.
    fn lines(self) -> Response {
        let lines = stream::unfold(Some(self), |answers| async move {
            let mut answers = answers?;
            let (line, more) = match answers.next().await? {
                Ok(value) => (json!({ "result": value }), Some(answers)),
                Err((code, message)) => (json!({ "error": said(code, &message) }), None),
            };
            Some((Ok::<_, std::convert::Infallible>(format!("{line}\n")), more))
        });
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ([kind], Body::from_stream(lines.boxed())).into_response()
    }
}

fn said(code: Code, message: &str) -> serde_json::Value {
    json!({ "error": message, "code": code as i32, "message": message })
}

fn refusal(code: Code, message: &str) -> Response {
    (http_status(code), axum::Json(said(code, message))).into_response()
}

/// As the field's gateways map codes.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::REQUEST_TIMEOUT,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
