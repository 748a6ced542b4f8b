//! What is on a disk, twice: as the processes see it, and as it would be found after a loss of power.
//! Promise: a loss of power keeps everything synced, and of the rest any part a real disk might keep: the
//! beginning of what was appended, cut at any byte or with any of its 512-byte sectors missing (read as
//! zeros), and the first few of the changes to a folder's names.

use crate::disk_harm::Loss;
use base::stream::Stream;
use rand::Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

pub const SECTOR: usize = 512;

pub type FileId = u64;
const ROOT: FileId = 0;

/// What a loss of power took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Bytes of files that were written and are not there.
    pub bytes: u64,
    /// Sectors in the middle of a file that read as zeros.
    pub torn: u64,
    /// Changes of names undone.
    pub names: u64,
    /// Files that are not there at all.
    pub files: u64,
}

#[derive(Default)]
struct Content {
    data: Vec<u8>,
    /// On the disk itself: the first `common` bytes of `data`, then `tail`.
    common: usize,
    tail: Vec<u8>,
    /// Bytes that are not what was written there, each with what that was.
    right: BTreeMap<usize, u8>,
    /// A sync failed: what was unsynced then stays so.
    broken: bool,
    readers: u32,
    writers: u32,
}

enum Change {
    Put(String, FileId),
    Drop(String),
    Rename(String, String),
}

type Names = BTreeMap<String, FileId>;

#[derive(Default)]
struct Folder {
    names: Names,
    /// On the disk itself.
    synced: Names,
    /// Leads from `synced` to `names`.
    pending: Vec<Change>,
}

enum Node {
    File(Content),
    Folder(Folder),
}

pub(crate) struct Store {
    nodes: BTreeMap<FileId, Node>,
    next: FileId,
}

impl Default for Store {
    fn default() -> Self {
        Self { nodes: BTreeMap::from([(ROOT, Node::Folder(Folder::default()))]), next: ROOT + 1 }
    }
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Change::Put(name, id) => {
                names.insert(name.clone(), *id);
            }
            Change::Drop(name) => {
                names.remove(name);
            }
            Change::Rename(from, to) => {
                // Gone when an earlier run of the same name was dropped on the way.
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
        }
    }
}

impl Folder {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn sync(&mut self, changes: usize) {
        for change in self.pending.drain(..changes.min(self.pending.len())) {
            change.apply(&mut self.synced);
        }
    }
}

impl Content {
    fn set_len(&mut self, len: usize) {
        if len < self.common {
            let mut tail = self.data[len..self.common].to_vec();
            tail.append(&mut self.tail);
            (self.tail, self.common) = (tail, len);
        }
        self.data.resize(len, 0);
        self.right.split_off(&len);
    }

    /// Puts bytes where they do not belong; says how many are wrong by that.
    fn spoil(&mut self, at: usize, bytes: &[u8]) -> u64 {
        let mut wrong = 0;
        for (offset, byte) in (at..self.data.len()).zip(bytes) {
            let right = *self.right.entry(offset).or_insert(self.data[offset]);
            self.data[offset] = *byte;
            wrong += u64::from(right != *byte);
        }
        wrong
    }

    fn is_damaged(&self, range: std::ops::Range<usize>) -> bool {
        self.right
            .range(range)
            .any(|(offset, right)| self.data.get(*offset).is_some_and(|byte| byte != right))
    }

    fn sync(&mut self, written: usize) {
        if !self.broken {
            self.common = self.common.max(written.min(self.data.len()));
            self.tail.clear();
        }
    }

    /// Leaves what a disk might hold after a loss of power.
    fn power_cut(&mut self, loss: Loss, draws: &mut Stream, lost: &mut Lost) {
        let unsynced = self.data.len() - self.common;
        let cut_undone = !self.tail.is_empty();
        if unsynced > 0 || cut_undone {
            lost.bytes += match loss {
                Loss::Nothing => 0,
                Loss::Unsynced => self.keep_synced(),
                Loss::Drawn if cut_undone && draws.gen_bool(0.5) => self.keep_synced(),
                Loss::Drawn => self.keep_some(draws, lost),
            };
        }
        (self.common, self.broken) = (self.data.len(), false);
        self.tail.clear();
        self.right.split_off(&self.data.len());
        (self.readers, self.writers) = (0, 0);
    }

    fn keep_synced(&mut self) -> u64 {
        let lost = self.data.len() - self.common;
        self.data.truncate(self.common);
        self.data.append(&mut self.tail);
        lost as u64
    }

    fn keep_some(&mut self, draws: &mut Stream, lost: &mut Lost) -> u64 {
        let (from, to) = (self.common, self.data.len());
        let mut end = draws.gen_range(from..=to);
        if draws.gen_bool(0.5) {
            // Whole sectors, but for the last of the file.
            end = end.next_multiple_of(SECTOR).min(to);
        }
        self.data.truncate(end);
        if draws.gen_bool(0.4) {
            self.lose_sectors(from, draws, lost);
        }
        (to - end) as u64
    }

