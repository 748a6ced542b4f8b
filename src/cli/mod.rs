//! The command line of the real build: a role and its flags, or `serve` for all of them.

mod auth_token;
mod bench;
mod config_file;
mod member;
mod security;
mod serve;
mod snapshot;

use base::Knobs;
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use rt::tls::{self, Calling, Identity, Offer, Protocol, Trust};
use std::{net::SocketAddr, path::PathBuf};

/// A control plane that speaks etcd's and Kubernetes' APIs.
#[derive(Parser)]
#[command(name = "wavetank", version)]
pub enum Command {
    /// A whole control plane on loopback, from nothing: store, API server, controllers, scheduler, nodes.
    Serve(serve::Flags),
    /// One member of the store (the etcd v3 API), by etcd's flags; each may come as ETCD_FLAG in the environment.
    Member(Box<member::Flags>),
    /// Backups of the store: saves one, says what is in it, founds a cluster with it.
    #[command(subcommand)]
    Snapshot(Box<snapshot::Command>),
    /// Our members and a real etcd in turn, under the same load: a table.
    Bench(bench::Flags),
    /// One API server (the Kubernetes API), a client of the store.
    Apiserver(ApiserverFlags),
    /// The controllers; of several managers one is active.
    Controllers(ClientFlags),
    /// The scheduler; of several one is active.
    Scheduler(ClientFlags),
    /// One hollow node.
    Kubelet(KubeletFlags),
}

#[derive(Args)]
pub struct ApiserverFlags {
    /// Where to serve, plain HTTP.
    #[arg(long, default_value = "127.0.0.1:8001")]
    listen: SocketAddr,
    /// The store's client URLs: all http, or all https.
    #[arg(long, required = true, value_delimiter = ',', value_name = "URL,...")]
    etcd_servers: Vec<::member::Url>,
    /// The store's certificates must be signed by one of these.
    #[arg(long, value_name = "FILE")]
    etcd_cafile: Option<PathBuf>,
    /// The certificate shown to the store.
    #[arg(long, requires = "etcd_keyfile", value_name = "FILE")]
    etcd_certfile: Option<PathBuf>,
    /// Its key.
    #[arg(long, requires = "etcd_certfile", value_name = "FILE")]
    etcd_keyfile: Option<PathBuf>,
}

impl ApiserverFlags {
    async fn etcd_tls(&self) -> Result<Option<tls::Client>, Error> {
        let secured = self.etcd_servers.iter().filter(|url| url.secured).count();
        if secured == 0 {
            return Ok(None);
        }
        if secured < self.etcd_servers.len() {
            return Err("--etcd-servers: expected all URLs to be http, or all https".into());
        }
        let identity = self.etcd_certfile.clone().zip(self.etcd_keyfile.clone());
        to_store("--etcd-servers", "--etcd-cafile", &self.etcd_cafile, identity).await.map(Some)
    }
}

#[derive(Args)]
pub struct ClientFlags {
    /// The API servers' addresses.
    #[arg(long, required = true, value_delimiter = ',')]
    apiserver: Vec<SocketAddr>,
    /// Names this process in its lock.
    #[arg(long)]
    identity: String,
}

#[derive(Args)]
pub struct KubeletFlags {
    /// The API servers' addresses.
    #[arg(long, required = true, value_delimiter = ',')]
    apiserver: Vec<SocketAddr>,
    /// The node's name.
    #[arg(long)]
    node: String,
    /// Where it remembers its containers; made if it is not there.
    #[arg(long)]
    data_dir: PathBuf,
}

/// The command line; what `member` is not told there, the environment says, as with etcd: ETCD_NAME is --name.
pub fn command() -> Command {
    let from_environment = |arg: clap::Arg| {
        let variable = arg.get_long().map(|long| format!("ETCD_{}", long.to_uppercase().replace('-', "_")));
        match variable {
            Some(variable) => arg.env(variable).hide_env(true),
            None => arg,
        }
    };
    let line = Command::command().mut_subcommand("member", |member| member.mut_args(from_environment));
    Command::from_arg_matches(&line.get_matches()).unwrap_or_else(|error| error.exit())
}

/// What secures connections to a store whose URL is https. `urls` and `ca` are the flags that are spoken of.
async fn to_store(
    urls: &str,
    ca: &str,
    roots: &Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
) -> Result<tls::Client, Error> {
    let roots = roots.clone().ok_or_else(|| format!("{urls}: https expects {ca} as well"))?;
    let identity = identity.map(|(cert, key)| Identity { cert, key });
    let (trust, protocol) = (Trust::Roots(vec![roots]), Protocol::Http);
    let calling = Calling { trust, identity, protocol, offer: Offer::default() };
    Ok(tls::Client::load(calling).await?)
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command until it fails or the process is told to stop.
pub async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Serve(flags) => serve::run(flags).await,
        Command::Member(flags) => member::run(*flags).await,
        Command::Snapshot(command) => snapshot::run(*command).await,
        Command::Bench(flags) => bench::run(flags).await,
        Command::Apiserver(flags) => Ok(api::run(apiserver_config(flags).await?).await?),
        Command::Controllers(flags) => {
            let (identity, apiservers) = (flags.identity, flags.apiserver);
            Ok(controllers::run(controllers::Config { identity, apiservers, knobs: Knobs::default() })
                .await?)
        }
        Command::Scheduler(flags) => {
            let (identity, apiservers) = (flags.identity, flags.apiserver);
            Ok(scheduler::run(scheduler::Config { identity, apiservers, knobs: Knobs::default() }).await?)
        }
        Command::Kubelet(flags) => Ok(kubelet::run(kubelet_config(flags)).await?),
    }
}

async fn apiserver_config(flags: ApiserverFlags) -> Result<api::Config, Error> {
    let etcd_tls = flags.etcd_tls().await?;
    let etcd = flags.etcd_servers.iter().map(|url| url.addr.clone()).collect();
    let name = format!("apiserver-{}", flags.listen.port());
    Ok(api::Config { name, listen: flags.listen, etcd, etcd_tls, knobs: Knobs::default() })
}

fn kubelet_config(flags: KubeletFlags) -> kubelet::Config {
    kubelet::Config {
        node: flags.node,
        apiservers: flags.apiserver,
        data_dir: flags.data_dir,
        knobs: Knobs::default(),
    }
}
