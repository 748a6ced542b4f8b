//! The scheduler: gives each pending pod a node.
//!
//! | module | promise |
//! |---|---|
//! | `view` | pure: what every node has and has given away, pods that are being bound included |
//! | `filter` | pure: which nodes could run a pod, and in upstream's words why the others cannot |
//! | `score` | pure: which of them is best (least allocated, spread of one owner's pods) |
//! | `queue` | pure: pods that wait: ready, backing off, unschedulable until something changes |
//! | `cycle` | takes a pod, decides, assumes, binds; forgets the assumption when the bind failed |
//!
//! Of several replicas one is active, by leader election.

mod cycle;
mod filter;
mod queue;
mod score;
mod view;

use base::Knobs;
use std::net::SocketAddr;

/// The profile's name: pods naming another scheduler are left alone.
pub const NAME: &str = "default-scheduler";

pub struct Config {
    /// Names this replica in the lock and in records.
    pub identity: String,
    pub apiservers: Vec<SocketAddr>,
    pub knobs: Knobs,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a scheduler needs the address of at least one API server")]
    NoServers,
}

/// Runs until the process is told to stop.
pub async fn run(config: Config) -> Result<(), Error> {
    if config.apiservers.is_empty() {
        return Err(Error::NoServers);
    }
    let client = client::Client::new(config.apiservers, &config.identity, &config.knobs);
    let elector = client::Elector::new(&client, "kube-scheduler", &config.identity);
    rt::select! {
        () = elector.run(cycle::lead) => {}
        () = rt::shutdown() => {}
    }
    Ok(())
}