    /// The length reached the disk, some sectors did not. A sector that holds synced bytes keeps those.
    fn lose_sectors(&mut self, from: usize, draws: &mut Stream, lost: &mut Lost) {
        let end = self.data.len();
        let mut start = from;
        while start < end {
            let stop = (start + 1).next_multiple_of(SECTOR).min(end);
            if draws.gen_bool(0.5) {
                self.data[start..stop].fill(0);
                lost.torn += 1;
            }
            start = stop;
        }
    }
}

fn error(kind: io::ErrorKind, path: &str, why: &str) -> io::Error {
    io::Error::new(kind, format!("{path}: {why}"))
}

fn not_found(path: &str) -> io::Error {
    error(io::ErrorKind::NotFound, path, "no such file or directory")
}

/// The folder of a path, and its name there.
fn split(path: &str) -> io::Result<(&str, &str)> {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').ok_or_else(|| error(io::ErrorKind::InvalidInput, path, "the root has no name"))
}

impl Store {
    fn add(&mut self, node: Node) -> FileId {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        id
    }

    pub fn find(&self, path: &str) -> io::Result<FileId> {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(Node::Folder(folder)) = self.nodes.get(&at) else {
                return Err(error(io::ErrorKind::NotADirectory, path, "not a directory"));
            };
            at = *folder.names.get(name).ok_or_else(|| not_found(path))?;
        }
        Ok(at)
    }

    pub fn find_file(&self, path: &str) -> io::Result<FileId> {
        let id = self.find(path)?;
        match self.nodes[&id] {
            Node::File(_) => Ok(id),
            Node::Folder(_) => Err(error(io::ErrorKind::IsADirectory, path, "is a directory")),
        }
    }

    fn folder(&mut self, path: &str) -> io::Result<&mut Folder> {
        let id = self.find(path)?;
        match self.nodes.get_mut(&id) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(error(io::ErrorKind::NotADirectory, path, "not a directory")),
        }
    }

    fn file(&mut self, id: FileId) -> &mut Content {
        match self.nodes.get_mut(&id) {
            Some(Node::File(content)) => content,
            _ => panic!("an open file is on its disk"),
        }
    }

    pub fn create(&mut self, path: &str) -> io::Result<FileId> {
        match self.find_file(path) {
            Ok(id) => {
                self.file(id).set_len(0);
                Ok(id)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (parent, name) = split(path)?;
                self.folder(parent)?;
                let id = self.add(Node::File(Content::default()));
                self.folder(parent)?.change(Change::Put(name.into(), id));
                Ok(id)
            }
            Err(error) => Err(error),
        }
    }

    pub fn create_dir_all(&mut self, path: &str) -> io::Result<()> {
        let mut at = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let parent = at.clone();
            at = format!("{at}/{name}");
            if !self.folder(&parent)?.names.contains_key(name) {
                let id = self.add(Node::Folder(Folder::default()));
                self.folder(&parent)?.change(Change::Put(name.into(), id));
            }
        }
        self.folder(path).map(|_| ())
    }

    pub fn read_dir(&mut self, path: &str) -> io::Result<Vec<String>> {
        Ok(self.folder(path)?.names.keys().cloned().collect())
    }

    pub fn remove(&mut self, path: &str) -> io::Result<()> {
        let id = self.find(path)?;
        if let Node::Folder(folder) = &self.nodes[&id]
            && !folder.names.is_empty()
        {
            return Err(error(io::ErrorKind::DirectoryNotEmpty, path, "directory not empty"));
        }
        let (parent, name) = split(path)?;
        self.folder(parent)?.change(Change::Drop(name.into()));
        self.collect();
        Ok(())
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let id = self.find(from)?;
        let ((from_parent, from_name), (to_parent, to_name)) = (split(from)?, split(to)?);
        if self.find(to).is_ok_and(|old| matches!(self.nodes[&old], Node::Folder(_))) {
            return Err(error(io::ErrorKind::IsADirectory, to, "is a directory"));
        }
        if from_parent == to_parent {
            self.folder(to_parent)?.change(Change::Rename(from_name.into(), to_name.into()));
        } else {
            self.folder(to_parent)?.change(Change::Put(to_name.into(), id));
            self.folder(from_parent)?.change(Change::Drop(from_name.into()));
        }
        self.collect();
        Ok(())
    }

    pub fn pending_names(&mut self, path: &str) -> io::Result<usize> {
        Ok(self.folder(path)?.pending.len())
    }

    pub fn sync_dir(&mut self, path: &str, changes: usize) -> io::Result<()> {
        self.folder(path)?.sync(changes);
        self.collect();
        Ok(())
    }

    pub fn opened(&mut self, id: FileId, writes: bool) {
        let file = self.file(id);
        *(if writes { &mut file.writers } else { &mut file.readers }) += 1;
    }

    pub fn closed(&mut self, id: FileId, writes: bool) {
        let Some(Node::File(file)) = self.nodes.get_mut(&id) else { return };
        let count = if writes { &mut file.writers } else { &mut file.readers };
        *count = count.saturating_sub(1);
        if file.writers + file.readers == 0 {
            self.collect();
        }
    }

    pub fn close_all(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File(file) = node {
                (file.readers, file.writers) = (0, 0);
            }
        }
        self.collect();
    }

    pub fn len(&self, id: FileId) -> u64 {
        match self.nodes.get(&id) {
            Some(Node::File(content)) => content.data.len() as u64,
            _ => 0,
        }
    }

    pub fn append(&mut self, id: FileId, bytes: &[u8]) {
        self.file(id).data.extend_from_slice(bytes);
    }

    pub fn read(&self, id: FileId, offset: u64, len: usize) -> Vec<u8> {
        let Some(Node::File(content)) = self.nodes.get(&id) else { return Vec::new() };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.data.len());
        let end = start.saturating_add(len).min(content.data.len());
        content.data[start..end].to_vec()
    }

    pub fn set_len(&mut self, id: FileId, len: u64) {
        self.file(id).set_len(len as usize);
    }

    pub fn sync(&mut self, id: FileId, written: u64) {
        self.file(id).sync(written as usize);
    }

    /// A sync of this file failed.
    pub fn broke(&mut self, id: FileId) {
        self.file(id).broken = true;
    }

    /// Bytes taken up.
    pub fn used(&self) -> u64 {
        self.nodes.keys().map(|id| self.len(*id)).sum()
    }

    /// Changes one bit of a byte, in memory and on the disk.
    pub fn flip(&mut self, id: FileId, offset: usize, bit: u8) {
        let flipped = self.file(id).data[offset] ^ (1 << bit);
        self.spoil(id, offset, &[flipped]);
    }

    /// Puts bytes where they do not belong, in memory and on the disk; says how many are wrong by that.
    pub fn spoil(&mut self, id: FileId, at: usize, bytes: &[u8]) -> u64 {
        match self.nodes.get_mut(&id) {
            Some(Node::File(content)) => content.spoil(at, bytes),
            _ => 0,
        }
    }

    /// Whether a part of a file is not what was written there.
    pub fn is_damaged(&self, id: FileId, range: std::ops::Range<usize>) -> bool {
        matches!(self.nodes.get(&id), Some(Node::File(content)) if content.is_damaged(range))
    }

    /// Every file by its path, with its length and whether nobody has it open for writing.
    pub fn files(&self) -> Vec<(String, FileId, u64, bool)> {
        let mut found = Vec::new();
        self.walk(ROOT, "", &mut found);
        found
    }

    fn walk(&self, at: FileId, path: &str, found: &mut Vec<(String, FileId, u64, bool)>) {
        match &self.nodes[&at] {
            Node::File(content) => {
                found.push((path.into(), at, content.data.len() as u64, content.writers == 0));
            }
            Node::Folder(folder) => {
                folder.names.iter().for_each(|(name, id)| self.walk(*id, &format!("{path}/{name}"), found));
            }
        }
    }

    pub fn power_cut(&mut self, loss: Loss, draws: &mut Stream) -> Lost {
        let mut lost = Lost::default();
        let before = self.files().len();
        for node in self.nodes.values_mut() {
            match node {
                Node::File(content) => content.power_cut(loss, draws, &mut lost),
                Node::Folder(folder) => {
                    let all = folder.pending.len();
                    let kept = match loss {
                        Loss::Nothing => all,
                        Loss::Unsynced => 0,
                        Loss::Drawn => draws.gen_range(0..=all),
                    };
                    folder.sync(kept);
                    folder.pending.clear();
                    folder.names = folder.synced.clone();
                    lost.names += (all - kept) as u64;
                }
            }
        }
        self.collect();
        lost.files = before.saturating_sub(self.files().len()) as u64;
        lost
    }

    /// Forgets what no name leads to, nor may lead to after a loss of power, and nobody has open.
    fn collect(&mut self) {
        let mut kept = BTreeSet::from([ROOT]);
        let open = |node: &Node| matches!(node, Node::File(file) if file.readers + file.writers > 0);
        let mut todo: Vec<FileId> = vec![ROOT];
        todo.extend(self.nodes.iter().filter(|(_, node)| open(node)).map(|(id, _)| *id));
        while let Some(id) = todo.pop() {
            kept.insert(id);
            let Some(Node::Folder(folder)) = self.nodes.get(&id) else { continue };
            let put = folder.pending.iter().filter_map(|change| match change {
                Change::Put(_, id) => Some(id),
                _ => None,
            });
            let reached = folder.names.values().chain(folder.synced.values()).chain(put);
            todo.extend(reached.filter(|id| !kept.contains(id)));
        }
        self.nodes.retain(|id, _| kept.contains(id));
    }
}
