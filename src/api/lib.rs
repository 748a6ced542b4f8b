//! The API server: a client of the etcd API that speaks the Kubernetes API. Any number of them share nothing
//! but the store.
//!
//! | module | promise |
//! |---|---|
//! | `request` | pure: what a path and a query ask for |
//! | `pipeline` | one request from its bytes to its answer |
//! | `answer`, `refusal` | answers in the form asked for; refusals as upstream's Status |
//! | `protobuf` | pure: bodies that kubectl sends in protobuf, read into JSON |
//! | `decode` | bodies to objects, unknown fields as `fieldValidation` says |
//! | `verbs`, `subresources` | what is done for each verb |
//! | `registry` | what happens to an object on its way into the store: create, update, delete |
//! | `admission` | what may be made in which namespace |
//! | `storage` | objects in the store; guarded writes; continue tokens |
//! | `cache` | the watch cache of a kind: history and snapshot are pure |
//! | `compactor` | the store's history is cut off after a while, by one API server at a time |
//! | `discovery`, `health`, `openapi` | what else clients ask for |

mod admission;
mod answer;
mod cache;
mod compactor;
pub mod decode;
mod discovery;
mod health;
mod openapi;
mod pipeline;
pub mod protobuf;
pub mod refusal;
mod registry;
pub mod request;
mod select;
mod server;
pub mod storage;
mod subresources;
mod verbs;

use base::{Knobs, knobs::ms};
use rt::net::Endpoint;
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

#[derive(Clone, Debug)]
pub struct Config {
    /// Names this server in records.
    pub name: String,
    pub listen: SocketAddr,
    pub etcd: Vec<Endpoint>,
    /// Secures the connections to the store; plain if there is nothing.
    pub etcd_tls: Option<rt::tls::Client>,
    pub knobs: Knobs,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the API server cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
}

/// Serves until the process is asked to stop. Answers from the first moment on; `/readyz` says when it is ready.
pub async fn run(config: Config) -> Result<(), Error> {
    let address = config.listen;
    let listener = rt::net::TcpListener::bind(address).await;
    let listener = listener.map_err(|source| Error::Listen { address, source })?;
    let server = server::Server::new(config);
    let mut tasks = server.feed();
    tasks.push(rt::spawn(compactor::compact(server.storage.clone(), server.config.knobs.clone())));
    tasks.push(rt::spawn(admission::bootstrap(server.clone())));
    rt::select! {
        () = rt::shutdown() => {}
        _ = serve(listener, server) => {}
    }
    for task in tasks {
        task.abort();
    }
    Ok(())
}

async fn serve(listener: rt::net::TcpListener, server: Arc<server::Server>) -> Infallible {
    let knobs = &server.config.knobs;
    let options = rt::http::ServeOptions {
        keepalive: ms(knobs.keepalive_ms),
        keepalive_timeout: ms(knobs.keepalive_timeout_ms),
        least_between_pings: ms(0), // as upstream: only gRPC's servers count them
        most_streams: None,
        tls: None,
    };
    let router = axum::Router::new().fallback(pipeline::handle).with_state(server);
    rt::http::serve(listener, router, options).await
}
