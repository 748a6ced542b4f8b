//! The command line of the real build: a role and its flags, or `serve` for all of them.

mod addresses;
mod serve;

use addresses::MemberFlag;
use base::{Knobs, MemberId};
use clap::{Args, Parser};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// A control plane that speaks etcd's and Kubernetes' APIs.
#[derive(Parser)]
#[command(name = "wavetank", version)]
pub enum Command {
    /// A whole control plane on loopback, from nothing: store, API server, controllers, scheduler, nodes.
    Serve(serve::Flags),
    /// One member of the store (the etcd v3 API).
    Member(MemberFlags),
    /// One more member for a store that runs, to which it was added before (etcdctl member add).
    Join(JoinFlags),
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
pub struct MemberFlags {
    /// This member's id, one of those given by --member.
    #[arg(long)]
    id: u64,
    /// Where its data is kept; made if it is not there.
    #[arg(long)]
    data_dir: PathBuf,
    /// Every member of the cluster, this one included: ID=PEER/CLIENT, for example 1=10.0.0.1:2380/10.0.0.1:2379.
    #[arg(long = "member", required = true, value_name = "ID=PEER/CLIENT")]
    members: Vec<MemberFlag>,
    /// Names the cluster; members of another cluster are not listened to.
    #[arg(long, default_value_t = 1)]
    cluster_id: u64,
    /// The cluster is being founded: an empty data folder is that of a new member. To be left out once it is: then an
    /// empty folder is that of a member which lost its data, and which asks all others before it takes part again.
    #[arg(long)]
    new_cluster: bool,
    #[command(flatten)]
    limits: Limits,
}

/// What a member allows; names and meanings are etcd's.
#[derive(Args)]
struct Limits {
    /// Bytes a member may hold before it raises the alarm NOSPACE; 0: 2 GiB, less than 0: any amount.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_name = "BYTES")]
    quota_backend_bytes: i64,
    /// Rounds in which passwords are hashed, as a power of 2.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(4..=31))]
    bcrypt_cost: u64,
    /// An auth token unused for so many seconds is forgotten.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..), value_name = "SECONDS")]
    auth_token_ttl: u64,
}

impl Limits {
    fn knobs(&self) -> Knobs {
        let plain = Knobs::default();
        Knobs {
            quota_bytes: match self.quota_backend_bytes {
                0 => plain.quota_bytes,
                bytes => bytes.max(0) as u64,
            },
            bcrypt_cost: self.bcrypt_cost,
            auth_token_ttl_ms: self.auth_token_ttl.saturating_mul(1_000),
            ..plain
        }
    }
}

#[derive(Args)]
pub struct JoinFlags {
    /// How people call it.
    #[arg(long)]
    name: String,
    /// Where its data is kept; made if it is not there.
    #[arg(long)]
    data_dir: PathBuf,
    /// Where it is reached by the other members: the address with which it was added.
    #[arg(long, value_name = "IP:PORT")]
    peer: SocketAddr,
    /// Where it serves clients.
    #[arg(long, value_name = "IP:PORT")]
    client: SocketAddr,
    /// Peer addresses of members that are there: they tell it which one it is.
    #[arg(long, required = true, value_delimiter = ',', value_name = "IP:PORT")]
    ask: Vec<SocketAddr>,
    /// Names the cluster; members of another cluster are not listened to.
    #[arg(long, default_value_t = 1)]
    cluster_id: u64,
    #[command(flatten)]
    limits: Limits,
}

#[derive(Args)]
pub struct ApiserverFlags {
    /// Where to serve, plain HTTP.
    #[arg(long, default_value = "127.0.0.1:8001")]
    listen: SocketAddr,
    /// The store's client addresses.
    #[arg(long, required = true, value_delimiter = ',')]
    etcd: Vec<SocketAddr>,
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

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command until it fails or the process is told to stop.
pub async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Serve(flags) => serve::run(flags).await,
        Command::Member(flags) => Ok(member::run(member_config(flags)?).await?),
        Command::Join(flags) => Ok(member::join(join_config(flags)).await?),
        Command::Apiserver(flags) => Ok(api::run(apiserver_config(flags)).await?),
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

fn member_config(flags: MemberFlags) -> Result<member::Config, Error> {
    let members: BTreeMap<MemberId, member::MemberAddr> =
        flags.members.iter().map(MemberFlag::address).collect();
    if members.len() != flags.members.len() {
        return Err("--member: each id may be given once".into());
    }
    let id = MemberId(flags.id);
    let Some(me) = members.get(&id).cloned() else {
        let known: Vec<String> = members.keys().map(|id| id.0.to_string()).collect();
        return Err(format!(
            "--id {}: expected one of the ids given by --member: {}",
            id.0,
            known.join(", ")
        )
        .into());
    };
    Ok(member::Config {
        id,
        name: me.name.clone(),
        cluster_id: flags.cluster_id,
        start: if flags.new_cluster { member::Start::Founding } else { member::Start::Again },
        data_dir: flags.data_dir,
        client_listen: me.client,
        peer_listen: me.peer,
        members,
        knobs: flags.limits.knobs(),
    })
}

fn join_config(flags: JoinFlags) -> member::Join {
    member::Join {
        name: flags.name,
        cluster_id: flags.cluster_id,
        data_dir: flags.data_dir,
        client_listen: flags.client,
        peer_listen: flags.peer,
        ask: flags.ask,
        knobs: flags.limits.knobs(),
    }
}

fn apiserver_config(flags: ApiserverFlags) -> api::Config {
    let name = format!("apiserver-{}", flags.listen.port());
    api::Config { name, listen: flags.listen, etcd: flags.etcd, knobs: Knobs::default() }
}

fn kubelet_config(flags: KubeletFlags) -> kubelet::Config {
    kubelet::Config {
        node: flags.node,
        apiservers: flags.apiserver,
        data_dir: flags.data_dir,
        knobs: Knobs::default(),
    }
}
