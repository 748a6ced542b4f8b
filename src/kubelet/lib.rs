//! A hollow node: everything a kubelet does towards the API server, around containers that are only entries
//! in a table.
//!
//! | module | promise |
//! |---|---|
//! | `node` | the Node object: registered once, its status true and fresh |
//! | `lease` | the node's Lease: renewed, so that its silence means something |
//! | `plan` | pure: what is next for one pod |
//! | `machine` | the containers: they outlive the kubelet's process, and end with the machine's power |
//! | `pods` | carries plans out, one worker for each pod at a time |
//! | `status` | pure: the pod status that a container's state amounts to |

mod lease;
mod machine;
mod node;
mod plan;
mod pods;
mod status;

use base::Knobs;
use std::{io, net::SocketAddr, path::PathBuf};

#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name.
    pub node: String,
    pub apiservers: Vec<SocketAddr>,
    /// Where the machine keeps its table of containers.
    pub data_dir: PathBuf,
    pub knobs: Knobs,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a kubelet needs the address of at least one API server")]
    NoServers,
    #[error("the table of containers in {path}: {source}")]
    Machine { path: PathBuf, source: io::Error },
}

/// Runs until the process is told to stop. Containers keep running then, as they do upstream.
pub async fn run(config: Config) -> Result<(), Error> {
    if config.apiservers.is_empty() {
        return Err(Error::NoServers);
    }
    let agent = format!("kubelet/{}", config.node);
    let client = client::Client::new(config.apiservers.clone(), &agent, &config.knobs);
    let machine = machine::Machine::open(&config)
        .await
        .map_err(|source| Error::Machine { path: config.data_dir.clone(), source })?;
    rt::select! {
        () = node::keep(&client, &config) => {}
        () = lease::keep(&client, &config) => {}
        () = pods::keep(&client, &config, machine) => {}
        () = rt::shutdown() => {}
    }
    Ok(())
}
