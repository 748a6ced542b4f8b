//! What a sweep came to: on disk as it goes, a line of JSON a run, so that a killed sweep can be resumed and shards
//! can be merged; and at the end as a summary of distinct failures.

use super::{FAILED, args::Run, child};
use crate::run::{Outcome, Sum};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// One run of a sweep.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ran {
    pub scenario: String,
    pub seed: u64,
    pub bug: Option<String>,
    pub outcome: Result<Outcome, String>,
}

/// What makes two failures one: the promise, and its evidence without what differs from seed to seed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    pub what: String,
    pub evidence: String,
}

#[derive(Default)]
pub struct Results {
    pub runs: Vec<Ran>,
    failures: BTreeMap<Signature, Vec<usize>>,
}

impl Ran {
    pub fn again(&self) -> String {
        let (scenario, bug) = (self.scenario.clone(), self.bug.clone());
        child::again(&Run { scenario, seed: Some(self.seed), bug, ..Run::default() })
    }

    fn signatures(&self) -> Vec<Signature> {
        let one = |what: &str, evidence: &str| Signature { what: what.into(), evidence: normal(evidence) };
        match &self.outcome {
            Err(why) => vec![one("the run failed", why)],
            Ok(outcome) if outcome.sum() == Sum::Vacuous => {
                vec![one("vacuous", &outcome.vacuous.join("; "))]
            }
            Ok(outcome) => {
                let failed = outcome.broken().map(|finding| {
                    one(&finding.promise, finding.verdict.evidence().first().map_or("", String::as_str))
                });
                failed.collect()
            }
        }
    }

    /// How much there is to look at.
    fn events(&self) -> u64 {
        self.outcome.as_ref().map_or(u64::MAX, |outcome| outcome.events)
    }
}

/// Numbers, and names that were made up, say nothing of the kind of a failure.
fn normal(evidence: &str) -> String {
    const MOST: usize = 120;
    let words = evidence.split(' ').map(|word| {
        let made_up = word.len() > 3 && word.chars().any(|c| c.is_ascii_digit());
        // a lease's id
        if word.len() > 12 && word.chars().all(|c| c.is_ascii_hexdigit()) {
            return "*".into();
        }
        let mut out = String::new();
        for c in word.chars() {
            match c {
                '0'..='9' if out.ends_with('N') => {}
                '0'..='9' => out.push('N'),
                c => out.push(c),
            }
        }
        // web-7f9c4-x2b1l: what stands behind the first dash is drawn
        match out.split_once('-') {
            Some((name, rest)) if made_up && rest.len() > 3 && rest.contains('-') => format!("{name}-*"),
            _ => out,
        }
    });
    words.collect::<Vec<_>>().join(" ").chars().take(MOST).collect()
}

impl Results {
    /// The failures in this run that are the first of their kind.
    pub fn add(&mut self, ran: Ran) -> Vec<Signature> {
        let number = self.runs.len();
        let mut new = vec![];
        for signature in ran.signatures() {
            if !self.failures.contains_key(&signature) {
                new.push(signature.clone());
            }
            self.failures.entry(signature).or_default().push(number);
        }
        self.runs.push(ran);
        new
    }

    pub fn code(&self) -> i32 {
        let code = |ran: &Ran| ran.outcome.as_ref().map_or(FAILED, |outcome| outcome.sum() as i32);
        let codes: BTreeSet<i32> = self.runs.iter().map(code).collect();
        [1, FAILED, 3].into_iter().find(|code| codes.contains(code)).unwrap_or(0)
    }

    /// Scenario and seed of every run.
    pub fn done(&self) -> BTreeSet<(String, u64)> {
        self.runs.iter().map(|ran| (ran.scenario.clone(), ran.seed)).collect()
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.runs.iter().filter_map(|ran| ran.outcome.as_ref().ok())
    }

