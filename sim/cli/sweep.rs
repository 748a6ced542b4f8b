//! Many seeds, each in a process of its own; failures by signature, so that a sweep reports ten distinct failures
//! and not ten thousand.

use super::{
    args::{Merge, Run, Sweep},
    child,
    guide::{self, Guide},
    junit, load, marks,
    results::{self, Ran, Results},
};
use crate::run::watchdog::wall;
use crate::story::file::whole;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

/// Every so many seeds are also run without harm, and compared.
const TWINS: u64 = 10;
const SWARMS: [&str; 12] = [
    "swarm",
    "kv-swarm",
    "elections-swarm",
    "members-swarm",
    "changes-swarm",
    "users-swarm",
    "locks-swarm",
    "leases-swarm",
    "views-swarm",
    "processes-swarm",
    "disks-swarm",
    "nodes-swarm",
];

/// Runs jobs in child processes, `jobs` at once, until `done` says so after a result.
pub fn pool(jobs: usize, work: impl Iterator<Item = Run> + Send, done: impl FnMut(Ran) -> bool) {
    let ran = |run: Run| {
        let outcome = child::outcome(&run);
        let Run { scenario, seed, bug, .. } = run;
        Ran { scenario, seed: seed.unwrap_or(0), bug, outcome }
    };
    each(jobs, work, ran, done);
}

