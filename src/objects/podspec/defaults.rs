//! What a pod spec says when its author does not.

use serde_json::{Map, Value, json};

const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Sets the field of a map unless it is there.
pub fn set(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    match map.get_mut(field) {
        Some(found) if found.is_null() => *found = value.into(),
        Some(_) => {}
        None => {
            map.insert(field.to_string(), value.into());
        }
    }
}

/// As `set`, and an empty string counts as not there.
fn set_text(map: &mut Map<String, Value>, field: &str, value: &str) {
    if map.get(field).and_then(Value::as_str) == Some("") {
        map.remove(field);
    }
    set(map, field, value);
}

/// Every item of a list of objects.
pub fn each(map: &mut Map<String, Value>, field: &str, mut change: impl FnMut(&mut Map<String, Value>)) {
    let items = map.get_mut(field).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut).for_each(&mut change);
}

/// Defaults of the spec of a pod and of a template's pod alike.
pub fn pod_spec(spec: &mut Map<String, Value>) {
    set_text(spec, "restartPolicy", "Always");
    set_text(spec, "dnsPolicy", "ClusterFirst");
    set_text(spec, "schedulerName", "default-scheduler");
    set(spec, "terminationGracePeriodSeconds", 30);
    set(spec, "securityContext", json!({}));
    sync_service_account(spec);
    for field in CONTAINER_LISTS {
        each(spec, field, container);
    }
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        host_ports(spec);
    }
    each(spec, "volumes", volume);
}

/// Defaults of a pod that a template's pod does not have yet.
pub fn pod_only(spec: &mut Map<String, Value>) {
    set(spec, "enableServiceLinks", true);
    for field in ["initContainers", "containers"] {
        each(spec, field, requests_from_limits);
    }
}

/// `serviceAccount` is the older name of `serviceAccountName`: both are kept.
fn sync_service_account(spec: &mut Map<String, Value>) {
    let name =
        |field| spec.get(field).and_then(Value::as_str).filter(|s: &&str| !s.is_empty()).map(str::to_string);
    if let Some(found) = name("serviceAccountName").or_else(|| name("serviceAccount")) {
        spec.insert("serviceAccountName".into(), json!(found));
        spec.insert("serviceAccount".into(), json!(found));
    }
}

fn container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or("");
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    set_text(container, "imagePullPolicy", policy);
    set_text(container, "terminationMessagePath", "/dev/termination-log");
    set_text(container, "terminationMessagePolicy", "File");
    set(container, "resources", json!({}));
    each(container, "ports", |port| set_text(port, "protocol", "TCP"));
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = container.get_mut(field).and_then(Value::as_object_mut) {
            probe(found);
        }
    }
    if let Some(hooks) = container.get_mut("lifecycle").and_then(Value::as_object_mut) {
        for hook in ["postStart", "preStop"] {
            if let Some(found) = hooks.get_mut(hook).and_then(Value::as_object_mut) {
                http_get(found);
            }
        }
    }
    each(container, "env", |variable| {
        let reference =
            variable.get_mut("valueFrom").and_then(|v| v.get_mut("fieldRef")).and_then(Value::as_object_mut);
        if let Some(reference) = reference {
            set_text(reference, "apiVersion", "v1");
        }
    });
}

/// Whether an image is pulled each time: it names no tag and no digest, or the tag "latest".
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    match image.rsplit('/').next().unwrap_or(image).split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => true,
    }
}

fn probe(probe: &mut Map<String, Value>) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if probe.get(field).and_then(Value::as_i64) == Some(0) {
            probe.remove(field);
        }
        set(probe, field, value);
    }
    http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc").and_then(Value::as_object_mut) {
        set(grpc, "service", "");
    }
}

fn http_get(handler: &mut Map<String, Value>) {
    if let Some(get) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        set_text(get, "path", "/");
        set_text(get, "scheme", "HTTP");
    }
}

/// On the host's network a container's port is the host's port.
fn host_ports(spec: &mut Map<String, Value>) {
    for field in ["initContainers", "containers"] {
        each(spec, field, |container| {
            each(container, "ports", |port| {
                if let Some(number) = port.get("containerPort").cloned() {
                    set(port, "hostPort", number);
                }
            });
        });
    }
}

fn volume(volume: &mut Map<String, Value>) {
    if volume.keys().all(|field| field == "name") {
        volume.insert("emptyDir".into(), json!({}));
    }
    for field in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(field).and_then(Value::as_object_mut) {
            set(source, "defaultMode", 0o644);
        }
    }
    if let Some(path) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
        set(path, "type", "");
    }
}

