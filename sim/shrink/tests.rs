//! A judge with a rule instead of a simulation: what the rule needs is all that may be left.

use super::*;
use crate::plan::{self, Aim, Blow, KvDeed, When};
use crate::scenario::read;
use base::stream::stream;
use rand::Rng;

const TEXT: &str = r#"
name: x
cluster: { members: 5, apiservers: 2, managers: 1, schedulers: 1, nodes: 4 }
knobs: { snapshotEvery: 50, raftTick: 70ms }
load:
  - { kv: { clients: 4, watchers: 3 } }
  - { kube: { clients: 2, deployments: 4 } }
harm:
  - { crash: one, for: 1s..4s, every: 1s..3s }
  - { partition: minority, flapping: 200ms, for: 1s..4s, every: 2s..5s }
heal: 60s
"#;

/// A judge with a rule instead of a simulation.
struct Rule<F> {
    breaks: F,
    asked: usize,
    most: usize,
}

impl<F: FnMut(&Plan) -> bool> Trial for Rule<F> {
    fn breaks(&mut self, plans: &[Plan]) -> Vec<bool> {
        self.asked += plans.len();
        plans.iter().map(&mut self.breaks).collect()
    }

    fn look(&mut self, _plan: &Plan) -> Look {
        Look::default()
    }

    fn at_once(&self) -> usize {
        2
    }

    fn spent(&self) -> f64 {
        self.asked as f64 / self.most as f64
    }
}

fn drawn() -> Plan {
    plan::plan(&read::scenario(TEXT, &|_| Err(String::new())).unwrap(), 7)
}

fn crashes(plan: &Plan) -> usize {
    plan.harms.iter().filter(|harm| harm.blow == Blow::Crash).count()
}

fn puts(plan: &Plan) -> usize {
    let ops = plan.kv.iter().flat_map(|client| &client.ops);
    ops.filter(|op| matches!(op.deed, KvDeed::Put { .. })).count()
}

#[test]
fn what_the_failure_needs_is_all_that_is_left() {
    let needs = |plan: &Plan| crashes(plan) >= 2 && puts(plan) >= 3 && plan.cluster.members >= 3;
    assert!(needs(&drawn()));
    let mut rule = Rule { breaks: needs, asked: 0, most: usize::MAX };
    let small = shrink(drawn(), &mut rule);
    assert!(needs(&small));
    assert_eq!(Size::of(&small), Size { harms: 2, operations: 3, processes: 3 + small.kv.len() as u64 });
    assert!(small.knobs.is_empty());
    assert!(small.harms.iter().all(|harm| matches!(harm.of[..], [Aim::Process(_)])));
    assert!(rule.asked < 2_000, "{} plans were tried", rule.asked);
}

#[test]
fn every_plan_that_is_tried_can_be_run_and_written() {
    let mut coin = stream(1, "coin");
    let capricious = |plan: &Plan| {
        assert!(plan.cluster.members >= 1);
        assert!(
            plan.harms
                .iter()
                .all(|harm| !harm.of.is_empty() && harm.at <= harm.until && harm.until <= plan.heal)
        );
        let text = plan::scenario(plan, &[]);
        let read = read::scenario(&text, &|_| Err(String::new()));
        read.unwrap_or_else(|wrong| panic!("{}", wrong.show("shrunk", &text)));
        coin.gen_bool(0.3)
    };
    let mut rule = Rule { breaks: capricious, asked: 0, most: 1_500 };
    shrink(drawn(), &mut rule);
}

#[test]
fn a_failure_that_hangs_on_chance_gets_other_seeds() {
    // each change moves chance: only every third seed breaks the promise
    let needs = |plan: &Plan| crashes(plan) >= 1 && (plan.seed as usize + plan.harms.len()).is_multiple_of(3);
    let mut from = drawn();
    while !needs(&from) {
        from.seed += 1;
    }
    let small = shrink(from, &mut Rule { breaks: needs, asked: 0, most: usize::MAX });
    assert_eq!(small.harms.len(), 1);
}

