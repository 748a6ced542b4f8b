//! What can go wrong, in words that name the place, what was expected, and what to do.

use crate::Identity;
use base::Index;
use std::{io, path::PathBuf};

const RESTORE: &str = "nothing was changed; restore the file from a copy, or remove the member's data folder and \
                       let it join again with empty data";

/// A failure of the log. After any of them the log is of no more use: the member stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing} {path}: {source}")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },

    #[error("{path} is damaged at byte {offset}: {expected}; {RESTORE}")]
    Damaged { path: PathBuf, offset: u64, expected: String },

    #[error(
        "{path} is of format version {found}, this program knows versions up to {known}: run the newer \
             program that wrote it; nothing was changed"
    )]
    Newer { path: PathBuf, found: u32, known: u32 },

    #[error(
        "{path} belongs to {found}, expected {expected}: the data folder is another member's; nothing was \
             changed"
    )]
    Identity { path: PathBuf, found: Identity, expected: Identity },

    #[error("{path} is missing: the log continues in later segments; {RESTORE}")]
    Missing { path: PathBuf },

    #[error(
        "the log in {dir} begins behind {begins}, but the newest readable snapshot ends at {snapshot}{why}; \
             {RESTORE}"
    )]
    Gap { dir: PathBuf, begins: Index, snapshot: Index, why: String },

    #[error(
        "{dir} holds no log, and this is not the founding of the cluster: what the member promised is lost with it"
    )]
    Lost { dir: PathBuf },

    #[error("a record of {size} bytes is larger than the {limit} bytes a frame may have")]
    TooLarge { size: usize, limit: usize },

    #[error("the log stopped at an earlier failure ({0}) and must be opened again")]
    Poisoned(String),
}

impl Error {
    /// What is wrong, without what to do about it where that keeps a member from starting.
    pub fn finding(&self) -> String {
        match self {
            Error::Damaged { path, offset, expected } => {
                format!("{} is damaged at byte {offset}: {expected}", path.display())
            }
            other => other.to_string(),
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { doing, path, source }
    }

    pub(crate) fn damaged(path: impl Into<PathBuf>, offset: usize, expected: impl Into<String>) -> Error {
        Error::Damaged { path: path.into(), offset: offset as u64, expected: expected.into() }
    }
}
