//! Finding more for each CPU second: plans that reached something rare are kept and varied, and every other run is
//! one of theirs. What is tried next follows from what was reached before, in rounds, and each round is looked at in
//! its order: a guided sweep is a function of its first seed, however many processes it has.

use super::{args::Run, load, results::Ran, sweep};
use crate::plan::{self, Plan};
use crate::run::Outcome;
use crate::scenario::Scenario;
use crate::story::file::whole;
use base::stream::stream;
use rand::Rng;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Runs of which each knows only what was reached before all of them.
const ROUND: u64 = 8;
/// A plan is kept for a situation that at most so many runs had reached.
const RARE: u64 = 3;
/// Plans kept at once.
const MOST: usize = 48;

/// Which plans to try next.
pub struct Guide {
    scenarios: Vec<(String, Scenario)>,
    first: u64,
    fresh: u64,
    tried: u64,
    /// Runs that reached each situation.
    seen: BTreeMap<String, u64>,
    kept: Vec<Kept>,
    /// Runs that were variations.
    varied: usize,
    /// Situations that a varied plan was the first to reach.
    firsts: usize,
}

struct Kept {
    scenario: usize,
    plan: Plan,
    reached: Vec<String>,
    variations: u64,
}

/// A run to be made.
pub struct Try {
    number: u64,
    scenario: usize,
    plan: Plan,
    /// None: a variation.
    seed: Option<u64>,
}

impl Guide {
    pub fn new(scenarios: &[String], first: u64) -> Result<Self, String> {
        let read = |name: &String| Ok((name.clone(), load::scenario(&load::find(name)?)?));
        let scenarios = scenarios.iter().map(read).collect::<Result<_, String>>()?;
        let (seen, kept) = (BTreeMap::new(), vec![]);
        Ok(Guide { scenarios, first, fresh: 0, tried: 0, seen, kept, varied: 0, firsts: 0 })
    }

    /// The next few, of which half are variations as soon as there is anything to vary.
    pub fn round(&mut self, most: u64) -> Vec<Try> {
        (0..ROUND.min(most)).map(|n| if n % 2 == 1 { self.variation() } else { self.fresh() }).collect()
    }

    fn number(&mut self) -> u64 {
        self.tried += 1;
        self.tried
    }

    fn fresh(&mut self) -> Try {
        let scenario = self.fresh as usize % self.scenarios.len();
        let seed = self.first + self.fresh / self.scenarios.len() as u64;
        self.fresh += 1;
        let plan = plan::plan(&self.scenarios[scenario].1, seed);
        Try { number: self.number(), scenario, plan, seed: Some(seed) }
    }

    fn variation(&mut self) -> Try {
        let mut stream = stream(self.first, &format!("variation {}", self.tried + 1));
        let weights: Vec<u64> = self.kept.iter().map(|kept| self.weight(kept)).collect();
        let sum: u64 = weights.iter().sum();
        if sum == 0 {
            return self.fresh();
        }
        let mut left = stream.gen_range(0..sum);
        let chosen = weights.iter().position(|weight| match left.checked_sub(*weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        let chosen = chosen.unwrap_or(0);
        let scenario = self.kept[chosen].scenario;
        let others: Vec<&Kept> = self.kept.iter().filter(|kept| kept.scenario == scenario).collect();
        let other = &others[stream.gen_range(0..others.len())].plan;
        let plan = plan::vary(&self.kept[chosen].plan, other, &mut stream);
        self.kept[chosen].variations += 1;
        Try { number: self.number(), scenario, plan, seed: None }
    }

    /// The rarer what a plan reached, and the less it was tried, the more it is worth.
    fn weight(&self, kept: &Kept) -> u64 {
        let runs = |mark: &String| self.seen.get(mark).copied().unwrap_or(1).max(1);
        let worth: u64 = kept.reached.iter().map(|mark| 1_000 / runs(mark)).sum();
        worth / (1 + kept.variations / 4)
    }

    /// Takes note of what a run reached.
    pub fn learn(&mut self, tried: Try, outcome: &Outcome) {
        let mut rare = vec![];
        for mark in outcome.reached.keys() {
            let runs = self.seen.entry(mark.clone()).or_insert(0);
            *runs += 1;
            if *runs <= RARE {
                rare.push(mark.clone());
            }
            self.firsts += usize::from(*runs == 1 && tried.seed.is_none());
        }
        self.varied += usize::from(tried.seed.is_none());
        // what broke is found: its neighbours would break the same
        if !rare.is_empty() && outcome.broken().next().is_none() {
            let Try { scenario, plan, .. } = tried;
            self.kept.push(Kept { scenario, plan, reached: rare, variations: 0 });
        }
        if self.kept.len() > MOST {
            let least = (0..self.kept.len()).min_by_key(|n| self.weight(&self.kept[*n]));
            least.map(|n| self.kept.remove(n));
        }
    }
}

impl fmt::Display for Guide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Guide { varied, tried, firsts, .. } = self;
        write!(f, "guided: {varied} of {tried} runs were variations, of {} plans kept; ", self.kept.len())?;
        write!(f, "they were the first to reach {firsts} situations")
    }
}

/// How the runs of a guided sweep are made.
pub struct Manner {
    pub jobs: usize,
    pub bug: Option<String>,
    /// Runs at the most.
    pub most: u64,
    /// Every so many of the fresh seeds are compared with the same seed without harm; 0: none.
    pub twins: u64,
}

