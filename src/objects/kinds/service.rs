//! Service: a stable name and address for a set of pods.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{COMMON, Field, Kind};
use crate::field_error::FieldError;
use crate::names;
use crate::object::{Object, get_str};
use crate::podspec::defaults::{each, set};
use crate::podspec::validate::{name_errors, one_of};
use crate::selector::LabelSelector;
use crate::table::{Column, age};
use crate::validate;

pub static KIND: Kind = Kind {
    kind: "Service",
    plural: "services",
    singular: "service",
    about: "A stable name and address for a set of pods.",
    short_names: &["svc"],
    categories: &["all"],
    has_status: true,
    create_on_update: true,
    definition: "core.v1.Service",
    name_rule: names::dns1035_label,
    defaults,
    validate,
    on_create: |object| object.set(&["status"], json!({"loadBalancer": {}})),
    on_update,
    fields: &[Field::new("spec.clusterIP", &["spec", "clusterIP"]), Field::new("spec.type", &["spec", "type"])],
    columns: &[
        Column::NAME,
        Column::text("Type", "How it can be reached."),
        Column::text("Cluster-IP", "Its address inside the cluster."),
        Column::text("External-IP", "Its address outside the cluster."),
        Column::text("Port(s)", "Its ports."),
        Column::AGE,
        Column::text("Selector", "Which pods it is for.").wide(),
    ],
    row,
    ..COMMON
};

fn defaults(object: &mut Object) {
    object.set_default(&["spec", "sessionAffinity"], "None");
    object.set_default(&["spec", "type"], "ClusterIP");
    let of = object.get_str(&["spec", "type"]).to_string();
    if of != "ExternalName" {
        object.set_default(&["spec", "internalTrafficPolicy"], "Cluster");
    }
    if of == "NodePort" || of == "LoadBalancer" {
        object.set_default(&["spec", "externalTrafficPolicy"], "Cluster");
    }
    if of == "LoadBalancer" {
        object.set_default(&["spec", "allocateLoadBalancerNodePorts"], true);
    }
    if object.get_str(&["spec", "sessionAffinity"]) == "ClientIP" {
        object.set_default(&["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"], 10_800);
    }
    if let Some(spec) = object.get_mut(&["spec"]).and_then(Value::as_object_mut) {
        each(spec, "ports", |port| {
            set(port, "protocol", "TCP");
            if let Some(number) = port.get("port").cloned() {
                set(port, "targetPort", number);
            }
        });
    }
}

/// An update that does not mention the address keeps it.
fn on_update(new: &mut Object, old: &Object) {
    if new.get_str(&["spec", "type"]) == "ExternalName" || old.get_str(&["spec", "type"]) == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if let Some(value) = old.get(&["spec", field]).cloned() {
            new.set_default(&["spec", field], value);
        }
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<FieldError> {
    let of = object.get_str(&["spec", "type"]);
    let mut errors =
        one_of(of, "spec.type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    errors.extend(one_of(object.get_str(&["spec", "sessionAffinity"]), "spec.sessionAffinity", &["ClientIP", "None"]));
    errors.extend(validate::labels(object, &["spec", "selector"]));
    let ports = object.get_array(&["spec", "ports"]);
    let headless = object.get_str(&["spec", "clusterIP"]) == "None";
    if ports.is_empty() && !headless && of != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    errors.extend(validate_ports(ports));
    if of == "ExternalName" {
        let name = object.get_str(&["spec", "externalName"]);
        if name.is_empty() {
            errors.push(FieldError::required("spec.externalName", ""));
        } else {
            errors.extend(name_errors(names::dns_subdomain, name.trim_end_matches('.'), "spec.externalName"));
        }
    }
    if let Some(old) = old {
        let (was, is) = (old.get_str(&["spec", "clusterIP"]), object.get_str(&["spec", "clusterIP"]));
        let stays = of != "ExternalName" && old.get_str(&["spec", "type"]) != "ExternalName";
        if stays && !was.is_empty() && was != is {
            errors.push(FieldError::invalid("spec.clusterIPs[0]", json!([is]), "may not change once set"));
        }
    }
    errors
}

fn validate_ports(ports: &[Value]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (mut names_seen, mut numbers_seen) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let at = |field: &str| format!("spec.ports[{index}].{field}");
        let name = get_str(port, &["name"]);
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(&at("name"), ""));
        } else if !name.is_empty() {
            errors.extend(name_errors(names::dns_label, name, &at("name")));
            if !names_seen.insert(name) {
                errors.push(FieldError::duplicate(&at("name"), name));
            }
        }
        let range = "must be between 1 and 65535, inclusive";
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        if !(1..=65535).contains(&number) {
            errors.push(FieldError::invalid(&at("port"), number, range));
        }
        match port.get("targetPort") {
            Some(Value::Number(n)) if !(1..=65535).contains(&n.as_i64().unwrap_or(0)) => {
                errors.push(FieldError::invalid(&at("targetPort"), n.as_i64(), range));
            }
            Some(Value::String(name)) => errors.extend(name_errors(names::port_name, name, &at("targetPort"))),
            _ => {}
        }
        let protocol = get_str(port, &["protocol"]);
        errors.extend(one_of(protocol, &at("protocol"), &["SCTP", "TCP", "UDP"]));
        if !numbers_seen.insert((number, protocol)) {
            let key = json!({"port": number, "protocol": protocol});
            errors.push(FieldError::duplicate(&format!("spec.ports[{index}]"), key));
        }
    }
    errors
}

fn row(object: &Object, now: u64) -> Vec<Value> {
    let or_none = |text: String| if text.is_empty() { json!("<none>") } else { json!(text) };
    let selector = LabelSelector::from_labels(object.strings(&["spec", "selector"]));
    vec![
        json!(object.name()),
        json!(object.get_str(&["spec", "type"])),
        or_none(object.get_str(&["spec", "clusterIP"]).to_string()),
        json!(external(object)),
        or_none(ports_cell(object)),
        age(object, now),
        or_none(selector.to_string()),
    ]
}

fn external(object: &Object) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("").to_string();
    let mut addresses: Vec<String> = object.get_array(&["spec", "externalIPs"]).iter().map(text).collect();
    match object.get_str(&["spec", "type"]) {
        "ExternalName" => return object.get_str(&["spec", "externalName"]).to_string(),
        "LoadBalancer" => {
            let given = object.get_array(&["status", "loadBalancer", "ingress"]).iter();
            let given = given.map(|i| match get_str(i, &["ip"]) {
                "" => get_str(i, &["hostname"]).to_string(),
                ip => ip.to_string(),
            });
            addresses = given.chain(addresses).collect();
            if addresses.is_empty() {
                return "<pending>".to_string();
            }
        }
        _ if addresses.is_empty() => return "<none>".to_string(),
        _ => {}
    }
    addresses.join(",")
}

fn ports_cell(object: &Object) -> String {
    let one = |port: &Value| {
        let number = |field: &str| port.get(field).and_then(Value::as_i64).unwrap_or(0);
        match number("nodePort") {
            0 => format!("{}/{}", number("port"), get_str(port, &["protocol"])),
            node => format!("{}:{node}/{}", number("port"), get_str(port, &["protocol"])),
        }
    };
    let all: Vec<String> = object.get_array(&["spec", "ports"]).iter().map(one).collect();
    all.join(",")
}
