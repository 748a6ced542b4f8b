//! The tank's disk: one for each process.

use madsim::{plugin, task::NodeId};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

type Content = Arc<Mutex<Vec<u8>>>;

#[derive(Default)]
struct Disk {
    files: BTreeMap<PathBuf, Content>,
    dirs: BTreeSet<PathBuf>,
}

thread_local! {
    static DISKS: RefCell<BTreeMap<NodeId, Disk>> = const { RefCell::new(BTreeMap::new()) };
}

fn with<T>(job: impl FnOnce(&mut Disk) -> T) -> T {
    DISKS.with(|disks| job(disks.borrow_mut().entry(plugin::node()).or_default()))
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file", path.display()))
}

fn content(path: &Path) -> io::Result<Content> {
    with(|disk| disk.files.get(path).cloned()).ok_or_else(|| not_found(path))
}

pub async fn create_dir_all(path: &Path) -> io::Result<()> {
    with(|disk| disk.dirs.extend(path.ancestors().map(Path::to_path_buf)));
    Ok(())
}

/// The names in a folder, sorted.
pub async fn read_dir(path: &Path) -> io::Result<Vec<String>> {
    with(|disk| {
        if !disk.dirs.contains(path) {
            return Err(not_found(path));
        }
        let all = disk.files.keys().chain(&disk.dirs).filter(|entry| entry.parent() == Some(path));
        let names: BTreeSet<String> =
            all.filter_map(|entry| Some(entry.file_name()?.to_string_lossy().into_owned())).collect();
        Ok(names.into_iter().collect())
    })
}

pub async fn read(path: &Path) -> io::Result<Vec<u8>> {
    content(path).map(|content| content.lock().unwrap().clone())
}

/// Removes a file.
pub async fn remove(path: &Path) -> io::Result<()> {
    with(|disk| disk.files.remove(path)).map(drop).ok_or_else(|| not_found(path))
}

/// Gives a file another name; a file that had it is gone.
pub async fn rename(from: &Path, to: &Path) -> io::Result<()> {
    with(|disk| {
        let content = disk.files.remove(from).ok_or_else(|| not_found(from))?;
        disk.files.insert(to.to_path_buf(), content);
        Ok(())
    })
}

/// Makes the names in this folder durable.
pub async fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

pub async fn exists(path: &Path) -> io::Result<bool> {
    Ok(with(|disk| disk.files.contains_key(path) || disk.dirs.contains(path)))
}

pub async fn metadata_len(path: &Path) -> io::Result<u64> {
    content(path).map(|content| content.lock().unwrap().len() as u64)
}

/// An open file.
pub struct File(Content);

impl File {
    /// A new, empty file; one of that name is emptied. Open for reading and appending.
    pub async fn create(path: &Path) -> io::Result<Self> {
        let content = Content::default();
        with(|disk| disk.files.insert(path.to_path_buf(), content.clone()));
        Ok(Self(content))
    }

    /// For reading.
    pub async fn open(path: &Path) -> io::Result<Self> {
        content(path).map(Self)
    }

    /// For reading and appending; the file must exist.
    pub async fn open_append(path: &Path) -> io::Result<Self> {
        content(path).map(Self)
    }

    /// Writes at the end.
    pub async fn append(&self, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(data);
        Ok(())
    }

    /// Up to `length` bytes from `offset` on; fewer at the end of the file only.
    pub async fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let content = self.0.lock().unwrap();
        let from = content.len().min(offset as usize);
        let to = content.len().min(from.saturating_add(length));
        Ok(content[from..to].to_vec())
    }

    pub async fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }

    /// Makes what was written durable. After a failure nothing is known about it: never try again.
    pub async fn sync(&self) -> io::Result<()> {
        crate::sleep(std::time::Duration::from_millis(1)).await;
        Ok(())
    }

    pub async fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    pub async fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len().await? == 0)
    }
}

/// A folder that is ours while this lives.
#[derive(Debug)]
pub struct DirLock(());

/// Takes a folder for this process alone; each process of the tank has a disk of its own.
pub async fn lock_dir(_: &Path) -> io::Result<DirLock> {
    Ok(DirLock(()))
}
