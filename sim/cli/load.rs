//! Scenarios and plans from files, or what is wrong with them.

use super::args::{Look, Run};
use crate::plan::{self, Plan};
use crate::run::simulate::{self, Manner};
use crate::scenario::{Scenario, read, words::nearest};
use crate::story::{Story, file};
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 2] = ["scenarios", "scenarios/bugs"];

/// `swarm` is scenarios/swarm.yaml; a path is a path.
pub fn find(name: &str) -> Result<PathBuf, String> {
    let given = PathBuf::from(name);
    if given.is_file() {
        return Ok(given);
    }
    let mut inside = FOLDERS.iter().map(|folder| Path::new(folder).join(format!("{name}.yaml")));
    if let Some(inside) = inside.find(|path| path.is_file()) {
        return Ok(inside);
    }
    let names: Vec<String> = files().iter().map(|path| stem(path)).collect();
    let hint = nearest(&stem(&given), names.iter().map(String::as_str));
    let hint = hint.map_or(String::new(), |word| format!("; did you mean `{word}`?"));
    Err(format!("there is no scenario {name}{hint}\n`cargo tank list` shows those there are"))
}

pub fn stem(path: &Path) -> String {
    path.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned())
}

/// Every scenario of the system, in order; those of our own bugs last.
pub fn files() -> Vec<PathBuf> {
    let of = |folder: &&str| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let mut files: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
        files.sort();
        files
    };
    FOLDERS.iter().flat_map(of).collect()
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => format!("{}: this is not text (UTF-8)", path.display()),
        _ => format!("{}: {error}", path.display()),
    })
}

pub fn scenario(path: &Path) -> Result<Scenario, String> {
    let text = text(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let include = |name: &str| {
        std::fs::read_to_string(folder.join(name))
            .map_err(|_| format!("there is no file {}", folder.join(name).display()))
    };
    read::scenario(&text, &include).map_err(|mistake| mistake.show(&path.display().to_string(), &text))
}

/// The plan that is asked for.
pub fn plan(asked: &Run) -> Result<Plan, String> {
    asked.bug.as_deref().map_or(Ok(()), super::museum::known)?;
    let path = find(&asked.scenario)?;
    let plan = if path.extension().is_some_and(|extension| extension == "json") {
        Plan::from_text(&text(&path)?).map_err(|wrong| format!("{}: {wrong}", path.display()))?
    } else {
        let scenario = scenario(&path)?;
        plan::plan(&scenario, asked.seed.unwrap_or(scenario.seed))
    };
    Ok(if asked.without_harm { plan.without_harm() } else { plan })
}

pub fn is_story(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "story")
}

/// The story that is asked for, if it is a saved one.
pub fn saved(asked: &Look) -> Result<Option<Story>, String> {
    let path = find(&asked.scenario)?;
    if is_story(&path) { file::load(&path).map(Some) } else { Ok(None) }
}

/// The story that is asked for: from its file, or by running it.
pub fn story(asked: &Look) -> Result<Story, String> {
    if let Some(story) = saved(asked)? {
        return Ok(story);
    }
    let run =
        Run { scenario: asked.scenario.clone(), seed: asked.seed, bug: asked.bug.clone(), ..Run::default() };
    let plan = plan(&run)?;
    crate::run::watchdog::start(super::child::again(&Run { seed: Some(plan.seed), ..run }));
    let manner = Manner { bug: asked.bug.clone(), story: true, ..Manner::default() };
    let (_, trace) = simulate::simulate(&plan, &manner);
    trace.story.ok_or_else(|| "the run left no story".to_string())
}

pub fn list() -> Result<i32, String> {
    for path in files() {
        match scenario(&path) {
            Ok(scenario) => println!("{:<36} {}", path.display(), scenario.name),
            Err(wrong) => {
                println!("{:<36} {}", path.display(), wrong.lines().next().unwrap_or("cannot be read"))
            }
        }
    }
    Ok(0)
}
