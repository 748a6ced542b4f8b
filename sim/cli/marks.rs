//! Every situation that is marked in the product and the tank, and those that a standard sweep must reach.

use std::collections::BTreeSet;

const LIST: &str = include_str!("../../snapshots/marks.txt");
const MUST: &str = "must";

pub struct Mark {
    pub name: &'static str,
    /// A standard sweep must reach it.
    pub must: bool,
}

pub fn all() -> impl Iterator<Item = Mark> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| match line.strip_prefix(MUST) {
        Some(name) => Mark { name: name.trim(), must: true },
        None => Mark { name: line.trim(), must: false },
    })
}

/// Those that are not among the reached ones: all of them, and those that must be.
pub fn missing(reached: &BTreeSet<&str>) -> (Vec<&'static str>, Vec<&'static str>) {
    let missing: Vec<Mark> = all().filter(|mark| !reached.contains(mark.name)).collect();
    let must = missing.iter().filter(|mark| mark.must).map(|mark| mark.name).collect();
    (missing.iter().map(|mark| mark.name).collect(), must)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_reached_is_named() {
        let every: BTreeSet<&str> = all().map(|mark| mark.name).collect();
        assert_eq!(missing(&every), (vec![], vec![]));
        let (never, must) = missing(&BTreeSet::new());
        assert_eq!(never.len(), every.len());
        assert!(must.contains(&"a leader was elected") && must.len() < never.len());
    }
}
