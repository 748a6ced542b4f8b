//! `Status`: how the API says no, with upstream's codes, reasons and messages.

use serde_json::{Value, json};

use crate::field_error::{FieldError, aggregate};
use crate::kinds::Kind;

/// A metav1.Status that reports a failure (or, for deletes, a success).
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub code: u16,
    /// "NotFound", "Conflict", ...; empty for a success.
    pub reason: &'static str,
    pub message: String,
    /// name, group, kind, uid, causes, retryAfterSeconds.
    pub details: Option<Value>,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

/// Reasons and their codes; several reasons share a code, the first is what a bare code means.
const REASONS: &[(&str, u16)] = &[
    ("BadRequest", 400),
    ("Unauthorized", 401),
    ("Forbidden", 403),
    ("NotFound", 404),
    ("MethodNotAllowed", 405),
    ("NotAcceptable", 406),
    ("Conflict", 409),
    ("AlreadyExists", 409),
    ("Expired", 410),
    ("Gone", 410),
    ("RequestEntityTooLarge", 413),
    ("UnsupportedMediaType", 415),
    ("Invalid", 422),
    ("TooManyRequests", 429),
    ("InternalError", 500),
    ("ServiceUnavailable", 503),
    ("Timeout", 504),
    ("ServerTimeout", 500),
    ("StorageReadError", 500),
];

fn details(kind: &Kind, name: &str) -> Value {
    let mut details = json!({"kind": kind.plural});
    put(&mut details, "name", name);
    put(&mut details, "group", kind.group);
    details
}

fn put(details: &mut Value, key: &str, text: &str) {
    if !text.is_empty() {
        details[key] = json!(text);
    }
}

impl Status {
    fn new(code: u16, reason: &'static str, message: String) -> Status {
        Status { code, reason, message, details: None }
    }

    fn with(mut self, details: Value) -> Status {
        self.details = Some(details);
        self
    }

    fn about(self, kind: &Kind, name: &str) -> Status {
        self.with(details(kind, name))
    }

    /// The object is not there.
    pub fn not_found(kind: &Kind, name: &str) -> Status {
        Status::new(404, "NotFound", format!("{} {name:?} not found", kind.resource())).about(kind, name)
    }

    /// The path leads nowhere.
    pub fn no_such_path() -> Status {
        Status::new(404, "NotFound", "the server could not find the requested resource".into())
            .with(json!({}))
    }

