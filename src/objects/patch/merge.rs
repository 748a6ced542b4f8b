//! RFC 7386: null removes, objects merge, everything else replaces.

use serde_json::Value;

use super::PatchError;

pub fn apply(original: &Value, patch: &Value) -> Result<Value, PatchError> {
    let mut patched = original.clone();
    json_patch::merge(&mut patched, patch);
    Ok(patched)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merges() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": [{"b": 1}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"a": {"b": 1}}), json!({"a": {"c": null, "d": 2}}), json!({"a": {"b": 1, "d": 2}})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (original, patch, result) in cases {
            assert_eq!(apply(&original, &patch), Ok(result));
        }
    }
}
