//! Answers: objects and lists in the form that the client accepts, text, and refusals.

use crate::{cache::item::Item, refusal::Refusal, request::Query};
use axum::{body::Body, response::Response};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use objects::{
    Kind, Object,
    table::{IncludeObject, partial_metadata, table},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The shape of an answer. All are JSON; other encodings are not spoken, and clients that prefer them accept it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Object,
    Table(IncludeObject),
    /// The metadata alone.
    Metadata,
}

impl Form {
    /// The first form in `Accept` that is spoken here; whole objects when there is none.
    pub fn parse(headers: &HeaderMap, query: &Query) -> Result<Form, Refusal> {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
        for media in accept.split(',') {
            let mut parts = media.split(';').map(str::trim);
            if parts.next() != Some("application/json") {
                continue;
            }
            return match parts.find_map(|part| part.strip_prefix("as=")) {
                Some("Table") => Ok(Form::Table(include(query)?)),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Ok(Form::Metadata),
                Some(_) => continue,
                None => Ok(Form::Object),
            };
        }
        Ok(Form::Object)
    }
}

fn include(query: &Query) -> Result<IncludeObject, Refusal> {
    let text = query.get("includeObject");
    IncludeObject::parse(text)
        .ok_or_else(|| Refusal::bad_request(&format!("unrecognized includeObject value: {text:?}")))
}

/// What a list says about itself.
#[derive(Debug, Default)]
pub struct ListMeta {
    pub revision: i64,
    pub continue_token: String,
    pub remaining: Option<i64>,
}

impl ListMeta {
    fn value(&self) -> Value {
        let mut value = json!({ "resourceVersion": self.revision.to_string() });
        if !self.continue_token.is_empty() {
            value["continue"] = self.continue_token.clone().into();
        }
        if let Some(remaining) = self.remaining {
            value["remainingItemCount"] = remaining.into();
        }
        value
    }
}

fn version_of(object: &Object) -> Value {
    match object.resource_version() {
        "" => json!({}),
        version => json!({ "resourceVersion": version }),
    }
}

/// One object, in the form asked for.
pub fn encode(kind: &Kind, item: &Item, form: Form, columns: bool) -> Bytes {
    let value = match form {
        Form::Object => return item.json(),
        Form::Metadata => partial_metadata(&item.object()),
        Form::Table(include) => {
            let (object, now) = (item.object(), rt::wall().0);
            table(kind, [&*object], version_of(&object), include, columns, now)
        }
    };
    value.to_string().into()
}

/// A list, in the form asked for.
pub fn encode_list(kind: &Kind, items: &[Arc<Item>], meta: &ListMeta, form: Form) -> Bytes {
    let (api_version, list_kind) = match form {
        Form::Table(include) => {
            let objects: Vec<Arc<Object>> = items.iter().map(|item| item.object()).collect();
            let objects = objects.iter().map(|object| &**object);
            return table(kind, objects, meta.value(), include, true, rt::wall().0).to_string().into();
        }
        Form::Metadata => ("meta.k8s.io/v1".to_string(), "PartialObjectMetadataList".to_string()),
        Form::Object => (kind.api_version(), kind.list_kind()),
    };
    let mut body = BytesMut::with_capacity(items.len() * 512 + 256);
    let head = format!(
        r#"{{"kind":{},"apiVersion":{},"metadata":{},"items":["#,
        json!(list_kind),
        json!(api_version),
        meta.value()
    );
    body.put(head.as_bytes());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.put(encode(kind, item, form, false));
    }
    body.put(&b"]}"[..]);
    body.freeze()
}

pub fn bytes(code: u16, body: Bytes) -> Response {
    with_type(code, body, "application/json")
}

pub fn value(code: u16, body: &Value) -> Response {
    bytes(code, body.to_string().into())
}

pub fn text(code: u16, body: &str) -> Response {
    with_type(code, Bytes::copy_from_slice(body.as_bytes()), "text/plain; charset=utf-8")
}

pub fn with_type(code: u16, body: Bytes, media_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

pub fn refusal(refusal: &Refusal) -> Response {
    let mut response = value(refusal.status.code, &refusal.body());
    if let Some(seconds) = refusal.status.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds `Warning: 299` headers, by which clients show a text to their user.
pub fn warn(response: &mut Response, warnings: &[String]) {
    for warning in warnings {
        let quoted = warning.replace('\\', r"\\").replace('"', r#"\""#);
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use objects::kinds::by_kind;

    fn form(accept: &str) -> Form {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Form::parse(&headers, &Query::default()).unwrap()
    }

    #[test]
    fn the_first_form_that_is_spoken_counts() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Form::Table(IncludeObject::Metadata));
        assert_eq!(form("application/vnd.kubernetes.protobuf,application/json"), Form::Object);
        assert_eq!(form("application/vnd.kubernetes.protobuf"), Form::Object);
        assert_eq!(form("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"), Form::Metadata);
        assert_eq!(form("*/*"), Form::Object);
    }

    #[test]
    fn a_list_is_one_json_text() {
        let pod = by_kind("v1", "Pod").unwrap();
        let items = [1, 2].map(|revision| Item::new("n/a", revision, Object::new("v1", "Pod")));
        let meta = ListMeta { revision: 7, continue_token: "t".into(), remaining: Some(3) };
        let list: Value = serde_json::from_slice(&encode_list(pod, &items, &meta, Form::Object)).unwrap();
        assert_eq!(list["kind"], "PodList");
        assert_eq!(list["metadata"]["resourceVersion"], "7");
        assert_eq!(list["metadata"]["remainingItemCount"], 3);
        assert_eq!(list["items"][1]["metadata"]["resourceVersion"], "2");
    }
}