#[test]
fn one_harm_of_many_is_tried_alone_in_a_short_run() {
    // hangs on chance, and is the less likely the more harms there are
    let needs = |plan: &Plan| {
        let luck = plan.harms.iter().map(|harm| harm.at / 25_000).sum::<u64>() + plan.seed;
        crashes(plan) >= 1 && luck.is_multiple_of(3 + plan.harms.len() as u64)
    };
    let mut from = drawn();
    while !needs(&from) {
        from.seed += 1;
    }
    let many = from.harms.len();
    let mut rule = Rule { breaks: needs, asked: 0, most: 100 * many };
    let mut work = Work { plan: from.clone(), trial: &mut rule, variations: 1 };
    assert!(many > 20 && windows::few(&mut work, &from, &Look::default()));
    assert_eq!(work.plan.harms.len(), 1);
    assert!(work.plan.heal < 15_000_000, "it lasts {} us", work.plan.heal);
}

/// Two harms that are far apart, and one plan in twenty breaks: no cut of one harm or of half of them survives.
#[test]
fn what_hangs_on_chance_is_found_again_among_any_few_of_the_harms() {
    let whole = drawn();
    let (first, last) = (whole.harms[0].blow.clone(), whole.harms[whole.harms.len() - 1].of.clone());
    let needs = |plan: &Plan| {
        let has = |harm: &crate::plan::PlannedHarm| harm.blow == first;
        let other = plan.harms.iter().any(|harm| harm.of == last);
        plan.harms.iter().any(has) && other && (plan.harms.len() > 20 || plan.seed.is_multiple_of(5))
    };
    assert!(needs(&whole));
    let mut rule = Rule { breaks: needs, asked: 0, most: 10_000 };
    let mut work = Work { plan: whole, trial: &mut rule, variations: 1 };
    assert!(samples::harms(&mut work));
    assert!(needs(&work.plan) && work.plan.harms.len() <= 3);
    assert!(rule.asked < 3_000, "{} plans were tried", rule.asked);
}

/// A short harm while a long one lasts, both of which are far apart in the plan, and one seed in five.
#[test]
fn what_needs_two_harms_at_a_time_is_found_in_a_small_world() {
    let mut whole = drawn();
    let last = whole.harms.len() - 1;
    whole.harms[0].until = whole.harms[0].at + 500_000;
    let (blow, weather) = (whole.harms[0].clone(), whole.harms[last].clone());
    assert!(blow.until < weather.at);
    whole.harms[last].until = weather.at + 3_000_000;
    let needs = |plan: &Plan| {
        let find = |of: &crate::plan::PlannedHarm| {
            plan.harms.iter().find(|harm| harm.line == of.line && harm.blow == of.blow && harm.of == of.of)
        };
        let (Some(blow), Some(weather)) = (find(&blow), find(&weather)) else { return false };
        weather.at <= blow.at && blow.at <= weather.until && plan.seed.is_multiple_of(5)
    };
    let mut rule = Rule { breaks: needs, asked: 0, most: 100_000 };
    let mut work = Work { plan: whole.clone(), trial: &mut rule, variations: 1 };
    assert!(worlds::few(&mut work, &whole, &Look::default()));
    let small = work.plan.clone();
    assert!(needs(&small) && small.harms.len() <= 3);
    assert!(small.heal < 12_000_000, "it lasts {} us", small.heal);
    assert!(worlds::again(
        &mut Work { plan: whole.clone(), trial: &mut rule, variations: 1 },
        &whole,
        &Look::default()
    ));
    assert!(!worlds::again(
        &mut Work { plan: small, trial: &mut rule, variations: 1 },
        &whole,
        &Look::default()
    ));
}

/// Five harms at least, whichever, and one seed in three: no handful is enough, and no cut of half of all of them.
#[test]
fn what_needs_many_harms_at_a_time_is_thinned_out_of_a_moment() {
    let often = TEXT
        .replace("every: 1s..3s", "every: 100ms..200ms")
        .replace("crash: one, for: 1s..4s", "crash: one, for: 100ms");
    let whole = plan::plan(&read::scenario(&often, &|_| Err(String::new())).unwrap(), 7);
    let most = whole.harms.len();
    let needs = |plan: &Plan| plan.harms.len() >= 5 && plan.seed.is_multiple_of(3);
    let mut rule = Rule { breaks: needs, asked: 0, most: 20_000 };
    let mut work = Work { plan: whole.clone(), trial: &mut rule, variations: 1 };
    assert!(most > 200 && worlds::few(&mut work, &whole, &Look::default()));
    assert_eq!(work.plan.harms.len(), 5);
    assert!(needs(&work.plan) && work.plan.heal < 12_000_000, "it lasts {} us", work.plan.heal);
}

