//! Determinism itself: every seed in two processes, or once more than a sweep wrote down; on a difference, the first
//! event that differs.

use super::{
    DIFFERENT,
    args::{Run, Same},
    child, load, results, sweep,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Events between two checkpoints.
const EVERY: u64 = 1_000;
/// Seeds when none are asked for.
const FEW: RangeInclusive<u64> = 1..=10;

/// A run, and its digest if another process wrote it down already.
struct Double {
    run: Run,
    known: Option<String>,
}

/// What two processes made of one run.
struct Pair {
    run: Run,
    digests: [String; 2],
    events: u64,
}

pub fn same(asked: &Same) -> Result<i32, String> {
    let (doubles, without) = doubles(asked)?;
    let other = asked.with.clone().unwrap_or_else(child::this_build);
    let (mut pairs, mut events) = (0, 0);
    // Several may differ before all stop: told is the first in order, not the first to end.
    let mut wrong: Option<(usize, Result<Pair, String>)> = None;
    let jobs = asked.jobs.unwrap_or_else(sweep::cores);
    sweep::each(
        jobs,
        doubles.into_iter().enumerate(),
        |(number, double)| (number, double.pair(&other)),
        |(number, pair)| {
            match pair {
                Ok(pair) if pair.digests[0] == pair.digests[1] => {
                    (pairs, events) = (pairs + 1, events + pair.events)
                }
                bad if wrong.as_ref().is_none_or(|(first, _)| number < *first) => wrong = Some((number, bad)),
                _ => {}
            }
            wrong.is_some()
        },
    );
    if let Some((_, wrong)) = wrong {
        return explained(&wrong?, &other, asked.results.is_some());
    }
    if without > 0 {
        println!("{without} runs of the file ended without a digest and were left out");
    }
    println!("{pairs} runs, each in two processes: no difference in {events} events");
    println!("again: {}", again(asked));
    Ok(0)
}

/// What is to be compared, and how many runs of the file cannot be.
fn doubles(asked: &Same) -> Result<(Vec<Double>, usize), String> {
    if let Some(file) = &asked.results {
        return written_down(file, asked.seeds.as_ref());
    }
    load::find(&asked.scenario)?;
    asked.bug.as_deref().map_or(Ok(()), super::museum::known)?;
    let double = |seed| Double::of(&asked.scenario, seed, asked.bug.as_ref(), None);
    Ok((asked.seeds.clone().unwrap_or(FEW).map(double).collect(), 0))
}

/// Of the runs of a sweep, those with such seeds that ended with a digest; and how many did not.
fn written_down(file: &Path, seeds: Option<&RangeInclusive<u64>>) -> Result<(Vec<Double>, usize), String> {
    let mut ran = results::read(file)?.0.runs;
    ran.retain(|ran| seeds.is_none_or(|seeds| seeds.contains(&ran.seed)));
    let scenarios: BTreeSet<&String> = ran.iter().map(|ran| &ran.scenario).collect();
    scenarios.into_iter().try_for_each(|scenario| load::find(scenario).map(drop))?;
    let double = |ran: &results::Ran| {
        let known = ran.outcome.as_ref().ok()?.digest.clone();
        Some(Double::of(&ran.scenario, ran.seed, ran.bug.as_ref(), Some(known)))
    };
    let doubles: Vec<Double> = ran.iter().filter_map(double).collect();
    if doubles.is_empty() {
        let (file, all) = (file.display(), ran.len());
        return Err(format!("{file}: none of {all} runs with such seeds has a digest to compare with"));
    }
    let without = ran.len() - doubles.len();
    Ok((doubles, without))
}

impl Double {
    fn of(scenario: &str, seed: u64, bug: Option<&String>, known: Option<String>) -> Self {
        let (scenario, bug) = (scenario.to_string(), bug.cloned());
        Double { run: Run { scenario, bug, seed: Some(seed), no_twin: true, ..Run::default() }, known }
    }

    fn pair(self, other: &Path) -> Result<Pair, String> {
        let one = self.known.map_or_else(|| child::outcome(&self.run).map(|one| one.digest), Ok)?;
        let two = child::outcome_of(other, &self.run)?;
        Ok(Pair { run: self.run, digests: [one, two.digest], events: two.events })
    }
}

/// Two digests that differ: where, and how to see it again.
fn explained(pair: &Pair, other: &Path, written_down: bool) -> Result<i32, String> {
    let Run { scenario, bug, .. } = &pair.run;
    let seed = pair.run.seed.unwrap_or(0);
    println!("{scenario} seed {seed}: {} and {}", pair.digests[0], pair.digests[1]);
    match first_difference(&pair.run, other)? {
        Some(difference) => println!("{difference}"),
        None if written_down => println!("two new runs were equal: is the file of another build?"),
        None => println!("two more runs were equal: the difference comes and goes"),
    }
    let bug = bug.as_ref().map_or(String::new(), |bug| format!(" --bug {bug}"));
    println!("again: cargo tank same {scenario} --seeds {seed}{bug}");
    Ok(DIFFERENT)
}

fn again(asked: &Same) -> String {
    let seeds = |seeds: &RangeInclusive<u64>| format!(" --seeds {}..{}", seeds.start(), seeds.end());
    match (&asked.results, &asked.seeds) {
        (Some(file), some) => {
            let seeds = some.as_ref().map(seeds).unwrap_or_default();
            format!("cargo tank same --results {}{seeds}", file.display())
        }
        (None, some) => {
            format!("cargo tank same {}{}", asked.scenario, seeds(some.as_ref().unwrap_or(&FEW)))
        }
    }
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
