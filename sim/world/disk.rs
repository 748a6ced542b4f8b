//! A disk for every process.
//! Promise: what a process wrote it can read, crash or not; what it *synced* outlives a loss of power, and
//! nothing else is sure to. File contents are made durable by `File::sync`, names (create, rename, remove) by
//! `sync_dir` of their folder. Harm is injected from outside (`disk::control`), and accounts for what it did.
//! A process that is dead touches nothing: operations take effect after their first wait only, which a dead
//! process's destructors never come back from, and handles of an earlier incarnation are void.

use crate::{
    disk_damage::Damage,
    disk_harm::{Fate, Harm, Op},
    disk_store::{FileId, Store},
    process::{self, Death},
    record, timers,
};
use base::stream::{Stream, stream};
use madsim::{plugin, task::NodeId};
use std::{cell::RefCell, collections::BTreeMap, io, path::Path};

pub use crate::disk_damage::Lapse;
pub use crate::disk_harm::{Control, Counters, Loss, control};

pub(crate) struct Disk {
    pub store: Store,
    pub harm: Harm,
    pub damage: Damage,
    pub draws: Stream,
    /// Operations begun so far.
    pub ops: u64,
}

thread_local! {
    static DISKS: RefCell<BTreeMap<NodeId, Disk>> = const { RefCell::new(BTreeMap::new()) };
}

pub(crate) fn reset() {
    DISKS.take();
}

pub(crate) fn with<T>(node: NodeId, act: impl FnOnce(&mut Disk) -> T) -> T {
    DISKS.with_borrow_mut(|disks| act(disks.entry(node).or_insert_with(|| Disk::new(node))))
}

impl Disk {
    fn new(node: NodeId) -> Self {
        let draws = stream(process::seed(), &format!("disk {}", process::name_of(node)));
        Self { store: Store::default(), harm: Harm::default(), damage: Damage::default(), draws, ops: 0 }
    }
}

/// The process is dead: its handles are closed, and with power lost, so is what was not synced.
pub(crate) fn ended(node: NodeId, death: Death) {
    let lost = with(node, |disk| {
        disk.store.close_all();
        disk.forget_pending();
        if death == Death::Process {
            return None;
        }
        let lost = disk.store.power_cut(disk.harm.loss, &mut disk.draws);
        disk.harm.counters.count_loss(&lost);
        Some(lost)
    });
    if let Some(lost) = lost {
        base::reached!("tank: a power cut took bytes that were not synced", lost.bytes > 0);
        base::reached!("tank: a power cut left holes in a file", lost.torn > 0);
        base::reached!("tank: a power cut undid names", lost.names > 0);
        base::reached!("tank: a power cut took whole files", lost.files > 0);
        let words = [lost.bytes, lost.names, lost.files, lost.torn];
        record::event(node, "disk power cut", record::hash_words(&words), || format!("{lost:?}"));
    }
}

/// The machine is another one: nothing is on its disk.
pub(crate) fn replaced(node: NodeId) {
    with(node, |disk| disk.store = Store::default());
}

fn dead() -> io::Error {
    io::Error::other("this process is dead: its disk cannot be touched")
}

/// Who asks: a process in one of its incarnations.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Caller {
    node: NodeId,
    incarnation: u64,
}

impl Caller {
    fn current() -> Self {
        let node = plugin::node();
        Self { node, incarnation: process::incarnation(node) }
    }

    fn check(self) -> io::Result<()> {
        let alive = process::is_up(self.node) && process::incarnation(self.node) == self.incarnation;
        if alive { Ok(()) } else { Err(dead()) }
    }

