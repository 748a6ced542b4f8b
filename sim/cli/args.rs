//! What may be asked on the command line.

use clap::{Parser, Subcommand};
use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

#[derive(Parser)]
#[command(
    name = "tank",
    about = "Runs the whole control plane in one deterministic simulation, and tries to sink it",
    version,
    propagate_version = true
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// One run: verdict, digest, speed
    Run(Run),
    /// A plan or scenario again, in two new processes, whose records are compared
    Replay(Run),
    /// Many seeds, each in a process of its own
    Sweep(Sweep),
    /// An exact small world: every crash point between two writes of a process, or every order of deliveries to one
    Enumerate(Enumerate),
    /// The results of several sweeps, or shards of one, as one
    Merge(Merge),
    /// Determinism: every seed in two processes, digests compared
    Same(Same),
    /// Makes a failure small: the harms and operations that still break the same promise, as a scenario
    Shrink(Shrink),
    /// A walk over a run: forward, back, to a broken promise; what was known of each process there
    Step(Step),
    /// A run as one page of HTML: every process over time, harms, operations, the broken promise in its place
    Report(Report),
    /// Every historical bug, planted, must be found by a promise it is known to break
    Museum(Museum),
    /// Simulated seconds per wall second, runs per core-hour, events per second
    Bench(Bench),
    /// The scenarios there are
    List,
    /// The grammar of scenarios as JSON schema, for editors
    Schema,
}

#[derive(clap::Args, Clone, Default)]
pub struct Run {
    /// A scenario (.yaml) or a saved plan (.json); a bare name is looked for in scenarios/
    pub scenario: String,
    /// The seed; without it, the one the scenario names
    #[arg(long)]
    pub seed: Option<u64>,
    /// One line of JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Saves the plan: every load and harm, drawn and timed
    #[arg(long, value_name = "FILE")]
    pub save_plan: Option<PathBuf>,
    /// Plants a bug of the museum
    #[arg(long, value_name = "ID")]
    pub bug: Option<String>,
    /// Leaves out all harm
    #[arg(long)]
    pub without_harm: bool,
    /// Does not compare with the same seed without harm
    #[arg(long)]
    pub no_twin: bool,
    /// Prints every write to keys that contain this, as the observer saw them
    #[arg(long, value_name = "PART")]
    pub writes: Option<String>,
    /// Saves everything that happened, for `step` and `report`
    #[arg(long, value_name = "FILE")]
    pub story: Option<PathBuf>,
    /// Writes the run as one page of HTML
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Prints what a snapshot of this run holds
    #[arg(long, hide = true)]
    pub snapshot: bool,
    /// Writes checkpoints and captured events of the record
    #[arg(long, hide = true, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Tells in JSON when each planned operation began
    #[arg(long, hide = true)]
    pub starts: bool,
    /// Events between two checkpoints
    #[arg(long, hide = true)]
    pub checkpoints: Option<u64>,
    /// Events to capture
    #[arg(long, hide = true, value_parser = range)]
    pub capture: Option<RangeInclusive<u64>>,
}

#[derive(clap::Args)]
pub struct Sweep {
    /// Scenarios; without any, the swarms
    pub scenarios: Vec<String>,
    /// Seeds from A to B, both included
    #[arg(long, value_name = "A..B", value_parser = range, default_value = "1..100")]
    pub seeds: RangeInclusive<u64>,
    /// Goes on for this long, from the first seed, instead of to the last
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub lasting: Option<Duration>,
    /// Processes at once; without it, one a core
    #[arg(long, short)]
    pub jobs: Option<usize>,
    /// The I-th of N parts of the seeds; I counts from 0
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<(u64, u64)>,
    /// Writes the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Writes each result as it comes, a line of JSON a run, for `--resume` and `merge`
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Goes on with the file of `--results`: what is in it is not run again
    #[arg(long, requires = "results")]
    pub resume: bool,
    /// Prints failures as annotations for GitHub
    #[arg(long)]
    pub github: bool,
    /// One line of JSON a run instead of text
    #[arg(long)]
    pub json: bool,
    /// Plants a bug of the museum
    #[arg(long, value_name = "ID")]
    pub bug: Option<String>,
    /// Lists the situations that runs reached, the rarest first, and those that none did
    #[arg(long)]
    pub reached: bool,
    /// Fails when no run reached a situation that snapshots/marks.txt says a standard sweep must reach
    #[arg(long)]
    pub baseline: bool,
    /// Stops when so many runs in a row reached no situation that none before them had reached
    #[arg(long, value_name = "RUNS")]
    pub until_quiet: Option<usize>,
    /// Half of the runs are variations of plans that reached something rare: harms moved in time, aimed at others,
    /// combined
    #[arg(long, conflicts_with_all = ["shard", "resume"])]
    pub guided: bool,
}

