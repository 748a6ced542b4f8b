//! A patch made from two objects leads from the one to the other.

use std::collections::BTreeSet;

use base::stream::Stream;
use rand::Rng;
use serde_json::{Map, Value, json};

use super::{each_seed, pick};
use crate::patch::{merge, strategic};
use crate::schema::{Type, schema};

fn some<T>(stream: &mut Stream, make: impl FnOnce(&mut Stream) -> T) -> Option<T> {
    if stream.gen_bool(0.6) { Some(make(stream)) } else { None }
}

/// Items with distinct names, in any order.
fn items(stream: &mut Stream, make: impl Fn(&mut Stream, &str) -> Value) -> Value {
    let mut names: Vec<&str> = ["a", "b", "c", "d"].into_iter().filter(|_| stream.gen_bool(0.5)).collect();
    for index in (1..names.len()).rev() {
        names.swap(index, stream.gen_range(0..=index));
    }
    names.into_iter().map(|name| make(stream, name)).collect()
}

fn text(stream: &mut Stream) -> Value {
    json!(pick(stream, &["x", "y", "z"]))
}

fn container(stream: &mut Stream, name: &str) -> Value {
    let mut made = json!({"name": name});
    if let Some(image) = some(stream, text) {
        made["image"] = image;
    }
    if let Some(env) = some(stream, |s| items(s, |s, name| json!({"name": name, "value": text(s)}))) {
        made["env"] = env;
    }
    if let Some(args) = some(stream, |s| json!([text(s), text(s)])) {
        made["args"] = args;
    }
    made
}

fn pod(stream: &mut Stream) -> Value {
    let mut spec = Map::new();
    spec.insert("containers".into(), items(stream, container));
    let toleration = |stream: &mut Stream, name: &str| json!({"key": name, "value": text(stream)});
    if let Some(tolerations) = some(stream, |s| items(s, toleration)) {
        spec.insert("tolerations".into(), tolerations);
    }
    if let Some(selector) = some(stream, labels) {
        spec.insert("nodeSelector".into(), selector);
    }
    if let Some(node) = some(stream, text) {
        spec.insert("nodeName".into(), node);
    }
    let finalizers = items(stream, |_, name| json!(name));
    json!({"metadata": {"labels": labels(stream), "finalizers": finalizers}, "spec": spec})
}

fn labels(stream: &mut Stream) -> Value {
    let entries = ["k", "l", "m"].into_iter().filter_map(|key| Some((key.to_string(), some(stream, text)?)));
    Value::Object(entries.collect())
}

/// The strategic patch from one object to another, as a client that knows both makes it.
fn strategic_diff(of: Option<&Type>, from: &Value, to: &Value) -> Value {
    let empty = Map::new();
    let (from, to) = (from.as_object().unwrap_or(&empty), to.as_object().unwrap_or(&empty));
    let mut patch = Map::new();
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    for key in keys {
        let field = of.and_then(|t| t.fields.get(key));
        let inner = field.and_then(|f| schema().type_of(&f.shape));
        match (from.get(key), to.get(key)) {
            (Some(_), None) => drop(patch.insert(key.clone(), Value::Null)),
            (Some(a), Some(b)) if a == b => {}
            (Some(a @ Value::Object(_)), Some(b @ Value::Object(_))) => {
                patch.insert(key.clone(), strategic_diff(inner, a, b));
            }
            (Some(Value::Array(a)), Some(Value::Array(b))) if field.is_some_and(|f| f.merge) => {
                match field.and_then(|f| f.merge_key.as_deref()) {
                    Some(merge_key) => items_diff(inner, merge_key, key, [a, b], &mut patch),
                    None => scalars_diff(key, [a, b], &mut patch),
                }
            }
            (_, Some(b)) => drop(patch.insert(key.clone(), b.clone())),
            (None, None) => unreachable!("the key is of one of them"),
        }
    }
    Value::Object(patch)
}

fn scalars_diff(name: &str, [from, to]: [&Vec<Value>; 2], patch: &mut Map<String, Value>) {
    let gone: Vec<&Value> = from.iter().filter(|v| !to.contains(v)).collect();
    let new: Vec<&Value> = to.iter().filter(|v| !from.contains(v)).collect();
    patch.insert(format!("$deleteFromPrimitiveList/{name}"), json!(gone));
    patch.insert(format!("$setElementOrder/{name}"), json!(to));
    patch.insert(name.into(), json!(new));
}

fn items_diff(
    of: Option<&Type>,
    key: &str,
    name: &str,
    [from, to]: [&Vec<Value>; 2],
    patch: &mut Map<String, Value>,
) {
    let same = |a: &Value, b: &Value| a.get(key) == b.get(key);
    let mut changes = Vec::new();
    for item in to {
        match from.iter().find(|f| same(f, item)) {
            Some(found) if found == item => {}
            found => {
                let mut change = strategic_diff(of, found.unwrap_or(&json!({})), item);
                change[key] = item[key].clone();
                changes.push(change);
            }
        }
    }
    for item in from.iter().filter(|f| !to.iter().any(|t| same(f, t))) {
        changes.push(json!({"$patch": "delete", key: item[key]}));
    }
    let order: Vec<Value> = to.iter().map(|item| json!({key: item[key]})).collect();
    patch.insert(format!("$setElementOrder/{name}"), json!(order));
    patch.insert(name.into(), json!(changes));
}

fn merge_diff(from: &Value, to: &Value) -> Value {
    let (Some(a), Some(b)) = (from.as_object(), to.as_object()) else { return to.clone() };
    let mut patch = Map::new();
    for key in a.keys().filter(|key| !b.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in b.iter().filter(|(key, value)| a.get(*key) != Some(value)) {
        patch.insert(key.clone(), merge_diff(a.get(key).unwrap_or(&Value::Null), value));
    }
    Value::Object(patch)
}

#[test]
fn patches_lead_from_one_to_the_other() {
    let of = schema().get("core.v1.Pod");
    each_seed("patches", 2000, |seed, stream| {
        let (from, to) = (pod(stream), pod(stream));
        let patch = strategic_diff(of, &from, &to);
        let reached = strategic::apply("core.v1.Pod", &from, &patch);
        assert_eq!(reached, Ok(to.clone()), "seed {seed}: from {from} by {patch}");
        let again = strategic::apply("core.v1.Pod", &to, &strategic_diff(of, &to, &to));
        assert_eq!(again, Ok(to.clone()), "seed {seed}");
        assert_eq!(merge::apply(&from, &merge_diff(&from, &to)), Ok(to), "seed {seed}");
    });
}

/// Two who add different containers both find theirs.
#[test]
fn patches_of_two_writers_both_count() {
    each_seed("two writers", 500, |seed, stream| {
        let base = pod(stream);
        let add = |name: &str| json!({"spec": {"containers": [{"name": name, "image": "i"}]}});
        let first = strategic::apply("core.v1.Pod", &base, &add("first")).unwrap();
        let both = strategic::apply("core.v1.Pod", &first, &add("second")).unwrap();
        let names: Vec<&str> = both["spec"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|c| c["name"].as_str())
            .collect();
        assert!(names.contains(&"first") && names.contains(&"second"), "seed {seed}: {both}");
    });
}