/// A limit without a request is the request too.
fn requests_from_limits(container: &mut Map<String, Value>) {
    let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) else { return };
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { return };
    if limits.is_empty() {
        return;
    }
    set(resources, "requests", json!({}));
    if let Some(requests) = resources.get_mut("requests").and_then(Value::as_object_mut) {
        for (name, amount) in limits {
            requests.entry(name).or_insert(amount);
        }
    }
}

/// How long a pod stays on a node that is not ready or not reachable.
const EVICTION_SECONDS: i64 = 300;

/// Every pod tolerates a node in trouble for a while, unless it says something about it itself.
pub fn node_trouble_tolerations(spec: &mut Map<String, Value>) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let given = spec.get("tolerations").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |toleration: &Value, field: &str| {
            toleration.get(field).and_then(Value::as_str).unwrap_or("").to_string()
        };
        let speaks_of_it = given.iter().any(|t| {
            [key, ""].contains(&text(t, "key").as_str())
                && ["NoExecute", ""].contains(&text(t, "effect").as_str())
        });
        if !speaks_of_it {
            let mut all = given;
            all.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": EVICTION_SECONDS,
            }));
            spec.insert("tolerations".into(), Value::Array(all));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaulted(spec: Value) -> Value {
        let Value::Object(mut spec) = spec else { panic!("an object") };
        pod_spec(&mut spec);
        pod_only(&mut spec);
        Value::Object(spec)
    }

    #[test]
    fn pull_policy_follows_the_tag() {
        let cases = [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.2", "IfNotPresent"),
            ("host:5000/nginx", "Always"),
            ("host:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:ab", "IfNotPresent"),
        ];
        for (image, policy) in cases {
            let spec = defaulted(json!({"containers": [{"name": "a", "image": image}]}));
            assert_eq!(spec["containers"][0]["imagePullPolicy"], json!(policy), "{image}");
        }
        let kept = defaulted(json!({"containers": [{"imagePullPolicy": "Never"}]}));
        assert_eq!(kept["containers"][0]["imagePullPolicy"], json!("Never"));
    }

    #[test]
    fn a_bare_pod_is_filled_in() {
        let spec = defaulted(
            json!({"containers": [{"name": "a", "image": "i:1", "ports": [{"containerPort": 80}],
            "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 3}}], "volumes": [{"name": "v"}, {"name": "c",
            "configMap": {"name": "x"}}], "restartPolicy": ""}),
        );
        assert_eq!(
            spec,
            json!({
                "containers": [{
                    "name": "a", "image": "i:1", "imagePullPolicy": "IfNotPresent", "resources": {},
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                        "periodSeconds": 3, "successThreshold": 1, "failureThreshold": 3},
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                }],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "x", "defaultMode": 420}}],
                "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
                "terminationGracePeriodSeconds": 30, "securityContext": {}, "enableServiceLinks": true,
            })
        );
        assert_eq!(defaulted(spec.clone()), spec, "defaults are idempotent");
    }

    #[test]
    fn requests_follow_limits() {
        let spec = defaulted(json!({"containers": [{"resources": {"limits": {"cpu": "1", "memory": "1Gi"},
            "requests": {"cpu": "500m"}}}]}));
        assert_eq!(spec["containers"][0]["resources"]["requests"], json!({"cpu": "500m", "memory": "1Gi"}));
    }

    #[test]
    fn tolerations_are_added_unless_spoken_of() {
        let count = |tolerations: Value| {
            let Value::Object(mut spec) = json!({"tolerations": tolerations}) else { panic!("an object") };
            node_trouble_tolerations(&mut spec);
            spec["tolerations"].as_array().unwrap().len()
        };
        assert_eq!(count(json!(null)), 2);
        assert_eq!(count(json!([{"operator": "Exists"}])), 1);
        assert_eq!(
            count(
                json!([{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}])
            ),
            2
        );
        assert_eq!(count(json!([{"key": "other", "operator": "Exists", "effect": "NoSchedule"}])), 3);
    }

    #[test]
    fn service_account_and_host_ports() {
        let spec = defaulted(json!({"serviceAccount": "sa", "hostNetwork": true,
            "containers": [{"ports": [{"containerPort": 80}]}]}));
        assert_eq!(spec["serviceAccountName"], json!("sa"));
        assert_eq!(spec["containers"][0]["ports"][0]["hostPort"], json!(80));
    }
}
