//! The atlas: whose stored copies a plan may take away.
//! Promise: whatever is drawn, at any time of a plan all copies that are harmed for good are of the same members, so
//! few that a quorum of copies of everything acknowledged survives, and the rest can tell a member that lost its disk
//! all it needs to know. No failure is excusable by the harm.
//!
//! | members | may lose copies |
//! |---|---|
//! | 1, 2 | none |
//! | 3 and more | one, drawn, or the one that the scenario names |
//!
//! After TigerBeetle's ClusterFaultAtlas. Whom a scenario names explicitly is checked when it is read
//! (`scenario/disks.rs`); `expect: unavailable` opens the atlas.

use super::{Aim, Counts};
use crate::scenario::{Deed, Harm, Process, Role, Scenario, Target, disks};
use base::stream::stream;
use rand::seq::SliceRandom;

pub struct Atlas {
    /// None: anyone.
    may: Option<Vec<Process>>,
}

impl Atlas {
    pub fn of(scenario: &Scenario, counts: &Counts, seed: u64) -> Self {
        if scenario.unavailable {
            return Self { may: None };
        }
        let mut members: Vec<Process> = counts.processes(Role::Member).collect();
        members.shuffle(&mut stream(seed, "atlas"));
        let named = named(scenario);
        // those that are named come first
        members.sort_by_key(|member| !named.contains(member));
        members.truncate(disks::most_lost(counts.members) as usize);
        Self { may: Some(members) }
    }

    /// Whom a harm hits that was meant for these.
    pub fn within(&self, harm: &Harm, of: Vec<Aim>) -> Vec<Aim> {
        match &self.may {
            Some(may) if disks::destroys(harm) && !of.is_empty() => {
                may.iter().copied().map(Aim::Process).collect()
            }
            _ => of,
        }
    }
}

/// Members whose copies a scenario takes away by name.
fn named(scenario: &Scenario) -> Vec<Process> {
    let timeline = scenario.timeline.iter().filter_map(|timed| match &timed.what {
        Deed::Harm(harm) => Some(harm),
        Deed::Kube(_) => None,
    });
    let harms = timeline.chain(scenario.harm.iter().map(|repeated| &repeated.harm));
    let targets = harms.filter(|harm| disks::destroys(harm)).flat_map(|harm| &harm.of);
    let named = targets.filter_map(|target| match target {
        Target::Exactly(process) => Some(*process),
        _ => None,
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use crate::plan::{Aim, Blow, plan};
    use crate::scenario::read;
    use std::collections::BTreeSet;

    fn losers(text: &str, seed: u64) -> BTreeSet<String> {
        let scenario = read::scenario(text, &|_| Err(String::new())).unwrap();
        let harms = plan(&scenario, seed).harms.into_iter();
        let lost = harms.filter(|harm| matches!(&harm.blow, Blow::Disk(disk) if disk.destroys()));
        lost.flat_map(|harm| harm.of).map(|aim: Aim| aim.to_string()).collect()
    }

    #[test]
    fn all_that_is_drawn_hits_one_member_of_three_and_none_of_one() {
        let harm = "harm:\n  - { disk: { wipe: true }, of: one, every: 1s }\n  - { disk: { rot: true }, of: one, every: 1s }\n";
        let of = |members: &str| format!("name: x\ncluster: {{ members: {members} }}\n{harm}");
        let three: Vec<_> = (0..30).map(|seed| losers(&of("3"), seed)).collect();
        assert!(three.iter().all(|losers| losers.len() == 1), "{three:?}");
        assert_eq!(three.iter().flatten().collect::<BTreeSet<_>>().len(), 3, "any of them");
        assert!((0..30).all(|seed| losers(&of("5"), seed).len() == 1));
        let some: Vec<_> = (0..30).map(|seed| losers(&of("[1, 3]"), seed).len()).collect();
        assert!(some.contains(&0) && some.contains(&1), "{some:?}");
    }

    #[test]
    fn whom_the_scenario_names_the_draws_follow() {
        let text = "name: x\ntimeline:\n  - { at: 3s, disk: { wipe: true }, of: member-2, for: 1s }\n\
                    harm:\n  - { disk: { short: true }, of: one, every: 2s }\n";
        assert!((0..10).all(|seed| losers(text, seed) == BTreeSet::from(["member-2".to_string()])));
    }

    #[test]
    fn an_open_atlas_takes_what_it_gets() {
        let text = "name: x\nexpect: unavailable\ntimeline:\n  - { at: 3s, disk: { wipe: true }, of: all, for: 1s }\n";
        assert_eq!(losers(text, 1).len(), 3);
    }
}
