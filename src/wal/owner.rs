//! Whose log a folder holds, for a member that does not know who it is; and an end to a log that is nobody's.

use crate::{
    Error, Identity,
    files::{self, SEGMENT, SNAPSHOT, number, segment_path},
    segment,
};
use rt::fs;
use std::{io, path::Path};

/// Whose it is, by the first segment there; nobody's if there is none, or no folder.
pub async fn owner(dir: &Path) -> Result<Option<Identity>, Error> {
    let names = match fs::read_dir(dir).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        names => names.map_err(Error::io("cannot list", dir))?,
    };
    let Some(first) = names.iter().filter_map(|name| number(name, SEGMENT)).min() else { return Ok(None) };
    let path = segment_path(dir, first);
    let bytes = fs::read(&path).await.map_err(Error::io("cannot read", &path))?;
    segment::owner(&path, &bytes).map(Some)
}

/// Removes the log in a folder, the newest parts first: what a crash leaves is the beginning of it, or nothing.
pub async fn forget(dir: &Path) -> Result<(), Error> {
    let names = fs::read_dir(dir).await.map_err(Error::io("cannot list", dir))?;
    let ours = |name: &&String| [SEGMENT, SNAPSHOT].iter().any(|kind| number(name, kind).is_some());
    let mut ours: Vec<&String> = names.iter().filter(ours).collect();
    ours.sort_by_key(|name| std::cmp::Reverse(number(name, SEGMENT).unwrap_or(u64::MAX)));
    for name in ours {
        let path = dir.join(name);
        fs::remove(&path).await.map_err(Error::io("cannot remove", &path))?;
    }
    files::sync_dir(dir).await
}
