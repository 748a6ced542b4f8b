//! `/livez`, `/readyz` and `/healthz`.

use crate::{answer, server::Server};
use axum::response::Response;

/// The answer to a health path; None when it is none. `verbose` lists the checks.
pub fn answer(server: &Server, path: &str, verbose: bool) -> Option<Response> {
    let checks = match path {
        "/livez" | "/livez/ping" => vec![("ping", None)],
        "/healthz" | "/healthz/ping" | "/readyz" => vec![("ping", None), caches(server), bootstrap(server)],
        _ => return None,
    };
    let failed = checks.iter().any(|(_, why)| why.is_some());
    let code = if failed { 500 } else { 200 };
    if !failed && !verbose {
        return Some(answer::text(code, "ok"));
    }
    let mut text = String::new();
    for (name, why) in &checks {
        match why {
            None => text.push_str(&format!("[+]{name} ok\n")),
            Some(why) => text.push_str(&format!("[-]{name} failed: {why}\n")),
        }
    }
    let check = path.trim_start_matches('/');
    text.push_str(&format!("{check} check {}\n", if failed { "failed" } else { "passed" }));
    Some(answer::text(code, &text))
}

type Check = (&'static str, Option<String>);

fn caches(server: &Server) -> Check {
    let unready = server.unready();
    ("watch-caches", (!unready.is_empty()).then(|| format!("not filled yet: {}", unready.join(", "))))
}

fn bootstrap(server: &Server) -> Check {
    ("system-namespaces", (!server.bootstrapped()).then(|| "not made yet".to_string()))
}
