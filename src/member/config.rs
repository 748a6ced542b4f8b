//! What a member is told when it starts.

use base::{Knobs, MemberId};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// A member's configuration. `members` names all members, this one too.
#[derive(Clone, Debug)]
pub struct Config {
    pub id: MemberId,
    pub name: String,
    pub cluster_id: u64,
    /// The cluster is being founded, and an empty data folder is that of a new member. Without this it is that of a
    /// member which lost its disk: see [`raft::Recall`]. (etcd: initial-cluster-state.)
    pub founding: bool,
    pub data_dir: PathBuf,
    pub client_listen: SocketAddr,
    pub peer_listen: SocketAddr,
    pub members: BTreeMap<MemberId, MemberAddr>,
    pub knobs: Knobs,
}

/// Where a member is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAddr {
    pub name: String,
    pub peer: SocketAddr,
    pub client: SocketAddr,
}
