//! What a request asks for: its path and query, taken apart as upstream does. Pure.

use crate::refusal::Refusal;
use http::Method;
use objects::{Kind, kinds::by_plural};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

/// What a path points at.
#[derive(Debug, PartialEq)]
pub enum Route {
    /// Objects of a kind.
    Objects(Target),
    /// Anything else: discovery, health, schemas.
    Other,
    /// A path below a group and version that is served, but with no such resource.
    Unknown,
}

/// An object, or a collection of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub kind: &'static Kind,
    /// "" for all namespaces, and for kinds without.
    pub namespace: String,
    /// "" for the collection.
    pub name: String,
    pub subresource: String,
    /// The path has the old `/watch/` in it.
    pub watch: bool,
}

/// The query parameters; of a repeated one, all values in order.
#[derive(Clone, Debug, Default)]
pub struct Query(BTreeMap<String, Vec<String>>);

impl Route {
    pub fn parse(path: &str) -> Route {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Route::Other,
        };
        let decoded: Option<Vec<String>> = rest.iter().map(|part| unescape(part, false)).collect();
        let target = decoded.and_then(|rest| Target::parse(group, version, &rest));
        target.map_or(Route::Unknown, Route::Objects)
    }
}

impl Target {
    fn parse(group: &str, version: &str, rest: &[String]) -> Option<Target> {
        let (watch, rest) = match rest {
            [first, rest @ ..] if first == "watch" && !rest.is_empty() => (true, rest),
            _ => (false, rest),
        };
        let (namespace, rest) = match rest {
            [first, namespace, third, rest @ ..]
                if first == "namespaces" && !["status", "finalize"].contains(&third.as_str()) =>
            {
                (namespace.as_str(), [std::slice::from_ref(third), rest].concat())
            }
            _ => ("", rest.to_vec()),
        };
        let kind = by_plural(group, version, rest.first()?)?;
        let part = |index: usize| rest.get(index).cloned().unwrap_or_default();
        if rest.len() > 3 || (!namespace.is_empty() && !kind.namespaced) {
            return None;
        }
        Some(Target { kind, namespace: namespace.into(), name: part(1), subresource: part(2), watch })
    }

    /// The key of the object below its kind's prefix.
    pub fn key(&self) -> String {
        crate::storage::keys::key(self.kind, &self.namespace, &self.name)
    }

    /// The verb of a method on this target; None when there is none.
    pub fn verb(&self, method: &Method, query: &Query) -> Option<Verb> {
        let collection = self.name.is_empty();
        let watch = self.watch || query.is_true("watch");
        Some(match *method {
            Method::GET | Method::HEAD if watch => Verb::Watch,
            Method::GET | Method::HEAD if collection => Verb::List,
            Method::GET | Method::HEAD => Verb::Get,
            Method::POST if collection || !self.subresource.is_empty() => Verb::Create,
            Method::PUT if !collection => Verb::Update,
            Method::PATCH if !collection => Verb::Patch,
            Method::DELETE if collection => Verb::DeleteCollection,
            Method::DELETE => Verb::Delete,
            _ => return None,
        })
    }
}

impl Query {
    pub fn parse(text: &str) -> Query {
        let mut query = Query::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let (Some(name), Some(value)) = (unescape(name, true), unescape(value, true)) {
                query.0.entry(name).or_default().push(value);
            }
        }
        query
    }

    /// The first value, or "".
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// None when it is not given.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.0.get(name)?.first()?;
        Some(!["false", "0", "f", "F", "False", "FALSE"].contains(&value.as_str()))
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.flag(name).unwrap_or(false)
    }

    /// A whole number that is not negative.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse::<i64>().map_err(|_| {
            Refusal::bad_request(&format!(
                "the query parameter {name} must be a whole number, found {text:?}"
            ))
        })?;
        Ok(Some(number.max(0) as u64))
    }
}

/// Undoes percent-encoding; None when that gives no text.
fn unescape(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let digits = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok())?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &tail[2..];
            }
            b'+' if plus_is_space => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        match Route::parse(path) {
            Route::Objects(t) => {
                let watch = if t.watch { " watch" } else { "" };
                format!("{:?} {:?} {:?} {:?}{watch}", t.kind.kind, t.namespace, t.name, t.subresource)
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_are_read_as_upstream_reads_them() {
        let cases = [
            ("/api/v1/pods", r#""Pod" "" "" """#),
            ("/api/v1/namespaces/n/pods", r#""Pod" "n" "" """#),
            ("/api/v1/namespaces/n/pods/a/status", r#""Pod" "n" "a" "status""#),
            ("/api/v1/namespaces", r#""Namespace" "" "" """#),
            ("/api/v1/namespaces/n", r#""Namespace" "" "n" """#),
            ("/api/v1/namespaces/n/finalize", r#""Namespace" "" "n" "finalize""#),
            ("/api/v1/nodes/a%3Ab", r#""Node" "" "a:b" """#),
            ("/apis/apps/v1/namespaces/n/deployments/d/scale", r#""Deployment" "n" "d" "scale""#),
            ("/api/v1/watch/namespaces/n/pods/a", r#""Pod" "n" "a" "" watch"#),
            ("/api/v1/namespaces/n/nodes", "Unknown"),
            ("/api/v1/things", "Unknown"),
            ("/apis/apps/v9/deployments", "Unknown"),
            ("/api/v1/namespaces/n/pods/a/b/c", "Unknown"),
            ("/api/v1", "Other"),
            ("/apis/apps/v1", "Other"),
            ("/healthz", "Other"),
        ];
        for (path, wanted) in cases {
            assert_eq!(shown(path), wanted, "{path}");
        }
    }

    #[test]
    fn verbs_follow_from_method_name_and_query() {
        let verb = |method: Method, path: &str, query: &str| match Route::parse(path) {
            Route::Objects(target) => target.verb(&method, &Query::parse(query)),
            other => panic!("{other:?}"),
        };
        let (all, one) = ("/api/v1/namespaces/n/pods", "/api/v1/namespaces/n/pods/a");
        assert_eq!(verb(Method::GET, all, ""), Some(Verb::List));
        assert_eq!(verb(Method::GET, all, "watch=1"), Some(Verb::Watch));
        assert_eq!(verb(Method::GET, all, "watch=false"), Some(Verb::List));
        assert_eq!(verb(Method::GET, one, ""), Some(Verb::Get));
        assert_eq!(verb(Method::POST, all, ""), Some(Verb::Create));
        assert_eq!(verb(Method::POST, one, ""), None);
        assert_eq!(verb(Method::POST, "/api/v1/namespaces/n/pods/a/binding", ""), Some(Verb::Create));
        assert_eq!(verb(Method::PUT, all, ""), None);
        assert_eq!(verb(Method::DELETE, all, ""), Some(Verb::DeleteCollection));
        assert_eq!(verb(Method::DELETE, one, ""), Some(Verb::Delete));
    }

    #[test]
    fn a_query_is_unescaped() {
        let query = Query::parse("labelSelector=a+in+%28b%2Cc%29&limit=5&watch&x=%zz");
        assert_eq!(query.get("labelSelector"), "a in (b,c)");
        assert_eq!(query.number("limit").unwrap(), Some(5));
        assert_eq!(query.flag("watch"), Some(true));
        assert_eq!(query.flag("other"), None);
        assert!(Query::parse("limit=x").number("limit").is_err());
    }
}
