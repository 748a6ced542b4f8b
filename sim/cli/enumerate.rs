//! Exact small worlds: every point between two writes of a process at which it can die, and every order of the
//! first deliveries to one. Each is a run of its own, judged in full; up to that point or choice each is the same
//! run as the one before.

use super::{args::Enumerate, args::Run, child, load, results::Ran, sweep};
use crate::history::Choice;
use crate::plan::{Aim, Blow, Deliveries, Owed, Plan, PlannedHarm};
use crate::run::{Outcome, Sum};
use crate::scenario::{Role, Target, target::targets, yaml::Node};
use crate::story::file::whole;
use base::words::nearest;
use objects::kinds::KINDS;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// Who dies is down for this long, in microseconds.
const DOWN: u64 = 1_000_000;
/// So much earlier than the first deed the walk begins.
const BEFORE: u64 = 100_000;
/// Harms of a scenario stand in other lines.
const OURS: u64 = u64::MAX;

pub fn enumerate(asked: &Enumerate) -> Result<i32, String> {
    let run =
        Run { scenario: asked.scenario.clone(), seed: asked.seed, bug: asked.bug.clone(), ..Run::default() };
    let plan = load::plan(&run)?;
    let from = asked.from.map_or_else(|| first_deed(&plan), |from| Ok(from.as_micros() as u64))?;
    if from >= plan.heal {
        return Err(format!("--from lies behind the heal at {} s", plan.heal as f64 / 1e6));
    }
    kinds(&asked.of)?;
    let mut walk = Walk { asked, plan, from, rows: 0, broke: 0, unwalked: 0 };
    println!("  {}   seed {}\n", walk.plan.scenario, walk.plan.seed);
    for who in &asked.who {
        let who = aim(who, &walk.plan)?;
        match asked.orders {
            Some(most) => walk.orders(&who, most)?,
            None => walk.points(&who)?,
        }
    }
    let what = if asked.orders.is_some() { "orders" } else { "points" };
    println!("  {} {what} walked: {} held, {} broke", walk.rows, walk.rows - walk.broke, walk.broke);
    if walk.unwalked > 0 {
        println!("  stopped by --most: at least {} were not walked", walk.unwalked);
    }
    println!("again: {}", again(asked));
    Ok(i32::from(walk.broke > 0))
}

fn again(asked: &Enumerate) -> String {
    let mut words = vec!["cargo tank enumerate".to_string(), asked.scenario.clone()];
    words.extend(asked.seed.map(|seed| format!("--seed {seed}")));
    words.extend(asked.who.iter().map(|who| format!("--who \"{who}\"")));
    words.extend(asked.from.map(|from| format!("--from {}s", from.as_secs_f64())));
    words.extend(asked.orders.map(|most| format!("--orders {most} --of {}", asked.of.join(","))));
    words.extend(asked.bug.as_ref().map(|bug| format!("--bug {bug}")));
    words.join(" ")
}

fn first_deed(plan: &Plan) -> Result<u64, String> {
    let users = plan.kube.iter().map(|client| client.from);
    let first = plan.deeds.iter().map(|deed| deed.at).chain(users).min();
    let first =
        first.ok_or("nobody asks the API for anything here: where the walk begins is for `--from` to say")?;
    Ok(first.saturating_sub(BEFORE))
}

/// What can be heard of.
fn kinds(of: &[String]) -> Result<(), String> {
    let known = || KINDS.iter().map(|kind| kind.plural);
    match of.iter().find(|word| !known().any(|plural| plural == word.as_str())) {
        None => Ok(()),
        Some(word) => {
            let hint = nearest(word, known()).map_or(String::new(), |kind| format!("; did you mean {kind}?"));
            let all: Vec<&str> = known().collect();
            Err(format!("--of: there is no kind {word}{hint}\nthere are {}", all.join(", ")))
        }
    }
}

/// One process, though who it is may be known only when the time comes.
fn aim(word: &str, plan: &Plan) -> Result<Aim, String> {
    let expected =
        "expected the active manager, the active scheduler, or a process such as manager-1 or node-2";
    let node = Node::read(word).map_err(|mistake| mistake.message)?;
    let target = targets(&node).map_err(|mistake| format!("--who: {}; {expected}", mistake.message))?;
    let aim = match target.first() {
        Some(Target::Active(role)) => Aim::Active(*role),
        Some(Target::Exactly(process)) => Aim::Process(*process),
        _ => return Err(format!("--who: `{word}` is not one process; {expected}")),
    };
    let writes = match &aim {
        Aim::Active(_) => true,
        Aim::Process(process) => matches!(process.role, Role::Manager | Role::Scheduler | Role::Node),
        _ => false,
    };
    if !writes {
        return Err(format!("--who: `{word}` is no client of the API; {expected}"));
    }
    if !plan.cluster.has(&aim) {
        return Err(format!("--who: this cluster has no `{word}`: {}", plan.cluster));
    }
    Ok(aim)
}

