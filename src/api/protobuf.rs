//! Bodies in `application/vnd.kubernetes.protobuf`, read into the JSON they stand for. Pure.
//!
//! Newer releases of kubectl send what they build themselves (create, drain) in this form and in no other. The
//! fields that such bodies have are in the table below, by upstream's numbers. A field that is not there is
//! refused, never left out. Answers are always JSON, which those clients accept.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

/// Every body starts with this.
const MAGIC: &[u8] = b"k8s\0";
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// Messages within messages at the most.
const DEPTH: u32 = 32;

/// What a field holds. The writer sends plain numbers, flags and texts also when they are nothing; those are
/// left out as in JSON. An optional one that is sent is meant.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Text,
    Number,
    Flag,
    OptionalText,
    OptionalNumber,
    OptionalFlag,
    Time,
    MicroTime,
    NumberOrText,
    Message(&'static str),
    Texts,
    Messages(&'static str),
    TextMap,
    BytesMap,
    QuantityMap,
    /// Known, and of no interest here.
    Ignored,
}

use Of::*;

type Field = (u64, &'static str, Of);

/// The fields of a message; None when it is not known here.
fn fields(message: &str) -> Option<&'static [Field]> {
    Some(match message {
        "Binding" => &[(1, "metadata", Message("ObjectMeta")), (2, "target", Message("ObjectReference"))],
        "ConfigMap" => &[
            (1, "metadata", Message("ObjectMeta")),
            (2, "data", TextMap),
            (3, "binaryData", BytesMap),
            (4, "immutable", OptionalFlag),
        ],
        "DeleteOptions" => &[
            (1, "gracePeriodSeconds", OptionalNumber),
            (2, "preconditions", Message("Preconditions")),
            (3, "orphanDependents", OptionalFlag),
            (4, "propagationPolicy", OptionalText),
            (5, "dryRun", Texts),
        ],
        "Deployment" => &[
            (1, "metadata", Message("ObjectMeta")),
            (2, "spec", Message("DeploymentSpec")),
            (3, "status", Ignored),
        ],
        "Eviction" => {
            &[(1, "metadata", Message("ObjectMeta")), (2, "deleteOptions", Message("DeleteOptions"))]
        }
        "Job" => {
            &[(1, "metadata", Message("ObjectMeta")), (2, "spec", Message("JobSpec")), (3, "status", Ignored)]
        }
        "Lease" => &[(1, "metadata", Message("ObjectMeta")), (2, "spec", Message("LeaseSpec"))],
        "Namespace" => &[
            (1, "metadata", Message("ObjectMeta")),
            (2, "spec", Message("NamespaceSpec")),
            (3, "status", Ignored),
        ],
        "ReplicaSet" => &[
            (1, "metadata", Message("ObjectMeta")),
            (2, "spec", Message("ReplicaSetSpec")),
            (3, "status", Ignored),
        ],
        "Service" => &[
            (1, "metadata", Message("ObjectMeta")),
            (2, "spec", Message("ServiceSpec")),
            (3, "status", Ignored),
        ],
        "ServiceAccount" => &[
            (1, "metadata", Message("ObjectMeta")),
            (2, "secrets", Messages("ObjectReference")),
            (3, "imagePullSecrets", Messages("LocalObjectReference")),
            (4, "automountServiceAccountToken", OptionalFlag),
        ],
        part => return parts(part),
    })
}

/// The messages that stand in others.
fn parts(message: &str) -> Option<&'static [Field]> {
    Some(match message {
        "ObjectMeta" => &[
            (1, "name", Text),
            (2, "generateName", Text),
            (3, "namespace", Text),
            (4, "selfLink", Ignored),
            (5, "uid", Text),
            (6, "resourceVersion", Text),
            (7, "generation", Number),
            (8, "creationTimestamp", Time),
            (9, "deletionTimestamp", Time),
            (10, "deletionGracePeriodSeconds", OptionalNumber),
            (11, "labels", TextMap),
            (12, "annotations", TextMap),
            (13, "ownerReferences", Messages("OwnerReference")),
            (14, "finalizers", Texts),
            (17, "managedFields", Ignored),
        ],
        "OwnerReference" => &[
            (1, "kind", Text),
            (3, "name", Text),
            (4, "uid", Text),
            (5, "apiVersion", Text),
            (6, "controller", OptionalFlag),
            (7, "blockOwnerDeletion", OptionalFlag),
        ],
        "ObjectReference" => &[
            (1, "kind", Text),
            (2, "namespace", Text),
            (3, "name", Text),
            (4, "uid", Text),
            (5, "apiVersion", Text),
            (6, "resourceVersion", Text),
            (7, "fieldPath", Text),
        ],
        "LocalObjectReference" => &[(1, "name", Text)],
        "Preconditions" => &[(1, "uid", OptionalText), (2, "resourceVersion", OptionalText)],
        "LabelSelector" => {
            &[(1, "matchLabels", TextMap), (2, "matchExpressions", Messages("LabelRequirement"))]
        }
        "LabelRequirement" => &[(1, "key", Text), (2, "operator", Text), (3, "values", Texts)],
        "NamespaceSpec" => &[(1, "finalizers", Texts)],
        "LeaseSpec" => &[
            (1, "holderIdentity", OptionalText),
            (2, "leaseDurationSeconds", OptionalNumber),
            (3, "acquireTime", MicroTime),
            (4, "renewTime", MicroTime),
            (5, "leaseTransitions", OptionalNumber),
        ],
        part => return workloads(part),
    })
}

