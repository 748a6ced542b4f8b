//! OpenAPI v3 documents of the kinds: enough for a client to check a manifest, to build a strategic patch and to
//! explain a field.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Field, ListKind, Shape, Type, schema};
use crate::kinds::{KINDS, Kind, group_versions};

/// "api/v1", "apis/apps/v1": how a document is named in the index.
fn document_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The index at /openapi/v3. The hash lets clients keep the documents; it changes when the table or version does.
pub fn openapi_index(version: &str) -> Value {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in super::TABLE.bytes().chain(version.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let mut paths = Map::new();
    for (group, version) in group_versions() {
        let path = document_path(group, version);
        let url = format!("/openapi/v3/{path}?hash={hash:016X}");
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

/// The document of a group and version; None when nothing is served there.
pub fn openapi_v3(group: &str, version: &str, product_version: &str) -> Option<Value> {
    let kinds: Vec<&Kind> =
        KINDS.iter().copied().filter(|k| k.group == group && k.version == version).collect();
    if kinds.is_empty() {
        return None;
    }
    let mut paths = Map::new();
    let mut wanted = BTreeSet::new();
    for kind in kinds {
        add_paths(kind, &mut paths);
        reach(kind.definition, &mut wanted);
        if kind.has_scale {
            reach("autoscaling.v1.Scale", &mut wanted);
        }
        for (_, sub, _) in kind.subresources {
            let found = schema().types.values().find(|t| t.kind.as_ref().is_some_and(|k| k.2 == *sub));
            found.iter().for_each(|t| reach(&t.name, &mut wanted));
        }
    }
    reach("meta.v1.DeleteOptions", &mut wanted);
    let mut schemas: Map<String, Value> =
        wanted.iter().filter_map(|name| Some((full_name(name), type_schema(schema().get(name)?)))).collect();
    for (name, leaf) in leaves() {
        schemas.insert(name.to_string(), leaf);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": product_version},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

/// Adds the type and every type it leads to.
fn reach(name: &str, wanted: &mut BTreeSet<String>) {
    let Some(found) = schema().get(name) else { return };
    if wanted.insert(name.to_string()) {
        for field in found.fields.values() {
            if let Some(inner) = schema().type_of(&field.shape) {
                reach(&inner.name, wanted);
            }
        }
    }
}

/// "core.v1.Pod" as clients know it: "io.k8s.api.core.v1.Pod".
fn full_name(name: &str) -> String {
    let prefix = if name.starts_with("meta.") { "io.k8s.apimachinery.pkg.apis." } else { "io.k8s.api." };
    format!("{prefix}{name}")
}

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const FIELDS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";

fn leaves() -> [(&'static str, Value); 5] {
    [
        (QUANTITY, json!({"oneOf": [{"type": "string"}, {"type": "number"}]})),
        (
            INT_OR_STRING,
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        ),
        (TIME, json!({"type": "string", "format": "date-time"})),
        (MICRO_TIME, json!({"type": "string", "format": "date-time"})),
        (FIELDS, json!({"type": "object"})),
    ]
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::String => json!({"type": "string"}),
        Shape::Bytes => json!({"type": "string", "format": "byte"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int32 => json!({"type": "integer", "format": "int32"}),
        Shape::Int64 => json!({"type": "integer", "format": "int64"}),
        Shape::Quantity => reference(QUANTITY),
        Shape::IntOrString => reference(INT_OR_STRING),
        Shape::Time => reference(TIME),
        Shape::MicroTime => reference(MICRO_TIME),
        Shape::Any => reference(FIELDS),
        Shape::Type(name) => reference(&full_name(name)),
        Shape::List(item) => json!({"type": "array", "items": wrapped(item)}),
        Shape::Map(item) => json!({"type": "object", "additionalProperties": wrapped(item)}),
    }
}

/// A reference stands in `allOf`, so that something may stand beside it.
fn wrapped(shape: &Shape) -> Value {
    let inner = shape_schema(shape);
    if inner.get("$ref").is_some() { json!({"allOf": [inner]}) } else { inner }
}

fn field_schema(field: &Field) -> Value {
    let mut found = wrapped(&field.shape);
    match &field.list {
        Some(ListKind::Atomic) => found["x-kubernetes-list-type"] = json!("atomic"),
        Some(ListKind::Set) => found["x-kubernetes-list-type"] = json!("set"),
        Some(ListKind::Map(keys)) => {
            found["x-kubernetes-list-type"] = json!("map");
            found["x-kubernetes-list-map-keys"] = json!(keys);
        }
        None => {}
    }
    if field.atomic {
        found["x-kubernetes-map-type"] = json!("atomic");
    }
    if let Some(key) = &field.merge_key {
        found["x-kubernetes-patch-merge-key"] = json!(key);
    }
    let strategy = match (field.merge, field.retain_keys) {
        (true, true) => "merge,retainKeys",
        (true, false) => "merge",
        (false, true) => "retainKeys",
        (false, false) => return found,
    };
    found["x-kubernetes-patch-strategy"] = json!(strategy);
    found
}

fn type_schema(of: &Type) -> Value {
    let properties: Map<String, Value> =
        of.fields.iter().map(|(name, field)| (name.clone(), field_schema(field))).collect();
    let required: Vec<&String> = of.fields.values().filter(|f| f.required).map(|f| &f.name).collect();
    let mut found = json!({"type": "object", "properties": properties});
    if let Some(kind) = KINDS.iter().find(|kind| kind.definition == of.name) {
        found["description"] = json!(kind.about);
    }
    if !required.is_empty() {
        found["required"] = json!(required);
    }
    if of.atomic {
        found["x-kubernetes-map-type"] = json!("atomic");
    }
    if let Some((group, version, kind)) = &of.kind {
        found["x-kubernetes-group-version-kind"] =
            json!([{"group": group, "version": version, "kind": kind}]);
    }
    found
}

fn add_paths(kind: &Kind, paths: &mut Map<String, Value>) {
    let root = format!("/{}", document_path(kind.group, kind.version));
    let list = if kind.namespaced {
        paths.insert(format!("{root}/{}", kind.plural), json!({"get": operation(kind, "list", &[])}));
        format!("{root}/namespaces/{{namespace}}/{}", kind.plural)
    } else {
        format!("{root}/{}", kind.plural)
    };
    let write = ["dryRun", "fieldManager", "fieldValidation"];
    let mut parameters = vec![path_parameter("name")];
    if kind.namespaced {
        parameters.push(path_parameter("namespace"));
    }
    let item = json!({
        "get": operation(kind, "get", &[]),
        "put": operation(kind, "put", &write),
        "patch": operation(kind, "patch", &["dryRun", "fieldManager", "fieldValidation", "force"]),
        "delete": operation(kind, "delete", &["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
        "parameters": parameters,
    });
    if kind.has_status {
        paths.insert(format!("{list}/{{name}}/status"), item.clone());
    }
    paths.insert(format!("{list}/{{name}}"), item);
    let all = json!({"get": operation(kind, "list", &[]), "post": operation(kind, "post", &write)});
    paths.insert(list, all);
}

fn path_parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}})
}

fn operation(kind: &Kind, action: &str, query: &[&str]) -> Value {
    let parameters: Vec<Value> = query
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    let answer = json!({"application/json": {"schema": reference(&full_name(kind.definition))}});
    json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": answer}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_version_has_a_closed_document() {
        let index = openapi_index("v1");
        for (group, version) in group_versions() {
            assert!(index["paths"].get(document_path(group, version)).is_some());
            let document = openapi_v3(group, version, "v1").unwrap();
            let text = document.to_string();
            for part in text.split("#/components/schemas/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
            }
        }
        assert_eq!(openapi_v3("none", "v1", "v1"), None);
    }

    #[test]
    fn what_clients_look_for() {
        let document = openapi_v3("apps", "v1", "v1").unwrap();
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        let names: Vec<&str> =
            patch["parameters"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
        assert!(names.contains(&"fieldValidation") && names.contains(&"dryRun"));
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], json!("Deployment"));
        let containers =
            &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], json!("name"));
        assert_eq!(
            containers["items"]["allOf"][0]["$ref"],
            json!("#/components/schemas/io.k8s.api.core.v1.Container")
        );
        let gvk = &document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"];
        assert_eq!(gvk, &json!([{"group": "apps", "version": "v1", "kind": "Deployment"}]));
    }
}
