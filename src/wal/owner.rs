//! Whose log a folder holds, for a member that does not know who it is.

use crate::{
    Error, Identity,
    files::{SEGMENT, number, segment_path},
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