/// Does `task` for all work, on `jobs` threads, until `done` says so after a result.
#[allow(clippy::disallowed_methods)] // threads that wait for child processes, outside of any simulation
pub fn each<W, T: Send>(
    jobs: usize,
    work: impl Iterator<Item = W> + Send,
    task: impl Fn(W) -> T + Sync,
    mut done: impl FnMut(T) -> bool,
) {
    let work = Mutex::new(work);
    let stopped = std::sync::atomic::AtomicBool::new(false);
    let (tell, told) = mpsc::channel::<T>();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (tell, work, stopped, task) = (tell.clone(), &work, &stopped, &task);
            scope.spawn(move || {
                while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    let next = work.lock().map(|mut work| work.next()).unwrap_or(None);
                    let Some(next) = next else { return };
                    if tell.send(task(next)).is_err() {
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
    let scenarios = scenarios(asked)?;
    let mut under_way = UnderWay::begin(asked, scenarios.len() as u64)?;
    let (began, jobs) = (wall(), asked.jobs.unwrap_or_else(cores));
    let guide = if asked.guided {
        Some(guided(asked, &scenarios, jobs, |ran| under_way.take(ran))?)
    } else {
        let work = work(asked, scenarios, under_way.results.done(), began);
        pool(jobs, work, |ran| under_way.take(ran));
        None
    };
    under_way.bar.finish_and_clear();
    if let Some(wrong) = under_way.wrong {
        return Err(wrong);
    }
    if !asked.json {
        println!();
    }
    let results = under_way.results;
    let manner = Telling { junit: asked.junit.as_deref(), github: asked.github, reached: asked.reached };
    tell(&results, &manner, (!asked.json).then(|| began.elapsed()))?;
    if asked.json {
        return Ok(results.code());
    }
    if let Some(guide) = guide {
        println!("{guide}");
    }
    let code = if asked.baseline { held_to_baseline(&results) } else { results.code() };
    println!("again: {}", again(asked));
    Ok(code)
}

/// A sweep that is not at its end.
struct UnderWay<'a> {
    asked: &'a Sweep,
    book: Option<results::Book>,
    results: Results,
    bar: ProgressBar,
    known: BTreeSet<String>,
    /// Runs in a row that reached nothing new.
    quiet: usize,
    wrong: Option<String>,
}

impl<'a> UnderWay<'a> {
    fn begin(asked: &'a Sweep, scenarios: u64) -> Result<Self, String> {
        let (book, results) = match &asked.results {
            Some(path) => results::Book::open(path, asked.resume).map(|(book, there)| (Some(book), there))?,
            None => (None, Results::default()),
        };
        let (bar, known) = (bar(asked, scenarios), BTreeSet::new());
        Ok(UnderWay { asked, book, results, bar, known, quiet: 0, wrong: None })
    }

    /// Takes note of a run; true when it was the last.
    fn take(&mut self, ran: Ran) -> bool {
        self.bar.inc(1);
        if self.asked.json {
            println!("{}", serde_json::to_string(&ran).unwrap_or_default());
        }
        if let Some(Err(error)) = self.book.as_mut().map(|book| book.write(&ran)) {
            self.wrong = Some(error);
        }
        let marks = ran.outcome.iter().flat_map(|outcome| outcome.reached.keys().cloned());
        let before = self.known.len();
        self.known.extend(marks);
        self.quiet = if self.known.len() > before { 0 } else { self.quiet + 1 };
        let again = ran.again();
        for signature in self.results.add(ran).iter().filter(|_| !self.asked.json) {
            self.bar.suspend(|| println!("{}: {}\n  again: {again}", signature.what, signature.evidence));
        }
        self.wrong.is_some() || self.asked.until_quiet.is_some_and(|most| self.quiet >= most)
    }
}

/// As many runs as there would be, half of them variations.
fn guided(
    asked: &Sweep,
    scenarios: &[String],
    jobs: usize,
    mut done: impl FnMut(Ran) -> bool,
) -> Result<Guide, String> {
    let began = wall();
    let (first, last) = (*asked.seeds.start(), *asked.seeds.end());
    let most = asked.lasting.map_or((last - first + 1) * scenarios.len() as u64, |_| u64::MAX);
    let manner = guide::Manner { jobs, bug: asked.bug.clone(), most, twins: TWINS };
    let mut guide = Guide::new(scenarios, first)?;
    let late = || asked.lasting.is_some_and(|lasting| began.elapsed() >= lasting);
    guide::run(&mut guide, &manner, |ran| done(ran) || late())?;
    Ok(guide)
}

fn again(asked: &Sweep) -> String {
    let mut words = vec!["cargo tank sweep".to_string()];
    words.extend(asked.scenarios.iter().cloned());
    words.push(format!("--seeds {}..{}", asked.seeds.start(), asked.seeds.end()));
    words.extend(asked.shard.map(|(part, of)| format!("--shard {part}/{of}")));
    words.extend(asked.bug.as_ref().map(|bug| format!("--bug {bug}")));
    words.extend(asked.guided.then(|| "--guided".to_string()));
    words.join(" ")
}

/// Those asked for, or every swarm there is; each can be read.
fn scenarios(asked: &Sweep) -> Result<Vec<String>, String> {
    asked.bug.as_deref().map_or(Ok(()), super::museum::known)?;
    let swarms = || SWARMS.iter().filter(|name| load::find(name).is_ok()).map(|name| name.to_string());
    let scenarios: Vec<String> =
        if asked.scenarios.is_empty() { swarms().collect() } else { asked.scenarios.clone() };
    for scenario in &scenarios {
        load::scenario(&load::find(scenario)?)?;
    }
    Ok(scenarios)
}

/// What is to be run, without what has been.
fn work(
    asked: &Sweep,
    scenarios: Vec<String>,
    done: BTreeSet<(String, u64)>,
    began: Instant,
) -> impl Iterator<Item = Run> + Send + use<> {
    let (part, of) = asked.shard.unwrap_or((0, 1));
    let last = if asked.lasting.is_some() { u64::MAX - 1 } else { *asked.seeds.end() };
    let (first, bug, lasting) = (*asked.seeds.start(), asked.bug.clone(), asked.lasting);
    let seeds = (first..=last).filter(move |seed| seed % of == part);
    let in_time = move || lasting.is_none_or(|lasting| began.elapsed() < lasting);
    let pairs = seeds
        .take_while(move |_| in_time())
        .flat_map(move |seed| scenarios.clone().into_iter().map(move |scenario| (scenario, seed)));
    pairs.filter(move |pair| !done.contains(pair)).map(move |(scenario, seed)| Run {
        scenario,
        seed: Some(seed),
        bug: bug.clone(),
        no_twin: !seed.is_multiple_of(TWINS),
        ..Run::default()
    })
}

/// How results are told, beside the summary.
struct Telling<'a> {
    junit: Option<&'a Path>,
    github: bool,
    reached: bool,
}

fn tell(results: &Results, manner: &Telling<'_>, took: Option<Duration>) -> Result<(), String> {
    if let Some(path) = manner.junit {
        whole(path, junit::xml(&results.runs).as_bytes())?;
    }
    if manner.github {
        results.github().iter().for_each(|line| println!("{line}"));
    }
    let Some(took) = took else { return Ok(()) };
    println!("{}", results.summary(took.as_secs_f64()));
    let reached = results.reached();
    let (never, _) = marks::missing(&reached.iter().map(|(mark, _)| *mark).collect());
    println!("{} situations reached, {} not", reached.len(), never.len());
    if manner.reached {
        never.iter().for_each(|mark| println!("    none       {mark}"));
        reached.iter().for_each(|(mark, runs)| println!("  {runs:>6} runs  {mark}"));
    }
    Ok(())
}

/// The exit code of a sweep that must have reached what a standard sweep must.
fn held_to_baseline(results: &Results) -> i32 {
    let reached = results.reached().into_iter().map(|(mark, _)| mark).collect();
    let (_, must) = marks::missing(&reached);
    must.iter().for_each(|mark| println!("not reached, but a standard sweep must: {mark}"));
    if must.is_empty() { results.code() } else { results.code().max(1) }
}

/// Several results as one.
pub fn merge(asked: &Merge) -> Result<i32, String> {
    let (mut all, mut twice, mut done) = (Results::default(), 0, BTreeSet::new());
    for path in &asked.results {
        for ran in results::read(path)?.0.runs {
            if done.insert((ran.scenario.clone(), ran.seed, ran.bug.clone())) {
                all.add(ran);
            } else {
                twice += 1;
            }
        }
    }
    let manner = Telling { junit: asked.junit.as_deref(), github: asked.github, reached: asked.reached };
    let wall: u64 = all.runs.iter().filter_map(|ran| ran.outcome.as_ref().ok()).map(|one| one.wall_ms).sum();
    tell(&all, &manner, Some(Duration::from_millis(wall)))?;
    if twice > 0 {
        println!("{twice} runs stood in more than one file and count once");
    }
    let names: Vec<String> = asked.results.iter().map(|path| path.display().to_string()).collect();
    println!("again: cargo tank merge {}", names.join(" "));
    Ok(all.code())
}

fn bar(asked: &Sweep, scenarios: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let total =
        (asked.seeds.end() - asked.seeds.start() + 1) * scenarios / asked.shard.map_or(1, |(_, of)| of);
    let bar = if asked.lasting.is_some() { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs  {per_sec}  {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
