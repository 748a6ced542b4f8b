//! Names in the data folder, and the one way a whole file comes to stand there.

use crate::Error;
use base::Index;
use rt::fs;
use std::{
    io,
    path::{Path, PathBuf},
};

pub(crate) const SEGMENT: &str = "wal";
pub(crate) const SNAPSHOT: &str = "snap";
/// Stands while a member that lost its disk has not caught up.
pub(crate) const REJOIN: &str = "rejoin";
/// Half-made files; removed when the folder is opened.
pub(crate) const ASIDE: &str = "tmp";
/// A snapshot that could not be read, kept for whoever wants to look at it.
pub(crate) const BAD: &str = "bad";

pub(crate) fn segment_path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:016x}.{SEGMENT}"))
}

pub(crate) fn snapshot_path(dir: &Path, index: Index) -> PathBuf {
    dir.join(format!("{:016x}.{SNAPSHOT}", index.0))
}

/// The number in a name of this kind; `None` for all other names.
pub(crate) fn number(name: &str, kind: &str) -> Option<u64> {
    let digits = name.strip_suffix(kind)?.strip_suffix('.')?;
    let hex = digits.len() == 16 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    hex.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// Where a file stands while it is not whole.
pub(crate) fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{ASIDE}"));
    name.into()
}

/// Gives a file that cannot be read a name under which nobody looks for it.
pub(crate) async fn put_aside(path: &Path) -> Result<(), Error> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{BAD}"));
    fs::rename(path, Path::new(&aside)).await.map_err(Error::io("cannot put aside", path))
}

/// Writes a whole file: aside, synced, renamed, and the folder synced. Whoever looks finds all of it or
/// none. Returns the open file.
pub(crate) async fn write_whole(path: &Path, bytes: &[u8]) -> Result<fs::File, Error> {
    let aside = aside(path);
    let file = fs::File::create(&aside).await.map_err(Error::io("cannot create", &aside))?;
    file.append(bytes).await.map_err(Error::io("cannot write", &aside))?;
    file.sync().await.map_err(Error::io("cannot sync", &aside))?;
    fs::rename(&aside, path).await.map_err(Error::io("cannot rename into place", path))?;
    sync_dir(path.parent().expect("a file stands in a folder")).await?;
    Ok(file)
}

pub(crate) async fn sync_dir(dir: &Path) -> Result<(), Error> {
    fs::sync_dir(dir).await.map_err(Error::io("cannot sync the folder", dir))
}

/// Makes a folder, and makes it stay: a name is only as durable as the folder it stands in, and an earlier run
/// may have been cut short before it had synced those. The outermost comes first.
pub(crate) async fn make_dir(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).await.map_err(Error::io("cannot make the folder", dir))?;
    let around: Vec<&Path> = dir.ancestors().skip(1).collect();
    for folder in around.into_iter().rev() {
        match fs::sync_dir(folder).await {
            // Not ours to look into, so none of ours to have made.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(Error::io("cannot sync the folder", folder))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_have_numbers() {
        let path = segment_path(Path::new("/d"), 0x1f);
        assert_eq!(path, Path::new("/d/000000000000001f.wal"));
        assert_eq!(number("000000000000001f.wal", SEGMENT), Some(0x1f));
        for name in
            ["000000000000001f.snap", "1f.wal", "000000000000001F.wal", "000000000000001f.wal.tmp", "LOCK"]
        {
            assert_eq!(number(name, SEGMENT), None, "{name}");
        }
    }
}
