//! How many replicas each set should have: rolling update, recreate, and scaling in proportion. Pure.
//!
//! The bounds (apps/v1 RollingUpdateDeployment): never more than replicas + maxSurge pods are asked for, and
//! never fewer than replicas - maxUnavailable are kept available by our doing.

use super::plan::{DESIRED, Sets, available, is_counted, replicas};
use base::{bug, reached};
use objects::Object;
use std::{collections::BTreeMap, sync::Arc};

/// maxSurge and maxUnavailable as numbers of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub surge: i64,
    pub unavailable: i64,
}

impl Bounds {
    pub fn of(deployment: &Object) -> Bounds {
        let surge = objects::rollout::max_surge(deployment);
        Bounds { surge, unavailable: objects::rollout::max_unavailable(deployment) }
    }
}

/// How many replicas each set should have.
#[derive(Debug, Default)]
pub struct Targets {
    /// None: there is no new set, and none is to be made yet.
    pub new: Option<i64>,
    old: BTreeMap<String, i64>,
}

impl Targets {
    /// An old set's count; it keeps the one it has unless the plan changes it.
    pub fn old(&self, set: &Object) -> i64 {
        self.old.get(set.uid()).copied().unwrap_or_else(|| replicas(set))
    }
}

/// True when spec.replicas was changed since the sets were last planned.
pub fn is_scaling(deployment: &Object, sets: &Sets) -> bool {
    let wanted = replicas(deployment).to_string();
    sets.all()
        .filter(|set| replicas(set) > 0)
        .any(|set| set.annotation(DESIRED).is_some_and(|was| was != wanted))
}

/// True when what is available must be waited for: a status from before a set was last scaled tells of pods that
/// are on their way out. Upstream trusts it (scenarios/bugs/count-from-before-scaling.yaml).
pub fn must_wait(sets: &Sets) -> bool {
    !bug!("P01") && sets.all().any(|set| !is_counted(set))
}

/// Spreads a changed number of replicas over the sets in proportion to what they have.
pub fn scaled(deployment: &Object, sets: &Sets) -> Targets {
    let wanted = replicas(deployment);
    let mut targets = Targets { new: sets.new.as_ref().map(|set| replicas(set)), ..Default::default() };
    let active: Vec<&Arc<Object>> = sets.all().filter(|set| replicas(set) > 0).collect();
    if active.len() <= 1 {
        reached!("deployment: one replica set is scaled");
        // The one set that runs pods, or the newest.
        let only = active.first().copied().or_else(|| sets.all().last());
        if let Some(only) = only {
            targets.set(sets, only, wanted);
        }
        return targets;
    }
    if sets.new.as_ref().is_some_and(|new| replicas(new) == wanted && available(new) >= wanted) {
        active.iter().for_each(|set| targets.set(sets, set, if is(&sets.new, set) { wanted } else { 0 }));
        return targets;
    }
    reached!("deployment: scaled in the middle of a rollout");
    let allowed = if wanted > 0 { wanted + Bounds::of(deployment).surge } else { 0 };
    let total: i64 = active.iter().map(|set| replicas(set)).sum();
    let mut left = allowed - total;
    let mut by_size = active.clone();
    by_size.sort_by_key(|set| std::cmp::Reverse(replicas(set)));
    for set in &by_size {
        let share = replicas(set) * allowed / total.max(1) - replicas(set);
        let share = if left >= 0 { share.clamp(0, left) } else { share.clamp(left, 0) };
        targets.set(sets, set, (replicas(set) + share).max(0));
        left -= share;
    }
    if let Some(largest) = by_size.first() {
        let count = targets.get(sets, largest);
        targets.set(sets, largest, (count + left).max(0)); // what rounding left over
    }
    if !bug!("P02") {
        keep_available(deployment, sets, &mut targets);
    }
    targets
}

/// Shrinking in proportion must not take pods that are needed to stay available: upstream's does, when the set
/// that keeps its share has no pod ready yet. What it takes too much of stays until others are ready.
fn keep_available(deployment: &Object, sets: &Sets, targets: &mut Targets) {
    let least = replicas(deployment) - Bounds::of(deployment).unavailable;
    let kept: i64 = sets.all().map(|set| available(set).min(targets.get(sets, set))).sum();
    let mut missing = least - kept;
    for set in sets.all() {
        let count = targets.get(sets, set);
        let spare = (available(set).min(replicas(set)) - count).clamp(0, missing.max(0));
        if spare > 0 {
            reached!("deployment: scaling spares pods that are needed");
            targets.set(sets, set, count + spare);
            missing -= spare;
        }
    }
}

fn is(new: &Option<Arc<Object>>, set: &Object) -> bool {
    new.as_ref().is_some_and(|new| new.uid() == set.uid())
}

impl Targets {
    fn set(&mut self, sets: &Sets, set: &Object, count: i64) {
        if is(&sets.new, set) {
            self.new = Some(count);
        } else {
            self.old.insert(set.uid().to_string(), count);
        }
    }

