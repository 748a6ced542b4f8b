//! What is wrong with a pod spec.

use std::collections::BTreeSet;

use serde_json::Value;

use super::list;
use super::resources::amounts;
use crate::field_error::FieldError;
use crate::names;
use crate::object::get_str;

pub const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// The value must be one of these.
pub fn one_of(value: &str, field: &str, supported: &[&str]) -> Vec<FieldError> {
    match value {
        "" => vec![FieldError::required(field, "")],
        value if supported.contains(&value) => Vec::new(),
        value => vec![FieldError::not_supported(field, value, supported)],
    }
}

pub fn not_negative(value: Option<&Value>, field: &str) -> Vec<FieldError> {
    match value.and_then(Value::as_i64) {
        Some(number) if number < 0 => vec![FieldError::invalid(field, number, NOT_NEGATIVE)],
        _ => Vec::new(),
    }
}

/// Every complaint of a rule about a name, as errors of the field.
pub fn name_errors(rule: fn(&str) -> Vec<String>, name: &str, field: &str) -> Vec<FieldError> {
    rule(name).iter().map(|e| FieldError::invalid(field, name, e)).collect()
}

fn required_name(rule: fn(&str) -> Vec<String>, name: &str, field: &str) -> Vec<FieldError> {
    if name.is_empty() { vec![FieldError::required(field, "")] } else { name_errors(rule, name, field) }
}

fn port_number(value: Option<&Value>, field: &str, required: bool) -> Vec<FieldError> {
    match value.and_then(Value::as_i64).unwrap_or(0) {
        0 if required => vec![FieldError::required(field, "")],
        0..=65535 => Vec::new(),
        number => vec![FieldError::invalid(field, number, PORT_RANGE)],
    }
}

/// A pod spec at a path ("spec", "spec.template.spec").
pub fn pod_spec(spec: &Value, path: &str) -> Vec<FieldError> {
    let at = |field: &str| format!("{path}.{field}");
    let text = |field: &str| get_str(spec, &[field]);
    let (mut errors, volumes) = volumes(list(spec, "volumes"), &at("volumes"));
    errors.extend(containers(spec, path, &volumes));
    errors.extend(one_of(text("restartPolicy"), &at("restartPolicy"), &["Always", "OnFailure", "Never"]));
    let dns = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    errors.extend(one_of(text("dnsPolicy"), &at("dnsPolicy"), &dns));
    errors.extend(deadline(spec.get("activeDeadlineSeconds"), &at("activeDeadlineSeconds")));
    errors.extend(not_negative(
        spec.get("terminationGracePeriodSeconds"),
        &at("terminationGracePeriodSeconds"),
    ));
    for field in ["serviceAccountName", "nodeName", "priorityClassName", "schedulerName"] {
        if !text(field).is_empty() {
            errors.extend(name_errors(names::dns_subdomain, text(field), &at(field)));
        }
    }
    for field in ["hostname", "subdomain"] {
        if !text(field).is_empty() {
            errors.extend(name_errors(names::dns_label, text(field), &at(field)));
        }
    }
    for (key, value) in spec.get("nodeSelector").and_then(Value::as_object).into_iter().flatten() {
        errors.extend(name_errors(names::qualified_name, key, &at("nodeSelector")));
        errors.extend(name_errors(names::label_value, value.as_str().unwrap_or(""), &at("nodeSelector")));
    }
    for (index, toleration) in list(spec, "tolerations").iter().enumerate() {
        errors.extend(self::toleration(toleration, &format!("{path}.tolerations[{index}]")));
    }
    errors
}

fn deadline(value: Option<&Value>, field: &str) -> Vec<FieldError> {
    let max = i64::from(i32::MAX);
    match value.and_then(Value::as_i64) {
        Some(seconds) if !(1..=max).contains(&seconds) => {
            vec![FieldError::invalid(field, seconds, "must be between 1 and 2147483647, inclusive")]
        }
        _ => Vec::new(),
    }
}

