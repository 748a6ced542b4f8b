//! One run and its verdict, and a run again in two new processes.

use super::{DIFFERENT, args::Run, child, load, report as page, stories};
use crate::report::{self, style::Style};
use crate::run::{simulate, watchdog};
use crate::story::{Story, file};

pub fn run(asked: &Run) -> Result<i32, String> {
    let plan = load::plan(asked)?;
    let asked = Run { seed: Some(plan.seed), ..asked.clone() };
    if let Some(path) = &asked.save_plan {
        file::whole(path, plan.to_text().as_bytes())?;
    }
    let again = child::again(&asked);
    watchdog::start(plan.memory, again.clone());
    // the page shows the whole run without harm beside; a verdict needs only what it ended in
    let beside = asked.report.as_ref().filter(|_| !asked.no_twin);
    let beside = beside.and_then(|_| stories::twin(&plan, asked.bug.as_deref()));
    let twin = if asked.no_twin || asked.without_harm || !plan.has_kube() || plan.is_calm() {
        None
    } else if beside.is_some() {
        stories::finals(&plan, beside.as_ref()).map(Ok)
    } else {
        let calm = Run { without_harm: true, no_twin: true, story: None, report: None, ..asked.clone() };
        let twin = child::outcome(&calm).map(|twin| twin.settled.map(|_| twin.finals));
        twin.transpose()
    };
    let manner = simulate::Manner {
        bug: asked.bug.clone(),
        capture: asked.capture.as_ref().map(|range| (*range.start(), *range.end())),
        checkpoints: asked.checkpoints,
        twin,
        writes: asked.writes.clone(),
        story: asked.story.is_some() || asked.report.is_some(),
        starts: asked.starts,
    };
    let (outcome, trace) = simulate::simulate(&plan, &manner);
    if let Some(path) = &asked.trace {
        let checkpoints = trace.checkpoints.iter().map(|c| serde_json::json!([c.events, c.digest]));
        let lines: Vec<String> = trace.lines.iter().map(|line| line.to_string()).collect();
        let text = serde_json::json!({ "checkpoints": checkpoints.collect::<Vec<_>>(), "lines": lines });
        std::fs::write(path, text.to_string()).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    // a disk that is full costs the file, not the verdict
    let kept = trace.story.as_ref().map_or(Ok(()), |story| keep(&asked, story, beside.as_ref()));
    trace.writes.iter().for_each(|line| println!("{line}"));
    if asked.snapshot {
        println!("{}", report::snapshot(&outcome));
    } else if asked.json {
        println!("{}", serde_json::to_string(&outcome).unwrap_or_default());
    } else {
        print!("{}", report::verdict(&outcome, &again, Style::of_stdout()));
    }
    kept?;
    Ok(outcome.sum() as i32)
}

fn keep(asked: &Run, story: &Story, beside: Option<&Story>) -> Result<(), String> {
    let saved = asked.story.as_ref().map_or(Ok(()), |path| file::save(story, path));
    let shown = asked.report.as_ref().map_or(Ok(()), |path| page::of_run(asked, path, story, beside));
    saved.and(shown)
}

pub fn replay(asked: &Run) -> Result<i32, String> {
    let plan = load::plan(asked)?;
    let asked = Run { seed: Some(plan.seed), ..asked.clone() };
    let (first, second) = (child::outcome(&asked)?, child::outcome(&asked)?);
    print!("{}", report::verdict(&first, &child::again(&asked), Style::of_stdout()));
    if first.digest != second.digest {
        println!("NOT DETERMINISTIC: a second process gave {}", second.digest);
        println!("again: cargo tank same {} --seeds {}", asked.scenario, plan.seed);
        return Ok(DIFFERENT);
    }
    println!("  a second process gave the same record of {} events", second.events);
    Ok(first.sum() as i32)
}