/// What broke at a moment needs what was asked for right before it, and little else: not the harms after it, nor what
/// came long before but for its outcome.
#[test]
fn what_broke_at_a_moment_is_looked_for_around_it() {
    let mut whole = drawn();
    for of in operations::Of::all(&whole) {
        let mut at = 1_000_000;
        for when in of.times(&mut whole) {
            at = when.begins(at);
            *when = When::At(at);
        }
    }
    let moment = whole.harms[whole.harms.len() / 2].clone();
    // an operation within a second of a harm of its kind, wherever both are
    let needs = |plan: &Plan| {
        let mut plan = plan.clone();
        let hit = plan.harms.iter().find(|harm| harm.blow == moment.blow && harm.of == moment.of);
        let Some(at) = hit.map(|harm| harm.at) else { return false };
        let all = operations::Of::all(&plan);
        all.into_iter()
            .any(|of| of.times(&mut plan).iter().any(|when| when.begins(0).abs_diff(at) < 1_000_000))
    };
    let look = Look { broke: Some(moment.until), ..Look::default() };
    let mut rule = Rule { breaks: needs, asked: 0, most: 1_000 };
    let mut work = Work { plan: whole.clone(), trial: &mut rule, variations: 1 };
    assert!(windows::few(&mut work, &whole, &look));
    let small = work.plan.clone();
    assert!(needs(&small));
    assert_eq!(small.harms.len(), 1);
    assert!(small.heal < 10_000_000, "it lasts {} us", small.heal);
    assert!(Size::of(&small).operations * 4 < Size::of(&whole).operations);
    assert!(rule.asked < 20, "{} plans were tried", rule.asked);
}

#[test]
fn a_run_in_which_nothing_happens_for_long_begins_later() {
    let text = "name: x\ncluster: { members: 1 }\ntimeline:\n  - { at: 40s, crash: member-1, for: 1s }\nclients:\n  \
        - { store: c, from: 1s, until: 50s, ops: [ { at: 39s, put: a, value: b }, { at: 45s, put: a, value: c } ] }\nheal: 50s\n";
    let plan = plan::plan(&read::scenario(text, &|_| Err(String::new())).unwrap(), 1);
    let needs = |plan: &Plan| {
        puts(plan) >= 1 && crashes(plan) == 1 && plan.kv[0].ops[0].when < When::At(plan.harms[0].at)
    };
    assert!(needs(&plan));
    let small = shrink(plan, &mut Rule { breaks: needs, asked: 0, most: usize::MAX });
    assert!(needs(&small) && puts(&small) == 1);
    assert!(small.heal < 5_000_000, "it lasts {} us", small.heal);
}

#[test]
fn out_of_time_the_smallest_so_far_is_given() {
    let mut rule = Rule { breaks: |plan: &Plan| crashes(plan) >= 1, asked: 0, most: 20 };
    let small = shrink(drawn(), &mut rule);
    assert!(crashes(&small) >= 1);
    assert!(rule.asked <= 22);
}

/// Without managers no deployment comes about, and without more time nothing does: neither is the failure.
#[test]
fn what_users_wait_for_keeps_one_of_each_role_and_its_time() {
    let plan = Plan { check: vec!["settles".into()], ..drawn() };
    let mut rule = Rule { breaks: |plan: &Plan| !plan.kube.is_empty(), asked: 0, most: 2_000 };
    let small = shrink(plan.clone(), &mut rule);
    let cluster = small.cluster;
    let roles = [cluster.members, cluster.apiservers, cluster.managers, cluster.schedulers, cluster.nodes];
    assert_eq!((roles, small.settle), ([1; 5], plan.settle));
    let safe = Plan { check: vec!["surge".into()], ..plan };
    let mut rule = Rule { breaks: |plan: &Plan| !plan.kube.is_empty(), asked: 0, most: 2_000 };
    assert_eq!(shrink(safe, &mut rule).cluster.managers, 0);
}