    /// Each distinct failure with its count, the run with the fewest events, and the command that shows it.
    fn cheapest(&self) -> impl Iterator<Item = (&Signature, usize, &Ran)> {
        self.failures.iter().filter_map(|(signature, runs)| {
            let cheapest = runs.iter().map(|n| &self.runs[*n]).min_by_key(|ran| ran.events())?;
            Some((signature, runs.len(), cheapest))
        })
    }

    /// The summary of a sweep that took so many seconds of wall time.
    pub fn summary(&self, took: f64) -> String {
        let outcomes: Vec<&Outcome> = self.outcomes().collect();
        let count = |wanted: Sum| outcomes.iter().filter(|outcome| outcome.sum() == wanted).count();
        let mut lines = vec![format!(
            "{} runs: {} held, {} broke, {} vacuous, {} failed to run",
            self.runs.len(),
            count(Sum::Held),
            count(Sum::Broke),
            count(Sum::Vacuous),
            self.runs.len() - outcomes.len()
        )];
        for (signature, count, cheapest) in self.cheapest() {
            lines.push(format!("  {count:>5}  {}: {}", signature.what, signature.evidence));
            lines.push(format!("         {}", cheapest.again()));
        }
        lines.push(figures(&outcomes, took));
        lines.join("\n")
    }

    /// Situations by the number of runs that reached them, the rarest first.
    pub fn reached(&self) -> Vec<(&str, usize)> {
        let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
        for mark in self.outcomes().flat_map(|outcome| outcome.reached.keys()) {
            *reached.entry(mark).or_insert(0) += 1;
        }
        let mut rare: Vec<_> = reached.into_iter().collect();
        rare.sort_by_key(|(mark, runs)| (*runs, *mark));
        rare
    }

    /// Annotations as GitHub's runners read them, one a distinct failure.
    pub fn github(&self) -> Vec<String> {
        let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let title = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
        let line = |(signature, count, cheapest): (&Signature, usize, &Ran)| {
            let file = format!("scenarios/{}.yaml", super::load::stem(Path::new(&cheapest.scenario)));
            let message = format!("{}\nin {count} runs\nagain: {}", signature.evidence, cheapest.again());
            format!("::error file={file},title={}::{}", title(&signature.what), escaped(&message))
        };
        self.cheapest().map(line).collect()
    }
}

fn figures(outcomes: &[&Outcome], took: f64) -> String {
    let simulated = outcomes.iter().map(|outcome| outcome.simulated_ns).sum::<u64>() as f64 / 1e9;
    let wall = outcomes.iter().map(|outcome| outcome.wall_ms).sum::<u64>().max(1) as f64 / 1e3;
    let operations: usize = outcomes.iter().map(|outcome| outcome.operations.0).sum();
    let did = |outcome: &&Outcome| outcome.harms.iter().filter(|harm| !harm.did.is_empty()).count();
    let harms: usize = outcomes.iter().map(did).sum();
    format!(
        "{operations} operations done under {harms} harms; {simulated:.0} s simulated in {took:.0} s ({:.0}x a core, {:.0} runs a core-hour)",
        simulated / wall,
        outcomes.len() as f64 * 3_600.0 / wall
    )
}

/// Results on disk, a line a run.
pub struct Book {
    file: File,
    /// Bytes of all lines that were written whole.
    whole: u64,
}

impl Book {
    /// Goes on with a file, or begins one. What a killed sweep had not written whole is taken out; a file that is
    /// something else is left alone.
    pub fn open(path: &Path, resume: bool) -> Result<(Book, Results), String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut results = Results::default();
        if path.exists() {
            if !resume {
                return Err(format!("{} is there already: `--resume` goes on with it", path.display()));
            }
            let (there, whole) = read(path)?;
            results = there;
            OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(whole)).map_err(wrong)?;
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(wrong)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(wrong)?;
        let whole = file.metadata().map_err(wrong)?.len();
        Ok((Book { file, whole }, results))
    }

    pub fn write(&mut self, ran: &Ran) -> Result<(), String> {
        let mut line = serde_json::to_string(ran).map_err(|error| error.to_string())?;
        line.push('\n');
        // A disk that was full for a moment took part of a line: the next does not go on with it.
        let outcome = self.file.set_len(self.whole).and_then(|()| self.file.write_all(line.as_bytes()));
        outcome.map_err(|error| {
            format!("the results cannot be written: {error}; when there is room, `--resume` goes on")
        })?;
        self.whole += line.len() as u64;
        Ok(())
    }
}

