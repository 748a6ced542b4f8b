//! One run in a process of its own: two seeds never share one.

use super::{FAILED, args::Run};
use crate::run::Outcome;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The arguments that ask for this run.
pub fn arguments(asked: &Run) -> Vec<String> {
    let mut words = vec!["run".to_string(), asked.scenario.clone()];
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            words.push(name.into());
            words.push(value);
        }
    };
    option("--seed", asked.seed.map(|seed| seed.to_string()));
    option("--bug", asked.bug.clone());
    option("--trace", asked.trace.as_ref().map(|path| path.display().to_string()));
    option("--story", asked.story.as_ref().map(|path| path.display().to_string()));
    option("--checkpoints", asked.checkpoints.map(|every| every.to_string()));
    option("--capture", asked.capture.as_ref().map(|range| format!("{}..{}", range.start(), range.end())));
    let flags = [
        (asked.json, "--json"),
        (asked.without_harm, "--without-harm"),
        (asked.no_twin, "--no-twin"),
        (asked.starts, "--starts"),
    ];
    words.extend(flags.iter().filter(|(on, _)| *on).map(|(_, name)| name.to_string()));
    words
}

pub fn this_build() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "tank".into())
}

/// Runs it with another process of this build.
pub fn outcome(asked: &Run) -> Result<Outcome, String> {
    outcome_of(&this_build(), asked)
}

pub fn outcome_of(build: &Path, asked: &Run) -> Result<Outcome, String> {
    let asked = Run { json: true, ..asked.clone() };
    let output = Command::new(build)
        .args(arguments(&asked))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", build.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().next_back().unwrap_or_default();
    serde_json::from_str(last).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code().unwrap_or(FAILED);
        format!(
            "the run ended with exit code {code}: {}",
            said.lines().find(|line| !line.is_empty()).unwrap_or("it said nothing")
        )
    })
}

/// The command that a person types to see this run again.
pub fn again(asked: &Run) -> String {
    let shown = Run {
        json: false,
        trace: None,
        story: None,
        report: None,
        capture: None,
        checkpoints: None,
        ..asked.clone()
    };
    format!("cargo tank {}", arguments(&shown).join(" "))
}
