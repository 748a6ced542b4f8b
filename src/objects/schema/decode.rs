//! Reading JSON as a kind: wrong types are errors, unknown fields are taken out and reported, nulls are dropped.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

use super::{Shape, Type, schema};
use crate::kinds::Kind;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::time;

/// Makes the object one of its kind. Gives the paths of the unknown fields that were taken out, or, as an error,
/// what is wrong with the type of a field.
pub fn decode(kind: &Kind, object: &mut Object) -> Result<Vec<String>, String> {
    decode_map(kind.definition, object.map_mut())
}

/// As `decode`, for what is not stored: "core.v1.Binding", "meta.v1.DeleteOptions", "autoscaling.v1.Scale".
pub fn decode_as(definition: &str, value: &mut Value) -> Result<Vec<String>, String> {
    match value {
        Value::Object(map) => decode_map(definition, map),
        other => Err(format!(
            "json: cannot unmarshal {} into Go value of type {}",
            words(other),
            go_name(definition)
        )),
    }
}

fn decode_map(definition: &str, map: &mut Map<String, Value>) -> Result<Vec<String>, String> {
    let Some(of) = schema().get(definition) else {
        return Err(format!("no type {definition} in the schema"));
    };
    let mut decoder = Decoder { unknown: Vec::new(), dotted: Vec::new(), indexed: String::new(), owner: "" };
    decoder.object(of, map)?;
    Ok(decoder.unknown)
}

/// The error of strict decoding, from paths of unknown fields and of duplicate ones. None when there are none.
pub fn strict_error(unknown: &[String], duplicate: &[String]) -> Option<String> {
    let complaints: Vec<String> = unknown
        .iter()
        .map(|path| format!("unknown field {path:?}"))
        .chain(duplicate.iter().map(|path| format!("duplicate field {path:?}")))
        .collect();
    (!complaints.is_empty()).then(|| format!("strict decoding error: {}", complaints.join(", ")))
}

struct Decoder<'a> {
    unknown: Vec<String>,
    /// Names of fields from the root, without indexes: how type errors name a place.
    dotted: Vec<&'a str>,
    /// The path with indexes: how unknown fields are named.
    indexed: String,
    /// The struct the field belongs to.
    owner: &'a str,
}

impl<'a> Decoder<'a> {
    fn step(&mut self, name: &str) {
        if !self.indexed.is_empty() {
            self.indexed.push('.');
        }
        self.indexed.push_str(name);
    }

    fn object(&mut self, of: &'a Type, map: &mut Map<String, Value>) -> Result<(), String> {
        map.retain(|_, value| !value.is_null());
        let outer = self.owner;
        let length = self.indexed.len();
        let mut strangers = false;
        for (name, value) in map.iter_mut() {
            let field = of.fields.get(name);
            self.owner = of.short_name();
            self.step(name);
            match field {
                Some(field) => {
                    self.dotted.push(&field.name);
                    self.value(&field.shape, value)?;
                    self.dotted.pop();
                }
                None => {
                    strangers = true;
                    self.unknown.push(self.indexed.clone());
                }
            }
            self.indexed.truncate(length);
        }
        if strangers {
            map.retain(|name, _| of.fields.contains_key(name));
        }
        self.owner = outer;
        Ok(())
    }

    fn value(&mut self, shape: &'a Shape, value: &mut Value) -> Result<(), String> {
        match (shape, &mut *value) {
            (Shape::Type(name), Value::Object(map)) => match schema().get(name) {
                Some(of) => self.object(of, map),
                None => Err(format!("no type {name} in the schema")),
            },
            (Shape::List(item), Value::Array(items)) => self.items(item, items),
            (Shape::Map(item), Value::Object(map)) => self.entries(item, map),
            (Shape::String | Shape::Bytes | Shape::IntOrString, Value::String(_)) => Ok(()),
            (Shape::Bool, Value::Bool(_)) | (Shape::Any, Value::Object(_)) => Ok(()),
            (Shape::Int32 | Shape::IntOrString, Value::Number(n)) if fits_i32(n) => Ok(()),
            (Shape::Int64, Value::Number(n)) if n.is_i64() => Ok(()),
            (Shape::Quantity, Value::String(_) | Value::Number(_)) => quantity(value),
            (Shape::Time | Shape::MicroTime, Value::String(text)) => self.time(text, shape),
            (_, other) => Err(self.mismatch(shape, other)),
        }
    }

