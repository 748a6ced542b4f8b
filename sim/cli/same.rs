//! Determinism itself: every seed in two processes; on a difference, the first event that differs.

use super::{DIFFERENT, args::Run, args::Same, child, load};
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};

/// Events between two checkpoints.
const EVERY: u64 = 1_000;

pub fn same(asked: &Same) -> Result<i32, String> {
    load::find(&asked.scenario)?;
    asked.bug.as_deref().map_or(Ok(()), super::museum::known)?;
    let other = asked.with.clone().unwrap_or_else(child::this_build);
    let mut events = 0;
    for seed in asked.seeds.clone() {
        let (scenario, bug) = (asked.scenario.clone(), asked.bug.clone());
        let run = Run { scenario, bug, seed: Some(seed), no_twin: true, ..Run::default() };
        let (one, two) = (child::outcome(&run)?, child::outcome_of(&other, &run)?);
        if one.digest != two.digest {
            println!("seed {seed}: {} and {}", one.digest, two.digest);
            match first_difference(&run, &other)? {
                Some(difference) => println!("{difference}"),
                None => println!("two more runs were equal: the difference comes and goes"),
            }
            let bug = asked.bug.as_ref().map_or(String::new(), |bug| format!(" --bug {bug}"));
            println!("again: cargo tank same {} --seeds {seed}{bug}", asked.scenario);
            return Ok(DIFFERENT);
        }
        events += one.events;
    }
    let (first, last) = (asked.seeds.start(), asked.seeds.end());
    println!("{} seeds, each in two processes: no difference in {events} events", last - first + 1);
    println!("again: cargo tank same {} --seeds {first}..{last}", asked.scenario);
    Ok(0)
}

/// The first event that differs, in both runs, and what its process had done before.
struct Difference {
    one: String,
    other: String,
    before: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the first event that differs (number, time, process, what):")?;
        write!(f, "  one:   {}\n  other: {}", self.one, self.other)?;
        if !self.before.is_empty() {
            write!(f, "\nboth had the same before; the last of that process:")?;
        }
        self.before.iter().try_for_each(|line| write!(f, "\n         {line}"))
    }
}

/// Narrowed down by checkpoints, then shown by capturing what lies between two of them.
fn first_difference(run: &Run, other: &Path) -> Result<Option<Difference>, String> {
    let (one, two) = (traced(&child::this_build(), run, "one")?, traced(other, run, "two")?);
    let points = |trace: &Value| trace["checkpoints"].as_array().cloned().unwrap_or_default();
    let (one, two) = (points(&one), points(&two));
    let equal = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
    let from = equal.checked_sub(2).and_then(|n| one[n][0].as_u64()).unwrap_or(0);
    let capture = Some(from..=from + 3 * EVERY);
    let run = Run { capture, ..run.clone() };
    let (one, two) = (traced(&child::this_build(), &run, "one")?, traced(other, &run, "two")?);
    let lines = |trace: &Value| -> Vec<String> {
        let lines = trace["lines"].as_array().into_iter().flatten();
        lines.filter_map(Value::as_str).map(str::to_string).collect()
    };
    Ok(difference(&lines(&one), &lines(&two)))
}

fn difference(one: &[String], two: &[String]) -> Option<Difference> {
    const BEFORE: usize = 3;
    let at = (0..one.len().max(two.len())).find(|n| one.get(*n) != two.get(*n))?;
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "nothing more".into());
    let process = |line: &str| line.split_whitespace().nth(2).map(str::to_string);
    let own = one.get(at).or(two.get(at)).and_then(|line| process(line));
    let before = one[..at.min(one.len())].iter().rev().filter(|line| process(line) == own);
    let mut before: Vec<String> = before.take(BEFORE).cloned().collect();
    before.reverse();
    Some(Difference { one: line(one), other: line(two), before })
}

fn traced(build: &Path, run: &Run, which: &str) -> Result<Value, String> {
    let path: PathBuf = std::env::temp_dir().join(format!("tank-trace-{}-{which}.json", std::process::id()));
    let run = Run { trace: Some(path.clone()), checkpoints: Some(EVERY), ..run.clone() };
    child::outcome_of(build, &run)?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let _ = std::fs::remove_file(&path);
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
