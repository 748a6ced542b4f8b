//! ConfigMap: data without a spec.

use super::{COMMON, Kind};

pub static KIND: Kind = Kind {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    definition: "core.v1.ConfigMap",
    ..COMMON
};