    /// Begins an operation: waits as long as the disk takes, and says whether it is to fail.
    async fn begin(self, op: Op) -> io::Result<Fate> {
        self.check()?;
        let (crash, wait) = with(self.node, |disk| disk.begin(op));
        if let Some(death) = crash {
            process::kill(&process::name_of(self.node), death);
            std::future::pending::<()>().await;
        }
        match wait.is_zero() {
            true => tokio::task::yield_now().await,
            false => timers::wait(wait).await,
        }
        while let Some(left) = with(self.node, |disk| disk.harm.stalled(process::elapsed())) {
            timers::wait(left).await;
        }
        self.check()?;
        Ok(with(self.node, |disk| disk.fate(op)))
    }

    /// Begins an operation that either happens or fails without a trace.
    async fn begin_whole(self, op: Op) -> io::Result<()> {
        match self.begin(op).await? {
            Fate::Done => Ok(()),
            Fate::Failed(error) => Err(error.into()),
        }
    }

    fn event(self, kind: &'static str, path: &str, words: &[u64]) {
        let payload = record::hash(path.as_bytes()) ^ record::hash_words(words);
        record::event(self.node, kind, payload, || format!("{path} {words:?}"));
    }
}

/// An open file.
#[derive(Debug)]
pub struct File {
    node: NodeId,
    incarnation: u64,
    id: FileId,
    path: String,
    writes: bool,
}

impl File {
    /// Makes an empty file, or empties the one that is there.
    pub async fn create(path: &Path) -> io::Result<File> {
        Self::open_as("disk create", path, Op::Write, true, |store, path| store.create(path)).await
    }

    /// Opens a file that is there, for reading.
    pub async fn open(path: &Path) -> io::Result<File> {
        Self::open_as("disk open", path, Op::Read, false, |store, path| store.find_file(path)).await
    }

    /// Opens a file that is there, for appending and reading.
    pub async fn open_append(path: &Path) -> io::Result<File> {
        Self::open_as("disk open append", path, Op::Write, true, |store, path| store.find_file(path)).await
    }

    async fn open_as(
        kind: &'static str,
        path: &Path,
        op: Op,
        writes: bool,
        find: impl FnOnce(&mut Store, &str) -> io::Result<FileId>,
    ) -> io::Result<File> {
        let (caller, path) = (Caller::current(), text(path)?);
        caller.begin_whole(op).await?;
        let id = with(caller.node, |disk| {
            let id = find(&mut disk.store, &path)?;
            disk.store.opened(id, writes);
            Ok::<_, io::Error>(id)
        })?;
        caller.event(kind, &path, &[]);
        Ok(File { node: caller.node, incarnation: caller.incarnation, id, path, writes })
    }

    fn caller(&self) -> Caller {
        Caller { node: self.node, incarnation: self.incarnation }
    }

    fn writable(&self) -> io::Result<()> {
        let refuse = || {
            io::Error::new(io::ErrorKind::PermissionDenied, format!("{} is open for reading only", self.path))
        };
        if self.writes { Ok(()) } else { Err(refuse()) }
    }

    /// Writes behind the end. On an error a part may have been written.
    pub async fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.writable()?;
        let fate = self.caller().begin(Op::Write).await?;
        let outcome = with(self.node, |disk| disk.append(self.id, bytes, fate));
        self.caller().event(
            "disk append",
            &self.path,
            &[bytes.len() as u64, record::hash(bytes), u64::from(outcome.is_ok())],
        );
        outcome
    }

    /// Reads up to `len` bytes from `offset`; fewer at the end of the file.
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.caller().begin_whole(Op::Read).await?;
        Ok(with(self.node, |disk| {
            disk.was_read(self.id, offset, len, self.incarnation, &self.path);
            disk.store.read(self.id, offset, len)
        }))
    }

    /// Cuts the file, or fills it up with zeros.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?;
        self.caller().begin_whole(Op::Write).await?;
        self.caller().event("disk set_len", &self.path, &[len]);
        with(self.node, |disk| disk.set_len(self.id, len))
    }

    /// Makes what was written before this call durable. After an error it never will be: the pages count as
    /// clean, and a later sync that succeeds says nothing about them.
    pub async fn sync(&self) -> io::Result<()> {
        let caller = self.caller();
        caller.check()?;
        let written = with(self.node, |disk| disk.store.len(self.id));
        let fate = caller.begin(Op::Sync).await?;
        let outcome = with(self.node, |disk| disk.sync(self.id, written, fate));
        caller.event("disk sync", &self.path, &[written, u64::from(outcome.is_ok())]);
        outcome
    }

    pub async fn len(&self) -> io::Result<u64> {
        self.caller().begin_whole(Op::Look).await?;
        Ok(with(self.node, |disk| disk.store.len(self.id)))
    }

    pub async fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len().await? == 0)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.caller().check().is_ok() {
            with(self.node, |disk| disk.store.closed(self.id, self.writes));
        }
    }
}

