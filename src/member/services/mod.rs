//! The etcd v3 services of a member, and health and version over HTTP, on one port.
//!
//! | module | promise |
//! |---|---|
//! | `doors` | the ports it is served on |
//! | `kv` | ranges, puts, deletes, txns, compaction; `space` is their quota |
//! | `watch` | many watches on one stream; `hub` wakes the streams an event concerns; `watcher` is one watch |
//! | `lease` | leases; `lease_clock` is their time, `expire` ends them, `checkpointer` has it agreed on, `forward` asks the leader |
//! | `cluster`, `maintenance` | the members and changes of them, their state, hashes, alarms; `backup` is the state as a file |
//! | `lock`, `election` | locks and elections; `turns` is the queue behind both |
//! | `auth` | users and roles; `sender` is the user that sends a request |
//! | `publish` | a member that was added says its name |
//! | `gateway` | all of these as JSON, `POST /v3/...` |
//! | `http`, `health` | `/version`, `/health`, `/livez`, `/readyz`; gRPC's own question |
//! | `vars` | `/debug/vars` |
//! | `metrics`, `metered` | `/metrics`; calls as they begin, and by how they ended |
//! | `compactor` | compaction by itself |
//! | `watchman` | compares what the members hold |
//! | `convert`, `refuse` | the protocol's messages and errors, and the store's |

mod auth;
mod backup;
mod checkpointer;
mod cluster;
mod compactor;
pub mod convert;
mod doors;
mod election;
mod expire;
mod forward;
pub mod gateway;
mod health;
mod http;
pub mod hub;
mod kv;
mod lease;
pub mod lease_clock;
mod lock;
mod maintenance;
mod metered;
mod metrics;
mod publish;
mod refuse;
mod sender;
mod space;
mod turns;
mod vars;
mod watch;
mod watcher;
mod watchman;

use crate::{Error, handle::Handle};
use base::reached;
pub use doors::Doors;
use etcd::pb;
use sender::{Sender, Shown};
use tonic::{Request, Status, service::Routes};

/// The protocol version this member claims: clients decide by it what they may use. From 3.5.13 on they rely on
/// progress requests.
pub const VERSION: &str = "3.5.21";

/// The version that all members speak: the first of its kind.
fn cluster_version() -> String {
    format!("{}.0", VERSION.rsplit_once('.').map_or(VERSION, |(minor, _)| minor))
}

/// What gRPC adds to the largest request at the most.
const OVERHEAD: usize = 512 << 10;

/// Serves clients, and ends leases while this member leads. Returns only if it may not serve; ends when dropped.
pub async fn serve(handle: Handle, doors: Doors) -> Result<(), Error> {
    watchman::at_start(&handle).await?;
    let (queues, leaving) = turns::Queues::new(handle.clone());
    let served = served(&handle, queues);
    rt::select! {
        () = doors.serve(handle.clone(), &served) => {}
        () = turns::see_off(handle.clone(), leaving) => {}
        () = expire::run(handle.clone()) => {}
        () = compactor::run(handle.clone()) => {}
        () = watchman::run(handle.clone()) => {}
        () = checkpointer::run(handle.clone()) => {}
        () = publish::run(handle) => {}
    }
    Ok(())
}

/// Everything served on the client port, for who brings requests by another way.
pub fn routes(handle: &Handle) -> rt::http::Router {
    let (queues, _) = turns::Queues::new(handle.clone());
    served(handle, queues).all
}

/// What is served to clients: all of it on one port, or gRPC on one and HTTP on another.
struct Served {
    all: rt::http::Router,
    grpc: rt::http::Router,
    http: rt::http::Router,
}

fn served(handle: &Handle, queues: turns::Queues) -> Served {
    let grpc = grpc(handle, queues);
    let (limit, most) = (limit(handle), handle.knobs().most_streams);
    let vars = axum::routing::get(vars::serve).with_state(handle.clone());
    let http = gateway::router(&grpc, limit, most).merge(http::router(handle.clone()));
    let http = http.route("/debug/vars", vars);
    Served { all: grpc.clone().merge(http.clone()), grpc: grpc.fallback(not_grpc), http }
}