/// Errors, and the names of the volumes.
fn volumes<'a>(volumes: &'a [Value], path: &str) -> (Vec<FieldError>, BTreeSet<&'a str>) {
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for (index, volume) in volumes.iter().enumerate() {
        let at = format!("{path}[{index}]");
        let name = get_str(volume, &["name"]);
        errors.extend(required_name(names::dns_label, name, &format!("{at}.name")));
        if !name.is_empty() && !seen.insert(name) {
            errors.push(FieldError::duplicate(&format!("{at}.name"), name));
        }
        let sources: Vec<&String> =
            volume.as_object().into_iter().flat_map(|v| v.keys()).filter(|k| *k != "name").collect();
        match sources.as_slice() {
            [] => errors.push(FieldError::required(&at, "must specify a volume type")),
            [_] => {}
            [_, more @ ..] => {
                let detail = "may not specify more than 1 volume type";
                errors.extend(
                    more.iter().map(|source| FieldError::forbidden(&format!("{at}.{source}"), detail)),
                );
            }
        }
    }
    (errors, seen)
}

fn containers(spec: &Value, path: &str, volumes: &BTreeSet<&str>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if list(spec, "containers").is_empty() {
        errors.push(FieldError::required(&format!("{path}.containers"), ""));
    }
    let mut seen = BTreeSet::new();
    for field in ["containers", "initContainers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            let at = format!("{path}.{field}[{index}]");
            let name = get_str(container, &["name"]);
            errors.extend(self::container(container, &at, volumes));
            if !name.is_empty() && !seen.insert(name) {
                errors.push(FieldError::duplicate(&format!("{at}.name"), name));
            }
        }
    }
    errors
}

fn container(container: &Value, path: &str, volumes: &BTreeSet<&str>) -> Vec<FieldError> {
    let at = |field: &str| format!("{path}.{field}");
    let image = get_str(container, &["image"]);
    let mut errors = required_name(names::dns_label, get_str(container, &["name"]), &at("name"));
    if image.is_empty() {
        errors.push(FieldError::required(&at("image"), ""));
    } else if image.trim() != image {
        errors.push(FieldError::invalid(&at("image"), image, "must not have leading or trailing whitespace"));
    }
    let policies = ["Always", "IfNotPresent", "Never"];
    errors.extend(one_of(get_str(container, &["imagePullPolicy"]), &at("imagePullPolicy"), &policies));
    let messages = ["FallbackToLogsOnError", "File"];
    let policy = get_str(container, &["terminationMessagePolicy"]);
    errors.extend(one_of(policy, &at("terminationMessagePolicy"), &messages));
    errors.extend(ports(list(container, "ports"), &at("ports")));
    errors.extend(environment(list(container, "env"), &at("env")));
    errors.extend(mounts(list(container, "volumeMounts"), &at("volumeMounts"), volumes));
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        errors.extend(container.get(probe).map(|p| self::probe(p, &at(probe))).unwrap_or_default());
    }
    errors.extend(resources(container.get("resources"), &at("resources")));
    errors
}

fn ports(ports: &[Value], path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = format!("{path}[{index}]");
        let name = get_str(port, &["name"]);
        if !name.is_empty() {
            errors.extend(name_errors(names::port_name, name, &format!("{at}.name")));
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(&format!("{at}.name"), name));
            }
        }
        errors.extend(port_number(port.get("containerPort"), &format!("{at}.containerPort"), true));
        errors.extend(port_number(port.get("hostPort"), &format!("{at}.hostPort"), false));
        let protocols = ["SCTP", "TCP", "UDP"];
        errors.extend(one_of(get_str(port, &["protocol"]), &format!("{at}.protocol"), &protocols));
    }
    errors
}

fn environment(variables: &[Value], path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, variable) in variables.iter().enumerate() {
        let at = format!("{path}[{index}]");
        errors.extend(required_name(names::env_name, get_str(variable, &["name"]), &format!("{at}.name")));
        let Some(source) = variable.get("valueFrom") else { continue };
        let count = source.as_object().map_or(0, |sources| sources.len());
        let complaint = match (get_str(variable, &["value"]).is_empty(), count) {
            (_, 0) => {
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
            }
            (false, _) => "may not be specified when `value` is not empty",
            (true, 1) => continue,
            (true, _) => "may not have more than one field specified at a time",
        };
        errors.push(FieldError::invalid(&format!("{at}.valueFrom"), "", complaint));
    }
    errors
}

