//! A failure made small: a scenario of the few harms and operations that still break the same promise.

use super::{args::Run, args::Shrink, child, load, sweep};
use crate::check::promise;
use crate::plan::{self, Plan};
use crate::run::{Outcome, watchdog::wall};
use crate::shrink::{self, Look, Size, Trial};
use crate::story::{file, place};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub fn shrink(asked: &Shrink) -> Result<i32, String> {
    let run =
        Run { scenario: asked.scenario.clone(), seed: asked.seed, bug: asked.bug.clone(), ..Run::default() };
    let plan = load::plan(&run)?;
    let promise = broken(&run, plan.seed, asked.promise.as_deref())?;
    let limits = Limits { budget: asked.budget, jobs: asked.jobs.unwrap_or_else(sweep::cores) };
    let small = smallest(&plan, &promise, asked.bug.as_deref(), &limits);
    let name = format!("{}.yaml", load::named(&asked.scenario, plan.seed, asked.bug.as_deref()));
    let path = asked.output.clone().unwrap_or_else(|| Path::new("target/shrunk").join(name));
    let origin = child::again(&Run { seed: Some(plan.seed), ..run.clone() });
    write(&path, &small, &promise, &origin, asked.bug.as_deref())?;
    let run = Run { scenario: path.display().to_string(), bug: asked.bug.clone(), ..Run::default() };
    let outcome = child::outcome(&run)?;
    if !outcome.broken().any(|finding| finding.promise == promise) {
        return Err(format!("{} does not break “{promise}” in a new process", path.display()));
    }
    println!("{}", sizes(&Size::of(&plan), &Size::of(&small.plan)));
    println!("{} tries in {:.0} s; “{promise}” breaks in a new process too", small.tries, small.took);
    println!("again: {}", child::again(&run));
    Ok(0)
}

/// The promise that is to break: the one asked for, or the first that did.
fn broken(run: &Run, seed: u64, wanted: Option<&str>) -> Result<String, String> {
    let run = Run { seed: Some(seed), ..run.clone() };
    let outcome = child::outcome(&run)?;
    let names: Vec<String> = outcome.broken().map(|finding| finding.promise.clone()).collect();
    match (wanted, names.first()) {
        (_, None) => {
            Err(format!("every promise held: there is nothing to shrink\nagain: {}", child::again(&run)))
        }
        (Some(wanted), _) if !names.iter().any(|name| name == wanted) => {
            Err(format!("“{wanted}” did not break; what broke: {}", names.join("; ")))
        }
        (Some(wanted), _) => Ok(wanted.to_string()),
        (None, Some(first)) => Ok(first.clone()),
    }
}

/// How long a run that is only to break a safety promise may take to come to rest, in microseconds.
const BRIEF: u64 = 1_000_000;

pub struct Limits {
    pub budget: Duration,
    pub jobs: usize,
}

/// A plan that was shrunk, and what it took.
pub struct Small {
    pub plan: Plan,
    pub tries: usize,
    pub took: f64,
}

/// The smallest plan found within the limits that breaks the promise, judged by that promise alone.
pub fn smallest(plan: &Plan, promise: &str, bug: Option<&str>, limits: &Limits) -> Small {
    let alone = Plan { check: vec![promise.to_string()], expect: vec![], ..plan.clone() };
    let whole = Plan { check: vec![promise.to_string()], ..plan.clone() };
    let mut children = Children {
        promise: promise.to_string(),
        bug: bug.map(str::to_string),
        jobs: limits.jobs.max(1),
        budget: limits.budget,
        began: wall(),
        tries: 0,
        bar: bar(),
    };
    // what breaks before the heal needs no time to come to rest behind it, and that is most of what a try takes
    let brief = Plan { settle: alone.settle.min(BRIEF), ..alone.clone() };
    let at_the_end = shrink::COMES_ABOUT.contains(&promise);
    let firsts = if at_the_end { vec![alone] } else { vec![brief, alone] };
    let first = children.first(&firsts).map_or(whole, |n| firsts[n].clone());
    let plan = shrink::shrink(first, &mut children);
    children.bar.finish_and_clear();
    Small { plan, tries: children.tries, took: children.began.elapsed().as_secs_f64() }
}