/// The parts of workloads and services.
fn workloads(message: &str) -> Option<&'static [Field]> {
    Some(match message {
        "DeploymentSpec" => &[
            (1, "replicas", OptionalNumber),
            (2, "selector", Message("LabelSelector")),
            (3, "template", Message("PodTemplateSpec")),
            (4, "strategy", Message("DeploymentStrategy")),
            (5, "minReadySeconds", Number),
            (6, "revisionHistoryLimit", OptionalNumber),
            (7, "paused", Flag),
            (9, "progressDeadlineSeconds", OptionalNumber),
        ],
        "DeploymentStrategy" => &[(1, "type", Text), (2, "rollingUpdate", Message("RollingUpdate"))],
        "RollingUpdate" => &[(1, "maxUnavailable", NumberOrText), (2, "maxSurge", NumberOrText)],
        "JobSpec" => &[
            (1, "parallelism", OptionalNumber),
            (2, "completions", OptionalNumber),
            (3, "activeDeadlineSeconds", OptionalNumber),
            (4, "selector", Message("LabelSelector")),
            (5, "manualSelector", OptionalFlag),
            (6, "template", Message("PodTemplateSpec")),
            (7, "backoffLimit", OptionalNumber),
            (8, "ttlSecondsAfterFinished", OptionalNumber),
            (9, "completionMode", OptionalText),
            (10, "suspend", OptionalFlag),
            (12, "backoffLimitPerIndex", OptionalNumber),
            (13, "maxFailedIndexes", OptionalNumber),
            (14, "podReplacementPolicy", OptionalText),
            (15, "managedBy", OptionalText),
        ],
        "ReplicaSetSpec" => &[
            (1, "replicas", OptionalNumber),
            (2, "selector", Message("LabelSelector")),
            (3, "template", Message("PodTemplateSpec")),
            (4, "minReadySeconds", Number),
        ],
        "PodTemplateSpec" => &[(1, "metadata", Message("ObjectMeta")), (2, "spec", Message("PodSpec"))],
        part => return pods(part),
    })
}