fn mounts(mounts: &[Value], path: &str, volumes: &BTreeSet<&str>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, mount) in mounts.iter().enumerate() {
        let at = |field: &str| format!("{path}[{index}].{field}");
        let (name, place) = (get_str(mount, &["name"]), get_str(mount, &["mountPath"]));
        if name.is_empty() {
            errors.push(FieldError::required(&at("name"), ""));
        } else if !volumes.contains(name) {
            errors.push(FieldError::not_found(&at("name"), name));
        }
        if place.is_empty() {
            errors.push(FieldError::required(&at("mountPath"), ""));
        } else if !seen.insert(place) {
            errors.push(FieldError::invalid(&at("mountPath"), place, "must be unique"));
        }
    }
    errors
}

fn probe(probe: &Value, path: &str) -> Vec<FieldError> {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    let mut errors = Vec::new();
    match handlers.iter().filter(|h| probe.get(**h).is_some()).count() {
        0 => errors.push(FieldError::required(path, "must specify a handler type")),
        1 => {}
        _ => errors.push(FieldError::forbidden(path, "may not specify more than 1 handler type")),
    }
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        errors.extend(not_negative(probe.get(field), &format!("{path}.{field}")));
    }
    errors
}

fn resources(resources: Option<&Value>, path: &str) -> Vec<FieldError> {
    let of = |field: &str| amounts(resources.and_then(|r| r.get(field)));
    let (limits, requests) = (of("limits"), of("requests"));
    let mut errors = Vec::new();
    for (field, amounts) in [("limits", &limits), ("requests", &requests)] {
        for (name, amount) in amounts {
            let at = format!("{path}.{field}");
            errors.extend(name_errors(names::qualified_name, name, &at));
            if !name.contains('/') && !is_standard(name) {
                errors.push(FieldError::invalid(
                    &at,
                    name.as_str(),
                    "must be a standard resource type or fully qualified",
                ));
            }
            if amount.is_negative() {
                errors.push(FieldError::invalid(&format!("{at}[{name}]"), amount.to_string(), NOT_NEGATIVE));
            }
        }
    }
    for (name, request) in &requests {
        if let Some(limit) = limits.get(name).filter(|limit| request > limit) {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            errors.push(FieldError::invalid(&format!("{path}.requests"), request.to_string(), &detail));
        }
    }
    errors
}

fn is_standard(name: &str) -> bool {
    ["cpu", "memory", "ephemeral-storage"].contains(&name) || name.starts_with("hugepages-")
}

fn toleration(toleration: &Value, path: &str) -> Vec<FieldError> {
    let text = |field: &str| get_str(toleration, &[field]);
    let at = |field: &str| format!("{path}.{field}");
    let (key, operator, value, effect) = (text("key"), text("operator"), text("value"), text("effect"));
    let mut errors = Vec::new();
    if !key.is_empty() {
        errors.extend(name_errors(names::qualified_name, key, &at("key")));
    } else if operator != "Exists" {
        let detail =
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.push(FieldError::invalid(&at("operator"), operator, detail));
    }
    if toleration.get("tolerationSeconds").is_some() && effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        errors.push(FieldError::invalid(&at("effect"), effect, detail));
    }
    match operator {
        "Equal" | "" => errors.extend(name_errors(names::label_value, value, &at("operator"))),
        "Exists" if !value.is_empty() => {
            let detail = "value must be empty when `operator` is 'Exists'";
            errors.push(FieldError::invalid(&at("operator"), value, detail));
        }
        "Exists" => {}
        other => errors.push(FieldError::not_supported(&at("operator"), other, &["Equal", "Exists"])),
    }
    if !effect.is_empty() {
        errors.extend(one_of(effect, &at("effect"), &["NoSchedule", "PreferNoSchedule", "NoExecute"]));
    }
    errors
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
