//! The results of a sweep as JUnit XML, which every CI system reads.

use super::results::Ran;
use crate::run::{Outcome, Sum};

/// One test case a run. Runs that failed to run at all have a reason instead of an outcome.
pub fn xml(results: &[Ran]) -> String {
    let failed =
        results.iter().filter(|ran| !matches!(&ran.outcome, Ok(outcome) if outcome.sum() == Sum::Held));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"tank\" tests=\"{}\" failures=\"{}\">\n",
        results.len(),
        failed.count()
    );
    for Ran { scenario, seed, outcome, .. } in results {
        let time = outcome.as_ref().map_or(0, |outcome| outcome.wall_ms) as f64 / 1e3;
        let (scenario, name) = (escape(scenario), format!("seed {seed}"));
        let failure = match outcome {
            Err(why) => format!("<error message=\"{}\"/>", escape(why)),
            Ok(outcome) => failure(outcome),
        };
        out.push_str(&format!(
            "  <testcase classname=\"{scenario}\" name=\"{name}\" time=\"{time:.3}\">{failure}</testcase>\n"
        ));
    }
    out.push_str("</testsuite>\n");
    out
}

fn failure(outcome: &Outcome) -> String {
    let mut text = String::new();
    for finding in outcome.broken() {
        let evidence = finding.verdict.evidence().join("\n");
        let (promise, evidence) = (escape(&finding.promise), escape(&evidence));
        text.push_str(&format!("<failure message=\"{promise}\">{evidence}</failure>"));
    }
    if text.is_empty() && !outcome.vacuous.is_empty() {
        text = format!("<failure message=\"vacuous\">{}</failure>", escape(&outcome.vacuous.join("\n")));
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
