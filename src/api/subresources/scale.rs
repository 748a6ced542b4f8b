//! scale: how many replicas are wanted and are there, as autoscaling/v1 Scale, whatever the kind.

use crate::{
    answer,
    decode::{self, WriteOptions},
    pipeline::{Answer, Call},
    refusal::Refusal,
    registry::modify::{self, Part},
    verbs,
};
use objects::{LabelSelector, Object, object, patch as patches};
use serde_json::{Value, json};

const DEFINITION: &str = "autoscaling.v1.Scale";

pub async fn get(call: &Call) -> Answer {
    let item = verbs::get::read(call).await?;
    Ok(answer::value(200, &scale_of(&item.object())))
}

pub async fn update(call: &Call) -> Answer {
    let sent = decode::value_as(DEFINITION, &call.content_type, &call.body)?;
    change(call, |_| Ok(sent.clone())).await
}

pub async fn patch(call: &Call) -> Answer {
    let of = verbs::patch::patch_type(&call.content_type)?;
    change(call, |scale| {
        let new = patches::apply_as(of, DEFINITION, scale, &call.body);
        new.map_err(|error| error.to_status().into())
    })
    .await
}

async fn change(call: &Call, change: impl Fn(&Value) -> Result<Value, Refusal>) -> Answer {
    let options = WriteOptions::parse(&call.query)?;
    let apply = |old: &Object| {
        let scale = change(&scale_of(old))?;
        let mut new = old.clone();
        new.set(
            &["spec", "replicas"],
            object::get(&scale, &["spec", "replicas"]).cloned().unwrap_or(json!(0)),
        );
        let (version, uid) = (meta(&scale, "resourceVersion"), meta(&scale, "uid"));
        if !version.is_empty() {
            new.set_resource_version(version);
        }
        if !uid.is_empty() {
            new.set_uid(uid);
        }
        Ok(new)
    };
    let item = modify::modify(&call.server, &call.target, Part::Whole, options.dry_run, apply).await?;
    Ok(answer::value(200, &scale_of(&item.object())))
}

fn meta<'a>(scale: &'a Value, field: &str) -> &'a str {
    object::get_str(scale, &["metadata", field])
}

fn scale_of(object: &Object) -> Value {
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.get(&["metadata", field]) {
            metadata[field] = value.clone();
        }
    }
    let selector = LabelSelector::from_value(object.get(&["spec", "selector"]));
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": { "replicas": object.get_i64(&["spec", "replicas"]).unwrap_or(0) },
        "status": {
            "replicas": object.get_i64(&["status", "replicas"]).unwrap_or(0),
            "selector": selector.map(|selector| selector.to_string()).unwrap_or_default(),
        },
    })
}
