//! Node: a machine that runs pods.

use super::{COMMON, Field, Kind};

pub static KIND: Kind = Kind {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    namespaced: false,
    has_status: true,
    definition: "core.v1.Node",
    fields: &[Field { label: "spec.unschedulable", path: &["spec", "unschedulable"], missing: "false" }],
    ..COMMON
};
