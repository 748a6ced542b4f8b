//! ServiceAccount: who a pod is.

use super::{COMMON, Kind};

pub static KIND: Kind = Kind {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    definition: "core.v1.ServiceAccount",
    ..COMMON
};
