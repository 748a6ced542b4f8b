//! A walk over a run: commands in, text out, at a terminal or over a pipe.

use super::{args::Step, stories};
use crate::report::style::Style;
use crate::story::{Story, file, walk};
use std::io::{BufRead, IsTerminal, Write};

pub fn step(asked: &Step) -> Result<i32, String> {
    let story = match stories::saved(&asked.run)? {
        Some(story) => story,
        None => stories::run(&asked.run)?.0,
    };
    if let Some(path) = &asked.save {
        file::save(&story, path)?;
    }
    let mut walk = walk::Walk::new(&story);
    let (mut out, terminal) = (std::io::stdout(), std::io::stdin().is_terminal());
    let said = |text: std::io::Result<()>| text.map_err(|error| format!("nobody listens any more: {error}"));
    said(writeln!(out, "{}", greeting(&story)))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| format!("the commands cannot be read: {error}"))?;
        let Some(answer) = walk.command(&line) else { break };
        said(writeln!(out, "{answer}"))?;
        if terminal {
            said(write!(out, "> ").and_then(|()| out.flush()))?;
        }
    }
    Ok(0)
}

fn greeting(story: &Story) -> String {
    let style = Style::of_stdout();
    let broken: Vec<&str> = story.outcome.broken().map(|finding| finding.promise.as_str()).collect();
    let verdict = match broken[..] {
        [] => style.green("every promise held"),
        _ => format!("{} {}; `violation` goes there", style.red("BROKE"), broken.join("; ")),
    };
    format!(
        "{} seed {}: {} events; {verdict}; `help` for help",
        story.plan.scenario,
        story.plan.seed,
        story.events.len()
    )
}
