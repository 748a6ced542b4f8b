//! Many seeds, each in a process of its own; failures by signature, so that a sweep reports ten distinct failures
//! and not ten thousand.

use super::{FAILED, args::Run, args::Sweep, child, load};
use crate::report::junit;
use crate::run::{Outcome, Sum, watchdog::wall};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

/// Every so many seeds are also run without harm, and compared.
const TWINS: u64 = 10;

/// One run of a sweep.
pub type Result1 = (String, u64, Result<Outcome, String>);

/// Runs jobs in child processes, `jobs` at once, until `stop` says so after a result.
#[allow(clippy::disallowed_methods)] // threads that wait for child processes, outside of any simulation
pub fn pool(jobs: usize, work: impl Iterator<Item = Run> + Send, mut done: impl FnMut(Result1) -> bool) {
    let work = Mutex::new(work);
    let stopped = std::sync::atomic::AtomicBool::new(false);
    let (tell, told) = mpsc::channel::<Result1>();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (tell, work, stopped) = (tell.clone(), &work, &stopped);
            scope.spawn(move || {
                while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    let next = work.lock().map(|mut work| work.next()).unwrap_or(None);
                    let Some(run) = next else { return };
                    let outcome = child::outcome(&run);
                    if tell.send((run.scenario.clone(), run.seed.unwrap_or(0), outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for result in told {
            if done(result) {
                stopped.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
    });
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub fn sweep(asked: &Sweep) -> Result<i32, String> {
    let scenarios: Vec<String> = match asked.scenarios.is_empty() {
        true => ["swarm", "kv-swarm", "elections-swarm"]
            .iter()
            .filter(|name| load::find(name).is_ok())
            .map(|n| n.to_string())
            .collect(),
        false => asked.scenarios.clone(),
    };
    for scenario in &scenarios {
        load::scenario(&load::find(scenario)?)?;
    }
    let (part, of) = asked.shard.unwrap_or((0, 1));
    let last = if asked.lasting.is_some() { u64::MAX - 1 } else { *asked.seeds.end() };
    let seeds = (*asked.seeds.start()..=last).filter(move |seed| seed % of == part);
    let began = wall();
    let in_time = move || asked.lasting.is_none_or(|lasting| began.elapsed() < lasting);
    let work = seeds.take_while(move |_| in_time()).flat_map(|seed| {
        scenarios.clone().into_iter().map(move |scenario| Run {
            scenario,
            seed: Some(seed),
            bug: asked.bug.clone(),
            no_twin: !seed.is_multiple_of(TWINS),
            ..Run::default()
        })
    });
    let total = (asked.seeds.end() - asked.seeds.start() + 1) * asked.scenarios.len().max(1) as u64 / of;
    let bar = bar(total, asked.lasting);
    let mut results: Vec<Result1> = vec![];
    let mut failures: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    pool(asked.jobs.unwrap_or_else(cores), work, |result| {
        bar.inc(1);
        if asked.json {
            let (scenario, seed, outcome) = &result;
            let outcome = outcome.as_ref().map_err(String::clone);
            println!(
                "{}",
                serde_json::json!({ "scenario": scenario, "seed": seed, "outcome": outcome.ok() })
            );
        }
        for signature in signatures(&result.2) {
            if !failures.contains_key(&signature) && !asked.json {
                bar.suspend(|| {
                    println!(
                        "{signature}\n  again: {}",
                        child::again(&Run {
                            scenario: result.0.clone(),
                            seed: Some(result.1),
                            bug: asked.bug.clone(),
                            ..Run::default()
                        })
                    )
                });
            }
            failures.entry(signature).or_default().push((result.0.clone(), result.1));
        }
        results.push(result);
        false
    });
    bar.finish_and_clear();
    if let Some(path) = &asked.junit {
        std::fs::write(path, junit::xml(&results)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if !asked.json {
        summary(&results, &failures, began.elapsed(), asked);
    }
    Ok(code(&results))
}

fn code(results: &[Result1]) -> i32 {
    let codes = results.iter().map(|(_, _, result)| match result {
        Err(_) => FAILED,
        Ok(outcome) => outcome.sum() as i32,
    });
    let codes: BTreeSet<i32> = codes.collect();
    [1, FAILED, 3].into_iter().find(|code| codes.contains(code)).unwrap_or(0)
}

/// What failed, without what differs from seed to seed.
pub fn signatures(result: &Result<Outcome, String>) -> Vec<String> {
    match result {
        Err(why) => vec![format!("the run failed: {why}")],
        Ok(outcome) if outcome.sum() == Sum::Vacuous => {
            vec![format!("vacuous: {}", outcome.vacuous.join("; "))]
        }
        Ok(outcome) => {
            let scenario = &outcome.scenario;
            outcome.broken().map(|finding| format!("{} broke in “{scenario}”", finding.promise)).collect()
        }
    }
}

fn bar(total: u64, lasting: Option<Duration>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = if lasting.is_some() { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs  {per_sec}  {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn summary(
    results: &[Result1],
    failures: &BTreeMap<String, Vec<(String, u64)>>,
    took: Duration,
    asked: &Sweep,
) {
    let outcomes: Vec<&Outcome> = results.iter().filter_map(|(_, _, result)| result.as_ref().ok()).collect();
    let simulated = outcomes.iter().map(|outcome| outcome.simulated_ns).sum::<u64>() as f64 / 1e9;
    let cpu = outcomes.iter().map(|outcome| outcome.wall_ms).sum::<u64>().max(1) as f64 / 1e3;
    let count = |wanted: Sum| outcomes.iter().filter(|outcome| outcome.sum() == wanted).count();
    println!();
    println!(
        "{} runs: {} held, {} broke, {} vacuous, {} failed to run",
        results.len(),
        count(Sum::Held),
        count(Sum::Broke),
        count(Sum::Vacuous),
        results.len() - outcomes.len()
    );
    for (signature, seeds) in failures {
        let shown: Vec<String> = seeds.iter().take(5).map(|(_, seed)| seed.to_string()).collect();
        println!(
            "  {:>5}  {signature} (seeds {}{})",
            seeds.len(),
            shown.join(", "),
            if seeds.len() > 5 { ", .." } else { "" }
        );
    }
    let operations: usize = outcomes.iter().map(|outcome| outcome.operations.0).sum();
    let harms: usize =
        outcomes.iter().map(|o| o.harms.iter().filter(|harm| !harm.did.is_empty()).count()).sum();
    println!(
        "{operations} operations done under {harms} harms; {simulated:.0} s simulated in {:.0} s ({:.0}x a core, {:.0} runs a core-hour)",
        took.as_secs_f64(),
        simulated / cpu,
        outcomes.len() as f64 * 3_600.0 / cpu
    );
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    for mark in outcomes.iter().flat_map(|outcome| outcome.reached.keys()) {
        *reached.entry(mark).or_insert(0) += 1;
    }
    println!("{} situations reached", reached.len());
    if asked.reached {
        let mut rare: Vec<_> = reached.into_iter().collect();
        rare.sort_by_key(|(mark, runs)| (*runs, *mark));
        rare.iter().for_each(|(mark, runs)| println!("  {runs:>6} runs  {mark}"));
    }
    let (from, to) = (asked.seeds.start(), asked.seeds.end());
    println!("again: cargo tank sweep {} --seeds {from}..{to}", asked.scenarios.join(" "));
}
