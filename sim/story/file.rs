//! A story on disk: lines of JSON, the first with the format and how many lines follow, so that a file that was cut
//! short is told from a whole one. It is written beside its place and moved there when it is whole.

use super::{Happening, Story, Write};
use crate::history::{KubeOperation, Operation};
use crate::plan::Plan;
use crate::run::Outcome;
use base::Note;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fs, io::Write as _, path::Path};

/// Changes whenever an older file can no longer be read.
pub const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    story: u32,
    events: usize,
    notes: usize,
    operations: usize,
    wishes: usize,
    writes: usize,
}

/// Writes the whole story, or leaves what was there before.
pub fn save(story: &Story, path: &Path) -> Result<(), String> {
    let head = Head {
        story: FORMAT,
        events: story.events.len(),
        notes: story.notes.len(),
        operations: story.operations.len(),
        wishes: story.wishes.len(),
        writes: story.writes.len(),
    };
    let mut text = Vec::new();
    let mut line = |value: serde_json::Result<String>| {
        value.map(|value| {
            text.extend_from_slice(value.as_bytes());
            text.push(b'\n');
        })
    };
    let told = (|| {
        line(serde_json::to_string(&head))?;
        line(serde_json::to_string(&story.plan))?;
        line(serde_json::to_string(&story.outcome))?;
        story.events.iter().try_for_each(|event| line(serde_json::to_string(event)))?;
        story.notes.iter().try_for_each(|note| line(serde_json::to_string(&note)))?;
        story.operations.iter().try_for_each(|operation| line(serde_json::to_string(operation)))?;
        story.wishes.iter().try_for_each(|wish| line(serde_json::to_string(wish)))?;
        story.writes.iter().try_for_each(|write| line(serde_json::to_string(write)))
    })();
    told.map_err(|error| error.to_string())?;
    whole(path, &text)
}

/// Writes a file whole or not at all: what was there before stays until the new one is complete. A device or a
/// pipe is written to, not replaced.
pub fn whole(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let written = fs::OpenOptions::new().write(true).open(path).and_then(|mut to| to.write_all(bytes));
        return written.map_err(|error| format!("{}: {error}", path.display()));
    }
    let part = path.with_extension("part");
    let written = (|| {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&part);
        format!("{}: {error}; nothing was written, and what was there before is as it was", path.display())
    })
}

pub fn load(path: &Path) -> Result<Story, String> {
    let of = |wrong: String| format!("{}: {wrong}", path.display());
    let bytes = fs::read(path).map_err(|error| of(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| of(NO_STORY.into()))?;
    read(&text).map_err(of)
}

const NO_STORY: &str = "this is not a story that `cargo tank run --story FILE` wrote";

fn read(text: &str) -> Result<Story, String> {
    let mut lines = Lines { text: text.lines(), number: 0 };
    let head: Head = lines.next().map_err(|_| NO_STORY.to_string())?;
    if head.story != FORMAT {
        return Err(format!("the story has format {}; this build reads format {FORMAT}", head.story));
    }
    Ok(Story {
        plan: lines.next::<Plan>()?,
        outcome: lines.next::<Outcome>()?,
        events: lines.take::<Happening>(head.events)?,
        notes: lines.take::<(u64, Note)>(head.notes)?.into_iter().collect(),
        operations: lines.take::<Operation>(head.operations)?,
        wishes: lines.take::<KubeOperation>(head.wishes)?,
        writes: lines.take::<Write>(head.writes)?,
    })
}

struct Lines<'a> {
    text: std::str::Lines<'a>,
    number: usize,
}

impl Lines<'_> {
    fn next<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        self.number += 1;
        let line = self.text.next().ok_or_else(|| {
            format!("the file was cut short: line {} is not there; make it again", self.number)
        })?;
        serde_json::from_str(line).map_err(|error| match error.is_eof() {
            true => format!("the file was cut short in line {}; make it again", self.number),
            false => format!("line {} makes no sense: {error}", self.number),
        })
    }

    fn take<T: DeserializeOwned>(&mut self, count: usize) -> Result<Vec<T>, String> {
        (0..count).map(|_| self.next()).collect()
    }
}
