//! Where in a story a broken promise points: the times its evidence names, and the times of the revisions it names.

use super::Story;
use crate::history::Nanos;
use serde::Serialize;

/// A moment that the evidence of a broken promise names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub at: Nanos,
    pub promise: String,
    /// The line of the evidence.
    pub evidence: String,
}

/// All moments that broken promises name, in order of time; one at the end of a run for evidence that names none.
pub fn places(story: &Story) -> Vec<Place> {
    let mut places = vec![];
    for finding in story.outcome.broken() {
        let lines = finding.verdict.evidence();
        let before = places.len();
        for line in &lines {
            let times =
                times(line).into_iter().chain(revisions(line).filter_map(|revision| seen(story, revision)));
            for at in times.filter(|at| *at <= story.end()) {
                places.push(Place { at, promise: finding.promise.clone(), evidence: line.clone() });
            }
        }
        if places.len() == before {
            let evidence = lines.first().cloned().unwrap_or_default();
            places.push(Place { at: story.end(), promise: finding.promise.clone(), evidence });
        }
    }
    places.sort();
    // evidence tells times to the millisecond
    places.dedup_by_key(|place| (place.at / 1_000_000, place.promise.clone()));
    places
}

/// `15.796 s` is a time: checks say all times so.
pub fn times(line: &str) -> Vec<Nanos> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| {
        pair[1].trim_end_matches(|c: char| !c.is_alphanumeric()) == "s"
            && pair[0].split('.').nth(1).is_some_and(|part| part.len() == 3)
    });
    pairs
        .filter_map(|pair| pair[0].parse::<f64>().ok())
        .map(|seconds| (seconds * 1e9).round() as Nanos)
        .collect()
}

fn revisions(line: &str) -> impl Iterator<Item = i64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let named = words
        .windows(2)
        .filter(|pair| pair[0] == "revision")
        .filter_map(|pair| pair[1].trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok());
    named.collect::<Vec<i64>>().into_iter()
}

fn seen(story: &Story, revision: i64) -> Option<Nanos> {
    story.writes.iter().find(|write| write.event.kv.modified == revision).map(|write| write.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_revisions_are_found_in_evidence() {
        let line =
            "client-5: get load/2, called at 15.796 s, answered at 19.071 s with revision 77: x (mod 73)";
        assert_eq!(times(line), [15_796_000_000, 19_071_000_000]);
        assert_eq!(revisions(line).collect::<Vec<_>>(), [77]);
        assert_eq!(times("not at rest 120 s after the heal"), Vec::<Nanos>::new());
        assert_eq!(times("revision 5, seen at 1.200 s: x"), [1_200_000_000]);
    }
}
