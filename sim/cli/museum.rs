//! Every historical bug, planted, must be found by the ordinary swarm: by a promise it is known to break, within
//! its budget. No check is trusted until a planted bug has made it fail.

mod pieces;

use super::guide::{self, Guide};
use super::{args::Museum, args::Run, load, results::Ran, shrink, sweep};
use crate::run::Outcome;
use crate::shrink::Size;
use pieces::{PIECES, Piece};
use std::time::Duration;

/// Between the first seeds of two hunts.
const APART: u64 = 1_000_000;

/// A bug that is asked for can be planted, or there is a word that comes near.
pub fn known(bug: &str) -> Result<(), String> {
    let mut planted = pieces::planted();
    if planted.any(|id| id == bug) {
        return Ok(());
    }
    let hint = base::words::nearest(bug, pieces::planted());
    let hint = hint.map_or(String::new(), |id| format!("; did you mean {id}?"));
    let all: Vec<&str> = pieces::planted().collect();
    Err(format!("there is no bug {bug} that could be planted{hint}\nthere are {}", all.join(", ")))
}

pub fn museum(asked: &Museum) -> Result<i32, String> {
    let wanted = |piece: &&Piece| asked.bug.as_ref().is_none_or(|bug| bug == piece.id);
    let pieces: Vec<&Piece> = PIECES.iter().filter(wanted).collect();
    if pieces.is_empty() {
        let ids: Vec<&str> = PIECES.iter().map(|piece| piece.id).collect();
        let bug = asked.bug.as_deref().unwrap_or_default();
        let hint = base::words::nearest(bug, ids.iter().copied());
        let hint = hint.map_or(String::new(), |id| format!("; did you mean {id}?"));
        return Err(format!("there is no bug {bug} in the museum{hint}\nit holds {}", ids.join(", ")));
    }
    println!(
        "{}",
        row(["bug", "", "found by the promise", "runs", "CPU s", "shrunk to"].map(str::to_string))
    );
    println!("|---|---|---|---|---|---|");
    let (mut missed, mut again, mut all) = (0, vec![], Spent::default());
    for piece in pieces {
        let (line, found, spent) = exhibit(piece, asked)?;
        println!("{line}");
        all = Spent { runs: all.runs + spent.runs, cpu_ms: all.cpu_ms + spent.cpu_ms };
        missed += i32::from(found.is_none());
        again.extend(found.map(|found| found.again(piece)));
    }
    again.iter().for_each(|command| println!("{command}"));
    println!("in all {} runs, {:.0} CPU s", all.runs, all.cpu_ms as f64 / 1e3);
    println!("again: {}", command(asked));
    Ok(i32::from(missed > 0))
}

fn command(asked: &Museum) -> String {
    let mut words = vec!["cargo tank museum".to_string()];
    words.extend(asked.bug.as_ref().map(|bug| format!("--bug {bug}")));
    words.extend(asked.guided.then(|| "--guided".into()));
    words.push(format!("--budget {}s", asked.budget.as_secs()));
    words.extend((asked.bases > 1).then(|| format!("--bases {}", asked.bases)));
    words.extend(asked.shrink.map(|budget| format!("--shrink {}s", budget.as_secs())));
    words.join(" ")
}

fn row(cells: [String; 6]) -> String {
    let [id, what, promise, runs, cpu, size] = cells;
    format!("| {id:<6} | {what:<56} | {promise:<40} | {runs:>9} | {cpu:>11} | {size} |")
}

/// What a hunt came to.
struct Found {
    scenario: String,
    seed: u64,
    promise: String,
}

#[derive(Default)]
struct Hunt {
    runs: usize,
    cpu_ms: u64,
    found: Option<Found>,
    /// Runs that broke promises which this bug is not known to break.
    by_others: usize,
}

impl Found {
    fn again(&self, piece: &Piece) -> String {
        format!("cargo tank run {} --seed {} --bug {}", self.scenario, self.seed, piece.id)
    }
}

/// What hunts took.
#[derive(Default)]
struct Spent {
    runs: usize,
    cpu_ms: u64,
}

