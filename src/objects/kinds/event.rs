//! Event (core/v1): what a component saw happen to an object; gone after an hour.

use serde_json::{Value, json};

use super::{COMMON, Field, Kind};
use crate::field_error::FieldError;
use crate::object::Object;
use crate::table::Column;
use crate::time;

pub static KIND: Kind = Kind {
    kind: "Event",
    plural: "events",
    singular: "event",
    about: "What a component saw happen to an object; gone after an hour.",
    short_names: &["ev"],
    definition: "core.v1.Event",
    create_on_update: true,
    ttl_seconds: Some(3600),
    validate,
    fields: &[
        Field::new("involvedObject.kind", &["involvedObject", "kind"]),
        Field::new("involvedObject.namespace", &["involvedObject", "namespace"]),
        Field::new("involvedObject.name", &["involvedObject", "name"]),
        Field::new("involvedObject.uid", &["involvedObject", "uid"]),
        Field::new("involvedObject.apiVersion", &["involvedObject", "apiVersion"]),
        Field::new("involvedObject.resourceVersion", &["involvedObject", "resourceVersion"]),
        Field::new("involvedObject.fieldPath", &["involvedObject", "fieldPath"]),
        Field::new("reason", &["reason"]),
        Field::new("reportingComponent", &["reportingComponent"]),
        Field::new("source", &["source", "component"]),
        Field::new("type", &["type"]),
    ],
    columns: &[
        Column::text("Last Seen", "Time since it was last seen."),
        Column::text("Type", "Normal or Warning."),
        Column::text("Reason", "Why it happened, in one word."),
        Column::text("Object", "What it happened to."),
        Column::text("Subobject", "The part of the object it happened to.").wide(),
        Column::text("Source", "Who reports it.").wide(),
        Column::text("Message", "What happened."),
        Column::text("First Seen", "Time since it was first seen.").wide(),
        Column::number("Count", "How often it was seen.").wide(),
        Column { priority: 1, ..Column::NAME },
    ],
    row,
    ..COMMON
};

/// An event is in the namespace of its object; what happens to objects without a namespace is in "default".
fn validate(object: &Object, _: Option<&Object>) -> Vec<FieldError> {
    let own = object.namespace().unwrap_or("");
    let involved = object.get_str(&["involvedObject", "namespace"]);
    let agree = if involved.is_empty() { ["", "default"].contains(&own) } else { own == involved };
    let mut errors = Vec::new();
    if !agree {
        let detail = "does not match event.namespace";
        errors.push(FieldError::invalid("involvedObject.namespace", involved, detail));
    }
    // Only newer events say when they happened; those must say the rest too.
    if !object.get_str(&["eventTime"]).is_empty() {
        for field in ["reportingComponent", "reportingInstance", "action", "reason"] {
            if object.get_str(&[field]).is_empty() {
                errors.push(FieldError::required(field, ""));
            }
        }
    }
    errors
}

fn row(object: &Object, now: u64) -> Vec<Value> {
    let text = |path: &[&str]| object.get_str(path).to_string();
    let since = |field: &str| {
        let stamp = match object.get_str(&[field]) {
            "" => object.get_str(&["eventTime"]),
            stamp => stamp,
        };
        json!(time::age(stamp, now))
    };
    let count = object.get_i64(&["series", "count"]).or(object.get_i64(&["count"])).filter(|n| *n > 0).unwrap_or(1);
    vec![
        since("lastTimestamp"),
        json!(text(&["type"])),
        json!(text(&["reason"])),
        json!(format!("{}/{}", text(&["involvedObject", "kind"]).to_lowercase(), text(&["involvedObject", "name"]))),
        json!(text(&["involvedObject", "fieldPath"])),
        json!(source(object)),
        json!(text(&["message"]).trim()),
        since("firstTimestamp"),
        json!(count),
        json!(object.name()),
    ]
}

fn source(object: &Object) -> String {
    let (component, host) = match object.get_str(&["source", "component"]) {
        "" => (object.get_str(&["reportingComponent"]), object.get_str(&["reportingInstance"])),
        component => (component, object.get_str(&["source", "host"])),
    };
    if host.is_empty() { component.to_string() } else { format!("{component}, {host}") }
}
