//! Stories that are asked for: from their files, run here, or run in a process of their own.

use super::{args::Look, args::Run, child, load};
use crate::plan::Plan;
use crate::run::simulate::{self, Manner};
use crate::story::{Story, file};
use std::path::{Path, PathBuf};

pub fn is_one(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "story")
}

/// The story that is asked for, if it is a saved one.
pub fn saved(asked: &Look) -> Result<Option<Story>, String> {
    let path = load::find(&asked.scenario)?;
    if is_one(&path) { file::load(&path).map(Some) } else { Ok(None) }
}

/// Runs it here, and its twin in a process of its own before: its end is what the promise of the twin is held to.
pub fn run(look: &Look) -> Result<(Story, Option<Story>), String> {
    let run =
        Run { scenario: look.scenario.clone(), seed: look.seed, bug: look.bug.clone(), ..Run::default() };
    let plan = load::plan(&run)?;
    crate::run::watchdog::start(plan.memory, child::again(&Run { seed: Some(plan.seed), ..run }));
    let twin = twin(&plan, look.bug.as_deref());
    let manner = Manner {
        bug: look.bug.clone(),
        story: true,
        twin: finals(&plan, twin.as_ref()).map(Ok),
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
    let told = told.and_then(|()| elsewhere(&path, bug));
    let _ = std::fs::remove_file(&path);
    told.map_err(|why| eprintln!("there is no run without harm to show beside: {why}")).ok()
}

/// The story of a scenario or plan, run in a process of its own.
pub fn elsewhere(path: &Path, bug: Option<&str>) -> Result<Story, String> {
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