/// The parts of pods.
fn pods(message: &str) -> Option<&'static [Field]> {
    Some(match message {
        "PodSpec" => &[
            (2, "containers", Messages("Container")),
            (3, "restartPolicy", Text),
            (4, "terminationGracePeriodSeconds", OptionalNumber),
            (5, "activeDeadlineSeconds", OptionalNumber),
            (6, "dnsPolicy", Text),
            (7, "nodeSelector", TextMap),
            (8, "serviceAccountName", Text),
            (9, "serviceAccount", Text),
            (10, "nodeName", Text),
            (11, "hostNetwork", Flag),
            (12, "hostPID", Flag),
            (13, "hostIPC", Flag),
            (16, "hostname", Text),
            (17, "subdomain", Text),
            (19, "schedulerName", Text),
            (20, "initContainers", Messages("Container")),
            (22, "tolerations", Messages("Toleration")),
            (24, "priorityClassName", Text),
            (25, "priority", OptionalNumber),
        ],
        "Container" => &[
            (1, "name", Text),
            (2, "image", Text),
            (3, "command", Texts),
            (4, "args", Texts),
            (5, "workingDir", Text),
            (6, "ports", Messages("ContainerPort")),
            (7, "env", Messages("EnvVar")),
            (8, "resources", Message("ResourceRequirements")),
            (13, "terminationMessagePath", Text),
            (14, "imagePullPolicy", Text),
            (16, "stdin", Flag),
            (17, "stdinOnce", Flag),
            (18, "tty", Flag),
            (20, "terminationMessagePolicy", Text),
        ],
        "ContainerPort" => &[
            (1, "name", Text),
            (2, "hostPort", Number),
            (3, "containerPort", Number),
            (4, "protocol", Text),
            (5, "hostIP", Text),
        ],
        "EnvVar" => &[(1, "name", Text), (2, "value", Text)],
        "ResourceRequirements" => &[(1, "limits", QuantityMap), (2, "requests", QuantityMap)],
        "Toleration" => &[
            (1, "key", Text),
            (2, "operator", Text),
            (3, "value", Text),
            (4, "effect", Text),
            (5, "tolerationSeconds", OptionalNumber),
        ],
        service => return services(service),
    })
}

fn services(message: &str) -> Option<&'static [Field]> {
    Some(match message {
        "ServiceSpec" => &[
            (1, "ports", Messages("ServicePort")),
            (2, "selector", TextMap),
            (3, "clusterIP", Text),
            (4, "type", Text),
            (5, "externalIPs", Texts),
            (7, "sessionAffinity", Text),
            (8, "loadBalancerIP", Text),
            (9, "loadBalancerSourceRanges", Texts),
            (10, "externalName", Text),
            (11, "externalTrafficPolicy", Text),
            (12, "healthCheckNodePort", Number),
            (13, "publishNotReadyAddresses", Flag),
            (17, "ipFamilyPolicy", OptionalText),
            (18, "clusterIPs", Texts),
            (19, "ipFamilies", Texts),
            (20, "allocateLoadBalancerNodePorts", OptionalFlag),
            (21, "loadBalancerClass", OptionalText),
            (22, "internalTrafficPolicy", OptionalText),
        ],
        "ServicePort" => &[
            (1, "name", Text),
            (2, "protocol", Text),
            (3, "port", Number),
            (4, "targetPort", NumberOrText),
            (5, "nodePort", Number),
            (6, "appProtocol", OptionalText),
        ],
        _ => return None,
    })
}

