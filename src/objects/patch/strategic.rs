//! Strategic merge: objects merge; lists merge too where the schema names a key (or says that scalars are a
//! set); directives in the patch say what merging alone cannot.
//!
//! | directive | meaning |
//! |---|---|
//! | `$patch: delete` in an item | the item with this key goes |
//! | `$patch: delete` / `replace` in an object | the object is emptied / replaced |
//! | `$patch: replace` as an item | the list is replaced |
//! | `$retainKeys` | only these keys of the object stay |
//! | `$setElementOrder/<list>` | the order of the merged items |
//! | `$deleteFromPrimitiveList/<list>` | these scalars go |

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::PatchError;
use crate::schema::{Field, Shape, Type, schema};

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_SCALARS: &str = "$deleteFromPrimitiveList/";

type Object = Map<String, Value>;

/// Applies the patch to a value of a type of the schema.
pub fn apply(definition: &str, original: &Value, patch: &Value) -> Result<Value, PatchError> {
    let of = schema().get(definition);
    match (original, patch) {
        (Value::Object(original), Value::Object(patch)) => {
            Ok(Value::Object(merge_object(of, original.clone(), patch)?))
        }
        _ => bad("a strategic patch and what it patches must be JSON objects"),
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T, PatchError> {
    Err(PatchError::BadRequest(message.into()))
}

/// What a patch of an object says besides fields.
#[derive(Default)]
struct Directives<'a> {
    order: BTreeMap<&'a str, &'a [Value]>,
    delete_scalars: BTreeMap<&'a str, &'a [Value]>,
    retain: Option<&'a [Value]>,
    fields: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Directives<'a> {
    fn read(patch: &'a Object) -> Result<Directives<'a>, PatchError> {
        let mut found = Directives::default();
        for (key, value) in patch {
            if let Some(list) = key.strip_prefix(ORDER) {
                found.order.insert(list, array(value, "setElementOrder list")?);
            } else if let Some(list) = key.strip_prefix(DELETE_SCALARS) {
                found.delete_scalars.insert(list, array(value, "list of primitives to delete")?);
            } else if key == RETAIN {
                found.retain = Some(array(value, "retainKeys list")?);
            } else if key != DIRECTIVE {
                found.fields.insert(key, value);
            }
        }
        Ok(found)
    }
}

fn array<'a>(value: &'a Value, what: &str) -> Result<&'a [Value], PatchError> {
    match value.as_array() {
        Some(items) => Ok(items),
        None => bad(format!("invalid patch format of {what}")),
    }
}

fn merge_object(of: Option<&Type>, mut original: Object, patch: &Object) -> Result<Object, PatchError> {
    match patch.get(DIRECTIVE).map(|d| d.as_str().unwrap_or("")) {
        None | Some("merge") => {}
        Some("delete") => return Ok(Object::new()),
        Some("replace") => {
            let plain = patch.iter().filter(|(key, _)| *key != DIRECTIVE);
            return Ok(plain.map(|(key, value)| (key.clone(), value.clone())).collect());
        }
        Some(other) => return bad(format!("unknown patch type found: {other}")),
    }
    let directives = Directives::read(patch)?;
    retain_keys(&directives, &mut original)?;
    for (name, value) in &directives.fields {
        if value.is_null() {
            original.remove(*name);
            continue;
        }
        let field = of.and_then(|t| t.fields.get(*name));
        let old = original.remove(*name);
        let order = directives.order.get(name).copied();
        original.insert((*name).to_string(), merge_value(field, old, value, order)?);
    }
    for (name, scalars) in &directives.delete_scalars {
        if let Some(Value::Array(items)) = original.get_mut(*name) {
            items.retain(|item| !scalars.contains(item));
        }
    }
    // An order alone may sort a list of which the patch changes nothing.
    for (name, order) in directives.order.iter().filter(|(name, _)| !directives.fields.contains_key(*name)) {
        let field = of.and_then(|t| t.fields.get(*name));
        if let (Some(field), Some(Value::Array(items))) = (field.filter(|f| f.merge), original.get_mut(*name))
        {
            let before = items.clone();
            *items = sort(std::mem::take(items), &before, order, field.merge_key.as_deref());
        }
    }
    Ok(original)
}

