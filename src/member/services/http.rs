//! What a person or a probe asks over plain HTTP.

use super::{VERSION, cluster_version, maintenance::alarm_name, metrics};
use crate::handle::Handle;
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use std::collections::BTreeMap;
use store::AlarmKind;

pub fn router(handle: Handle) -> Router {
    Router::new()
        .route("/version", get(version))
        .route("/health", get(health))
        .route("/livez", get(live))
        .route("/livez/{check}", get(live))
        .route("/readyz", get(ready))
        .route("/readyz/{check}", get(ready))
        .route("/metrics", get(metrics::serve))
        .with_state(handle)
}

async fn version() -> Response {
    let body = BTreeMap::from([("etcdserver", VERSION.into()), ("etcdcluster", cluster_version())]);
    Json(body).into_response()
}

/// Why this member cannot serve, if it cannot. Alarms that are excluded are none.
async fn unfit(handle: &Handle, serializable: bool, exclude: &str) -> Option<String> {
    let alarms = handle.with_store(|store| store.alarms().clone());
    let mut names = alarms.iter().map(|alarm| alarm_name(alarm.kind));
    if let Some(name) = names.find(|name| *name != exclude) {
        return Some(format!("ALARM {name}"));
    }
    if serializable {
        return None;
    }
    if handle.view().leader.is_none() {
        return Some("RAFT NO LEADER".into());
    }
    handle.read_index().await.err().map(|error| format!("RANGE ERROR:{error}"))
}

fn is_serializable(query: &BTreeMap<String, String>) -> bool {
    query.get("serializable").is_some_and(|value| value == "true")
}

async fn health(State(handle): State<Handle>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let exclude = query.get("exclude").map(String::as_str).unwrap_or_default();
    let unfit = unfit(&handle, is_serializable(&query), exclude).await;
    match unfit {
        None => handle.meters().healthy += 1,
        Some(_) => handle.meters().unhealthy += 1,
    }
    match unfit {
        None => Json(BTreeMap::from([("health", "true"), ("reason", "")])).into_response(),
        Some(reason) => {
            let body = BTreeMap::from([("health", "false".into()), ("reason", reason)]);
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// What a member is asked for to tell whether it lives, and whether it is ready to serve. Names are etcd's.
const LIVE: &[&str] = &["serializable_read"];
const READY: &[&str] = &["data_corruption", "serializable_read", "linearizable_read", "non_learner"];

async fn live(State(handle): State<Handle>, probe: Probe) -> Response {
    answer(&handle, "livez", LIVE, probe).await
}

async fn ready(State(handle): State<Handle>, probe: Probe) -> Response {
    answer(&handle, "readyz", READY, probe).await
}

/// One check, or all but those excluded.
type Probe = (Option<Path<String>>, Query<Vec<(String, String)>>);

/// `ok`, or a line for each check if one fails or `?verbose` asks for it.
async fn answer(handle: &Handle, name: &str, checks: &[&str], (one, Query(query)): Probe) -> Response {
    let excluded = |check: &str| query.iter().any(|(key, value)| key == "exclude" && value == check);
    let wanted: Vec<&str> = match &one {
        Some(Path(one)) => checks.iter().copied().filter(|check| check == one).collect(),
        None => checks.iter().copied().filter(|check| !excluded(check)).collect(),
    };
    if let Some(Path(one)) = one.filter(|_| wanted.is_empty()) {
        let expected = checks.join(", ");
        return (StatusCode::NOT_FOUND, format!("{one}: expected one of {expected}\n")).into_response();
    }
    let (mut lines, mut failed) = (String::new(), false);
    for check in wanted {
        let line = match passes(handle, check).await {
            Ok(()) => format!("[+]{check} ok\n"),
            Err(why) => {
                failed = true;
                format!("[-]{check} failed: {why}\n")
            }
        };
        lines.push_str(&line);
    }
    let verbose = query.iter().any(|(key, _)| key == "verbose");
    match (failed, verbose) {
        (true, _) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{lines}{name} check failed\n")).into_response()
        }
        (false, true) => format!("{lines}{name} check passed\n").into_response(),
        (false, false) => "ok\n".into_response(),
    }
}

async fn passes(handle: &Handle, check: &str) -> Result<(), String> {
    match check {
        "data_corruption" => {
            let corrupt = |store: &store::Store| store.alarms().iter().any(|a| a.kind == AlarmKind::Corrupt);
            if handle.with_store(corrupt) { Err("alarm activated: CORRUPT".into()) } else { Ok(()) }
        }
        "linearizable_read" => handle.read_index().await.map_err(|why| why.to_string()),
        "non_learner" if handle.learns() => Err("not supported for learner".into()),
        _ => Ok(()),
    }
}
