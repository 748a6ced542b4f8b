//! A run for a person at a terminal. The last line is always how to see it again.
//!
//! | module | promise |
//! |---|---|
//! | `style` | colours, on a terminal that wants them |
//! | `html` | a story as one page that needs nothing but itself |
//! | `page` | what that page draws, computed from the story; its style and script |

pub mod html;
pub mod page;
pub mod style;

use crate::check::{Finding, Verdict, promise};
use crate::history::seconds;
use crate::run::{Outcome, Sum};
use crate::scenario::units::say_time;
use std::collections::BTreeMap;
use style::Style;

/// The whole verdict. `again` is the command that shows the run again.
pub fn verdict(outcome: &Outcome, again: &str, style: Style) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(String::new());
    line(format!("  {}   {}", style.bold(&outcome.scenario), style.dim(&format!("seed {}", outcome.seed))));
    line(String::new());
    line(row(style, "cluster", &outcome.cluster));
    let (done, refused, unknown) = outcome.operations;
    if done + refused + unknown > 0 {
        line(row(
            style,
            "store load",
            &format!("{done} operations done, {refused} refused, {unknown} of unknown outcome"),
        ));
    }
    if let Some(changes) = outcome.counts.get("changes by users").filter(|changes| **changes > 0) {
        let failed = outcome.counts.get("changes by users that failed").copied().unwrap_or(0);
        line(row(
            style,
            "API load",
            &format!("{} changes by users, {failed} attempts failed", changes - failed),
        ));
    }
    for text in harms(outcome, style) {
        line(text);
    }
    match outcome.settled {
        Some(after) => line(row(style, "settled", &format!("{} after the heal", say_time(after / 1_000)))),
        None => line(row(style, "settled", &style.red("no"))),
    }
    line(String::new());
    for text in findings(outcome, style) {
        line(text);
    }
    for vacuous in &outcome.vacuous {
        line(format!("  {} {vacuous}", style.yellow("?")));
    }
    line(String::new());
    line(sum(outcome, style));
    line(format!("  {} {}   {}", style.dim("digest"), outcome.digest, style.dim(&speed(outcome))));
    line(format!("  {} {again}", style.dim("again:")));
    out
}

fn row(style: Style, name: &str, text: &str) -> String {
    format!("  {}  {text}", style.dim(&format!("{name:<10}")))
}

/// Each harm with what it did; of very many, the first.
fn harms(outcome: &Outcome, style: Style) -> Vec<String> {
    const MOST: usize = 12;
    let mut lines: Vec<String> = vec![];
    let mut harms = outcome.harms.clone();
    harms.sort_by_key(|harm| harm.at);
    for (n, harm) in harms.iter().take(MOST).enumerate() {
        let name = if n == 0 { "harm" } else { "" };
        let did = if harm.did.is_empty() { style.yellow("no effect") } else { style.dim(&harm.did) };
        lines.push(row(style, name, &format!("{:>9}  {:<44} {did}", seconds(harm.at), harm.what)));
    }
    if harms.len() > MOST {
        lines.push(row(style, "", &style.dim(&format!("and {} more", harms.len() - MOST))));
    }
    lines
}

fn findings(outcome: &Outcome, style: Style) -> Vec<String> {
    let mut lines = vec![];
    let (failed, rest): (Vec<&Finding>, Vec<&Finding>) =
        outcome.findings.iter().partition(|f| f.verdict.failed());
    for finding in rest {
        if let Verdict::Held(what) = &finding.verdict {
            lines.push(format!("  {} {:<40} {}", style.green("✓"), finding.promise, style.dim(what)));
        }
    }
    let idle: Vec<&str> =
        outcome.findings.iter().filter(|f| f.verdict == Verdict::Idle).map(|f| f.promise.as_str()).collect();
    if !idle.is_empty() {
        lines.push(style.dim(&format!("  · nothing to look at: {}", wrap(&idle, 24))));
    }
    for finding in failed {
        lines.push(String::new());
        lines.push(format!("  {} {}", style.red("✗"), style.bold(&finding.promise)));
        if let Some(promise) = promise(&finding.promise) {
            lines.push(format!(
                "    {}  {}",
                style.italic(&format!("“{}”", promise.words)),
                style.dim(promise.source)
            ));
        }
        let evidence = finding.verdict.evidence();
        lines.extend(evidence.iter().take(8).map(|text| format!("    {text}")));
    }
    lines
}

/// Words in lines of about 100 columns.
fn wrap(words: &[&str], indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for (n, word) in words.iter().enumerate() {
        let word = if n + 1 < words.len() { format!("{word}, ") } else { word.to_string() };
        if column + word.len() > 100 {
            out.push_str(&format!("\n{:indent$}", ""));
            column = indent;
        }
        column += word.len();
        out.push_str(&word);
    }
    out
}

fn sum(outcome: &Outcome, style: Style) -> String {
    match outcome.sum() {
        Sum::Held => format!("  {} {} promises held", style.green("held"), outcome.held()),
        Sum::Broke => {
            let broken: Vec<&str> = outcome.broken().map(|finding| finding.promise.as_str()).collect();
            format!("  {} {}", style.red("BROKE"), broken.join("; "))
        }
        Sum::Vacuous => {
            format!("  {} nothing broke, but the scenario did not do what it says", style.yellow("vacuous"))
        }
    }
}

pub fn speed(outcome: &Outcome) -> String {
    let simulated = outcome.simulated_ns as f64 / 1e9;
    let wall = outcome.wall_ms.max(1) as f64 / 1e3;
    format!("{simulated:.1} s simulated in {wall:.2} s ({:.0}x), {} events", simulated / wall, outcome.events)
}

/// What a snapshot holds: what is stable across refactoring. Verdicts, what harm was done, what is there at the
/// end; not digests, not timings, not how many operations fitted in.
pub fn snapshot(outcome: &Outcome) -> String {
    let mut lines =
        vec![outcome.scenario.clone(), format!("seed {}, {}", outcome.seed, outcome.cluster), String::new()];
    let verdict = |finding: &Finding| match &finding.verdict {
        Verdict::Held(_) => "held".to_string(),
        Verdict::Broken(evidence) => format!("BROKEN: {}", evidence.join("; ")),
        Verdict::Undecided(why) => format!("UNDECIDED: {why}"),
        Verdict::Idle => "nothing to look at".into(),
    };
    lines.extend(
        outcome.findings.iter().map(|finding| format!("{:<40} {}", finding.promise, verdict(finding))),
    );
    lines.push(String::new());
    let required = outcome.harms.iter().filter(|harm| harm.required);
    let mut felt: BTreeMap<u64, bool> = BTreeMap::new();
    required.for_each(|harm| *felt.entry(harm.line).or_default() |= !harm.did.is_empty());
    let said = |felt: bool| if felt { "felt" } else { "no effect" };
    lines.extend(felt.into_iter().map(|(line, felt)| format!("harm, line {line}: {}", said(felt))));
    lines.push(String::new());
    lines.extend(outcome.finals.iter().cloned());
    lines.push(match outcome.settled {
        Some(_) => "settled".into(),
        None => "did not settle".into(),
    });
    lines.extend(outcome.vacuous.iter().map(|text| format!("vacuous: {text}")));
    lines.join("\n")
}
