//! Node: a machine that runs pods.

use serde_json::{Value, json};

use super::{COMMON, Field, Kind};
use crate::conditions;
use crate::field_error::FieldError;
use crate::names;
use crate::object::{Object, get_str};
use crate::podspec::resources::amounts;
use crate::podspec::validate::{NOT_NEGATIVE, name_errors, one_of};
use crate::table::{Column, age};

pub static KIND: Kind = Kind {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    about: "A machine that runs pods.",
    short_names: &["no"],
    namespaced: false,
    has_status: true,
    keeps_status_on_create: true,
    definition: "core.v1.Node",
    defaults,
    validate,
    validate_status: |new, old| validate(new, Some(old)),
    fields: &[Field { label: "spec.unschedulable", path: &["spec", "unschedulable"], missing: "false" }],
    columns: &[
        Column::NAME,
        Column::text("Status", "Whether it is ready and takes pods."),
        Column::text("Roles", "What it is for."),
        Column::AGE,
        Column::text("Version", "The version of its kubelet."),
        Column::text("Internal-IP", "Its address inside the cluster.").wide(),
        Column::text("External-IP", "Its address outside the cluster.").wide(),
        Column::text("OS-Image", "Its operating system.").wide(),
        Column::text("Kernel-Version", "Its kernel.").wide(),
        Column::text("Container-Runtime", "What runs its containers.").wide(),
    ],
    row,
    ..COMMON
};

/// What pods may use is what there is, unless the kubelet says otherwise.
fn defaults(object: &mut Object) {
    if let Some(capacity) = object.get(&["status", "capacity"]).cloned() {
        object.set_default(&["status", "allocatable"], capacity);
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let taints = object.get_array(&["spec", "taints"]);
    for (index, taint) in taints.iter().enumerate() {
        errors.extend(self::taint(taint, &format!("spec.taints[{index}]")));
        let same = |other: &&Value| ["key", "effect"].iter().all(|f| get_str(other, &[f]) == get_str(taint, &[f]));
        if taints[..index].iter().any(|other| same(&other)) {
            let mut error = FieldError::duplicate(&format!("spec.taints[{index}]"), taint.clone());
            error.detail = "taints must be unique by key and effect pair".into();
            errors.push(error);
        }
    }
    for field in ["capacity", "allocatable"] {
        for (name, amount) in amounts(object.get(&["status", field])) {
            if amount.is_negative() {
                let at = format!("status.{field}.{name}");
                errors.push(FieldError::invalid(&at, amount.to_string(), NOT_NEGATIVE));
            }
        }
    }
    if let Some(old) = old {
        errors.extend(set_once(object, old));
    }
    errors
}

fn taint(taint: &Value, at: &str) -> Vec<FieldError> {
    let mut errors = name_errors(names::qualified_name, get_str(taint, &["key"]), &format!("{at}.key"));
    errors.extend(name_errors(names::label_value, get_str(taint, &["value"]), &format!("{at}.value")));
    let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    errors.extend(one_of(get_str(taint, &["effect"]), &format!("{at}.effect"), &effects));
    errors
}

/// Fields that may be set, but not changed.
fn set_once(new: &Object, old: &Object) -> Vec<FieldError> {
    let fields = [
        ("providerID", "node updates may not change providerID except from \"\" to valid"),
        ("podCIDR", "node updates may not change podCIDR except from \"\" to valid"),
    ];
    let changed = |field: &str| {
        let was = old.get_str(&["spec", field]);
        !was.is_empty() && was != new.get_str(&["spec", field])
    };
    let found = fields.iter().filter(|(field, _)| changed(field));
    found.map(|(field, detail)| FieldError::forbidden(&format!("spec.{field}"), detail)).collect()
}

fn row(object: &Object, now: u64) -> Vec<Value> {
    let info = |field: &str| json!(or(object.get_str(&["status", "nodeInfo", field]), "<unknown>"));
    vec![
        json!(object.name()),
        json!(status(object)),
        json!(roles(object)),
        age(object, now),
        json!(object.get_str(&["status", "nodeInfo", "kubeletVersion"])),
        json!(address(object, "InternalIP")),
        json!(address(object, "ExternalIP")),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn status(object: &Object) -> String {
    let ready = match conditions::status(object, "Ready") {
        "" => "Unknown",
        "True" => "Ready",
        _ => "NotReady",
    };
    let disabled = if object.get_bool(&["spec", "unschedulable"]) { ",SchedulingDisabled" } else { "" };
    format!("{ready}{disabled}")
}

fn roles(object: &Object) -> String {
    let role = |(key, value): (&str, &str)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) if !role.is_empty() => Some(role.to_string()),
        _ if key == "kubernetes.io/role" && !value.is_empty() => Some(value.to_string()),
        _ => None,
    };
    let mut found: Vec<String> = object.labels().into_iter().filter_map(role).collect();
    found.sort();
    if found.is_empty() { "<none>".to_string() } else { found.join(",") }
}

fn address(object: &Object, of: &str) -> String {
    let addresses = object.get_array(&["status", "addresses"]);
    let found = addresses.iter().find(|a| get_str(a, &["type"]) == of);
    found.map_or("<none>", |a| get_str(a, &["address"])).to_string()
}