/// Tries plans, each in a process of its own.
struct Children {
    promise: String,
    bug: Option<String>,
    jobs: usize,
    budget: Duration,
    began: Instant,
    tries: usize,
    bar: ProgressBar,
}

impl Trial for Children {
    fn breaks(&mut self, plans: &[Plan]) -> Vec<bool> {
        self.tries += plans.len();
        if let Some(plan) = plans.first() {
            let Size { harms, operations, processes } = Size::of(plan);
            self.bar.set_message(format!(
                "{} tries; now {harms} harms, {operations} operations, {processes} processes",
                self.tries
            ));
            self.bar.tick();
        }
        let number = self.tries;
        let (this, mut broke) = (&*self, vec![false; plans.len()]);
        std::thread::scope(|scope| {
            for (n, (plan, broke)) in plans.iter().zip(&mut broke).enumerate() {
                #[allow(clippy::disallowed_methods)] // threads that wait for child processes
                scope.spawn(move || *broke = this.is_broken(plan, number * this.jobs + n));
            }
        });
        broke
    }

    fn look(&mut self, plan: &Plan) -> Look {
        self.tries += 1;
        let run = self.outcome(plan, self.tries * self.jobs, self.bug.as_deref(), true);
        let Ok(outcome) = run else { return Look::default() };
        let broken = outcome.broken().find(|finding| finding.promise == self.promise);
        let evidence = broken.map(|finding| finding.verdict.evidence()).unwrap_or_default();
        let at_the_end = shrink::COMES_ABOUT.contains(&self.promise.as_str());
        let times = evidence.iter().filter(|_| !at_the_end).flat_map(|line| place::times(line));
        let broke = times.filter(|at| at / 1_000 <= plan.heal).max();
        Look { broke: broke.map(|at| at / 1_000), starts: outcome.starts }
    }

    fn at_once(&self) -> usize {
        self.jobs
    }

    fn spent(&self) -> f64 {
        self.began.elapsed().as_secs_f64() / self.budget.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl Children {
    /// With the bug that is planted, if one is, and not without it.
    fn is_broken(&self, plan: &Plan, number: usize) -> bool {
        let breaks = |bug: Option<&str>| {
            let outcome = self.outcome(plan, number, bug, false);
            outcome.is_ok_and(|outcome| outcome.broken().any(|finding| finding.promise == self.promise))
        };
        breaks(self.bug.as_deref()) && (self.bug.is_none() || !breaks(None))
    }

    fn outcome(
        &self,
        plan: &Plan,
        number: usize,
        bug: Option<&str>,
        starts: bool,
    ) -> Result<Outcome, String> {
        let path: PathBuf =
            std::env::temp_dir().join(format!("tank-shrink-{}-{number}.json", std::process::id()));
        std::fs::write(&path, plan.to_text()).map_err(|error| error.to_string())?;
        let run = Run {
            scenario: path.display().to_string(),
            bug: bug.map(str::to_string),
            no_twin: self.promise != "twin run",
            starts,
            ..Run::default()
        };
        let outcome = child::outcome(&run);
        let _ = std::fs::remove_file(&path);
        outcome
    }
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {elapsed} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

fn sizes(from: &Size, to: &Size) -> String {
    format!(
        "{} harms became {}, {} operations {}, {} processes {}",
        from.harms, to.harms, from.operations, to.operations, from.processes, to.processes
    )
}

fn write(path: &Path, small: &Small, name: &str, origin: &str, bug: Option<&str>) -> Result<(), String> {
    let bug = bug.map_or(String::new(), |bug| format!(" --bug {bug}"));
    let words =
        promise(name).map_or(String::new(), |promise| format!("“{}” ({})", promise.words, promise.source));
    let comments = [
        format!("broke: {name}"),
        words,
        format!("shrunk from: {origin}"),
        format!("again: cargo tank run {}{bug}", path.display()),
    ];
    let comments: Vec<String> = comments.into_iter().filter(|comment| !comment.is_empty()).collect();
    file::whole(path, plan::scenario(&small.plan, &comments).as_bytes())
}