    fn get(&self, sets: &Sets, set: &Object) -> i64 {
        if is(&sets.new, set) { self.new.unwrap_or(0) } else { self.old(set) }
    }
}

/// All old pods go before the first new one comes.
pub fn recreated(deployment: &Object, sets: &Sets, old_pods: bool) -> Targets {
    let mut targets = Targets::default();
    for set in &sets.old {
        targets.old.insert(set.uid().to_string(), 0);
    }
    if !old_pods {
        targets.new = Some(replicas(deployment));
    }
    targets
}

/// One step of a rolling update: the new set up as far as surge allows, old sets down as far as availability
/// allows.
pub fn rolled(deployment: &Object, sets: &Sets) -> Targets {
    let (wanted, bounds) = (replicas(deployment), Bounds::of(deployment));
    let old_total: i64 = sets.old.iter().map(|set| replicas(set)).sum();
    let new_now = sets.new.as_ref().map_or(0, |set| replicas(set));
    let room = (wanted + bounds.surge - old_total - new_now).max(0);
    let new = if new_now > wanted { wanted } else { new_now + room.min(wanted - new_now) };
    let mut targets = Targets { new: Some(new), ..Default::default() };
    reached!("deployment: a rollout has no room for new pods", room == 0 && new_now < wanted);
    if new != new_now {
        return targets; // the rest when this has been seen
    }
    if must_wait(sets) {
        reached!("deployment: a rollout waits for the pods to be counted");
        return targets;
    }
    let least = wanted - bounds.unavailable;
    // More may be available than is asked for, until the surplus has been sent away.
    let stays = |set: &Object| if bug!("P01") { available(set) } else { available(set).min(replicas(set)) };
    let new_missing = new_now - sets.new.as_ref().map_or(0, |set| stays(set));
    let mut may_go = old_total + new_now - least - new_missing;
    if bug!("P03") {
        may_go = old_total; // forgets that new pods may not be available yet
    }
    if may_go <= 0 || old_total == 0 {
        reached!("deployment: a rollout waits for pods to become available", old_total > 0);
        return targets;
    }
    let mut cleaned = 0;
    for set in &sets.old {
        // Pods that are not available cost nothing.
        let sick = (replicas(set) - available(set)).max(0).min(may_go - cleaned);
        reached!("deployment: old pods that are not available go first", sick > 0);
        targets.old.insert(set.uid().to_string(), replicas(set) - sick);
        cleaned += sick;
    }
    let now: i64 = sets.all().map(|set| stays(set)).sum();
    let mut down = (if bug!("P03") { may_go } else { now - least }).min(may_go - cleaned).max(0);
    for set in &sets.old {
        let count = targets.old(set);
        let take = count.min(down);
        reached!("deployment: old pods make way for new ones", take > 0);
        targets.old.insert(set.uid().to_string(), count - take);
        down -= take;
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn deployment(count: i64, surge: Value, unavailable: Value) -> Object {
        let update = json!({ "maxSurge": surge, "maxUnavailable": unavailable });
        let value = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "uid": "d" },
            "spec": { "replicas": count, "strategy": { "type": "RollingUpdate", "rollingUpdate": update } } });
        Object::from_value(value).expect("a deployment")
    }

    fn set(uid: &str, count: i64, available: i64) -> Arc<Object> {
        let value = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": uid, "uid": uid },
            "spec": { "replicas": count }, "status": { "availableReplicas": available } });
        Arc::new(Object::from_value(value).expect("a set"))
    }

    fn step(deployment: &Object, new: (i64, i64), old: (i64, i64)) -> (i64, i64) {
        let sets = Sets { new: Some(set("new", new.0, new.1)), old: vec![set("old", old.0, old.1)] };
        let targets = rolled(deployment, &sets);
        (targets.new.expect("there is a new set"), targets.old(&sets.old[0]))
    }

    #[test]
    fn surge_rounds_up_unavailable_down_and_never_both_to_nothing() {
        let bounds =
            |count, surge: Value, unavailable: Value| Bounds::of(&deployment(count, surge, unavailable));
        assert_eq!(bounds(10, json!("25%"), json!("25%")), Bounds { surge: 3, unavailable: 2 });
        assert_eq!(bounds(3, json!(0), json!("10%")), Bounds { surge: 0, unavailable: 1 });
        assert_eq!(bounds(3, json!(1), json!(0)), Bounds { surge: 1, unavailable: 0 });
    }

    #[test]
    fn a_rolling_update_steps_within_its_bounds() {
        let d = deployment(3, json!(1), json!(0));
        assert_eq!(step(&d, (0, 0), (3, 3)), (1, 3), "up by the surge");
        assert_eq!(step(&d, (1, 0), (3, 3)), (1, 3), "waits for the new pod");
        assert_eq!(step(&d, (1, 1), (3, 3)), (1, 2), "then one old pod goes");
        assert_eq!(step(&d, (1, 1), (2, 2)), (2, 2));
        assert_eq!(step(&d, (3, 3), (1, 1)), (3, 0));
    }

    #[test]
    fn a_scale_down_in_mid_rollout_keeps_the_pods_that_are_available() {
        let d = deployment(2, json!(1), json!(0));
        let sets = Sets { new: Some(set("new", 2, 0)), old: vec![set("old", 6, 6)] };
        let targets = scaled(&d, &sets);
        assert_eq!(targets.old(&sets.old[0]), 2, "two must stay available, and only old pods are");
    }

    #[test]
    fn no_pod_goes_on_the_word_of_a_status_from_before_the_set_was_scaled() {
        let d = deployment(2, json!(1), json!(0));
        let mut new = (*set("new", 2, 2)).clone(); // scaled from 3 to 1 to 2: one pod is there, not two
        new.set(&["metadata", "generation"], 5);
        new.set(&["status", "observedGeneration"], 4);
        let mut sets = Sets { new: Some(Arc::new(new.clone())), old: vec![set("old", 1, 1)] };
        assert_eq!(rolled(&d, &sets).old(&sets.old[0]), 1);
        new.set(&["status", "observedGeneration"], 5);
        sets.new = Some(Arc::new(new));
        assert_eq!(rolled(&d, &sets).old(&sets.old[0]), 0);
    }

    /// Every reachable state of a rollout, walked entirely: the bounds hold in each and the end is reached.
    #[test]
    fn no_interleaving_of_readiness_breaks_the_bounds() {
        for (surge, unavailable) in [(1, 0), (0, 1), (2, 1), (1, 2)] {
            let d = deployment(4, json!(surge), json!(unavailable));
            let mut seen = std::collections::BTreeSet::new();
            let mut todo = vec![((0, 0), (4, 4))];
            while let Some(state @ (new, old)) = todo.pop() {
                if !seen.insert(state) {
                    continue;
                }
                let (to_new, to_old) = step(&d, new, old);
                assert!(to_new + to_old <= 4 + surge || to_new + to_old <= new.0 + old.0, "{state:?}");
                let kept = new.1.min(to_new) + old.1.min(to_old);
                assert!(kept >= 4 - unavailable || kept >= new.1 + old.1, "{state:?} keeps {kept}");
                let (new, old) = ((to_new, new.1.min(to_new)), (to_old, old.1.min(to_old)));
                todo.push((new, old));
                if new.1 < new.0 {
                    todo.push(((new.0, new.1 + 1), old));
                }
            }
            assert!(seen.contains(&((4, 4), (0, 0))), "surge {surge}, unavailable {unavailable}: never ends");
        }
    }

    #[test]
    fn a_changed_number_is_spread_over_the_sets_in_proportion() {
        let two =
            |new: i64, old: i64| Sets { new: Some(set("new", new, new)), old: vec![set("old", old, old)] };
        let spread = |d: &Object, sets: &Sets| {
            let targets = scaled(d, sets);
            (targets.new.expect("there is a new set"), targets.old(&sets.old[0]))
        };
        let sets = two(4, 8);
        assert_eq!(
            spread(&deployment(20, json!(4), json!(0)), &sets),
            (8, 16),
            "20 and a surge of 4, as 1 to 2"
        );
        assert_eq!(spread(&deployment(5, json!(1), json!(2)), &sets), (2, 4));
        assert_eq!(spread(&deployment(0, json!(1), json!(0)), &sets), (0, 0));
        let lone = Sets { new: Some(set("new", 4, 4)), old: vec![set("old", 0, 0)] };
        assert_eq!(spread(&deployment(9, json!(1), json!(0)), &lone), (9, 0), "no surge outside a rollout");
        // Whatever is left over by rounding is given to someone: the sum is what is allowed.
        for wanted in 0..40 {
            for (new, old) in [(1, 1), (1, 3), (3, 7), (5, 6)] {
                if new == wanted {
                    assert_eq!(
                        spread(&deployment(wanted, json!(1), json!("100%")), &two(new, old)),
                        (wanted, 0)
                    );
                    continue; // the new set is complete: the rollout is over
                }
                let (new, old) = spread(&deployment(wanted, json!(1), json!("100%")), &two(new, old));
                let allowed = if wanted > 0 { wanted + 1 } else { 0 };
                assert_eq!(new + old, allowed, "{wanted}");
            }
        }
    }

    #[test]
    fn scaling_is_told_from_rolling_by_what_the_sets_were_planned_for() {
        let mut annotated = (*set("new", 2, 2)).clone();
        annotated.set_annotation(DESIRED, "3");
        let sets = Sets { new: Some(Arc::new(annotated)), old: vec![] };
        assert!(!is_scaling(&deployment(3, json!(1), json!(0)), &sets));
        assert!(is_scaling(&deployment(4, json!(1), json!(0)), &sets));
    }

    #[test]
    fn recreating_waits_for_the_last_old_pod() {
        let d = deployment(3, json!(1), json!(0));
        let sets = Sets { new: None, old: vec![set("old", 3, 3)] };
        let waits = recreated(&d, &sets, true);
        assert_eq!((waits.new, waits.old(&sets.old[0])), (None, 0));
        assert_eq!(recreated(&d, &sets, false).new, Some(3));
    }
}