/// Makes a folder and those it stands in; those that exist are left alone.
pub async fn create_dir_all(path: &Path) -> io::Result<()> {
    let (caller, path) = (Caller::current(), text(path)?);
    caller.begin_whole(Op::Write).await?;
    caller.event("disk create_dir", &path, &[]);
    with(caller.node, |disk| disk.store.create_dir_all(&path))
}

/// The names in a folder, in order.
pub async fn read_dir(path: &Path) -> io::Result<Vec<String>> {
    let (caller, path) = (Caller::current(), text(path)?);
    caller.begin_whole(Op::Read).await?;
    with(caller.node, |disk| disk.store.read_dir(&path))
}

/// The whole contents of a file.
pub async fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (caller, path) = (Caller::current(), text(path)?);
    caller.begin_whole(Op::Read).await?;
    with(caller.node, |disk| {
        let id = disk.store.find_file(&path)?;
        disk.was_read(id, 0, usize::MAX, caller.incarnation, &path);
        Ok(disk.store.read(id, 0, usize::MAX))
    })
}

/// Removes a file, or an empty folder.
pub async fn remove(path: &Path) -> io::Result<()> {
    let (caller, path) = (Caller::current(), text(path)?);
    caller.begin_whole(Op::Write).await?;
    caller.event("disk remove", &path, &[]);
    with(caller.node, |disk| disk.store.remove(&path))
}

/// Gives a file or folder another name; a file of that name is replaced.
pub async fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (caller, from, to) = (Caller::current(), text(from)?, text(to)?);
    caller.begin_whole(Op::Write).await?;
    caller.event("disk rename", &from, &[record::hash(to.as_bytes())]);
    with(caller.node, |disk| disk.store.rename(&from, &to))
}

/// Makes the names in a folder durable, as they were when this was called.
pub async fn sync_dir(path: &Path) -> io::Result<()> {
    let (caller, path) = (Caller::current(), text(path)?);
    caller.check()?;
    let changes = with(caller.node, |disk| disk.store.pending_names(&path))?;
    let fate = caller.begin(Op::Sync).await?;
    caller.event("disk sync_dir", &path, &[changes as u64]);
    with(caller.node, |disk| disk.sync_dir(&path, changes, fate))
}

pub async fn exists(path: &Path) -> io::Result<bool> {
    let (caller, path) = (Caller::current(), text(path)?);
    caller.begin_whole(Op::Look).await?;
    Ok(with(caller.node, |disk| disk.store.find(&path).is_ok()))
}

/// The length of a file.
pub async fn metadata_len(path: &Path) -> io::Result<u64> {
    let (caller, path) = (Caller::current(), text(path)?);
    caller.begin_whole(Op::Look).await?;
    with(caller.node, |disk| disk.store.find_file(&path).map(|id| disk.store.len(id)))
}

fn text(path: &Path) -> io::Result<String> {
    let refuse =
        |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {why}", path.display()));
    let text = path.to_str().ok_or_else(|| refuse("a path must be UTF-8"))?;
    if path.is_absolute() { Ok(text.into()) } else { Err(refuse("a path must be absolute")) }
}
