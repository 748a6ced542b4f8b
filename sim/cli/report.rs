//! A run as one page of HTML: the run itself, and another beside it.

use super::{args::Look, args::Report, args::Run, load, stories};
use crate::report::html::{self, Command, Shown};
use crate::story::{Story, file};
use std::path::Path;

const TWIN: &str = "The same seed without harm";

pub fn report(asked: &Report) -> Result<i32, String> {
    let look = &asked.run;
    let beside = asked.beside.as_deref().map(|path| other(path, look.bug.as_deref())).transpose()?;
    let (story, twin) = match stories::saved(look)? {
        Some(story) if beside.is_none() => {
            let twin = stories::twin(&story.plan, look.bug.as_deref());
            (story, twin)
        }
        Some(story) => (story, None),
        None => stories::run(look)?,
    };
    let beside = beside.or(twin.map(|twin| (twin, TWIN.to_string())));
    let seed = story.plan.seed;
    let name = format!("{}.html", load::named(&look.scenario, seed, look.bug.as_deref()));
    let path = asked.output.clone().unwrap_or_else(|| Path::new("target/reports").join(name));
    let beside = beside.as_ref().map(|(story, title)| (story, title.clone()));
    write(&path, &story, beside, commands(look, &story))?;
    println!("{}", path.display());
    println!("again: {}", again(asked, seed));
    Ok(0)
}

/// Another run, to be shown beside.
fn other(path: &Path, bug: Option<&str>) -> Result<(Story, String), String> {
    let saved = Look { scenario: path.display().to_string(), seed: None, bug: None };
    let story = match stories::saved(&saved)? {
        Some(story) => story,
        None => stories::elsewhere(&load::find(&saved.scenario)?, bug)?,
    };
    Ok((story, path.display().to_string()))
}

/// Writes the page whole, or leaves what was there before.
fn write(
    path: &Path,
    story: &Story,
    beside: Option<(&Story, String)>,
    commands: Vec<Command>,
) -> Result<(), String> {
    file::whole(path, html::page(&Shown { story, beside, commands })?.as_bytes())
}

/// The page of `run --report`.
pub fn of_run(asked: &Run, path: &Path, story: &Story, twin: Option<&Story>) -> Result<(), String> {
    let look = Look { scenario: asked.scenario.clone(), seed: asked.seed, bug: asked.bug.clone() };
    write(path, story, twin.map(|twin| (twin, TWIN.to_string())), commands(&look, story))
}

/// What to go on with. A saved story is walked over as it is; all else runs again.
fn commands(look: &Look, story: &Story) -> Vec<Command> {
    let is_saved = stories::is_one(Path::new(&look.scenario));
    let bug = look.bug.as_ref().map_or(String::new(), |bug| format!(" --bug {bug}"));
    let what = match is_saved {
        true => look.scenario.clone(),
        false => format!("{} --seed {}{bug}", look.scenario, story.plan.seed),
    };
    let command = |name, verb: &str| Command { name, line: format!("cargo tank {verb} {what}") };
    let mut commands = vec![command("again", if is_saved { "report" } else { "run" })];
    if story.outcome.broken().next().is_some() && !is_saved {
        commands.push(command("shrink", "shrink"));
    }
    commands.push(command("step", "step"));
    commands
}

fn again(asked: &Report, seed: u64) -> String {
    let look = &asked.run;
    let mut words = vec!["cargo tank report".to_string(), look.scenario.clone()];
    if !stories::is_one(Path::new(&look.scenario)) {
        words.push(format!("--seed {seed}"));
    }
    words.extend(look.bug.as_ref().map(|bug| format!("--bug {bug}")));
    words.extend(asked.output.as_ref().map(|path| format!("-o {}", path.display())));
    words.extend(asked.beside.as_ref().map(|path| format!("--beside {}", path.display())));
    words.join(" ")
}
