//! Patches: a body that says how an object changes, in one of three languages.

pub mod json;
pub mod merge;
pub mod strategic;

use serde_json::Value;

use crate::kinds::Kind;
use crate::object::Object;
use crate::status::Status;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902: a list of operations.
    Json,
    /// RFC 7386: an object laid over the object.
    Merge,
    /// A merge that knows the keys by which lists are merged.
    Strategic,
}

impl PatchType {
    pub const ALL: [PatchType; 3] = [PatchType::Json, PatchType::Merge, PatchType::Strategic];

    pub fn media_type(self) -> &'static str {
        match self {
            PatchType::Json => "application/json-patch+json",
            PatchType::Merge => "application/merge-patch+json",
            PatchType::Strategic => "application/strategic-merge-patch+json",
        }
    }

    /// Parameters after `;` are ignored.
    pub fn from_content_type(content_type: &str) -> Option<PatchType> {
        let media_type = content_type.split(';').next().unwrap_or("").trim();
        PatchType::ALL.into_iter().find(|t| t.media_type() == media_type)
    }
}

/// Why a patch was not applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// The patch does not fit the object.
    #[error("{0}")]
    Unprocessable(String),
    /// Too many operations.
    #[error("{0}")]
    TooLarge(String),
}

impl PatchError {
    pub fn to_status(&self) -> Status {
        match self {
            PatchError::BadRequest(message) => Status::bad_request(message),
            PatchError::Unprocessable(message) => Status::unprocessable(message),
            PatchError::TooLarge(message) => Status::too_large(message),
        }
    }
}

/// The object as the patch wants it. Nothing is decoded, defaulted or validated yet.
pub fn apply(of: PatchType, kind: &Kind, object: &Object, body: &[u8]) -> Result<Object, Status> {
    apply_as(of, kind.definition, object.value(), body)
        .and_then(|value| {
            Object::from_value(value)
                .map_err(|e| PatchError::Unprocessable(format!("the patched document: {e}")))
        })
        .map_err(|e| e.to_status())
}

/// As `apply`, for a subresource that is not stored ("autoscaling.v1.Scale").
pub fn apply_as(of: PatchType, definition: &str, value: &Value, body: &[u8]) -> Result<Value, PatchError> {
    match of {
        PatchType::Json => json::apply(value, body),
        PatchType::Merge => merge::apply(value, &parse_object(body)?),
        PatchType::Strategic => strategic::apply(definition, value, &parse_object(body)?),
    }
}

fn parse_object(body: &[u8]) -> Result<Value, PatchError> {
    let bad = |why: String| PatchError::BadRequest(format!("error decoding patch: {why}"));
    let patch: Value = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
    match patch {
        Value::Object(_) => Ok(patch),
        other => Err(bad(format!("expected a JSON object, found {}", crate::object::json_type(&other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::pod;

    #[test]
    fn content_types() {
        for of in PatchType::ALL {
            assert_eq!(PatchType::from_content_type(of.media_type()), Some(of));
        }
        let with_charset = "application/merge-patch+json; charset=utf-8";
        assert_eq!(PatchType::from_content_type(with_charset), Some(PatchType::Merge));
        assert_eq!(PatchType::from_content_type("application/json"), None);
    }

    #[test]
    fn each_language_changes_a_label() {
        let object = Object::new("v1", "Pod");
        let bodies = [
            (PatchType::Json, r#"[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]"#),
            (PatchType::Merge, r#"{"metadata":{"labels":{"a":"b"}}}"#),
            (PatchType::Strategic, r#"{"metadata":{"labels":{"a":"b"}}}"#),
        ];
        for (of, body) in bodies {
            assert_eq!(
                apply(of, &pod::KIND, &object, body.as_bytes()).unwrap().label("a"),
                Some("b"),
                "{of:?}"
            );
        }
    }

    #[test]
    fn nonsense_is_a_bad_request() {
        let object = Object::new("v1", "Pod");
        for of in PatchType::ALL {
            for body in ["{", "3"] {
                let status = apply(of, &pod::KIND, &object, body.as_bytes()).unwrap_err();
                assert_eq!(status.code, 400, "{of:?} {body}");
                assert!(status.message.starts_with("error decoding patch: "), "{}", status.message);
            }
        }
        let whole = br#"[{"op":"replace","path":"","value":3}]"#;
        assert_eq!(apply(PatchType::Json, &pod::KIND, &object, whole).unwrap_err().code, 422);
    }
}
