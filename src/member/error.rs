//! Why a member stops, or does not start.

use crate::codec::DecodeError;
use base::Index;
use rt::net::Endpoint;
use std::{io, net::SocketAddr, path::PathBuf};
use store::Members;
use wal::Identity;

/// An empty folder, and what the others say of the member that is known by the address it was to start at.
#[derive(Debug)]
pub struct StartedBefore {
    pub dir: PathBuf,
    pub peer: Endpoint,
    pub me: Identity,
    pub members: Members,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("member {0} is not in the list of members")]
    NotAMember(base::MemberId),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the peers cannot be heard: {0}")]
    Peers(io::Error),
    #[error(transparent)]
    Backup(#[from] crate::backup::BackupError),
    #[error(transparent)]
    Wal(#[from] wal::Error),
    #[error(
        "{dir} is empty, and of {members} members none can be spared: restore the folder from a copy, or found a new \
             cluster (--initial-cluster-state new)"
    )]
    NotSpared { dir: PathBuf, members: usize },
    #[error(
        "{dir} is empty, and members have changed since the cluster was founded: remove {id} (etcdctl member remove) and \
             add it as a new member"
    )]
    MembersChanged { dir: PathBuf, id: base::MemberId },
    #[error(
        "{} is empty, but the member at {} has started before: remove it (etcdctl member remove) and add it again",
        .0.dir.display(), .0.peer
    )]
    StartedBefore(Box<StartedBefore>),
    #[error("{}: {reason}", path.display())]
    Founding { path: PathBuf, reason: String },
    #[error("--name {name}: expected one of the names in --initial-cluster")]
    NotInitial { name: String },
    #[error(
        "the members at the addresses in --initial-cluster belong to another cluster, and know of one at {peer}"
    )]
    OtherCluster { peer: Endpoint },
    #[error("--force-new-cluster: {} has no log: expected the folder of a member that is left of a cluster", dir.display())]
    NothingToKeep { dir: PathBuf },
    #[error(
        "--force-new-cluster: {} does not hold all yet that its member had a part in: expected the folder of another \
             member, or `snapshot restore` with a backup", dir.display()
    )]
    NotWhole { dir: PathBuf },
    #[error("an empty folder, and nobody to ask: expected the members that are there in --initial-cluster")]
    NobodyToAsk,
    #[error("this member is another one than it was told when it joined: it begins again")]
    Renamed,
    #[error("this member was removed from the cluster; its folder is of no use any more")]
    Removed,
    #[error(
        "{id} holds other data than the others at revision {revision}: remove it (etcdctl member remove), empty its \
             folder, and add it as a new member"
    )]
    Differs { id: base::MemberId, revision: base::Revision },
    #[error("the store's snapshot at {index} cannot be read: {reason}")]
    Snapshot { index: Index, reason: String },
    #[error("the log entry at {index} cannot be read: {reason}")]
    Entry { index: Index, reason: DecodeError },
    #[error("a task of the member ended before its work was done: {0}")]
    Task(String),
}
