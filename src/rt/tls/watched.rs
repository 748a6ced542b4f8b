//! What is made of files, and made again when they change.
//! Promise: what is in use was made of files that fitted together. Files that do not (a new certificate beside the old
//! key, because only one of them was replaced yet) are told of once, and what was made before stays in use.

use crate::{Mono, note};
use base::Note;
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Between two looks at the files.
const AGAIN: Duration = Duration::from_secs(1);

type Contents = Vec<Vec<u8>>;
type Make<T> = dyn Fn(&[Vec<u8>]) -> io::Result<T> + Send + Sync;

pub(super) struct Watched<T> {
    paths: Vec<PathBuf>,
    make: Box<Make<T>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    made: Arc<T>,
    of: Contents,
    /// What was there at the last look, if nothing could be made of it.
    unfit: Option<Contents>,
    looked: Mono,
}

impl<T> Watched<T> {
    /// Reads the files for the first time: then they must fit. `make` is given their contents in the order of `paths`.
    pub async fn load(
        paths: Vec<PathBuf>,
        make: impl Fn(&[Vec<u8>]) -> io::Result<T> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let of = read(&paths).await?;
        let made = Arc::new(make(&of)?);
        let state = State { made, of, unfit: None, looked: crate::now() };
        Ok(Self { paths, make: Box::new(make), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Made of the files as they are, or as they last fitted together.
    pub async fn current(&self) -> Arc<T> {
        {
            let mut state = self.state();
            if state.looked.elapsed() < AGAIN {
                return state.made.clone();
            }
            state.looked = crate::now(); // others need not look meanwhile
        }
        let there = read(&self.paths).await;
        let mut state = self.state();
        match there {
            Ok(there) if there == state.of => state.unfit = None,
            Ok(there) if state.unfit.as_ref() != Some(&there) => self.take(&mut state, there),
            Ok(_) => {}
            // a file that is being replaced may be missing for a moment, and is read again in the next
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => say(format!("certificates are not read again: {error}")),
        }
        state.made.clone()
    }

    fn take(&self, state: &mut State<T>, there: Contents) {
        match (self.make)(&there) {
            Ok(made) => {
                say(format!("certificates were read again: {}", Paths(&self.paths)));
                (state.made, state.of, state.unfit) = (Arc::new(made), there, None);
            }
            Err(error) => {
                say(format!("what was before stays in use: {error}"));
                state.unfit = Some(there);
            }
        }
    }
}

fn say(text: String) {
    note(Note::Said { text });
}

async fn read(paths: &[PathBuf]) -> io::Result<Contents> {
    let mut contents = Vec::with_capacity(paths.len());
    for path in paths {
        contents.push(crate::fs::read(path).await?);
    }
    Ok(contents)
}

struct Paths<'a>(&'a [PathBuf]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.0.iter().map(|path: &PathBuf| Path::display(path).to_string()).collect();
        f.write_str(&shown.join(", "))
    }
}