/// The line of one bug, what the first hunt found if every hunt found it, and what they took.
fn exhibit(piece: &Piece, asked: &Museum) -> Result<(String, Option<Found>, Spent), String> {
    let hunts: Vec<Hunt> =
        (0..asked.bases.max(1)).map(|base| hunt(piece, asked, base)).collect::<Result<_, _>>()?;
    let missed = hunts.iter().filter(|hunt| hunt.found.is_none()).count();
    let others: usize = hunts.iter().map(|hunt| hunt.by_others).sum();
    let spent = Spent {
        runs: hunts.iter().map(|hunt| hunt.runs).sum(),
        cpu_ms: hunts.iter().map(|hunt| hunt.cpu_ms).sum(),
    };
    let runs = spread(hunts.iter().map(|hunt| hunt.runs as f64).collect(), 0);
    let cpu = spread(hunts.iter().map(|hunt| hunt.cpu_ms as f64 / 1e3).collect(), 1);
    let found = hunts.into_iter().next().and_then(|hunt| hunt.found).filter(|_| missed == 0);
    let promise = match &found {
        Some(found) => found.promise.clone(),
        None if others > 0 => format!("NOT FOUND ({others} runs broke other promises)"),
        None => "NOT FOUND".into(),
    };
    let size = match (&found, asked.shrink) {
        (Some(found), Some(budget)) => shrunk(found, piece, budget, asked)?,
        _ => String::new(),
    };
    Ok((row([piece.id.into(), piece.what.into(), promise, runs, cpu, size]), found, spent))
}

/// The middle one, and the largest if there are more.
fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let (middle, most) = (values[values.len() / 2], values[values.len() - 1]);
    match values.len() {
        1 => format!("{middle:.digits$}"),
        _ => format!("{middle:.digits$} (≤ {most:.digits$})"),
    }
}

fn shrunk(found: &Found, piece: &Piece, budget: Duration, asked: &Museum) -> Result<String, String> {
    let run = Run { scenario: found.scenario.clone(), seed: Some(found.seed), ..Run::default() };
    let plan = load::plan(&run)?;
    let limits = shrink::Limits { budget, jobs: asked.jobs.unwrap_or_else(sweep::cores) };
    let small = shrink::smallest(&plan, &found.promise, Some(piece.id), &limits);
    let (from, to) = (Size::of(&plan), Size::of(&small.plan));
    Ok(format!(
        "{} of {} harms, {} of {} operations, in {:.0} s",
        to.harms, from.harms, to.operations, from.operations, small.took
    ))
}

/// One hunt: seeds in order from a first one, until a promise is broken that the bug is known to break.
fn hunt(piece: &Piece, asked: &Museum, base: u64) -> Result<Hunt, String> {
    for swarm in piece.swarms {
        load::find(swarm)?;
    }
    let first = 1 + base * APART;
    let runs = (first..).flat_map(|seed| {
        piece.swarms.iter().map(move |swarm| Run {
            scenario: swarm.to_string(),
            seed: Some(seed),
            bug: Some(piece.id.into()),
            no_twin: true,
            ..Run::default()
        })
    });
    let mut hunt = Hunt::default();
    let (budget, jobs) = (asked.budget.as_millis() as u64, asked.jobs.unwrap_or_else(sweep::cores));
    if !asked.guided {
        sweep::pool(jobs, runs, |ran| hunt.take(ran, piece, budget));
        return Ok(hunt);
    }
    let swarms: Vec<String> = piece.swarms.iter().map(|swarm| swarm.to_string()).collect();
    let manner = guide::Manner { jobs, bug: Some(piece.id.into()), most: u64::MAX, twins: 0 };
    guide::run(&mut Guide::new(&swarms, first)?, &manner, |ran| hunt.take(ran, piece, budget))?;
    Ok(hunt)
}

impl Hunt {
    /// Takes note of a run; true when the hunt is over.
    fn take(&mut self, ran: Ran, piece: &Piece, budget: u64) -> bool {
        let Ran { scenario, seed, outcome, .. } = ran;
        if self.found.is_some() {
            return true;
        }
        self.runs += 1;
        match &outcome {
            Ok(outcome) => {
                self.cpu_ms += outcome.cpu_ms;
                match broken_as_known(outcome, piece) {
                    Some(promise) => self.found = Some(Found { scenario, seed, promise }),
                    None => self.by_others += usize::from(outcome.broken().next().is_some()),
                }
            }
            Err(_) => self.cpu_ms += 1_000,
        }
        self.found.is_some() || self.cpu_ms > budget
    }
}

fn broken_as_known(outcome: &Outcome, piece: &Piece) -> Option<String> {
    let mut broken = outcome.broken().map(|finding| finding.promise.clone());
    broken.find(|promise| piece.breaks.contains(&promise.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every `bug!` of the tree.
    fn in_the_tree() -> BTreeSet<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (mut todo, mut found) = (vec![root.join("src"), root.join("sim")], BTreeSet::new());
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("museum.rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let ids = text.split("bug!(\"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(ids.map(str::to_string));
            }
        }
        found
    }

    #[test]
    fn what_can_be_asked_for_is_what_is_planted() {
        let known: BTreeSet<String> = pieces::planted().map(str::to_string).collect();
        assert_eq!(known, in_the_tree());
        assert_eq!(pieces::planted().count(), known.len(), "each stands on one list only");
    }

    #[test]
    fn a_bug_that_nobody_planted_is_refused() {
        assert_eq!(known("R15"), Ok(()));
        assert!(known("R51").unwrap_err().contains("did you mean R"));
    }
}
