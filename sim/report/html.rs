//! A story as one page of HTML that needs nothing but itself: no network, no other file. What is said in words is
//! written here, and readable without the script; the script draws the timelines from the data.

use super::page::Run;
use crate::check::{Finding, Verdict, promise};
use crate::history::seconds;
use crate::run::Sum;
use crate::scenario::units::say_time;
use crate::story::{Story, place::Place};
use serde::Serialize;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// One script in parts, each with its own task; the last one starts it.
const SCRIPT: &[&str] = &[
    include_str!("page/data.js"),
    include_str!("page/lanes.js"),
    include_str!("page/timeline.js"),
    include_str!("page/list.js"),
    include_str!("page/page.js"),
];

/// A command to go on with, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub name: &'static str,
    pub line: String,
}

/// What the page shows.
pub struct Shown<'a> {
    pub story: &'a Story,
    /// A second run, and what it is.
    pub beside: Option<(&'a Story, String)>,
    pub commands: Vec<Command>,
}

#[derive(Serialize)]
struct Data {
    runs: Vec<Run>,
}

pub fn page(shown: &Shown<'_>) -> Result<String, String> {
    let mut runs = vec![Run::of(shown.story, "This run")];
    runs.extend(shown.beside.as_ref().map(|(story, title)| Run::of(story, title)));
    let places = runs.first().map_or(&[][..], |run| &run.places[..]);
    let header = [
        title(shown.story),
        broken(shown.story, places),
        folded(shown.story),
        harms(shown.story),
        commands(&shown.commands),
    ];
    let header = header.concat();
    let data = serde_json::to_string(&Data { runs }).map_err(|error| format!("the page's data: {error}"))?;
    // whatever a value of the store says, it must not end the script it stands in
    let data = data.replace("</", "<\\/").replace("<!--", "<\\u0021--");
    let name = format!("{}, seed {}", shown.story.outcome.scenario, shown.story.outcome.seed);
    let script = SCRIPT.concat();
    let parts = [
        ("{{title}}", escape(&name)),
        ("{{style}}", STYLE.to_string()),
        ("{{header}}", header),
        ("{{data}}", data),
        ("{{script}}", script),
    ];
    Ok(filled(&parts))
}

/// Fills the gaps of the page in their order; what is filled in is not looked at again.
fn filled(parts: &[(&str, String)]) -> String {
    let (mut out, mut rest) = (String::new(), PAGE);
    for (gap, text) in parts {
        let (before, behind) = rest.split_once(gap).unwrap_or((rest, ""));
        out.push_str(before);
        out.push_str(text);
        rest = behind;
    }
    out + rest
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn title(story: &Story) -> String {
    let outcome = &story.outcome;
    let (class, verdict) = match outcome.sum() {
        Sum::Held => ("held", format!("{} promises held", outcome.held())),
        Sum::Broke => ("broke", "broke".to_string()),
        Sum::Vacuous => ("vacuous", "vacuous".to_string()),
    };
    let settled = match outcome.settled {
        Some(after) => format!("settled {} after the heal", say_time(after / 1_000)),
        None => "did not settle".into(),
    };
    let (done, refused, unknown) = outcome.operations;
    let load = match done + refused + unknown {
        0 => String::new(),
        _ => format!("{done} operations done, {refused} refused, {unknown} of unknown outcome"),
    };
    let facts = [
        format!("seed {}", outcome.seed),
        outcome.cluster.clone(),
        format!("{:.1} s simulated, {} events", outcome.simulated_ns as f64 / 1e9, outcome.events),
        load,
        settled,
        format!("digest {}", outcome.digest),
    ];
    let facts: Vec<String> = facts
        .iter()
        .filter(|fact| !fact.is_empty())
        .map(|fact| format!("<li>{}</li>", escape(fact)))
        .collect();
    format!(
        "<h1>{} <span class=\"badge {class}\">{}</span></h1>\n<ul class=\"facts\">{}</ul>\n",
        escape(&outcome.scenario),
        escape(&verdict),
        facts.concat()
    )
}

/// Each broken promise; each line of its evidence goes to its place.
fn broken(story: &Story, places: &[Place]) -> String {
    let one = |finding: &Finding| {
        let lines = finding.verdict.evidence();
        let link = |line: &String| {
            let of_line = |place: &&Place| {
                place.promise == finding.promise
                    && !place.evidence.is_empty()
                    && line.contains(&place.evidence)
            };
            // what comes last is what should not have been
            let place = places.iter().rposition(|place| of_line(&place));
            let place = place.or_else(|| places.iter().rposition(|place| place.promise == finding.promise));
            format!(
                "<li><a href=\"#violation={}\">{}</a></li>",
                place.map_or(1, |place| place + 1),
                escape(line)
            )
        };
        let words = promise(&finding.promise).map_or(String::new(), |promise| {
            format!(
                "<p class=\"words\"><q>{}</q> <cite>{}</cite></p>",
                escape(promise.words),
                escape(promise.source)
            )
        });
        let lines: Vec<String> = lines.iter().map(link).collect();
        format!(
            "<section class=\"broken\"><h2>{}</h2>{words}<ol>{}</ol></section>\n",
            escape(&finding.promise),
            lines.concat()
        )
    };
    let vacuous = story.outcome.vacuous.iter();
    let vacuous = vacuous.map(|why| format!("<p class=\"vacuous\">vacuous: {}</p>\n", escape(why)));
    story.outcome.broken().map(one).chain(vacuous).collect()
}

/// Promises that held, folded away, and those that had nothing to look at.
fn folded(story: &Story) -> String {
    let row = |finding: &Finding| match &finding.verdict {
        Verdict::Held(what) => {
            Some(format!("<tr><td>{}</td><td>{}</td></tr>", escape(&finding.promise), escape(what)))
        }
        _ => None,
    };
    let rows: Vec<String> = story.outcome.findings.iter().filter_map(row).collect();
    let idle = story.outcome.findings.iter().filter(|finding| finding.verdict == Verdict::Idle);
    let idle: Vec<&str> = idle.map(|finding| finding.promise.as_str()).collect();
    let idle = match idle[..] {
        [] => String::new(),
        _ => format!("<p>Nothing to look at: {}.</p>", escape(&idle.join("; "))),
    };
    format!(
        "<details><summary>{} promises held</summary><table>{}</table>{idle}</details>\n",
        rows.len(),
        rows.concat()
    )
}

fn harms(story: &Story) -> String {
    let mut harms = story.outcome.harms.clone();
    harms.sort_by_key(|harm| harm.at);
    if harms.is_empty() {
        return String::new();
    }
    let row = |harm: &crate::history::seen::Effect| {
        let did = if harm.did.is_empty() { "no effect" } else { &harm.did };
        format!(
            "<tr><td><a href=\"#t={:.3}\">{}</a></td><td>{}</td><td>{}</td></tr>",
            harm.at as f64 / 1e9,
            seconds(harm.at),
            escape(&harm.what),
            escape(did)
        )
    };
    let rows: Vec<String> = harms.iter().map(row).collect();
    let count = if rows.len() == 1 { "1 harm".to_string() } else { format!("{} harms", rows.len()) };
    format!("<details><summary>{count}</summary><table>{}</table></details>\n", rows.concat())
}

fn commands(commands: &[Command]) -> String {
    let row = |command: &Command| {
        format!("<dt>{}</dt><dd><code>{}</code></dd>", command.name, escape(&command.line))
    };
    format!("<dl class=\"commands\">{}</dl>\n", commands.iter().map(row).collect::<String>())
}