    pub fn already_exists(kind: &Kind, name: &str) -> Status {
        Status::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.resource()))
            .about(kind, name)
    }

    /// No free name was found for a generateName.
    pub fn generated_name_taken(kind: &Kind, name: &str) -> Status {
        let message = format!(
            "{} {name:?} already exists, the server was not able to generate a unique name for the object",
            kind.resource()
        );
        Status::new(409, "AlreadyExists", message).about(kind, name)
    }

    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Status {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.resource());
        Status::new(409, "Conflict", message).about(kind, name)
    }

    /// The write was based on an old version of the object.
    pub fn modified(kind: &Kind, name: &str) -> Status {
        const WHY: &str =
            "the object has been modified; please apply your changes to the latest version and try again";
        Status::conflict(kind, name, WHY)
    }

    /// A precondition names another uid than the object has.
    pub fn uid_mismatch(kind: &Kind, name: &str, wanted: &str, found: &str) -> Status {
        let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
        Status::conflict(kind, name, &why)
    }

    /// A precondition names another resourceVersion than the object has.
    pub fn version_mismatch(kind: &Kind, name: &str, wanted: &str, found: &str) -> Status {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {found}"
        );
        Status::conflict(kind, name, &why)
    }

    pub fn invalid(kind: &Kind, name: &str, errors: &[FieldError]) -> Status {
        Status::invalid_kind(kind.kind, kind.group, name, errors)
    }

    /// As `invalid`, for kinds that are not stored (DeleteOptions, Scale, Binding).
    pub fn invalid_kind(kind: &str, group: &str, name: &str, errors: &[FieldError]) -> Status {
        let qualified = if group.is_empty() { kind.to_string() } else { format!("{kind}.{group}") };
        let message = match errors {
            [] => format!("{qualified} {name:?} is invalid"),
            errors => format!("{qualified} {name:?} is invalid: {}", aggregate(errors)),
        };
        let causes: Vec<Value> = errors
            .iter()
            .map(|e| json!({"reason": e.cause_reason(), "message": e.body(), "field": e.field}))
            .collect();
        let mut details = json!({"kind": kind});
        put(&mut details, "name", name);
        put(&mut details, "group", group);
        if !causes.is_empty() {
            details["causes"] = Value::Array(causes);
        }
        Status::new(422, "Invalid", message).with(details)
    }

    pub fn bad_request(message: &str) -> Status {
        Status::new(400, "BadRequest", message.into())
    }

    /// The body is no object of the kind: bad JSON, a wrong type, an unknown field.
    pub fn undecodable(kind: &Kind, why: &str) -> Status {
        let version = kind.api_version();
        let name = kind.kind;
        Status::bad_request(&format!("{name} in version {version:?} cannot be handled as a {name}: {why}"))
    }

    pub fn unauthorized(why: &str) -> Status {
        let message = if why.is_empty() { "not authorized" } else { why };
        Status::new(401, "Unauthorized", message.into())
    }

    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Status {
        let message = match name {
            "" => format!("{} is forbidden: {why}", kind.resource()),
            name => format!("{} {name:?} is forbidden: {why}", kind.resource()),
        };
        Status::new(403, "Forbidden", message).about(kind, name)
    }

    /// A create in a namespace that is going away.
    pub fn namespace_terminating(kind: &Kind, name: &str, namespace: &str) -> Status {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = Status::forbidden(kind, name, &why);
        if let Some(details) = &mut status.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        status
    }

    /// The resourceVersion or continue token is older than what is kept.
    pub fn expired(message: &str) -> Status {
        Status::new(410, "Expired", message.into())
    }

    /// A watch asked for a version that was compacted.
    pub fn too_old(asked: u64, oldest: u64) -> Status {
        Status::expired(&format!("too old resource version: {asked} ({oldest})"))
    }

    pub fn gone(message: &str) -> Status {
        Status::new(410, "Gone", message.into())
    }

    /// The server has not seen the asked version yet.
    pub fn too_large_resource_version(asked: u64, current: u64) -> Status {
        let message = format!("Too large resource version: {asked}, current: {current}");
        Status::new(504, "Timeout", message).with(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }))
    }

    pub fn method_not_allowed(resource: &str, verb: &str) -> Status {
        let message = match resource {
            "" => "the server does not allow this method on the requested resource".to_string(),
            resource => format!("{verb} is not supported on resources of kind {resource:?}"),
        };
        Status::new(405, "MethodNotAllowed", message).with(json!({}))
    }

    pub fn not_acceptable(accepted: &[&str]) -> Status {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Status::new(406, "NotAcceptable", message)
    }

    pub fn unsupported_media_type(accepted: &[&str]) -> Status {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Status::new(415, "UnsupportedMediaType", message)
    }

    pub fn too_large(message: &str) -> Status {
        Status::new(413, "RequestEntityTooLarge", format!("Request entity too large: {message}"))
    }

    pub fn timeout(message: &str, retry_after_seconds: u64) -> Status {
        Status::new(504, "Timeout", format!("Timeout: {message}")).retry_after(retry_after_seconds)
    }

    /// The server could not do it in time; trying again is right.
    pub fn server_timeout(kind: &Kind, verb: &str, retry_after_seconds: u64) -> Status {
        let message = format!(
            "The {verb} operation against {} could not be completed at this time, please try again.",
            kind.resource()
        );
        Status::new(500, "ServerTimeout", message).about(kind, verb).retry_after(retry_after_seconds)
    }

    pub fn too_many_requests(message: &str, retry_after_seconds: u64) -> Status {
        Status::new(429, "TooManyRequests", message.into()).retry_after(retry_after_seconds)
    }

    pub fn internal(message: &str) -> Status {
        Status::new(500, "InternalError", format!("Internal error occurred: {message}"))
            .with(json!({"causes": [{"message": message}]}))
    }

    /// What was asked does not fit the object: a JSON patch that does not apply.
    pub fn unprocessable(why: &str) -> Status {
        let message = "the server rejected our request due to an error in our request";
        Status::new(422, "Invalid", message.into())
            .with(json!({"causes": [{"reason": "UnexpectedServerResponse", "message": why}]}))
    }

    pub fn unavailable(message: &str) -> Status {
        Status::new(503, "ServiceUnavailable", message.into())
    }

    /// A delete that left nothing to answer with.
    pub fn deleted(kind: &Kind, name: &str, uid: &str) -> Status {
        let mut details = details(kind, name);
        put(&mut details, "uid", uid);
        Status::new(200, "", String::new()).with(details)
    }

    fn retry_after(mut self, seconds: u64) -> Status {
        if seconds > 0 {
            let details = self.details.get_or_insert_with(|| json!({}));
            details["retryAfterSeconds"] = json!(seconds);
        }
        self
    }

    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64()
    }

    /// (reason, message, field) of each cause.
    pub fn causes(&self) -> Vec<(&str, &str, &str)> {
        let causes = self.details.as_ref().and_then(|d| d.get("causes")).and_then(Value::as_array);
        causes
            .into_iter()
            .flatten()
            .map(|c| (str_of(c, "reason"), str_of(c, "message"), str_of(c, "field")))
            .collect()
    }

    pub fn is_success(&self) -> bool {
        self.code < 300
    }

    /// The body of the answer.
    pub fn to_value(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": if self.is_success() { "Success" } else { "Failure" },
        });
        put(&mut body, "message", &self.message);
        put(&mut body, "reason", self.reason);
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        if !self.is_success() {
            body["code"] = json!(self.code);
        }
        body
    }

    /// Reads an answer's body; the HTTP code counts when the body does not say.
    pub fn from_value(body: &Value, http_code: u16) -> Status {
        let said = str_of(body, "reason");
        let code = body.get("code").and_then(Value::as_u64).map_or(http_code, |code| code as u16);
        let known = REASONS.iter().find(|(reason, _)| *reason == said);
        let meant = || REASONS.iter().find(|(_, c)| *c == code);
        let reason = known.or_else(meant).map_or("", |(reason, _)| reason);
        Status {
            code,
            reason,
            message: str_of(body, "message").to_string(),
            details: body.get("details").cloned(),
        }
    }
}

