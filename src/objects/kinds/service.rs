//! Service: a stable name and address for a set of pods.

use super::{COMMON, Field, Kind};
use crate::names;

pub static KIND: Kind = Kind {
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    has_status: true,
    create_on_update: true,
    definition: "core.v1.Service",
    name_rule: names::dns1035_label,
    fields: &[Field::new("spec.clusterIP", &["spec", "clusterIP"]), Field::new("spec.type", &["spec", "type"])],
    ..COMMON
};
