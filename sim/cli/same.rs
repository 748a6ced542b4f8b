//! Determinism itself: every seed in two processes; on a difference, the first event that differs.

use super::{DIFFERENT, args::Run, args::Same, child, load};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub fn same(asked: &Same) -> Result<i32, String> {
    load::find(&asked.scenario)?;
    let other = asked.with.clone().unwrap_or_else(child::this_build);
    let mut events = 0;
    for seed in asked.seeds.clone() {
        let run = Run { scenario: asked.scenario.clone(), seed: Some(seed), no_twin: true, ..Run::default() };
        let (one, two) = (child::outcome(&run)?, child::outcome_of(&other, &run)?);
        if one.digest != two.digest {
            println!("seed {seed}: {} and {}", one.digest, two.digest);
            match first_difference(&run, &other)? {
                Some((left, right)) => {
                    println!("the first event that differs:\n  one:   {left}\n  other: {right}")
                }
                None => println!("two more runs were equal: the difference comes and goes"),
            }
            println!("again: cargo tank same {} --seeds {seed}", asked.scenario);
            return Ok(DIFFERENT);
        }
        events += one.events;
    }
    let (first, last) = (asked.seeds.start(), asked.seeds.end());
    println!("{} seeds, each in two processes: no difference in {events} events", last - first + 1);
    println!("again: cargo tank same {} --seeds {first}..{last}", asked.scenario);
    Ok(0)
}

/// Narrowed down by checkpoints, then shown by capturing what lies between two of them.
fn first_difference(run: &Run, other: &Path) -> Result<Option<(String, String)>, String> {
    let (one, two) = (traced(&child::this_build(), run, "one")?, traced(other, run, "two")?);
    let points = |trace: &Value| trace["checkpoints"].as_array().cloned().unwrap_or_default();
    let (one, two) = (points(&one), points(&two));
    let equal = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
    let from = equal.checked_sub(1).and_then(|n| one[n][0].as_u64()).unwrap_or(0);
    let capture = Some(from..=from + 3_000);
    let run = Run { capture, ..run.clone() };
    let (one, two) = (traced(&child::this_build(), &run, "one")?, traced(other, &run, "two")?);
    let lines = |trace: &Value| trace["lines"].as_array().cloned().unwrap_or_default();
    let (one, two) = (lines(&one), lines(&two));
    let line =
        |lines: &[Value], n: usize| lines.get(n).and_then(Value::as_str).unwrap_or("nothing").to_string();
    let differs = (0..one.len().max(two.len())).find(|n| one.get(*n) != two.get(*n));
    Ok(differs.map(|n| (line(&one, n), line(&two, n))))
}

fn traced(build: &Path, run: &Run, which: &str) -> Result<Value, String> {
    let path: PathBuf = std::env::temp_dir().join(format!("tank-trace-{}-{which}.json", std::process::id()));
    let run = Run { trace: Some(path.clone()), checkpoints: Some(1_000), ..run.clone() };
    child::outcome_of(build, &run)?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let _ = std::fs::remove_file(&path);
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
