//! ReplicaSet: so many pods of one template.

use super::{COMMON, Field, Kind};

pub static KIND: Kind = Kind {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    has_status: true,
    has_scale: true,
    has_generation: true,
    definition: "apps.v1.ReplicaSet",
    fields: &[Field { label: "status.replicas", path: &["status", "replicas"], missing: "0" }],
    ..COMMON
};
