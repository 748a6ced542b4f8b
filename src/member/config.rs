//! What a member is told when it starts.

use base::{Knobs, MemberId};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// A member's configuration. `members` names all members, this one too.
#[derive(Clone, Debug)]
pub struct Config {
    pub id: MemberId,
    pub name: String,
    pub cluster_id: u64,
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