    fn items(&mut self, item: &'a Shape, items: &mut Vec<Value>) -> Result<(), String> {
        if matches!(item, Shape::Type(_)) {
            items.iter_mut().filter(|v| v.is_null()).for_each(|v| *v = Value::Object(Map::new()));
        } else {
            items.retain(|v| !v.is_null());
        }
        let length = self.indexed.len();
        for (index, value) in items.iter_mut().enumerate() {
            let _ = write!(self.indexed, "[{index}]");
            self.value(item, value)?;
            self.indexed.truncate(length);
        }
        Ok(())
    }

    fn entries(&mut self, item: &'a Shape, map: &mut Map<String, Value>) -> Result<(), String> {
        map.retain(|_, value| !value.is_null());
        let length = self.indexed.len();
        for (key, value) in map.iter_mut() {
            self.step(key);
            self.value(item, value)?;
            self.indexed.truncate(length);
        }
        Ok(())
    }

    fn time(&self, text: &str, shape: &Shape) -> Result<(), String> {
        if time::parse_rfc3339(text).is_some() {
            return Ok(());
        }
        let layout = match shape {
            Shape::MicroTime => "2006-01-02T15:04:05.000000Z07:00",
            _ => "2006-01-02T15:04:05Z07:00",
        };
        Err(format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""))
    }

    fn mismatch(&self, shape: &Shape, value: &Value) -> String {
        let found = match (shape, value) {
            (Shape::Int32 | Shape::Int64 | Shape::IntOrString, Value::Number(n)) => format!("number {n}"),
            _ => words(value).to_string(),
        };
        let field = self.dotted.join(".");
        format!(
            "json: cannot unmarshal {found} into Go struct field {}.{field} of type {}",
            self.owner,
            go_type(shape)
        )
    }
}

fn fits_i32(number: &Number) -> bool {
    number.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
}

/// Quantities are kept in their canonical form.
fn quantity(value: &mut Value) -> Result<(), String> {
    let parsed = Quantity::from_value(value).map_err(str::to_string)?;
    *value = Value::String(parsed.to_string());
    Ok(())
}