/// The results in a file, and how many of its bytes they are: the last line may have been cut short.
pub fn read(path: &Path) -> Result<(Results, u64), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut results, mut whole) = (Results::default(), 0);
    for (n, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str::<Ran>(line) {
            Ok(ran) if line.ends_with('\n') => {
                results.add(ran);
                whole += line.len() as u64;
            }
            _ if !line.ends_with('\n') && n > 0 => break,
            _ => {
                let wanted = "the results of a sweep (`cargo tank sweep --results FILE`)";
                return Err(format!("{}: line {} is not one of {wanted}", path.display(), n + 1));
            }
        }
    }
    Ok((results, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Finding, Verdict};

    fn ran(seed: u64, evidence: &str, events: u64) -> Ran {
        let verdict = match evidence {
            "" => Verdict::Held("1 look".into()),
            evidence => Verdict::Broken(vec![evidence.into()]),
        };
        let findings = vec![Finding { promise: "linearizable".into(), verdict }];
        let outcome = Outcome { seed, findings, events, ..Outcome::default() };
        Ran { scenario: "kv-swarm".into(), seed, bug: None, outcome: Ok(outcome) }
    }

    #[test]
    fn failures_that_differ_in_numbers_and_names_are_one() {
        let mut results = Results::default();
        assert_eq!(results.add(ran(1, "", 10)), []);
        assert_eq!(results.add(ran(2, "revision 102 had been answered, it got 77", 90)).len(), 1);
        assert_eq!(results.add(ran(3, "revision 9 had been answered, it got 8", 50)), []);
        assert_eq!(results.add(ran(4, "pods/default/web-7f9c4-x2b1l was bound twice", 70)).len(), 1);
        assert_eq!(results.add(ran(5, "pods/default/web-88a4d-00k2p was bound twice", 80)), []);
        let summary = results.summary(1.0);
        assert!(summary.starts_with("5 runs: 1 held, 4 broke, 0 vacuous, 0 failed to run"));
        assert!(summary.contains("    2  linearizable: revision N had been answered, it got N"), "{summary}");
        assert!(summary.contains("cargo tank run kv-swarm --seed 3"), "the cheapest: {summary}");
        assert_eq!(results.code(), 1);
        let github = results.github();
        assert_eq!(github.len(), 2);
        assert!(github[1].starts_with("::error file=scenarios/kv-swarm.yaml,title=linearizable::revision N"));
        assert!(github[1].contains("%0Ain 2 runs%0Aagain: cargo tank run kv-swarm --seed 3"));
    }

    #[test]
    fn a_killed_sweep_goes_on_behind_its_last_whole_line() {
        let path = std::env::temp_dir().join(format!("tank-results-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let (mut book, _) = Book::open(&path, false).unwrap();
        for seed in 1..=3 {
            book.write(&ran(seed, "", 1)).unwrap();
        }
        drop(book);
        assert!(Book::open(&path, false).err().unwrap().contains("`--resume` goes on with it"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 20]).unwrap();
        let (mut book, results) = Book::open(&path, true).unwrap();
        assert_eq!(results.done().len(), 2);
        book.write(&ran(3, "", 1)).unwrap();
        assert_eq!(read(&path).unwrap().0.done().len(), 3);
        // a full disk took part of a line, and has room again
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"{\"scenario\":").unwrap();
        book.write(&ran(4, "", 1)).unwrap();
        assert_eq!(read(&path).unwrap().0.done().len(), 4);
        std::fs::write(&path, "name: x\n").unwrap();
        assert!(Book::open(&path, true).err().unwrap().contains("line 1 is not one of the results"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "name: x\n", "what is not ours is left alone");
        std::fs::remove_file(path).unwrap();
    }
}
