//! What a member is told when it starts.

use crate::{ListenUrl, Url, signed::Signer};
use base::{Knobs, MemberId};
use rt::{net::Endpoint, tls};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

/// A member's configuration. `members` names all those that the cluster was founded with, this one too; for one that
/// joins, those it was told of.
#[derive(Clone, Debug)]
pub struct Config {
    pub id: MemberId,
    pub name: String,
    pub cluster_id: u64,
    pub start: Start,
    pub data_dir: PathBuf,
    pub listen: Listen,
    pub members: BTreeMap<MemberId, MemberAddr>,
    pub knobs: Knobs,
}

impl Config {
    /// Where the others reach it.
    pub fn peer(&self) -> Endpoint {
        self.members.get(&self.id).map_or_else(|| self.listen.peers.into(), |me| me.peer.addr.clone())
    }
}

/// Where a member listens, and how that is secured.
#[derive(Clone, Debug)]
pub struct Listen {
    pub peers: SocketAddr,
    /// Where it listens for other members besides; for real only.
    pub more_peers: Vec<SocketAddr>,
    /// Where it serves clients.
    pub clients: Vec<ListenUrl>,
    /// Where it serves them HTTP alone; if there are any, there is gRPC alone at the others.
    pub http: Vec<ListenUrl>,
    /// Where it serves health and metrics only.
    pub metrics: Vec<ListenUrl>,
    /// How it tells clients that it is reached; may be others than it listens at.
    pub advertised: Vec<Url>,
    pub tls: Tls,
    /// Signs tokens of users; without it they are words that the members share.
    pub signer: Option<Arc<Signer>>,
}

impl Listen {
    /// One address for the other members, one for clients, nothing secured.
    pub fn plain(peers: SocketAddr, clients: SocketAddr) -> Self {
        Self {
            peers,
            more_peers: vec![],
            advertised: vec![Url::plain(clients)],
            clients: vec![ListenUrl { secured: false, addr: clients }],
            http: vec![],
            metrics: vec![],
            tls: Tls::default(),
            signer: None,
        }
    }
}

/// With what a member's connections are secured; those of which there is nothing are plain.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Of clients that connect to an `https` URL.
    pub clients: Option<tls::Server>,
    /// Of other members, in both directions.
    pub peers: Option<(tls::Server, tls::Client)>,
    /// To the client port of another member, for what only the leader can answer.
    pub leader: Option<tls::Client>,
}

/// What an empty data folder means. (etcd: initial-cluster-state.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The cluster is being founded: it is that of a new member.
    Founding,
    /// It is that of a member which lost its disk: see [`raft::Recall`].
    Again,
    /// It is that of a member which was added to a cluster that runs: see [`crate::join`].
    Joining,
}

/// Where a member is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAddr {
    pub name: String,
    pub peer: Url,
    /// None if it says so itself later.
    pub clients: Vec<Url>,
}

impl MemberAddr {
    /// One address for the other members, one for clients, nothing secured.
    pub fn plain(name: String, peer: SocketAddr, client: SocketAddr) -> Self {
        Self { name, peer: Url::plain(peer), clients: vec![Url::plain(client)] }
    }
}
