//! One member of the store.
//!
//! | module | promise |
//! |---|---|
//! | `config` | what a member is told when it starts |
//! | `handle` | the seam between the core and the services: who may ask for what |
//! | `driver` | the one loop: ticks, frames, requests and finished syncs go to Raft, one at a time |
//! | `carry` | what Raft says is carried out, in one order |
//! | `disk` | writes and syncs; one sync for all that gathered |
//! | `recover` | from a folder to a member that stands where it stood |
//! | `recall` | a member that lost its disk asks all others before it takes part again |
//! | `snapshots` | the store's snapshots, made while writes go on |
//! | `pending` | who waits for what; what surely was not done goes out again |
//! | `proposal`, `accepted` | what an entry says; a forwarded proposal is taken up once |
//! | `frame`, `codec` | what members send each other; values as bytes |
//! | `services` | the etcd v3 services, and health and version over HTTP, on the client port |

mod accepted;
mod carry;
mod codec;
pub mod config;
mod disk;
mod driver;
mod error;
mod frame;
pub mod handle;
mod pending;
mod proposal;
mod recall;
mod recover;
pub mod services;
mod snapshots;

pub use config::{Config, MemberAddr};
pub use error::Error;
pub use frame::describe;
pub use handle::{Applied, Handle, ProposeError, ReadError, Request, Requests, View};

use std::convert::Infallible;

/// Runs a member until it fails, or until it is asked to stop.
pub async fn run(config: Config) -> Result<(), Error> {
    let (client, peer) = (config.client_listen, config.peer_listen);
    let refuse = |address| move |source| Error::Listen { address, source };
    let (recovered, peers) = match recover::recover(config.clone()).await {
        Err(Error::Wal(wal::Error::Lost { .. })) => {
            let peers = rt::net::Peers::bind(peer).await.map_err(refuse(peer))?;
            let forgot = rt::select! {
                forgot = recall::recall(&config, &peers) => forgot?,
                () = rt::shutdown() => return Ok(()),
            };
            (recover::rejoin(config, forgot).await?, peers)
        }
        recovered => (recovered?, rt::net::Peers::bind(peer).await.map_err(refuse(peer))?),
    };
    let listener = rt::net::TcpListener::bind(client).await.map_err(refuse(client))?;
    let handle = recovered.handle.clone();
    let core = driver::Core::new(recovered, peers);
    rt::select! {
        outcome = core.run() => outcome.map(|never: Infallible| match never {}),
        () = services::serve(handle, listener) => Ok(()),
        () = rt::shutdown() => Ok(()),
    }
}