/// Makes runs until `done` says stop after one. It is told of them in their order.
pub fn run(guide: &mut Guide, manner: &Manner, mut done: impl FnMut(Ran) -> bool) -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("tank-guided-{}", std::process::id()));
    let mut stopped = false;
    while !stopped && guide.tried < manner.most {
        let mut tries = guide.round(manner.most - guide.tried);
        let runs: Vec<Run> =
            tries.iter().map(|one| asked(guide, one, manner, &folder)).collect::<Result<_, _>>()?;
        let place: BTreeMap<(String, u64), usize> = runs
            .iter()
            .enumerate()
            .map(|(n, run)| ((run.scenario.clone(), run.seed.unwrap_or(0)), n))
            .collect();
        let mut ended: BTreeMap<usize, Ran> = BTreeMap::new();
        let (mut next, mut learned) = (0, tries.drain(..));
        sweep::pool(manner.jobs, runs.into_iter(), |ran| {
            let at = place.get(&(ran.scenario.clone(), ran.seed)).copied().unwrap_or(usize::MAX);
            ended.insert(at, ran);
            while let Some(mut ran) = ended.remove(&next).filter(|_| !stopped) {
                next += 1;
                let Some(tried) = learned.next() else { break };
                keep(guide, &tried, &mut ran, manner);
                if let Ok(outcome) = &ran.outcome {
                    guide.learn(tried, outcome);
                }
                stopped |= done(ran);
            }
            stopped
        });
    }
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}

/// The run of a try. A variation is a plan in a file.
fn asked(guide: &Guide, one: &Try, manner: &Manner, folder: &Path) -> Result<Run, String> {
    let name = guide.scenarios[one.scenario].0.clone();
    let bug = manner.bug.clone();
    if let Some(seed) = one.seed {
        let no_twin = manner.twins == 0 || !seed.is_multiple_of(manner.twins);
        return Ok(Run { scenario: name, seed: Some(seed), bug, no_twin, ..Run::default() });
    }
    let path = folder.join(format!("{}.json", one.number));
    whole(&path, one.plan.to_text().as_bytes())?;
    let (scenario, seed) = (path.display().to_string(), Some(one.plan.seed));
    Ok(Run { scenario, seed, bug, no_twin: true, ..Run::default() })
}

/// Where a variation that failed is kept, so that one command shows it again.
fn place(guide: &Guide, tried: &Try, bug: Option<&str>) -> PathBuf {
    let (scenario, _) = &guide.scenarios[tried.scenario];
    let name = load::named(scenario, guide.first, bug);
    Path::new("target/guided").join(format!("{name}-{}.json", tried.number))
}

/// Names a variation by the file that holds its plan, which is written if it failed.
fn keep(guide: &Guide, tried: &Try, ran: &mut Ran, manner: &Manner) {
    if tried.seed.is_some() {
        return;
    }
    let path = place(guide, tried, manner.bug.as_deref());
    ran.scenario = path.display().to_string();
    let failed = ran.outcome.as_ref().map_or(true, |outcome| outcome.broken().next().is_some());
    if failed && let Err(why) = whole(&path, tried.plan.to_text().as_bytes()) {
        ran.outcome = Err(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
name: x
cluster: { members: 3 }
load: [ { kv: { clients: 2 } } ]
harm: [ { crash: one, for: 1s..2s, every: 3s..6s } ]
heal: 30s
"#;

    fn guide() -> Guide {
        let scenario = crate::scenario::read::scenario(TEXT, &|_| Err(String::new())).unwrap();
        let scenarios = vec![("x".to_string(), scenario)];
        let (seen, kept) = (BTreeMap::new(), vec![]);
        Guide { scenarios, first: 7, fresh: 0, tried: 0, seen, kept, varied: 0, firsts: 0 }
    }

    fn reaching(marks: &[&str]) -> Outcome {
        let reached = marks.iter().map(|mark| (mark.to_string(), 1)).collect();
        Outcome { reached, ..Outcome::default() }
    }

    #[test]
    fn half_of_a_round_are_variations_of_what_reached_something_rare() {
        let mut guide = guide();
        let first = guide.round(100);
        assert!(first.iter().all(|one| one.seed.is_some()), "there was nothing to vary");
        let seeds: Vec<u64> = first.iter().filter_map(|one| one.seed).collect();
        assert_eq!(seeds, (7..15).collect::<Vec<_>>());
        for (n, one) in first.into_iter().enumerate() {
            let marks: &[&str] = if n == 3 { &["common", "rare"] } else { &["common"] };
            guide.learn(one, &reaching(marks));
        }
        let rare = guide.kept.iter().filter(|kept| kept.reached.contains(&"rare".to_string()));
        assert_eq!(rare.map(|kept| kept.plan.seed).collect::<Vec<_>>(), [10]);
        let second = guide.round(100);
        assert_eq!(second.iter().filter(|one| one.seed.is_none()).count(), 4);
    }

    #[test]
    fn what_has_become_common_is_worth_less() {
        let mut guide = guide();
        let mut tries = guide.round(100).into_iter();
        guide.learn(tries.next().unwrap(), &reaching(&["a"]));
        let before = guide.weight(&guide.kept[0]);
        tries.for_each(|one| guide.learn(one, &reaching(&["a"])));
        assert!(guide.weight(&guide.kept[0]) < before / 4);
        assert_eq!(guide.kept.len(), RARE as usize);
    }

    #[test]
    fn what_is_tried_follows_from_the_first_seed_and_what_was_reached() {
        let tries = |marks: &[&str]| {
            let mut guide = guide();
            let round = guide.round(100);
            round.into_iter().for_each(|one| guide.learn(one, &reaching(marks)));
            guide.round(100).into_iter().map(|one| one.plan).collect::<Vec<_>>()
        };
        assert_eq!(tries(&["a"]), tries(&["a"]));
        assert_ne!(tries(&["a"]), tries(&[]));
    }
}
