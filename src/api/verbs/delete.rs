//! delete: an object goes, at once or when whoever has a say agrees.

use crate::{
    answer,
    cache::item::Item,
    decode,
    pipeline::{Answer, Call},
    refusal::Refusal,
    registry::delete::{self, DeleteOptions, Deleted},
    request::Query,
};
use objects::{Kind, status::Status};
use serde_json::Value;
use std::sync::Arc;

pub async fn delete(call: &Call) -> Answer {
    let options = options(&call.query, &call.content_type, &call.body)?;
    let deleted = delete::delete(&call.server, &call.target, &options).await?;
    Ok(match shown(call.target.kind, &deleted) {
        Some(item) => answer::bytes(200, answer::encode(call.target.kind, item, call.form, true)),
        None => {
            let gone = deleted.item().object();
            let status = Status::deleted(call.target.kind, gone.name(), gone.uid());
            answer::value(200, &status.to_value())
        }
    })
}

/// The object that is the answer: one that is still there, and pods always, as upstream.
fn shown<'a>(kind: &Kind, deleted: &'a Deleted) -> Option<&'a Arc<Item>> {
    match deleted {
        Deleted::Marked(item) => Some(item),
        Deleted::Gone(item) => ["Pod", "Service", "ServiceAccount"].contains(&kind.kind).then_some(item),
    }
}

/// From the body when there is one, else from the query.
pub fn options(query: &Query, content_type: &str, body: &[u8]) -> Result<DeleteOptions, Refusal> {
    let mut options = DeleteOptions {
        grace_seconds: query.number("gracePeriodSeconds")?.map(|seconds| seconds as i64),
        propagation: propagation(query.get("propagationPolicy"), query.flag("orphanDependents")),
        dry_run: decode::dry_run(query.get("dryRun"))?,
        ..DeleteOptions::default()
    };
    let body = decode::value_as("meta.v1.DeleteOptions", content_type, body)?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("").to_string();
    if let Some(seconds) = body.get("gracePeriodSeconds").and_then(Value::as_i64) {
        options.grace_seconds = Some(seconds);
    }
    let orphan = body.get("orphanDependents").and_then(Value::as_bool);
    let policy = propagation(&text(&body, "propagationPolicy"), orphan);
    if !policy.is_empty() {
        options.propagation = policy;
    }
    if let Some(preconditions) = body.get("preconditions") {
        options.uid = text(preconditions, "uid");
        options.resource_version = text(preconditions, "resourceVersion");
    }
    if let Some(first) = body.get("dryRun").and_then(Value::as_array).and_then(|all| all.first()) {
        options.dry_run = decode::dry_run(first.as_str().unwrap_or("?"))?;
    }
    check(&options.propagation)?;
    Ok(options)
}

/// `orphanDependents` is the older way to say it.
fn propagation(policy: &str, orphan: Option<bool>) -> String {
    match orphan {
        Some(true) if policy.is_empty() => "Orphan".into(),
        Some(false) if policy.is_empty() => "Background".into(),
        _ => policy.into(),
    }
}

fn check(policy: &str) -> Result<(), Refusal> {
    if ["", "Background", "Foreground", "Orphan"].contains(&policy) {
        return Ok(());
    }
    Err(Refusal::bad_request(&format!(
        "propagationPolicy: Unsupported value: {policy:?}: supported values: \"Background\", \"Foreground\", \"Orphan\""
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_wins_over_the_query() {
        let query = Query::parse("gracePeriodSeconds=5&propagationPolicy=Orphan&dryRun=All");
        let given = options(&query, "", b"").unwrap();
        assert_eq!(
            (given.grace_seconds, given.propagation.as_str(), given.dry_run),
            (Some(5), "Orphan", true)
        );
        let body = br#"{"gracePeriodSeconds":0,"orphanDependents":false,"preconditions":{"uid":"u"}}"#;
        let given = options(&query, "application/json", body).unwrap();
        assert_eq!((given.grace_seconds, given.propagation.as_str()), (Some(0), "Background"));
        assert_eq!(given.uid, "u");
        assert!(options(&Query::parse("propagationPolicy=Now"), "", b"").is_err());
    }
}