/// Drops what is not to be kept; a patch may not set what it does not keep.
fn retain_keys(directives: &Directives<'_>, original: &mut Object) -> Result<(), PatchError> {
    let Some(retain) = directives.retain else { return Ok(()) };
    let kept = |name: &str| retain.iter().any(|k| k.as_str() == Some(name));
    if let Some(extra) = directives.fields.iter().find(|(name, value)| !value.is_null() && !kept(name)) {
        return bad(format!(
            "invalid patch format of retainKeys: {RETAIN} does not contain the key {:?}",
            extra.0
        ));
    }
    original.retain(|name, _| kept(name));
    Ok(())
}

fn merge_value(
    field: Option<&Field>,
    old: Option<Value>,
    patch: &Value,
    order: Option<&[Value]>,
) -> Result<Value, PatchError> {
    let inner = field.and_then(|f| schema().type_of(&f.shape));
    match (patch, field) {
        (Value::Object(patch), _) => {
            let old = match old {
                Some(Value::Object(map)) => map,
                _ => Object::new(),
            };
            let values_are_objects = matches!(field.map(|f| &f.shape), Some(Shape::Map(_)));
            Ok(Value::Object(merge_object(inner.filter(|_| !values_are_objects), old, patch)?))
        }
        (Value::Array(patch), Some(field)) if field.merge => {
            let old = match old {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            };
            match &field.merge_key {
                Some(key) => merge_items(inner, key, old, patch, order),
                None => Ok(merge_scalars(old, patch, order)),
            }
        }
        (other, _) => Ok(other.clone()),
    }
}

fn merge_scalars(old: Vec<Value>, patch: &[Value], order: Option<&[Value]>) -> Value {
    let mut merged = old.clone();
    for value in patch {
        if !merged.contains(value) {
            merged.push(value.clone());
        }
    }
    Value::Array(match order {
        Some(order) => sort(merged, &old, order, None),
        None => merged,
    })
}

fn merge_items(
    of: Option<&Type>,
    key: &str,
    old: Vec<Value>,
    patch: &[Value],
    order: Option<&[Value]>,
) -> Result<Value, PatchError> {
    let directive = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str).unwrap_or("").to_string();
    if patch.iter().any(|item| directive(item) == "replace") {
        let kept = patch.iter().filter(|item| item.get(DIRECTIVE).is_none());
        return Ok(Value::Array(kept.cloned().collect()));
    }
    check_order(key, patch, order)?;
    let mut merged = old.clone();
    for item in patch {
        let Value::Object(fields) = item else {
            return bad("expected objects in a list that is merged by key");
        };
        let Some(id) = fields.get(key) else {
            return bad(format!("map: {item} does not contain declared merge key: {key}"));
        };
        let at = merged.iter().position(|m| m.get(key) == Some(id));
        match (directive(item).as_str(), at) {
            ("delete", _) => merged.retain(|m| m.get(key) != Some(id)),
            ("" | "merge", at) => {
                let before = at.and_then(|at| merged[at].as_object().cloned()).unwrap_or_default();
                let after = Value::Object(merge_object(of, before, fields)?);
                match at {
                    Some(at) => merged[at] = after,
                    None => merged.push(after),
                }
            }
            (other, _) => return bad(format!("unknown patch type found: {other}")),
        }
    }
    Ok(Value::Array(match order {
        Some(order) => sort(merged, &old, order, Some(key)),
        None => merged,
    }))
}