/// The JSON that a body stands for, with its apiVersion and kind.
pub fn decode(body: &[u8]) -> Result<Value, String> {
    let Some(envelope) = body.strip_prefix(MAGIC) else {
        return Err("a protobuf body must start with \"k8s\\0\"".into());
    };
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for part in Reader(envelope) {
        match part? {
            (1, Wire::Bytes(meta)) => {
                for part in Reader(meta) {
                    match part? {
                        (1, Wire::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut value = message(&kind, raw, DEPTH)?;
    value.insert("apiVersion".into(), api_version.into());
    value.insert("kind".into(), kind.into());
    Ok(Value::Object(value))
}

fn message(name: &str, bytes: &[u8], depth: u32) -> Result<Map<String, Value>, String> {
    let unknown = || format!("{name} is not read in protobuf here: send JSON");
    let fields = fields(name).filter(|_| depth > 0).ok_or_else(unknown)?;
    let mut out = Map::new();
    for part in Reader(bytes) {
        let (number, wire) = part?;
        let Some((_, field, of)) = fields.iter().find(|(known, ..)| *known == number) else {
            return Err(format!("field {number} of {name} is not read in protobuf here: send JSON"));
        };
        put(&mut out, field, *of, wire, depth)
            .map_err(|why| if why.contains("send JSON") { why } else { format!("{name}.{field}: {why}") })?;
    }
    Ok(out)
}

fn put(out: &mut Map<String, Value>, field: &str, of: Of, wire: Wire<'_>, depth: u32) -> Result<(), String> {
    let value = match (of, wire) {
        (Ignored, _) => return Ok(()),
        (Text | OptionalText, Wire::Bytes(bytes)) => json!(text(bytes)?),
        (Number | OptionalNumber, Wire::Number(number)) => json!(number as i64),
        (Flag | OptionalFlag, Wire::Number(number)) => json!(number != 0),
        (Time | MicroTime, Wire::Bytes(bytes)) => time(of, bytes)?,
        (NumberOrText, Wire::Bytes(bytes)) => number_or_text(bytes)?,
        (Message(name), Wire::Bytes(bytes)) => Value::Object(message(name, bytes, depth - 1)?),
        (Texts, Wire::Bytes(bytes)) => return push(out, field, json!(text(bytes)?)),
        (Messages(name), Wire::Bytes(bytes)) => {
            return push(out, field, Value::Object(message(name, bytes, depth - 1)?));
        }
        (TextMap | BytesMap | QuantityMap, Wire::Bytes(bytes)) => {
            let (key, value) = entry(of, bytes)?;
            let map = out.entry(field).or_insert_with(|| json!({}));
            map[key] = value;
            return Ok(());
        }
        _ => return Err("the wire type does not fit the field".into()),
    };
    let nothing = match &value {
        Value::Null => true,
        Value::String(text) => of == Text && text.is_empty(),
        Value::Number(number) => of == Number && number.as_i64() == Some(0),
        Value::Bool(flag) => of == Flag && !flag,
        Value::Object(map) => map.is_empty(),
        Value::Array(_) => false,
    };
    if !nothing {
        out.insert(field.to_string(), value);
    }
    Ok(())
}

fn push(out: &mut Map<String, Value>, field: &str, value: Value) -> Result<(), String> {
    if let Value::Array(list) = out.entry(field).or_insert_with(|| json!([])) {
        list.push(value);
    }
    Ok(())
}

/// One entry of a map: key 1, value 2.
fn entry(of: Of, bytes: &[u8]) -> Result<(String, Value), String> {
    let (mut key, mut value) = (String::new(), &[][..]);
    for part in Reader(bytes) {
        match part? {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    let value = match of {
        BytesMap => json!(STANDARD.encode(value)),
        // A Quantity is a message whose field 1 is its text.
        QuantityMap => match Reader(value).next().transpose()? {
            Some((1, Wire::Bytes(bytes))) => json!(text(bytes)?),
            _ => json!("0"),
        },
        _ => json!(text(value)?),
    };
    Ok((key, value))
}

/// Seconds 1, nanoseconds 2; an empty message is no time.
fn time(of: Of, bytes: &[u8]) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (0, 0);
    for part in Reader(bytes) {
        match part? {
            (1, Wire::Number(number)) => seconds = number,
            (2, Wire::Number(number)) => nanos = number,
            _ => {}
        }
    }
    let ns = seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    Ok(match of {
        _ if bytes.is_empty() => Value::Null,
        MicroTime => json!(objects::time::rfc3339_micros(ns)),
        _ => json!(objects::time::rfc3339(ns)),
    })
}

/// Type 1 (0 is a number), number 2, text 3.
fn number_or_text(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut words) = (false, 0, String::new());
    for part in Reader(bytes) {
        match part? {
            (1, Wire::Number(of)) => is_text = of != 0,
            (2, Wire::Number(value)) => number = value as i64,
            (3, Wire::Bytes(bytes)) => words = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { json!(words) } else { json!(number) })
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a text that is not UTF-8".to_string())
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of one message, as they stand on the wire.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Bytes(self.take(8)?),
            2 => {
                let count = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.take(count)?)
            }
            5 => Wire::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((tag >> 3, wire))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u64, Wire<'a>), String>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(|| "the protobuf body is cut off or broken".to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8], content].concat()
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, b"v1"), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw), bytes(3, b""), bytes(4, b"")].concat()
    }

    #[test]
    fn what_is_nothing_is_left_out_and_what_is_optional_is_meant() {
        let entry = [bytes(1, b"k"), bytes(2, b"v")].concat();
        let meta =
            [bytes(1, b"a"), bytes(2, b""), vec![7 << 3, 0], bytes(8, b""), bytes(11, &entry)].concat();
        let raw = [bytes(1, &meta), bytes(2, &entry), bytes(3, &entry), vec![4 << 3, 0]].concat();
        let wanted = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "labels": { "k": "v" } },
            "data": { "k": "v" }, "binaryData": { "k": "dg==" }, "immutable": false,
        });
        assert_eq!(decode(&body("ConfigMap", &raw)).unwrap(), wanted);
    }

    #[test]
    fn a_number_or_text_is_one_of_them() {
        assert_eq!(number_or_text(&[1 << 3, 0, 2 << 3, 80, 3 << 3 | 2, 0]).unwrap(), json!(80));
        let words = [vec![1 << 3, 1, 2 << 3, 0], bytes(3, b"25%")].concat();
        assert_eq!(number_or_text(&words).unwrap(), json!("25%"));
    }

    #[test]
    fn what_is_not_known_or_broken_is_refused() {
        assert!(decode(b"{}").is_err());
        assert!(decode(&body("Secret", b"")).unwrap_err().contains("send JSON"));
        assert!(
            decode(&body("ConfigMap", &bytes(15, b"x"))).unwrap_err().starts_with("field 15 of ConfigMap")
        );
        assert!(decode(&body("ConfigMap", &[1 << 3 | 2, 9])).unwrap_err().contains("cut off"));
        let all = body("ConfigMap", &bytes(1, &bytes(1, b"abc")));
        for end in 4..all.len() {
            let _ = decode(&all[..end]);
        }
    }

    fn unhex(text: &str) -> Vec<u8> {
        let byte = |index: usize| u8::from_str_radix(&text[index..index + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    }

    /// What kubectl 1.37 sends for `create deployment web --image=web:v1 --replicas=0 --port=80`.
    #[test]
    fn a_deployment_of_kubectl_is_read() {
        let sent = "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412b7010a1f0a0377656212001a0022002a00320038\
                    0042005a0a0a0361707012037765621285010800120c0a0a0a0361707012037765621a6b0a1c0a0012001a0022002a00\
                    3200380042005a0a0a036170701203776562124b122d0a0377656212067765623a76312a00320a0a001000185022002a\
                    0042006a007200800100880100900100a201001a00320042004a0052005800600068008201008a01009a0100c2010022\
                    020a00280038001a0c0800100018002000280038001a002200";
        let wanted = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "labels": { "app": "web" } },
            "spec": {
                "replicas": 0, "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": {
                        "containers": [{ "name": "web", "image": "web:v1", "ports": [{ "containerPort": 80 }] }],
                    },
                },
            },
        });
        assert_eq!(decode(&unhex(sent)).unwrap(), wanted);
    }

    /// `create service clusterip svc --tcp=80:8080`.
    #[test]
    fn a_service_of_kubectl_is_read() {
        let sent = "6b3873000a0d0a02763112075365727669636512690a1f0a0373766312001a0022002a003200380042005a0a0a036170\
                    70120373766312420a1b0a0738302d38303830120354435018502207080010903f1a002800120a0a0361707012037376\
                    631a002209436c757374657249503a00420052005a00600068001a020a001a002200";
        let wanted = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "svc", "labels": { "app": "svc" } },
            "spec": {
                "ports": [{ "name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080 }],
                "selector": { "app": "svc" }, "type": "ClusterIP",
            },
        });
        assert_eq!(decode(&unhex(sent)).unwrap(), wanted);
    }

    /// `create job squares --image=squares:v1 -- square 2`.
    #[test]
    fn a_job_of_kubectl_is_read() {
        let sent = "6b3873000a0f0a0862617463682f763112034a6f621292010a170a077371756172657312001a0022002a003200\
                    38004200126d326b0a100a0012001a0022002a00320038004200125712340a0773717561726573120a73717561\
                    7265733a76311a067371756172651a01322a0042006a007200800100880100900100a201001a054e6576657232\
                    0042004a0052005800600068008201008a01009a0100c201001a082000280030003a001a002200";
        let container = json!({ "name": "squares", "image": "squares:v1", "command": ["square", "2"] });
        let wanted = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "squares" },
            "spec": { "template": { "spec": { "containers": [container], "restartPolicy": "Never" } } },
        });
        assert_eq!(decode(&unhex(sent)).unwrap(), wanted);
    }
}
