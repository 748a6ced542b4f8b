//! Scenarios and plans from files, or what is wrong with them.

use super::args::Run;
use crate::plan::{self, Plan};
use crate::scenario::{Scenario, read};
use base::words::nearest;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 4] = ["scenarios", "scenarios/enumerate", "scenarios/scale", "scenarios/bugs"];

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

/// What is made of a run is called so.
pub fn named(scenario: &str, seed: u64, bug: Option<&str>) -> String {
    let bug = bug.map_or(String::new(), |bug| format!("-{bug}"));
    format!("{}-{seed}{bug}", stem(Path::new(scenario)))
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
