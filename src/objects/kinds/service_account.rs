//! ServiceAccount: who a pod is.

use serde_json::json;

use super::{COMMON, Kind};
use crate::table::{Column, age};

pub static KIND: Kind = Kind {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    about: "Who a pod is.",
    short_names: &["sa"],
    definition: "core.v1.ServiceAccount",
    columns: &[Column::NAME, Column::text("Secrets", "How many secrets it names."), Column::AGE],
    row: |object, now| {
        vec![json!(object.name()), json!(object.get_array(&["secrets"]).len()), age(object, now)]
    },
    ..COMMON
};
