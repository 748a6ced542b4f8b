//! Event (core/v1): what a component saw happen to an object; gone after an hour.

use super::{COMMON, Field, Kind};

pub static KIND: Kind = Kind {
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    definition: "core.v1.Event",
    create_on_update: true,
    ttl_seconds: Some(3600),
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
    ..COMMON
};