#[derive(clap::Args)]
pub struct Enumerate {
    /// A small scenario (.yaml); a bare name is looked for in scenarios/ and scenarios/enumerate/
    pub scenario: String,
    /// The seed; without it, the one the scenario names
    #[arg(long)]
    pub seed: Option<u64>,
    /// Who dies, or hears: the active manager, the active scheduler, manager-1, node-2; may be said several times
    #[arg(long, value_name = "PROCESS", default_value = "the active manager")]
    pub who: Vec<String>,
    /// Where the walk begins; without it, right before the first deed
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<Duration>,
    /// Walks every order of so many deliveries instead of crash points
    #[arg(long, value_name = "K")]
    pub orders: Option<u64>,
    /// Kinds whose deliveries change places
    #[arg(long, value_name = "KINDS", value_delimiter = ',', default_value = "deployments,replicasets,pods")]
    pub of: Vec<String>,
    /// Plants a bug of the museum
    #[arg(long, value_name = "ID")]
    pub bug: Option<String>,
    /// Runs at the most
    #[arg(long, value_name = "RUNS", default_value_t = 1_000)]
    pub most: u64,
    /// Does not compare with the same run in which nobody dies
    #[arg(long)]
    pub no_twin: bool,
    /// Processes at once; without it, one a core
    #[arg(long, short)]
    pub jobs: Option<usize>,
}

#[derive(clap::Args)]
pub struct Merge {
    /// What `cargo tank sweep --results` wrote
    #[arg(required = true)]
    pub results: Vec<PathBuf>,
    /// Writes the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Prints failures as annotations for GitHub
    #[arg(long)]
    pub github: bool,
    /// Lists the situations that runs reached, the rarest first, and those that none did
    #[arg(long)]
    pub reached: bool,
}

#[derive(clap::Args)]
pub struct Same {
    /// A scenario; without it, the swarm
    #[arg(default_value = "swarm", conflicts_with = "results")]
    pub scenario: String,
    /// Seeds from A to B, both included; without it, 1..10, or all that the file of `--results` holds
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub seeds: Option<RangeInclusive<u64>>,
    /// Runs each run of this file of `cargo tank sweep --results` once more, and compares with the digest in it
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Another build of the tank to compare with
    #[arg(long, value_name = "FILE")]
    pub with: Option<PathBuf>,
    /// Plants a bug of the museum
    #[arg(long, value_name = "ID", conflicts_with = "results")]
    pub bug: Option<String>,
    /// Processes at once; without it, one a core
    #[arg(long, short)]
    pub jobs: Option<usize>,
}

#[derive(clap::Args)]
pub struct Shrink {
    /// A scenario (.yaml) or a saved plan (.json) that breaks a promise
    pub scenario: String,
    /// The seed; without it, the one the scenario names
    #[arg(long)]
    pub seed: Option<u64>,
    /// Plants a bug of the museum
    #[arg(long, value_name = "ID")]
    pub bug: Option<String>,
    /// The promise that must still break; without it, the first that did
    #[arg(long, value_name = "NAME")]
    pub promise: Option<String>,
    /// Where the scenario is written; without it, into target/shrunk
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Time for it at the most
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "5m")]
    pub budget: Duration,
    /// Processes at once; without it, one a core
    #[arg(long, short)]
    pub jobs: Option<usize>,
}

/// A run to be looked at.
#[derive(clap::Args, Clone)]
pub struct Look {
    /// A scenario (.yaml), a saved plan (.json) or a saved story (.story)
    pub scenario: String,
    /// The seed; without it, the one the scenario names
    #[arg(long)]
    pub seed: Option<u64>,
    /// Plants a bug of the museum
    #[arg(long, value_name = "ID")]
    pub bug: Option<String>,
}

#[derive(clap::Args)]
pub struct Step {
    #[command(flatten)]
    pub run: Look,
    /// Saves the story, so that the next walk need not run it again
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Report {
    #[command(flatten)]
    pub run: Look,
    /// Where the page is written; without it, into target/reports
    #[arg(long, short, value_name = "FILE.html")]
    pub output: Option<PathBuf>,
    /// What is shown beside it: a scenario, perhaps a shrunk one, or a saved story; without it, the same seed
    /// without harm
    #[arg(long, value_name = "FILE")]
    pub beside: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Museum {
    /// Only this bug
    #[arg(long, value_name = "ID")]
    pub bug: Option<String>,
    /// CPU time for each hunt at the most
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10m")]
    pub budget: Duration,
    /// Hunts as `sweep --guided` does
    #[arg(long)]
    pub guided: bool,
    /// Hunts for each bug, each from a first seed of its own
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub bases: u64,
    /// Shrinks what the first hunt finds, each for so long at the most
    #[arg(long, value_name = "TIME", value_parser = time, num_args = 0..=1, default_missing_value = "5m")]
    pub shrink: Option<Duration>,
    /// Processes at once; without it, one a core
    #[arg(long, short)]
    pub jobs: Option<usize>,
}

#[derive(clap::Args)]
pub struct Bench {
    /// Runs of each kind
    #[arg(long, default_value_t = 3)]
    pub runs: u64,
}

/// `A..B`, both included, or one number.
pub fn range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| "expected A..B, such as 1..1000".to_string());
    match text.split_once("..") {
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to.trim_start_matches('='))?);
            if from > to { Err(format!("{from} comes after {to}")) } else { Ok(from..=to) }
        }
        None => number(text).map(|one| one..=one),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let node = crate::scenario::yaml::Node::read(text).map_err(|mistake| mistake.message)?;
    let drawn =
        crate::scenario::units::time(&node).map_err(|mistake| format!("expected {}", mistake.expected))?;
    Ok(Duration::from_micros(drawn.bounds().1 as u64))
}

fn shard(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    parts
        .filter(|(part, of)| part < of)
        .ok_or_else(|| "expected I/N with I from 0 to N-1, such as 0/4".to_string())
}
