//! Discovery: which groups, versions and resources are served, in the old form (a document a level) and in the
//! aggregated one; and `/version`.

use crate::answer;
use axum::response::Response;
use http::{HeaderMap, header};
use objects::{KINDS, Kind, kinds::group_versions};
use serde_json::{Value, json};

/// The release of Kubernetes whose API this is.
pub const GIT_VERSION: &str = "v1.33.0+wavetank";

const AGGREGATED_V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const AGGREGATED_V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// The document at a path; None when there is none.
pub fn answer(path: &str, headers: &HeaderMap) -> Option<Response> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let aggregated = aggregated_form(headers);
    let document = match (parts.as_slice(), aggregated) {
        ([], _) => paths(),
        (["api" | "apis"], Some((media, version))) => {
            let document = aggregate(version, parts[0] == "api");
            return Some(answer::with_type(200, document.to_string().into(), media));
        }
        (["version"], _) => version(),
        (["api"], _) => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "" }],
        }),
        (["apis"], _) => json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups() }),
        (["apis", name], _) => {
            let mut found = groups().into_iter().find(|group| group["name"] == *name)?;
            found["kind"] = "APIGroup".into();
            found["apiVersion"] = "v1".into();
            found
        }
        (["api", version], _) => resources("", version)?,
        (["apis", group, version], _) => resources(group, version)?,
        _ => return None,
    };
    Some(answer::value(200, &document))
}

/// The aggregated form that the client would rather have than the old one.
fn aggregated_form(headers: &HeaderMap) -> Option<(&'static str, &'static str)> {
    let accept = headers.get(header::ACCEPT)?.to_str().ok()?;
    accept.split(',').find_map(|media| {
        let has = |wanted: &str| media.split(';').any(|part| part.trim() == wanted);
        match has("as=APIGroupDiscoveryList") && has("g=apidiscovery.k8s.io") {
            true if has("v=v2") => Some((AGGREGATED_V2, "apidiscovery.k8s.io/v2")),
            true if has("v=v2beta1") => Some((AGGREGATED_V2BETA1, "apidiscovery.k8s.io/v2beta1")),
            _ => None,
        }
    })
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
    })
}

fn paths() -> Value {
    let mut paths: Vec<String> =
        ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]
            .map(String::from)
            .to_vec();
    for (group, version) in named_groups() {
        paths.push(format!("/apis/{group}"));
        paths.push(format!("/apis/{group}/{version}"));
    }
    paths.sort();
    json!({ "paths": paths })
}

/// All but the core group.
fn named_groups() -> Vec<(&'static str, &'static str)> {
    group_versions().into_iter().filter(|(group, _)| !group.is_empty()).collect()
}

fn groups() -> Vec<Value> {
    let one = |(group, version): (&str, &str)| {
        let version = json!({ "groupVersion": format!("{group}/{version}"), "version": version });
        json!({ "name": group, "versions": [version], "preferredVersion": version })
    };
    named_groups().into_iter().map(one).collect()
}

/// What can be done with the objects of a kind.
fn verbs(kind: &Kind) -> Vec<&'static str> {
    let all = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    all.into_iter().filter(|verb| *verb != "deletecollection" || kind.kind != "Namespace").collect()
}

/// A part of a kind with a path of its own.
struct Part {
    name: &'static str,
    group: String,
    version: String,
    kind: &'static str,
    verbs: &'static [&'static str],
}

fn parts(kind: &'static Kind) -> Vec<Part> {
    let mut parts = vec![];
    let changed: &[&str] = &["get", "patch", "update"];
    if kind.has_scale {
        let (group, version) = ("autoscaling".to_string(), "v1".to_string());
        parts.push(Part { name: "scale", group, version, kind: "Scale", verbs: changed });
    }
    if kind.has_status {
        let (group, version) = (kind.group.to_string(), kind.version.to_string());
        parts.push(Part { name: "status", group, version, kind: kind.kind, verbs: changed });
    }
    for (name, of, api_version) in kind.subresources {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let verbs: &[&str] = if *name == "finalize" { &["update"] } else { &["create"] };
        parts.push(Part { name, group: group.to_string(), version: version.to_string(), kind: of, verbs });
    }
    parts
}

fn kinds_of(group: &str, version: &str) -> Vec<&'static Kind> {
    KINDS.iter().copied().filter(|kind| kind.group == group && kind.version == version).collect()
}

/// The APIResourceList of a group and version.
fn resources(group: &str, version: &str) -> Option<Value> {
    let kinds = kinds_of(group, version);
    let first = kinds.first()?;
    let mut resources = vec![];
    for kind in &kinds {
        let mut resource = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": verbs(kind),
        });
        add_names(&mut resource, kind);
        resources.push(resource);
        for part in parts(kind) {
            let mut resource = json!({
                "name": format!("{}/{}", kind.plural, part.name), "singularName": "",
                "namespaced": kind.namespaced, "kind": part.kind, "verbs": part.verbs,
            });
            if (part.group.as_str(), part.version.as_str()) != (group, version) {
                resource["group"] = part.group.into();
                resource["version"] = part.version.into();
            }
            resources.push(resource);
        }
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(),
        "resources": resources,
    }))
}

fn add_names(resource: &mut Value, kind: &Kind) {
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
}

/// The APIGroupDiscoveryList of the core group, or of all others.
fn aggregate(api_version: &str, core: bool) -> Value {
    let items: Vec<Value> = group_versions()
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, version)| {
            let resources: Vec<Value> = kinds_of(group, version).into_iter().map(aggregate_kind).collect();
            let mut metadata = json!({ "creationTimestamp": null });
            if !group.is_empty() {
                metadata["name"] = group.into();
            }
            let version = json!({ "version": version, "resources": resources, "freshness": "Current" });
            json!({ "metadata": metadata, "versions": [version] })
        })
        .collect();
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": api_version, "metadata": {}, "items": items })
}

fn aggregate_kind(kind: &'static Kind) -> Value {
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": { "group": kind.group, "version": kind.version, "kind": kind.kind },
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    add_names(&mut resource, kind);
    let parts: Vec<Value> = parts(kind)
        .into_iter()
        .map(|part| {
            json!({
                "subresource": part.name,
                "responseKind": { "group": part.group, "version": part.version, "kind": part.kind },
                "verbs": part.verbs,
            })
        })
        .collect();
    if !parts.is_empty() {
        resource["subresources"] = parts.into();
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_in_both_forms() {
        let flat: Vec<String> = group_versions()
            .into_iter()
            .flat_map(|(group, version)| {
                resources(group, version).unwrap()["resources"].as_array().unwrap().clone()
            })
            .map(|resource| resource["name"].as_str().unwrap().to_string())
            .collect();
        for wanted in
            ["pods", "pods/status", "pods/binding", "namespaces/finalize", "deployments/scale", "leases"]
        {
            assert!(flat.iter().any(|name| name == wanted), "{wanted} is missing from {flat:?}");
        }
        let apps = &aggregate("apidiscovery.k8s.io/v2", false)["items"];
        assert!(apps.as_array().unwrap().iter().any(|item| item["metadata"]["name"] == "apps"));
        let core = &aggregate("apidiscovery.k8s.io/v2", true)["items"];
        assert_eq!(core.as_array().unwrap().len(), 1);
    }

    #[test]
    fn the_aggregated_form_is_taken_when_it_is_asked_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(aggregated_form(&headers), None);
        let accept = format!("{AGGREGATED_V2},{AGGREGATED_V2BETA1},application/json");
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(aggregated_form(&headers).unwrap().1, "apidiscovery.k8s.io/v2");
    }
}
