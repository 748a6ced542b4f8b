//! `FieldError`: one thing wrong with one field, worded as upstream words it.

use std::fmt;

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    /// As Invalid, of a value too large to be shown.
    InvalidWhole,
    NotSupported(Vec<String>),
    Forbidden,
    /// May not be more than this many bytes.
    TooLong(usize),
    /// (present, allowed) items.
    TooMany(usize, usize),
    /// The value has another JSON type than the field.
    TypeInvalid,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    pub field: String,
    pub reason: Reason,
    pub value: Value,
    pub detail: String,
}

impl FieldError {
    fn new(field: &str, reason: Reason, value: Value, detail: &str) -> FieldError {
        FieldError { field: field.to_string(), reason, value, detail: detail.to_string() }
    }

    pub fn required(field: &str, detail: &str) -> FieldError {
        FieldError::new(field, Reason::Required, Value::Null, detail)
    }

    pub fn invalid(field: &str, value: impl Into<Value>, detail: &str) -> FieldError {
        FieldError::new(field, Reason::Invalid, value.into(), detail)
    }

    pub fn invalid_whole(field: &str, detail: &str) -> FieldError {
        FieldError::new(field, Reason::InvalidWhole, Value::Null, detail)
    }

    pub fn forbidden(field: &str, detail: &str) -> FieldError {
        FieldError::new(field, Reason::Forbidden, Value::Null, detail)
    }

    pub fn duplicate(field: &str, value: impl Into<Value>) -> FieldError {
        FieldError::new(field, Reason::Duplicate, value.into(), "")
    }

    pub fn not_found(field: &str, value: impl Into<Value>) -> FieldError {
        FieldError::new(field, Reason::NotFound, value.into(), "")
    }

    pub fn not_supported(field: &str, value: impl Into<Value>, supported: &[&str]) -> FieldError {
        let supported = supported.iter().map(|s| (*s).to_string()).collect();
        FieldError::new(field, Reason::NotSupported(supported), value.into(), "")
    }

    pub fn too_long(field: &str, limit: usize) -> FieldError {
        FieldError::new(field, Reason::TooLong(limit), Value::Null, "")
    }

    pub fn too_many(field: &str, present: usize, allowed: usize) -> FieldError {
        FieldError::new(field, Reason::TooMany(present, allowed), Value::Null, "")
    }

    /// The `reason` of the cause in a Status.
    pub fn cause_reason(&self) -> &'static str {
        match self.reason {
            Reason::NotFound => "FieldValueNotFound",
            Reason::Required => "FieldValueRequired",
            Reason::Duplicate => "FieldValueDuplicate",
            Reason::Invalid | Reason::InvalidWhole => "FieldValueInvalid",
            Reason::NotSupported(_) => "FieldValueNotSupported",
            Reason::Forbidden => "FieldValueForbidden",
            Reason::TooLong(_) => "FieldValueTooLong",
            Reason::TooMany(..) => "FieldValueTooMany",
            Reason::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    /// The text without the field's name: the `message` of the cause in a Status.
    pub fn body(&self) -> String {
        let value = &self.value;
        let head = match &self.reason {
            Reason::NotFound => format!("Not found: {value}"),
            Reason::Required => "Required value".to_string(),
            Reason::Duplicate => format!("Duplicate value: {value}"),
            Reason::Invalid | Reason::TypeInvalid => format!("Invalid value: {value}"),
            Reason::InvalidWhole => "Invalid value".to_string(),
            Reason::NotSupported(supported) => {
                let supported: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
                format!("Unsupported value: {value}: supported values: {}", supported.join(", "))
            }
            Reason::Forbidden => "Forbidden".to_string(),
            Reason::TooLong(limit) => format!("Too long: may not be more than {limit} bytes"),
            Reason::TooMany(present, allowed) => {
                format!("Too many: {present}: must have at most {allowed} items")
            }
        };
        if self.detail.is_empty() { head } else { format!("{head}: {}", self.detail) }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Several errors as upstream prints them: one bare, more in brackets, repeats dropped.
pub fn aggregate(errors: &[FieldError]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in errors.iter().map(FieldError::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let cases = [
            (FieldError::required("spec.x", ""), "spec.x: Required value"),
            (FieldError::required("spec.x", "why"), "spec.x: Required value: why"),
            (FieldError::invalid("a", "b", "c"), "a: Invalid value: \"b\": c"),
            (FieldError::invalid("a", -1, "c"), "a: Invalid value: -1: c"),
            (FieldError::invalid_whole("a", "c"), "a: Invalid value: c"),
            (FieldError::duplicate("a[1].name", "b"), "a[1].name: Duplicate value: \"b\""),
            (FieldError::forbidden("a", "no"), "a: Forbidden: no"),
            (
                FieldError::not_supported("a", "b", &["c", "d"]),
                "a: Unsupported value: \"b\": supported values: \"c\", \"d\"",
            ),
            (FieldError::too_long("a", 63), "a: Too long: may not be more than 63 bytes"),
            (FieldError::too_many("a", 3, 2), "a: Too many: 3: must have at most 2 items"),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn several_in_brackets_without_repeats() {
        let one = FieldError::required("a", "");
        let two = FieldError::required("b", "");
        assert_eq!(aggregate(std::slice::from_ref(&one)), "a: Required value");
        assert_eq!(aggregate(&[one.clone(), two, one]), "[a: Required value, b: Required value]");
    }
}
