//! What a member is told when it starts.

use base::{Knobs, MemberId};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// A member's configuration. `members` names all those that the cluster was founded with, this one too; for one that
/// joins, those it was told of.
#[derive(Clone, Debug)]
pub struct Config {
    pub id: MemberId,
    pub name: String,
    pub cluster_id: u64,
    pub start: Start,
    pub data_dir: PathBuf,
    pub client_listen: SocketAddr,
    pub peer_listen: SocketAddr,
    pub members: BTreeMap<MemberId, MemberAddr>,
    pub knobs: Knobs,
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
    pub peer: SocketAddr,
    pub client: SocketAddr,
}