struct Walk<'a> {
    asked: &'a Enumerate,
    plan: Plan,
    from: u64,
    rows: u64,
    broke: u64,
    unwalked: u64,
}

impl Walk<'_> {
    fn jobs(&self) -> usize {
        self.asked.jobs.unwrap_or_else(sweep::cores).max(1)
    }

    /// How many more may be walked.
    fn left(&self) -> u64 {
        self.asked.most.saturating_sub(self.rows)
    }

    /// Every write before which the process can die, until it makes no more.
    fn points(&mut self, who: &Aim) -> Result<(), String> {
        println!("  {who} dies before its n-th write from {} s on", self.from as f64 / 1e6);
        let mut after = 0;
        while self.left() > 0 {
            let plans: Vec<Plan> = (0..self.jobs() as u64).map(|n| self.dying(who, after + n)).collect();
            for (plan, outcome) in plans.iter().zip(self.outcomes(who, after, &plans)?) {
                let did = outcome.as_ref().ok().and_then(|outcome| {
                    outcome.harms.iter().find(|harm| harm.line == OURS).map(|harm| harm.did.clone())
                });
                if did.as_ref().is_some_and(String::is_empty) {
                    println!("  it makes {after} writes\n");
                    return Ok(());
                }
                after += 1;
                let said =
                    did.map_or_else(|| "the run ended before it was up again".into(), |did| short(&did));
                self.row(who, after, &said, plan, &outcome)?;
            }
        }
        self.unwalked += 1;
        Ok(())
    }

    fn dying(&self, who: &Aim, after: u64) -> Plan {
        let mut plan = self.plan.clone();
        plan.harms.push(PlannedHarm {
            at: self.from,
            until: (self.from + DOWN).min(plan.heal),
            upon: None,
            of: vec![who.clone()],
            blow: Blow::Midway { after },
            line: OURS,
            owed: Owed::Nothing,
        });
        plan.harms.sort_by_key(|harm| harm.at);
        plan
    }

    /// Every order in which the first deliveries can be heard: each run tells what it could have heard instead.
    fn orders(&mut self, who: &Aim, most: u64) -> Result<(), String> {
        let of: Vec<String> = self.asked.of.clone();
        println!(
            "  {who} hears {} in every order of {most}, from {} s on",
            of.join(", "),
            self.from as f64 / 1e6
        );
        let mut todo: VecDeque<Vec<String>> = VecDeque::from([vec![]]);
        let mut number = 0;
        while self.left() > 0 && !todo.is_empty() {
            let orders: Vec<Vec<String>> = todo.drain(..self.jobs().min(todo.len())).collect();
            let plans: Vec<Plan> = orders.iter().map(|order| self.hearing(who, order, most)).collect();
            let outcomes = self.outcomes(who, number, &plans)?;
            for ((plan, order), outcome) in plans.iter().zip(orders).zip(outcomes) {
                number += 1;
                let choices = outcome.as_ref().map_or(&[][..], |outcome| outcome.choices.as_slice());
                todo.extend(others(&order, choices));
                let took: Vec<&str> = choices.iter().map(|choice| choice.took.as_str()).collect();
                let said = if took.is_empty() { "nothing was heard".to_string() } else { took.join(", ") };
                self.row(who, number, &said, plan, &outcome)?;
            }
        }
        self.unwalked += todo.len() as u64;
        println!();
        Ok(())
    }

    fn hearing(&self, who: &Aim, order: &[String], most: u64) -> Plan {
        let (of, order) = (self.asked.of.clone(), order.to_vec());
        let deliveries = Deliveries { to: who.clone(), from: self.from, of, order, most };
        Plan { deliveries: Some(deliveries), ..self.plan.clone() }
    }

    /// Runs plans, each in a process of its own; gives what they came to, in their order.
    fn outcomes(
        &self,
        who: &Aim,
        number: u64,
        plans: &[Plan],
    ) -> Result<Vec<Result<Outcome, String>>, String> {
        let folder = std::env::temp_dir().join(format!("tank-enumerate-{}", std::process::id()));
        let mut runs = vec![];
        for (n, plan) in plans.iter().enumerate() {
            let path = folder.join(self.name(who, number + 1 + n as u64));
            whole(&path, plan.to_text().as_bytes())?;
            let (scenario, bug) = (path.display().to_string(), self.asked.bug.clone());
            runs.push(Run { scenario, bug, no_twin: self.asked.no_twin, ..Run::default() });
        }
        let names: Vec<String> = runs.iter().map(|run| run.scenario.clone()).collect();
        let mut ended = BTreeMap::new();
        sweep::pool(self.jobs(), runs.into_iter(), |Ran { scenario, outcome, .. }| {
            ended.insert(scenario, outcome);
            false
        });
        let _ = std::fs::remove_dir_all(&folder);
        let lost = || Err("it was not run".to_string());
        Ok(names.iter().map(|name| ended.remove(name).unwrap_or_else(lost)).collect())
    }

    fn name(&self, who: &Aim, number: u64) -> PathBuf {
        let who = who.to_string().replace(' ', "-");
        let kind = if self.asked.orders.is_some() { "order" } else { "point" };
        let name = load::named(&self.asked.scenario, self.plan.seed, self.asked.bug.as_deref());
        PathBuf::from(format!("{name}-{who}-{kind}-{number}.json"))
    }

    fn row(
        &mut self,
        who: &Aim,
        number: u64,
        said: &str,
        plan: &Plan,
        outcome: &Result<Outcome, String>,
    ) -> Result<(), String> {
        self.rows += 1;
        let wrong = match outcome {
            Ok(outcome) if outcome.sum() != Sum::Broke => {
                println!("  {number:>5}  {said:<90} held");
                return Ok(());
            }
            Ok(outcome) => {
                outcome.broken().map(|finding| finding.promise.as_str()).collect::<Vec<_>>().join("; ")
            }
            Err(why) => why.clone(),
        };
        self.broke += 1;
        let path = Path::new("target/enumerate").join(self.name(who, number));
        whole(&path, plan.to_text().as_bytes())?;
        let run = Run { scenario: path.display().to_string(), bug: self.asked.bug.clone(), ..Run::default() };
        println!("  {number:>5}  {said:<90} BROKE {wrong}");
        println!("         {}", child::again(&run).replacen("tank run", "tank replay", 1));
        Ok(())
    }
}

