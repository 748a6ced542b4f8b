//! Namespace: where other objects live; it ends when its finalizers say so.

use super::{COMMON, Field, Kind};
use crate::names;

pub static KIND: Kind = Kind {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    namespaced: false,
    has_status: true,
    subresources: &[("finalize", "Namespace", "v1")],
    definition: "core.v1.Namespace",
    name_rule: names::dns_label,
    fields: &[Field::new("name", &["metadata", "name"]), Field::new("status.phase", &["status", "phase"])],
    ..COMMON
};