fn str_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{deployment, pod};

    #[test]
    fn messages() {
        let (pod, deployment) = (&pod::KIND, &deployment::KIND);
        let cases = [
            (Status::not_found(pod, "x"), 404, "NotFound", "pods \"x\" not found"),
            (Status::not_found(deployment, "x"), 404, "NotFound", "deployments.apps \"x\" not found"),
            (Status::already_exists(pod, "x"), 409, "AlreadyExists", "pods \"x\" already exists"),
            (
                Status::modified(pod, "x"),
                409,
                "Conflict",
                "Operation cannot be fulfilled on pods \"x\": the object has been modified; please apply your changes to the latest version and try again",
            ),
            (Status::too_old(3, 7), 410, "Expired", "too old resource version: 3 (7)"),
            (Status::no_such_path(), 404, "NotFound", "the server could not find the requested resource"),
            (Status::forbidden(pod, "x", "no"), 403, "Forbidden", "pods \"x\" is forbidden: no"),
            (
                Status::undecodable(deployment, "why"),
                400,
                "BadRequest",
                "Deployment in version \"apps/v1\" cannot be handled as a Deployment: why",
            ),
            (
                Status::too_large_resource_version(9, 5),
                504,
                "Timeout",
                "Too large resource version: 9, current: 5",
            ),
            (Status::internal("x"), 500, "InternalError", "Internal error occurred: x"),
        ];
        for (status, code, reason, message) in cases {
            assert_eq!((status.code, status.reason, status.message.as_str()), (code, reason, message));
            let body = status.to_value();
            assert_eq!(body["code"], json!(code));
            assert_eq!(Status::from_value(&body, 0), status);
        }
    }

    #[test]
    fn invalid_has_causes() {
        let errors = [FieldError::required("spec.a", ""), FieldError::invalid("spec.b", -1, "no")];
        let status = Status::invalid(&deployment::KIND, "x", &errors);
        assert_eq!(
            status.message,
            "Deployment.apps \"x\" is invalid: [spec.a: Required value, spec.b: Invalid value: -1: no]"
        );
        assert_eq!(
            status.causes(),
            [
                ("FieldValueRequired", "Required value", "spec.a"),
                ("FieldValueInvalid", "Invalid value: -1: no", "spec.b"),
            ]
        );
        assert_eq!(status.details.unwrap()["kind"], json!("Deployment"));
    }

    #[test]
    fn success_and_bare_codes() {
        let body = Status::deleted(&pod::KIND, "x", "u").to_value();
        assert_eq!(body["status"], json!("Success"));
        assert_eq!(body["details"], json!({"kind": "pods", "name": "x", "uid": "u"}));
        assert_eq!(body.get("code"), None);
        assert_eq!(Status::from_value(&json!({}), 503).reason, "ServiceUnavailable");
        assert_eq!(Status::from_value(&json!({"reason": "AlreadyExists"}), 409).reason, "AlreadyExists");
        assert_eq!(Status::too_many_requests("slow", 2).retry_after_seconds(), Some(2));
    }
}
