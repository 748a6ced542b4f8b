//! RFC 6902: operations in order, all or nothing.

use serde_json::Value;

use super::PatchError;

/// The most operations of one patch.
const MAX_OPERATIONS: usize = 10_000;

pub fn apply(original: &Value, body: &[u8]) -> Result<Value, PatchError> {
    let operations: json_patch::Patch = serde_json::from_slice(body)
        .map_err(|e| PatchError::BadRequest(format!("error decoding patch: {e}")))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut patched = original.clone();
    match json_patch::patch(&mut patched, &operations) {
        Ok(()) => Ok(patched),
        Err(error) => Err(PatchError::Unprocessable(explain(&error, &operations))),
    }
}

fn explain(error: &json_patch::PatchError, operations: &[json_patch::PatchOperation]) -> String {
    use json_patch::PatchOperation as Op;
    let path = error.path.to_string();
    let verb = match operations.get(error.operation) {
        Some(Op::Test(_)) => return format!("testing value {path} failed: test failed"),
        Some(Op::Replace(_)) => {
            return format!("replace operation does not apply: doc is missing key: {path}: missing value");
        }
        Some(Op::Add(_)) => "add",
        Some(Op::Remove(_)) => "remove",
        Some(Op::Move(_)) => "move",
        Some(Op::Copy(_)) => "copy",
        None => "patch",
    };
    format!("{verb} operation does not apply: doc is missing path: {path:?}: missing value")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn applies_in_order_or_not_at_all() {
        let original = json!({"a": {"b": 1}, "l": [1, 2]});
        let run = |patch: Value| apply(&original, patch.to_string().as_bytes());
        assert_eq!(
            run(json!([{"op": "test", "path": "/a/b", "value": 1}, {"op": "replace", "path": "/a/b", "value": 2},
                {"op": "add", "path": "/l/-", "value": 3}, {"op": "remove", "path": "/l/0"}]))
            .unwrap(),
            json!({"a": {"b": 2}, "l": [2, 3]})
        );
        let failures = [
            (json!([{"op": "test", "path": "/a/b", "value": 5}]), "testing value /a/b failed: test failed"),
            (
                json!([{"op": "remove", "path": "/x"}]),
                "remove operation does not apply: doc is missing path: \"/x\": missing value",
            ),
            (
                json!([{"op": "replace", "path": "/x", "value": 1}]),
                "replace operation does not apply: doc is missing key: /x: missing value",
            ),
            (
                json!([{"op": "add", "path": "/x/y", "value": 1}]),
                "add operation does not apply: doc is missing path: \"/x/y\": missing value",
            ),
        ];
        for (patch, message) in failures {
            assert_eq!(run(patch), Err(PatchError::Unprocessable(message.into())));
        }
    }

    #[test]
    fn not_too_many_operations() {
        let one = json!({"op": "test", "path": "/a", "value": 1});
        let body = Value::Array(vec![one; MAX_OPERATIONS + 1]).to_string();
        assert!(matches!(apply(&json!({"a": 1}), body.as_bytes()), Err(PatchError::TooLarge(_))));
        assert!(matches!(apply(&json!({}), b"[{\"op\":\"fly\"}]"), Err(PatchError::BadRequest(_))));
    }
}