/// What tells items apart: the value of the key, or the item itself.
fn identity<'a>(item: &'a Value, key: Option<&str>) -> Option<&'a Value> {
    match key {
        Some(key) => item.get(key),
        None => Some(item),
    }
}

/// The items of the patch must all be in the order list, in the same relative order.
fn check_order(key: &str, patch: &[Value], order: Option<&[Value]>) -> Result<(), PatchError> {
    let Some(order) = order else { return Ok(()) };
    let mut from = 0;
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let rest = order.get(from..).unwrap_or(&[]);
        match rest.iter().position(|o| o.get(key) == item.get(key)) {
            Some(at) => from += at + 1,
            None => {
                return bad(format!(
                    "the order in patch list: {} doesn't match {ORDER} list: {}",
                    Value::Array(patch.to_vec()),
                    Value::Array(order.to_vec())
                ));
            }
        }
    }
    Ok(())
}

/// Puts the items named by the order list in that order; the others keep the place they had before them.
fn sort(items: Vec<Value>, before: &[Value], order: &[Value], key: Option<&str>) -> Vec<Value> {
    let rank = |item: &Value| order.iter().position(|o| identity(o, key) == identity(item, key));
    let place = |item: &Value| before.iter().position(|b| identity(b, key) == identity(item, key));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| rank(item).is_some());
    named.sort_by_key(&rank);
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(left), Some(right)) = (named.peek(), others.peek()) {
        let left_first = matches!((place(left), place(right)), (Some(l), Some(r)) if l < r);
        sorted.extend(if left_first { named.next() } else { others.next() });
    }
    sorted.extend(named);
    sorted.extend(others);
    sorted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod_spec(original: Value, patch: Value) -> Result<Value, PatchError> {
        let whole = apply("core.v1.Pod", &json!({"spec": original}), &json!({"spec": patch}))?;
        Ok(whole["spec"].clone())
    }

    fn check(cases: Vec<(&str, Value, Value, Value)>) {
        for (name, original, patch, result) in cases {
            assert_eq!(pod_spec(original, patch), Ok(result), "{name}");
        }
    }

    #[test]
    fn lists_merge_by_key() {
        check(vec![
            (
                "one container changes, the other stays",
                json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}),
                json!({"containers": [{"name": "b", "image": "2"}]}),
                json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}),
            ),
            (
                "a new one is appended",
                json!({"containers": [{"name": "a"}]}),
                json!({"containers": [{"name": "b"}]}),
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
            ),
            (
                "lists in lists",
                json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "x"}], "args": ["1"]}]}),
                json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "y"}, {"containerPort": 81}], "args": ["2"]}]}),
                json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "y"}, {"containerPort": 81}], "args": ["2"]}]}),
            ),
            (
                "a list without a key is replaced",
                json!({"tolerations": [{"key": "a"}]}),
                json!({"tolerations": [{"key": "b"}]}),
                json!({"tolerations": [{"key": "b"}]}),
            ),
            (
                "null removes, maps merge",
                json!({"nodeSelector": {"a": "1", "b": "2"}, "nodeName": "n"}),
                json!({"nodeSelector": {"a": null, "c": "3"}, "nodeName": null, "hostname": null}),
                json!({"nodeSelector": {"b": "2", "c": "3"}}),
            ),
        ]);
    }

    #[test]
    fn directives() {
        check(vec![
            (
                "delete an item",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "$patch": "delete"}, {"name": "gone", "$patch": "delete"}]}),
                json!({"containers": [{"name": "b"}]}),
            ),
            (
                "replace a list",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "c"}, {"$patch": "replace"}]}),
                json!({"containers": [{"name": "c"}]}),
            ),
            (
                "replace an object",
                json!({"securityContext": {"runAsUser": 1, "fsGroup": 2}}),
                json!({"securityContext": {"$patch": "replace", "runAsGroup": 3}}),
                json!({"securityContext": {"runAsGroup": 3}}),
            ),
            (
                "empty an object",
                json!({"securityContext": {"runAsUser": 1}}),
                json!({"securityContext": {"$patch": "delete"}}),
                json!({"securityContext": {}}),
            ),
            (
                "retain keys of a volume",
                json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "w"}]}),
                json!({"volumes": [{"$retainKeys": ["name", "emptyDir"], "name": "v", "emptyDir": {}}]}),
                json!({"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w"}]}),
            ),
            (
                "a directive finds nothing to act on",
                json!({}),
                json!({"containers": [{"name": "a", "$patch": "delete"}], "securityContext": {"$patch": "delete"}}),
                json!({"containers": [], "securityContext": {}}),
            ),
        ]);
    }

    #[test]
    fn element_order() {
        check(vec![
            (
                "sorted as asked",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
                    "containers": [{"name": "c"}]}),
                json!({"containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
            ),
            (
                "what the server alone knows keeps its place",
                json!({"containers": [{"name": "s"}, {"name": "a"}, {"name": "t"}]}),
                json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "b"}]}),
                json!({"containers": [{"name": "s"}, {"name": "t"}, {"name": "b"}, {"name": "a"}]}),
            ),
            (
                "order alone",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
                json!({"containers": [{"name": "b"}, {"name": "a"}]}),
            ),
            (
                "with a deletion",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"$setElementOrder/containers": [{"name": "b"}],
                    "containers": [{"name": "a", "$patch": "delete"}, {"name": "b", "image": "2"}]}),
                json!({"containers": [{"name": "b", "image": "2"}]}),
            ),
        ]);
    }

    #[test]
    fn primitive_lists() {
        let run = |patch: Value| {
            apply(
                "core.v1.Pod",
                &json!({"metadata": {"finalizers": ["a", "b"]}}),
                &json!({"metadata": patch}),
            )
            .unwrap()["metadata"]["finalizers"]
                .clone()
        };
        assert_eq!(run(json!({"finalizers": ["c", "a"]})), json!(["a", "b", "c"]));
        assert_eq!(run(json!({"$deleteFromPrimitiveList/finalizers": ["a"]})), json!(["b"]));
        assert_eq!(
            run(json!({"$setElementOrder/finalizers": ["c", "b"], "finalizers": ["c"],
                "$deleteFromPrimitiveList/finalizers": ["a"]})),
            json!(["c", "b"])
        );
    }

    #[test]
    fn conditions_merge_by_type() {
        let original = json!({"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]}});
        let patch = json!({"status": {"conditions": [{"type": "A", "status": "False"}]}});
        let patched = apply("core.v1.Node", &original, &patch).unwrap();
        assert_eq!(patched["status"]["conditions"][0]["status"], json!("False"));
        assert_eq!(patched["status"]["conditions"][1]["type"], json!("B"));
    }

    #[test]
    fn bad_patches() {
        let original = json!({"containers": [{"name": "a"}]});
        let cases = [
            (
                json!({"containers": [{"image": "x"}]}),
                "map: {\"image\":\"x\"} does not contain declared merge key: name",
            ),
            (json!({"securityContext": {"$patch": "odd"}}), "unknown patch type found: odd"),
            (json!({"containers": [{"name": "a", "$patch": "odd"}]}), "unknown patch type found: odd"),
            (json!({"containers": [3]}), "expected objects"),
            (json!({"$retainKeys": ["a"], "nodeName": "x"}), "invalid patch format of retainKeys"),
            (json!({"$setElementOrder/containers": 3}), "invalid patch format of setElementOrder list"),
            (
                json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                "containers": [{"name": "a"}, {"name": "b"}]}),
                "the order in patch list",
            ),
        ];
        for (patch, part) in cases {
            match pod_spec(original.clone(), patch) {
                Err(PatchError::BadRequest(message)) => assert!(message.contains(part), "{message}"),
                other => panic!("{other:?}, expected {part}"),
            }
        }
    }
}
