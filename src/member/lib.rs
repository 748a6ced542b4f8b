//! One member of the store.
//!
//! | module | promise |
//! |---|---|
//! | `config`, `url` | what a member is told when it starts; where something is reached |
//! | `boot`, `founding` | a member by etcd's flags: what it is to do follows from its folder |
//! | `sole` | a member is made the only one of its cluster |
//! | `backup` | what is in a backup, and a cluster founded with it |
//! | `handle` | the seam between the core and the services: who may ask for what |
//! | `driver` | the one loop: ticks, frames, requests and finished syncs go to Raft, one at a time |
//! | `carry` | what Raft says is carried out, in one order |
//! | `disk` | writes and syncs; one sync for all that gathered |
//! | `recover` | from a folder to a member that stands where it stood |
//! | `members`, `changes` | who the members are; changes of them, one after the other |
//! | `addresses` | where the members are found |
//! | `join` | a member that was added finds out who it is |
//! | `recall` | a member that lost its disk asks all others before it takes part again |
//! | `compare`, `hashes` | what members hold, compared; what they held before history went |
//! | `standing` | reads of what a member has wait until it stands where it stood |
//! | `snapshots`, `restoring` | the store's snapshots, made while writes go on; a state taken from one |
//! | `chunks` | parts of snapshots, read for followers |
//! | `pending` | who waits for what; what surely was not done goes out again |
//! | `proposal`, `accepted` | what an entry says; a forwarded proposal is taken up once |
//! | `meters` | what is counted for `/metrics` |
//! | `slow` | what takes too long is said |
//! | `tokens`, `signed` | words that stand for users; tokens that say so themselves |
//! | `frame`, `codec` | what members send each other; values as bytes |
//! | `services` | the etcd v3 services, and health and version over HTTP, on the client port |

mod accepted;
mod addresses;
pub mod backup;
pub mod boot;
mod carry;
mod changes;
mod chunks;
pub mod codec;
pub mod compare;
pub mod config;
mod disk;
mod driver;
mod error;
mod founding;
pub mod frame;
pub mod handle;
mod hashes;
pub mod join;
pub mod members;
mod meters;
mod pending;
pub mod proposal;
mod recall;
pub mod recover;
mod restoring;
pub mod services;
pub mod signed;
mod slow;
mod snapshots;
mod sole;
mod standing;
pub mod tokens;
mod url;

pub use boot::{Boot, boot};
pub use config::{Config, Listen, MemberAddr, Start, Tls};
pub use error::Error;
pub use frame::describe;
pub use handle::{Applied, Handle, ProposeError, ReadError, Request, Requests, View};
pub use join::Join;
pub use url::{ListenUrl, Url};

use std::convert::Infallible;

/// To so many others leadership is offered when a member that leads stops.
const HEIRS: usize = 2;

/// Runs a member until it fails, or until it is asked to stop.
pub async fn run(config: Config) -> Result<(), Error> {
    let peers = || bind(&config.listen);
    let (recovered, peers) = match recover::recover(config.clone()).await {
        Err(Error::Wal(wal::Error::Lost { .. })) => {
            let peers = peers().await?;
            let forgot = rt::select! {
                forgot = recall::recall(&config, &peers) => forgot?,
                () = rt::shutdown() => return Ok(()),
            };
            (recover::rejoin(config.clone(), forgot).await?, peers)
        }
        recovered => (recovered?, peers().await?),
    };
    serve(recovered, peers).await
}

/// Runs a member that was added to a cluster that runs.
pub async fn join(join: Join) -> Result<(), Error> {
    let mut doubt = false;
    loop {
        let peers = bind(&join.listen).await?;
        let recovered = rt::select! {
            recovered = join::stand_up(join.clone(), &peers, doubt) => recovered?,
            () = rt::shutdown() => return Ok(()),
        };
        match serve(recovered, peers).await {
            Err(Error::Renamed) => doubt = true,
            ended => return ended,
        }
    }
}

async fn bind(listen: &Listen) -> Result<rt::net::Peers, Error> {
    let failed = |address| move |source| Error::Listen { address, source };
    let bound = rt::net::Peers::bind(listen.peers, listen.tls.peers.clone()).await;
    let mut bound = bound.map_err(failed(listen.peers))?;
    for address in &listen.more_peers {
        bound.listen_too(*address).await.map_err(failed(*address))?;
    }
    Ok(bound)
}

async fn serve(recovered: recover::Recovered, peers: rt::net::Peers) -> Result<(), Error> {
    let handle = recovered.handle.clone();
    let doors = services::Doors::open(&handle.config().listen).await?;
    let core = driver::Core::new(recovered, peers);
    rt::select! {
        outcome = core.run() => outcome.map(|never: Infallible| match never {}),
        served = services::serve(handle.clone(), doors) => served,
        () = leave(&handle) => Ok(()),
    }
}

/// Waits until this member is asked to stop. One that leads hands that on first: others need not find out that it is
/// gone before they elect another.
async fn leave(handle: &Handle) {
    rt::shutdown().await;
    let members = handle.members().present;
    let others = members.iter().filter(|(id, member)| **id != handle.member() && !member.learner);
    // one that does not take it within an election time-out is not there, and Raft gives up on it
    let patience = handle.knobs().election_timeout() * 6 / 5;
    for (to, _) in others.take(HEIRS) {
        if !handle.leads() || matches!(rt::timeout(patience, handle.transfer(*to)).await, Ok(Ok(()))) {
            return;
        }
    }
}