/// As gRPC's own server for Go says it to whom speaks something else; who calls what is not there speaks it.
async fn not_grpc(headers: ::http::HeaderMap) -> axum::response::Response {
    let kind =
        headers.get(::http::header::CONTENT_TYPE).map(::http::HeaderValue::as_bytes).unwrap_or_default();
    if kind.starts_with(b"application/grpc") {
        return Status::unimplemented("").into_http();
    }
    let text = format!("invalid gRPC request content-type \"{}\"\n", kind.escape_ascii());
    axum::response::IntoResponse::into_response((::http::StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
}

/// Bytes of the largest message.
fn limit(handle: &Handle) -> usize {
    handle.knobs().request_bytes as usize + OVERHEAD
}

fn grpc(handle: &Handle, queues: turns::Queues) -> rt::http::Router {
    let limit = limit(handle);
    let kv = pb::kv_server::KvServer::new(kv::Kv::new(handle.clone()));
    let watch = pb::watch_server::WatchServer::new(watch::Watch::new(handle.clone()));
    let lease = pb::lease_server::LeaseServer::new(lease::Lease::new(handle.clone()));
    let cluster = pb::cluster_server::ClusterServer::new(cluster::Cluster::new(handle.clone()));
    let maintenance =
        pb::maintenance_server::MaintenanceServer::new(maintenance::Maintenance::new(handle.clone()));
    let auth = pb::auth_server::AuthServer::new(auth::Auth::new(handle.clone()));
    let lock = pb::v3lockpb::lock_server::LockServer::new(lock::Lock::new(queues.clone()));
    let election = pb::v3electionpb::election_server::ElectionServer::new(election::Election::new(queues));
    Routes::new(kv.max_decoding_message_size(limit))
        .add_service(watch.max_decoding_message_size(limit))
        .add_service(lease.max_decoding_message_size(limit))
        .add_service(cluster.max_decoding_message_size(limit))
        .add_service(maintenance.max_decoding_message_size(limit))
        .add_service(auth.max_decoding_message_size(limit))
        .add_service(lock.max_decoding_message_size(limit))
        .add_service(election.max_decoding_message_size(limit))
        .add_service(pb::grpc_health::health_server::HealthServer::new(health::Health))
        .prepare()
        .into_axum_router()
        .layer(metered::Metered(handle.clone()))
}

/// True when the client wants an error rather than an answer from a member that knows no leader.
fn requires_leader<T>(request: &Request<T>) -> bool {
    request.metadata().get("hasleader").is_some_and(|value| value == "true")
}

/// Lets a request in, unless it requires a leader and there is none, or this member only learns. Says who sends it.
async fn admit<T>(handle: &Handle, request: Request<T>) -> Result<(Sender, T), Status> {
    refuse_if_learner(handle)?;
    admit_at_learner(handle, request).await
}

fn refuse_if_learner(handle: &Handle) -> Result<(), Status> {
    if handle.learns() {
        reached!("member: a learner was asked for what only voters do");
        return Err(etcd::error::not_supported_for_learner());
    }
    Ok(())
}

/// Lets a request in that a learner answers as well.
async fn admit_at_learner<T>(handle: &Handle, request: Request<T>) -> Result<(Sender, T), Status> {
    if requires_leader(&request) && handle.view().leader.is_none() {
        return Err(etcd::error::no_leader());
    }
    let sender = Sender::of(handle, &Shown::of(&request)).await?;
    Ok((sender, request.into_inner()))
}

/// Lets in whoever may administer.
async fn admit_admin<T>(handle: &Handle, request: Request<T>) -> Result<T, Status> {
    let (sender, request) = admit(handle, request).await?;
    sender.require_admin(handle)?;
    Ok(request)
}
