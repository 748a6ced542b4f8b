//! Parts of an object with a path of their own, and things done to it by a POST.

mod binding;
mod eviction;
mod finalize;
mod scale;

use crate::{
    pipeline::{Answer, Call},
    registry::modify::Part,
    request::Verb,
    verbs,
};
use objects::status::Status;
use serde_json::{Value, json};

pub async fn dispatch(verb: Verb, call: Call) -> Answer {
    let kind = call.target.kind;
    let name = call.target.subresource.as_str();
    let there = match name {
        "status" => kind.has_status,
        "scale" => kind.has_scale,
        _ => kind.subresources.iter().any(|(subresource, ..)| *subresource == name),
    };
    if !there || call.target.name.is_empty() {
        return Err(Status::no_such_path().into());
    }
    match (name, verb) {
        ("status", Verb::Get) => verbs::get::get(&call).await,
        ("status", Verb::Update) => verbs::update::replace(&call, Part::Status).await,
        ("status", Verb::Patch) => verbs::patch::change(&call, Part::Status).await,
        ("scale", Verb::Get) => scale::get(&call).await,
        ("scale", Verb::Update) => scale::update(&call).await,
        ("scale", Verb::Patch) => scale::patch(&call).await,
        ("binding", Verb::Create) => binding::bind(&call).await,
        ("eviction", Verb::Create) => eviction::evict(&call).await,
        ("finalize", Verb::Update) => finalize::finalize(&call).await,
        _ => Err(Status::method_not_allowed("", "").into()),
    }
}

/// The Status of something done by a POST.
fn done() -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 })
}
