//! Why a member stops, or does not start.

use crate::codec::DecodeError;
use base::Index;
use std::{io, net::SocketAddr, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("member {0} is not in the list of members")]
    NotAMember(base::MemberId),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the peers cannot be heard: {0}")]
    Peers(io::Error),
    #[error(transparent)]
    Wal(#[from] wal::Error),
    #[error(
        "{dir} is empty, and of {members} members none can be spared: restore the folder from a copy, or found a new \
             cluster (--new-cluster)"
    )]
    NotSpared { dir: PathBuf, members: usize },
    #[error("the store's snapshot at {index} cannot be read: {reason}")]
    Snapshot { index: Index, reason: String },
    #[error("the log entry at {index} cannot be read: {reason}")]
    Entry { index: Index, reason: DecodeError },
    #[error("a task of the member ended before its work was done: {0}")]
    Task(String),
}
