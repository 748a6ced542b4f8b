//! How far: simulated seconds per wall second, runs per core-hour, events per second; and what checks cost.

use super::args::Bench;
use crate::check::{Verdict, linear, sample, watch};
use crate::plan;
use crate::run::{Outcome, simulate, watchdog::wall};
use crate::scenario::read;

const QUIET: &str = r#"
name: quiet cluster
cluster: { members: 3, apiservers: 2, managers: 2, schedulers: 2, nodes: 5 }
heal: 300s
"#;

const HEAVY: &str = r#"
name: heavy harm and load
cluster: { members: 3, apiservers: 2, managers: 2, schedulers: 2, nodes: 5 }
load:
  - { kv: { clients: 5, pause: 10ms..100ms } }
  - { kube: { clients: 2, deployments: 4 } }
harm:
  - { crash: one, for: 1s..5s, every: 5s..15s }
  - { partition: one, for: 1s..5s, every: 5s..15s }
heal: 60s
"#;

const SMALL: &str = r#"
name: small runs
cluster: { members: 3 }
load: [ { kv: { clients: 3 } } ]
harm: [ { crash: one, for: 1s..5s, every: 5s..15s } ]
heal: 55s
"#;

pub fn bench(asked: &Bench) -> Result<i32, String> {
    println!(
        "{:<24} {:>12} {:>10} {:>10} {:>14} {:>14}",
        "", "simulated s", "wall s", "speed", "runs/core-hour", "events/s"
    );
    for text in [QUIET, HEAVY, SMALL] {
        let scenario =
            read::scenario(text, &|_| Err("no files here".into())).map_err(|mistake| mistake.message)?;
        let runs: Vec<Outcome> = (1..=asked.runs)
            .map(|seed| simulate::simulate(&plan::plan(&scenario, seed), &simulate::Manner::default()).0)
            .collect();
        let sum = |of: fn(&Outcome) -> u64| runs.iter().map(of).sum::<u64>() as f64;
        let (simulated, wall) = (sum(|r| r.simulated_ns) / 1e9, sum(|r| r.wall_ms.max(1)) / 1e3);
        println!(
            "{:<24} {simulated:>12.1} {wall:>10.2} {:>9.0}x {:>14.0} {:>14.0}",
            scenario.name,
            simulated / wall,
            runs.len() as f64 * 3_600.0 / wall,
            sum(|r| r.events) / wall
        );
    }
    checks()?;
    println!("again: cargo tank bench --runs {}", asked.runs);
    Ok(0)
}

/// Operations of the history that checks are measured on.
const OPERATIONS: usize = 100_000;

/// What the checks of a long history take.
fn checks() -> Result<(), String> {
    let history = sample::right(&mut base::stream::stream(1, "bench"), 20, 1_000, OPERATIONS);
    let began = wall();
    let judged = linear::judge(&history);
    let linear = began.elapsed();
    let began = wall();
    let verdicts = [
        judged.verdict,
        watch::ordered(&history),
        watch::unique(&history),
        watch::atomic(&history),
        watch::filtered(&history),
        watch::reliable(&history, &judged.log, true),
        watch::previous(&history, &judged.log),
    ];
    if let Some(verdict) = verdicts.iter().find(|verdict| !matches!(verdict, Verdict::Held(_))) {
        return Err(format!("a right history was not accepted: {verdict:?}"));
    }
    let watches = began.elapsed();
    println!(
        "a history of {OPERATIONS} operations: linearizable in {:.2} s, all promises of a watch in {:.2} s",
        linear.as_secs_f64(),
        watches.as_secs_f64()
    );
    Ok(())
}
