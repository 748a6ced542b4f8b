//! The controllers: each brings one part of the world nearer to what objects say it should be.
//!
//! A controller is a pure plan (`plan` in its file or folder) and a hand that carries it out. A queue carries
//! keys only; what to do is decided from the caches as they are, not from the event that woke us. All run in
//! one process, under one leader-election lock; every write carries the lock's fence.
//!
//! | module | promise |
//! |---|---|
//! | `deployment` | replica sets that add up to the deployment, within surge and unavailable bounds |
//! | `replicaset` | as many pods as asked for, never twice for one wish |
//! | `job` | pods run to their end until enough have succeeded, each counted once |
//! | `garbage` | what is owned goes when its last owner has gone |
//! | `nodelifecycle` | silent nodes are marked, and their pods moved, unless most nodes fell silent |
//! | `podgc` | pods of nodes that no longer exist go |
//! | `namespace` | a namespace that is asked to go takes its content with it |

mod deployment;
mod garbage;
mod job;
mod namespace;
mod nodelifecycle;
mod pod_control;
mod podgc;
mod pods;
mod replicaset;
mod shared;

use base::Knobs;
use std::net::SocketAddr;

pub struct Config {
    /// Names this manager in the lock and in records.
    pub identity: String,
    pub apiservers: Vec<SocketAddr>,
    pub knobs: Knobs,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a controller manager needs the address of at least one API server")]
    NoServers,
}

/// The lock that one of several managers holds.
pub const LOCK: &str = "kube-controller-manager";

/// Runs until the process is told to stop.
pub async fn run(config: Config) -> Result<(), Error> {
    if config.apiservers.is_empty() {
        return Err(Error::NoServers);
    }
    let client = client::Client::new(config.apiservers, &config.identity, &config.knobs);
    let elector = client::Elector::new(&client, LOCK, &config.identity);
    rt::select! {
        () = elector.run(lead) => {}
        () = rt::shutdown() => {}
    }
    Ok(())
}

/// The active manager's work. All of it is dropped when the lock is lost: nothing runs on in a task of its own.
async fn lead(client: client::Client) {
    let context = shared::Context::start(client);
    futures::join!(
        deployment::run(&context),
        replicaset::run(&context),
        job::run(&context),
        garbage::run(&context),
        nodelifecycle::run(&context),
        podgc::run(&context),
        namespace::run(&context),
    );
}