/// `PUT /apis/apps/v1/namespaces/default/replicasets/web` is `PUT replicasets/web`.
fn short(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let mut parts: Vec<&str> = word.split('/').collect();
        let version =
            |part: &&str| part.starts_with('v') && part[1..].starts_with(|c: char| c.is_ascii_digit());
        if !word.starts_with("/api") {
            return word.to_string();
        }
        let Some(at) = parts.iter().position(version) else { return word.to_string() };
        parts.drain(..=at);
        if parts.len() > 2 && parts[0] == "namespaces" {
            parts.drain(..2);
        }
        parts.join("/")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The orders that part from this one behind what was asked for: each order there is comes up once.
fn others(order: &[String], choices: &[Choice]) -> Vec<Vec<String>> {
    let took = |n: usize| choices[..n].iter().map(|choice| choice.took.clone());
    let mut others = vec![];
    for (n, choice) in choices.iter().enumerate().skip(order.len()) {
        let instead = choice.of.iter().filter(|kind| **kind != choice.took);
        others.extend(instead.map(|kind| took(n).chain([kind.clone()]).collect()));
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Streams with so many deliveries each, and somebody who takes the first that is there but where told otherwise.
    fn hear(streams: &BTreeMap<&str, usize>, order: &[String], most: usize) -> Vec<Choice> {
        let (mut left, mut choices) = (streams.clone(), vec![]);
        for n in 0..most {
            let of: Vec<String> =
                left.iter().filter(|(_, count)| **count > 0).map(|(kind, _)| kind.to_string()).collect();
            let Some(first) = of.first() else { break };
            let took = order.get(n).unwrap_or(first).clone();
            assert!(of.contains(&took), "only what waits is asked for");
            if let Some(count) = left.get_mut(took.as_str()) {
                *count -= 1;
            }
            choices.push(Choice { of, took });
        }
        choices
    }

    #[test]
    fn writes_are_said_in_short() {
        let long =
            "died between PUT /apis/apps/v1/namespaces/x/replicasets/web-1 and PATCH /api/v1/nodes/v2/status";
        assert_eq!(short(long), "died between PUT replicasets/web-1 and PATCH nodes/v2/status");
        assert_eq!(short("POST /api/v1/namespaces"), "POST namespaces");
    }

    #[test]
    fn every_order_comes_up_once() {
        let streams = BTreeMap::from([("pods", 2), ("replicasets", 1), ("deployments", 2)]);
        let (mut todo, mut heard) = (VecDeque::from([vec![]]), vec![]);
        while let Some(order) = todo.pop_front() {
            let choices = hear(&streams, &order, 5);
            todo.extend(others(&order, &choices));
            heard.push(choices.into_iter().map(|choice| choice.took).collect::<Vec<_>>());
        }
        let distinct: BTreeSet<_> = heard.iter().collect();
        assert_eq!((heard.len(), distinct.len()), (30, 30), "5! / (2! 1! 2!)");
    }
}
