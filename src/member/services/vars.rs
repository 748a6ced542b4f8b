//! `/debug/vars`: what Go's expvar shows of an etcd, as one JSON object, as far as there is anything of it here.
//! Source: Go, expvar; etcd, server/etcdserver/raft.go (`raft.status`).

use crate::handle::Handle;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base::MemberId;
use serde_json::json;

pub async fn serve(State(handle): State<Handle>) -> Response {
    let view = handle.view();
    let id = |id: Option<MemberId>| format!("{:x}", id.map_or(0, |id| id.0));
    // who stands for election is not known apart from who follows
    let state = if handle.leads() { "StateLeader" } else { "StateFollower" };
    let bytes = handle.with_store(store::Store::bytes);
    let vars = json!({
        "cmdline": rt::command_line(),
        "memstats": { "Alloc": bytes },
        "raft.status": {
            "id": id(Some(handle.member())),
            "term": view.term.0,
            "commit": view.committed.0,
            "applied": handle.applied().0,
            "lead": id(view.leader),
            "raftState": state,
        },
    });
    Json(vars).into_response()
}