/// A JSON type, in the words of the decoder's errors.
fn words(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// "core.v1.Pod" as the errors write it: "v1.Pod".
fn go_name(name: &str) -> String {
    let mut parts = name.rsplit('.');
    let last = parts.next().unwrap_or(name);
    match parts.next() {
        Some(version) => format!("{version}.{last}"),
        None => last.to_string(),
    }
}

fn go_type(shape: &Shape) -> String {
    match shape {
        Shape::String => "string".into(),
        Shape::Bytes => "[]uint8".into(),
        Shape::Bool => "bool".into(),
        Shape::Int32 => "int32".into(),
        Shape::Int64 => "int64".into(),
        Shape::Quantity => "resource.Quantity".into(),
        Shape::IntOrString => "intstr.IntOrString".into(),
        Shape::Time => "v1.Time".into(),
        Shape::MicroTime => "v1.MicroTime".into(),
        Shape::Any => "v1.FieldsV1".into(),
        Shape::Type(name) => go_name(name),
        Shape::List(item) => format!("[]{}", go_type(item)),
        Shape::Map(item) => format!("map[string]{}", go_type(item)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{deployment, pod};

    fn deployment_with(spec: Value) -> Object {
        Object::from_value(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec}),
        )
        .unwrap()
    }

    #[test]
    fn unknown_fields_are_named_and_taken_out() {
        let mut object = deployment_with(json!({"foo": 1, "replicas": 1, "selector": null,
            "template": {"spec": {"containers": [{"name": "a"}, {"name": "b", "bar": {}}]}}}));
        let unknown = decode(&deployment::KIND, &mut object).unwrap();
        assert_eq!(unknown, ["spec.foo", "spec.template.spec.containers[1].bar"]);
        assert_eq!(object.get(&["spec", "foo"]), None);
        assert_eq!(object.get(&["spec", "selector"]), None);
        assert_eq!(
            strict_error(&unknown, &["spec.x".into()]).unwrap(),
            "strict decoding error: unknown field \"spec.foo\", unknown field \
             \"spec.template.spec.containers[1].bar\", duplicate field \"spec.x\""
        );
        assert_eq!(strict_error(&[], &[]), None);
    }

    #[test]
    fn wrong_types() {
        let cases = [
            (
                json!({"replicas": "3"}),
                "string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                json!({"replicas": 1.5}),
                "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                json!({"replicas": 3_000_000_000u64}),
                "number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (json!({"paused": 1}), "number into Go struct field DeploymentSpec.spec.paused of type bool"),
            (json!([]), "array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
            (
                json!({"template": {"spec": {"containers": {}}}}),
                "object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
            ),
            (
                json!({"template": {"spec": {"containers": [{"ports": [{"containerPort": "80"}]}]}}}),
                "string into Go struct field ContainerPort.spec.template.spec.containers.ports.containerPort of type int32",
            ),
            (
                json!({"template": {"metadata": {"labels": {"a": 1}}}}),
                "number into Go struct field ObjectMeta.spec.template.metadata.labels of type string",
            ),
            (
                json!({"template": {"spec": {"nodeSelector": "x"}}}),
                "string into Go struct field PodSpec.spec.template.spec.nodeSelector of type map[string]string",
            ),
        ];
        for (spec, text) in cases {
            let error = decode(&deployment::KIND, &mut deployment_with(spec)).unwrap_err();
            assert_eq!(error, format!("json: cannot unmarshal {text}"));
        }
    }

    #[test]
    fn quantities_and_times() {
        let pod = |limit: Value| {
            Object::from_value(json!({"spec": {"containers": [{"resources": {"limits": {"cpu": limit}}}]}}))
                .unwrap()
        };
        for (given, canonical) in
            [(json!("0.5"), "500m"), (json!(2), "2"), (json!(0.1), "100m"), (json!("1024Mi"), "1Gi")]
        {
            let mut object = pod(given);
            decode(&pod::KIND, &mut object).unwrap();
            let limits = &object.get_array(&["spec", "containers"])[0]["resources"]["limits"]["cpu"];
            assert_eq!(limits, &json!(canonical));
        }
        assert!(decode(&pod::KIND, &mut pod(json!("x"))).unwrap_err().starts_with("quantities must match"));
        assert!(decode(&pod::KIND, &mut pod(json!(true))).unwrap_err().contains("resource.Quantity"));
        let mut object = Object::from_value(json!({"metadata": {"creationTimestamp": "soon"}})).unwrap();
        assert!(decode(&pod::KIND, &mut object).unwrap_err().starts_with("parsing time \"soon\" as"));
        let mut object = Object::from_value(json!({"metadata": {"creationTimestamp": null}})).unwrap();
        assert_eq!(decode(&pod::KIND, &mut object), Ok(vec![]));
    }

    #[test]
    fn what_is_not_stored() {
        let mut options = json!({"gracePeriodSeconds": 5, "preconditions": {"uid": "u"}, "odd": 1});
        assert_eq!(decode_as("meta.v1.DeleteOptions", &mut options).unwrap(), ["odd"]);
        let error = decode_as("core.v1.Binding", &mut json!(3)).unwrap_err();
        assert_eq!(error, "json: cannot unmarshal number into Go value of type v1.Binding");
        assert!(decode_as("nothing", &mut json!({})).is_err());
    }
}
