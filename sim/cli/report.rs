//! A run as one page of HTML: the run itself, and another beside it.

use super::{args::Look, args::Report, args::Run, child, load};
use crate::plan::Plan;
use crate::report::html::{self, Command, Shown};
use crate::run::simulate::{self, Manner};
use crate::story::{Story, file};
use std::path::{Path, PathBuf};

const TWIN: &str = "The same seed without harm";

pub fn report(asked: &Report) -> Result<i32, String> {
    let look = &asked.run;
    let beside = asked.beside.as_deref().map(|path| other(path, look.bug.as_deref())).transpose()?;
    let (story, twin) = match load::saved(look)? {
        Some(story) => {
            let twin = if beside.is_none() { twin(&story.plan, look.bug.as_deref()) } else { None };
            (story, twin)
        }
        None => ran(look)?,
    };
    let beside = beside.or(twin.map(|twin| (twin, TWIN.to_string())));
    let seed = story.plan.seed;
    let bug = look.bug.as_ref().map_or(String::new(), |bug| format!("-{bug}"));
    let default = format!("target/reports/{}-{seed}{bug}.html", load::stem(Path::new(&look.scenario)));
    let path = asked.output.clone().unwrap_or_else(|| default.into());
    let beside = beside.as_ref().map(|(story, title)| (story, title.clone()));
    write(&path, &story, beside, commands(look, &story))?;
    println!("{}", path.display());
    println!("again: {}", again(asked, seed));
    Ok(0)
}

/// Runs it here, and its twin in a process of its own before: its end is what the promise of the twin is held to.
fn ran(look: &Look) -> Result<(Story, Option<Story>), String> {
    let run =
        Run { scenario: look.scenario.clone(), seed: look.seed, bug: look.bug.clone(), ..Run::default() };
    let plan = load::plan(&run)?;
    crate::run::watchdog::start(child::again(&Run { seed: Some(plan.seed), ..run }));
    let twin = twin(&plan, look.bug.as_deref());
    let manner = Manner {
        bug: look.bug.clone(),
        story: true,
        twin: finals(&plan, twin.as_ref()),
        ..Manner::default()
    };
    let (_, trace) = simulate::simulate(&plan, &manner);
    Ok((trace.story.ok_or("the run left no story")?, twin))
}

/// What the same seed without harm ended in, if it came to rest.
pub fn finals(plan: &Plan, twin: Option<&Story>) -> Option<Vec<String>> {
    let twin = twin.filter(|twin| plan.has_kube() && twin.outcome.settled.is_some())?;
    Some(twin.outcome.finals.clone())
}

/// The story of the same seed without harm; None without harm, or if it has none.
pub fn twin(plan: &Plan, bug: Option<&str>) -> Option<Story> {
    if plan.harms.is_empty() {
        return None;
    }
    let path = scratch("json");
    let calm = plan.clone().without_harm();
    let told = std::fs::write(&path, calm.to_text()).map_err(|error| error.to_string());
    let told = told.and_then(|()| story_of(&path, bug));
    let _ = std::fs::remove_file(&path);
    told.map_err(|why| eprintln!("there is no run without harm to show beside: {why}")).ok()
}

/// Another run, to be shown beside.
fn other(path: &Path, bug: Option<&str>) -> Result<(Story, String), String> {
    let saved = Look { scenario: path.display().to_string(), seed: None, bug: None };
    let story = match load::saved(&saved)? {
        Some(story) => story,
        None => story_of(&load::find(&saved.scenario)?, bug)?,
    };
    Ok((story, path.display().to_string()))
}

/// The story of a scenario or plan, run in a process of its own.
fn story_of(path: &Path, bug: Option<&str>) -> Result<Story, String> {
    let told = scratch("story");
    let run = Run {
        scenario: path.display().to_string(),
        bug: bug.map(str::to_string),
        no_twin: true,
        story: Some(told.clone()),
        ..Run::default()
    };
    let story = child::outcome(&run).and_then(|_| file::load(&told));
    let _ = std::fs::remove_file(&told);
    story
}

fn scratch(ending: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tank-report-{}.{ending}", std::process::id()))
}

/// Writes the page whole, or leaves what was there before.
pub fn write(
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
    let is_saved = load::is_story(Path::new(&look.scenario));
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
    if !load::is_story(Path::new(&look.scenario)) {
        words.push(format!("--seed {seed}"));
    }
    words.extend(look.bug.as_ref().map(|bug| format!("--bug {bug}")));
    words.extend(asked.output.as_ref().map(|path| format!("-o {}", path.display())));
    words.extend(asked.beside.as_ref().map(|path| format!("--beside {}", path.display())));
    words.join(" ")
}
