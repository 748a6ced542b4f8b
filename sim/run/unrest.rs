//! Why a system has not come to rest: who is down or cut off still, and which queue is hot.

use crate::history::seen::Seen;
use crate::nemesis::now;
use crate::plan::Plan;
use crate::scenario::Role;
use world::{net, process};

/// What stands in the way, as lines; empty when nothing is known to.
pub fn unrest(plan: &Plan, seen: &Seen) -> Vec<String> {
    let roles = [Role::Member, Role::ApiServer, Role::Manager, Role::Scheduler, Role::Node];
    let names = roles.into_iter().flat_map(|role| plan.cluster.processes(role)).chain(plan.cluster.ready());
    let gone = seen.lock().removed.clone();
    let names = names.map(|name| name.to_string()).filter(|name| !gone.contains(name));
    let names: Vec<String> = names.collect();
    let mut lines: Vec<String> = names.iter().filter_map(|name| fate(name)).collect();
    lines.extend(cuts(&names));
    lines.extend(seen.lock().work.hot(now()));
    lines
}

fn fate(name: &str) -> Option<String> {
    let status = process::status(name)?;
    match (status.up, status.paused, status.exit) {
        (false, _, Some(Err(why))) => Some(format!("{name} is down, it ended by itself: {why}")),
        (false, ..) => Some(format!("{name} is down")),
        (true, true, _) => Some(format!("{name} stands still")),
        (true, false, _) => None,
    }
}

/// Links that are still cut, a line for each process they begin at.
fn cuts(names: &[String]) -> Vec<String> {
    let line = |from: &String| {
        let cut = names.iter().filter(|to| *to != from && net().is_cut(from, to));
        let cut: Vec<&str> = cut.map(String::as_str).collect();
        (!cut.is_empty()).then(|| format!("nothing goes from {from} to {}", cut.join(", ")))
    };
    names.iter().filter_map(line).collect()
}
