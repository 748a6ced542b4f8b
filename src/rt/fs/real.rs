//! `std::fs` on a few threads of its own, so that a slow disk never stops the network.
//! Promise: the operations of one file are carried out in the order they were asked for, also those whose
//! caller has lost interest.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};
use tokio::sync::oneshot;

/// Threads; one of them is for names, the others share the files.
const THREADS: usize = 5;

type Job = Box<dyn FnOnce() + Send>;

fn threads() -> &'static [mpsc::Sender<Job>] {
    static SENDERS: OnceLock<Vec<mpsc::Sender<Job>>> = OnceLock::new();
    SENDERS.get_or_init(|| (0..THREADS).map(start_thread).collect())
}

#[allow(clippy::disallowed_methods)] // the door itself
fn start_thread(number: usize) -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let run = move || jobs.into_iter().for_each(|job| job());
    let thread = std::thread::Builder::new().name(format!("disk-{number}")).spawn(run);
    thread.expect("the operating system gives a thread");
    sender
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn submit(thread: usize, job: Job) -> io::Result<()> {
    threads()[thread].send(job).map_err(|_| io::Error::other("the disk thread has ended"))
}

/// Carries out a job on one of the threads.
async fn on<T: Send + 'static>(
    thread: usize,
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (answer, result) = oneshot::channel();
    submit(thread, Box::new(move || drop(answer.send(job()))))?;
    result.await.map_err(|_| io::Error::other("the disk thread panicked"))?
}

async fn name<T: Send + 'static>(
    path: &Path,
    job: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.to_path_buf();
    on(0, move || job(&path).map_err(|error| with_path(&error, &path))).await
}

fn with_path(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

pub async fn create_dir_all(path: &Path) -> io::Result<()> {
    name(path, |path| fs::create_dir_all(path)).await
}

/// The names in a folder, sorted.
pub async fn read_dir(path: &Path) -> io::Result<Vec<String>> {
    name(path, |path| {
        let mut names = vec![];
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    })
    .await
}

pub async fn read(path: &Path) -> io::Result<Vec<u8>> {
    name(path, |path| fs::read(path)).await
}

/// Removes a file, or an empty folder.
pub async fn remove(path: &Path) -> io::Result<()> {
    let remove = |path: &Path| if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
    name(path, remove).await
}

/// Waits until what was to be appended to any file before is in it.
async fn appended() -> io::Result<()> {
    for thread in 1..THREADS {
        on(thread, || Ok(())).await?;
    }
    Ok(())
}

/// Gives a file another name; a file that had it is gone.
/// What was to be appended to any file before is in it by then: a file is often written aside and named afterwards.
pub async fn rename(from: &Path, to: &Path) -> io::Result<()> {
    appended().await?;
    let to = to.to_path_buf();
    name(from, move |from| fs::rename(from, to)).await
}

/// Makes the names in this folder durable. No path at all, as the parent of a name alone has it, is the present folder.
pub async fn sync_dir(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    name(path, |path| fs::File::open(path)?.sync_all()).await
}

pub async fn exists(path: &Path) -> io::Result<bool> {
    name(path, |path| path.try_exists()).await
}

pub async fn metadata_len(path: &Path) -> io::Result<u64> {
    name(path, |path| Ok(fs::metadata(path)?.len())).await
}

/// An open file.
pub struct File {
    file: Arc<fs::File>,
    path: Arc<PathBuf>,
    thread: usize,
    /// Why something that was to be appended was not. Nothing is appended behind a gap.
    failed: Arc<Mutex<Option<io::Error>>>,
}

impl File {
    /// A new, empty file; one of that name is emptied. Open for reading and appending.
    /// What was to be appended to that one before is gone with it, also what was still on its way.
    pub async fn create(path: &Path) -> io::Result<Self> {
        appended().await?;
        let open = |path: &Path| {
            let file = fs::OpenOptions::new().read(true).append(true).create(true).open(path)?;
            file.set_len(0).map(|()| file)
        };
        Ok(Self::new(path, name(path, open).await?))
    }

    /// For reading.
    pub async fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(path, name(path, |path| fs::File::open(path)).await?))
    }

    /// For appending and reading; makes the file when it is not there.
    pub async fn open_append(path: &Path) -> io::Result<Self> {
        let open = |path: &Path| fs::OpenOptions::new().read(true).append(true).create(true).open(path);
        Ok(Self::new(path, name(path, open).await?))
    }

    fn new(path: &Path, file: fs::File) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let thread = 1 + NEXT.fetch_add(1, Ordering::Relaxed) % (THREADS - 1);
        Self { file: Arc::new(file), path: Arc::new(path.to_path_buf()), thread, failed: Arc::default() }
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (file, path, failed) = (self.file.clone(), self.path.clone(), self.failed.clone());
        on(self.thread, move || {
            let before = lock(&failed).as_ref().map(|error| with_path(error, &path));
            before.map_or_else(|| job(&file).map_err(|error| with_path(&error, &path)), Err)
        })
        .await
    }

    /// Writes at the end. It is on its way when this returns, in front of all that this file is asked for later; whether
    /// it came through, the next thing asked for says, a sync above all.
    pub async fn append(&self, data: &[u8]) -> io::Result<()> {
        let (data, file, failed) = (data.to_vec(), self.file.clone(), self.failed.clone());
        let job = move || {
            let mut failed = lock(&failed);
            if failed.is_none() {
                *failed = (&*file).write_all(&data).err();
            }
        };
        submit(self.thread, Box::new(job))
    }

    /// Up to `length` bytes from `offset` on; fewer at the end of the file only.
    pub async fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.run(move |file| {
            let mut data = vec![];
            Read::take(ReadFrom { file, offset }, length as u64).read_to_end(&mut data)?;
            Ok(data)
        })
        .await
    }

    pub async fn set_len(&self, length: u64) -> io::Result<()> {
        self.run(move |file| file.set_len(length)).await
    }

    /// Makes what was written durable. After a failure nothing is known about it: never try again.
    pub async fn sync(&self) -> io::Result<()> {
        self.run(fs::File::sync_data).await
    }

    pub async fn len(&self) -> io::Result<u64> {
        self.run(|file| Ok(file.metadata()?.len())).await
    }

    pub async fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len().await? == 0)
    }
}

/// Reads from a place of its own.
struct ReadFrom<'a> {
    file: &'a fs::File,
    offset: u64,
}

impl Read for ReadFrom<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// A folder that is ours while this lives.
#[derive(Debug)]
pub struct DirLock(#[allow(dead_code)] fs::File);

/// Takes a folder for this process alone; the lock goes with the process, however it ends.
pub async fn lock_dir(path: &Path) -> io::Result<DirLock> {
    name(&path.join("LOCK"), |path| {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(DirLock(file)),
            Err(fs::TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::WouldBlock, "another process uses this folder"))
            }
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    })
    .await
}
