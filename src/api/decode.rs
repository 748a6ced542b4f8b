//! Bodies of requests to objects. Unknown fields never reach the store: whether they are an error, a warning or
//! nothing is for `fieldValidation` to say.

use crate::{protobuf, refusal::Refusal, request::Query};
use objects::{Kind, Object, schema, status::Status};
use serde_json::Value;

/// What happens about fields that the schema does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// How a write is to be done.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// Everything but the writing.
    pub dry_run: bool,
    pub validation: FieldValidation,
}

impl WriteOptions {
    pub fn parse(query: &Query) -> Result<Self, Refusal> {
        let validation = match query.get("fieldValidation") {
            "Ignore" => FieldValidation::Ignore,
            "" | "Warn" => FieldValidation::Warn,
            "Strict" => FieldValidation::Strict,
            other => {
                let why = format!(
                    "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
                );
                return Err(Refusal::bad_request(&why));
            }
        };
        Ok(WriteOptions { dry_run: dry_run(query.get("dryRun"))?, validation })
    }
}

/// The value of `dryRun`: "" or "All".
pub fn dry_run(text: &str) -> Result<bool, Refusal> {
    match text {
        "" => Ok(false),
        "All" => Ok(true),
        other => {
            let why = format!("dryRun: Unsupported value: {other:?}: supported values: \"All\"");
            Err(Refusal::bad_request(&why))
        }
    }
}

/// Media types of bodies that are understood.
const JSON: &str = "application/json";
const ACCEPTED: &[&str] = &[JSON, protobuf::MEDIA_TYPE];

/// The body as JSON, which is what a body without a type is taken for.
pub fn json(content_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    let unrecognized =
        |why: &str| Refusal::bad_request(&format!("the object provided is unrecognized: {why}"));
    match media(content_type) {
        "" | JSON => serde_json::from_slice(body).map_err(|why| unrecognized(&why.to_string())),
        protobuf::MEDIA_TYPE => protobuf::decode(body).map_err(|why| unrecognized(&why)),
        _ => Err(Status::unsupported_media_type(ACCEPTED).into()),
    }
}

fn media(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or("").trim()
}

/// The body as an object of the kind, with the warnings it deserves.
pub fn object(
    kind: &Kind,
    content_type: &str,
    body: &[u8],
    validation: FieldValidation,
) -> Result<(Object, Vec<String>), Refusal> {
    let value = json(content_type, body)?;
    let mut object = Object::from_value(value)
        .map_err(|why| Refusal::bad_request(&format!("the object provided is unrecognized: {why}")))?;
    complete(kind, &mut object)?;
    let duplicate = match validation {
        FieldValidation::Ignore => vec![],
        _ => schema::duplicate_fields(body),
    };
    let unknown = known_fields(kind, &mut object)?;
    if validation == FieldValidation::Strict
        && let Some(why) = schema::strict_error(&unknown, &duplicate)
    {
        return Err(Status::undecodable(kind, &why).into());
    }
    Ok((object, warnings(&unknown, &duplicate, validation)))
}

/// The body as something that is not stored: a Binding, a Scale. An empty body gives an empty object.
pub fn value_as(definition: &str, content_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let mut value = json(content_type, body)?;
    schema::decode_as(definition, &mut value).map_err(|why| Refusal::bad_request(&why))?;
    Ok(value)
}

/// Fills in apiVersion and kind, which must be those of the resource when they are given.
fn complete(kind: &Kind, object: &mut Object) -> Result<(), Refusal> {
    let version = kind.api_version();
    if !object.api_version().is_empty() && object.api_version() != version {
        let found = object.api_version();
        return Err(Refusal::bad_request(&format!(
            "the API version in the data ({found}) does not match the expected API version ({version})"
        )));
    }
    if !object.kind().is_empty() && object.kind() != kind.kind {
        let found = object.kind();
        return Err(Refusal::bad_request(&format!(
            "the kind in the data ({found}) does not match the expected kind ({})",
            kind.kind
        )));
    }
    object.set(&["apiVersion"], version);
    object.set(&["kind"], kind.kind);
    Ok(())
}

/// Takes out what the schema does not know, and gives its paths. Which manager wrote which field is not tracked.
pub fn known_fields(kind: &Kind, object: &mut Object) -> Result<Vec<String>, Refusal> {
    let unknown = schema::decode(kind, object).map_err(|why| Status::undecodable(kind, &why))?;
    object.remove(&["metadata", "managedFields"]);
    Ok(unknown)
}

pub fn warnings(unknown: &[String], duplicate: &[String], validation: FieldValidation) -> Vec<String> {
    if validation != FieldValidation::Warn {
        return vec![];
    }
    let unknown = unknown.iter().map(|path| format!("unknown field {path:?}"));
    let duplicate = duplicate.iter().map(|path| format!("duplicate field {path:?}"));
    unknown.chain(duplicate).collect()
}
