//! Requests against any of several API servers.
//!
//! Reads move on to the next server until the deadline. A write moves on only while it certainly was not
//! sent; once it may have been executed the caller gets `Error::Unknown` and decides from the present state
//! (bug museum T07).

use crate::{Error, Fence, WatchStream};
use base::{Knobs, Note, knobs::ms, reached};
use bytes::Bytes;
use http::{Method, Request};
use objects::{Object, kinds::Kind};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How a list or watch is narrowed. Empty strings mean "not given".
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    pub label_selector: String,
    pub field_selector: String,
    /// "" = consistent, "0" = whatever the cache has, else see `version_match`.
    pub resource_version: String,
    /// "", "Exact" or "NotOlderThan".
    pub version_match: String,
    pub limit: u64,
    pub continue_token: String,
}

/// One page of a list.
#[derive(Clone, Debug, Default)]
pub struct List {
    pub items: Vec<Object>,
    pub resource_version: String,
    pub continue_token: String,
}

#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    pub grace_seconds: Option<u64>,
    /// "Background", "Foreground" or "Orphan"; empty is the kind's default.
    pub propagation: String,
    /// Preconditions.
    pub uid: String,
    pub resource_version: String,
}

#[derive(Clone, Copy, Debug)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
}

impl PatchType {
    fn content_type(self) -> &'static str {
        match self {
            PatchType::Json => "application/json-patch+json",
            PatchType::Merge => "application/merge-patch+json",
            PatchType::Strategic => "application/strategic-merge-patch+json",
        }
    }
}

struct Shared {
    /// HTTP/1.1, for requests that have an answer and a deadline.
    http: rt::http::Client,
    /// HTTP/2 with pings, for watches: a stream that only listens would never learn that the server's machine
    /// lost its power.
    streams: rt::http::Client,
    servers: Vec<SocketAddr>,
    agent: String,
    knobs: Knobs,
    /// Which server is spoken to; moved on when it fails.
    current: AtomicUsize,
}

/// A client; cheap to clone. Clones share connections and the choice of server.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    fence: Option<Fence>,
}

impl Client {
    /// Speaks to `servers`, starting with the first. `agent` is the User-Agent, and names the process in records.
    pub fn new(servers: Vec<SocketAddr>, agent: &str, knobs: &Knobs) -> Self {
        assert!(!servers.is_empty(), "a client needs at least one API server");
        let options = |http2| rt::http::ClientOptions {
            http2,
            keepalive: ms(knobs.keepalive_ms),
            keepalive_timeout: ms(knobs.keepalive_timeout_ms),
            connect_timeout: ms(knobs.connect_timeout_ms),
        };
        let shared = Shared {
            http: rt::http::Client::new(options(false)),
            streams: rt::http::Client::new(options(true)),
            servers,
            agent: agent.to_string(),
            knobs: knobs.clone(),
            current: AtomicUsize::new(0),
        };
        Client { shared: Arc::new(shared), fence: None }
    }

    /// The same client, whose writes are refused once `fence` says that the lock is lost.
    pub fn fenced(&self, fence: Fence) -> Self {
        Client { shared: self.shared.clone(), fence: Some(fence) }
    }

    pub fn knobs(&self) -> &Knobs {
        &self.shared.knobs
    }

    pub fn agent(&self) -> &str {
        &self.shared.agent
    }

    pub async fn get(&self, kind: &Kind, namespace: Option<&str>, name: &str) -> Result<Object, Error> {
        self.read_object(&path(kind, namespace, name)).await
    }

    /// One page; with no limit, everything.
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        options: &ListOptions,
    ) -> Result<List, Error> {
        let url = format!("{}{}", path(kind, namespace, ""), query(options, &[]));
        let value: Value = decode(&self.call(Method::GET, &url, "", Bytes::new()).await?)?;
        list_of(kind, value)
    }

    pub async fn create(&self, kind: &Kind, object: &Object) -> Result<Object, Error> {
        let url = path(kind, object.namespace(), "");
        self.write(Method::POST, &url, "application/json", object.value()).await
    }

    pub async fn update(&self, kind: &Kind, object: &Object) -> Result<Object, Error> {
        let url = path(kind, object.namespace(), object.name());
        self.write(Method::PUT, &url, "application/json", object.value()).await
    }

    pub async fn update_status(&self, kind: &Kind, object: &Object) -> Result<Object, Error> {
        let url = format!("{}/status", path(kind, object.namespace(), object.name()));
        self.write(Method::PUT, &url, "application/json", object.value()).await
    }

    /// Patches the object, or its subresource when one is named.
    pub async fn patch(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
        subresource: &str,
        (form, body): (PatchType, &Value),
    ) -> Result<Object, Error> {
        let mut url = path(kind, namespace, name);
        if !subresource.is_empty() {
            url = format!("{url}/{subresource}");
        }
        self.write(Method::PATCH, &url, form.content_type(), body).await
    }

    pub async fn delete(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(), Error> {
        let url = path(kind, namespace, name);
        self.call_write(Method::DELETE, &url, "application/json", &delete_body(options)).await.map(drop)
    }

    /// The finalize subresource of a namespace: writes its spec.finalizers.
    pub async fn finalize(&self, namespace: &Object) -> Result<Object, Error> {
        let url = format!("{}/finalize", path(&objects::kinds::namespace::KIND, None, namespace.name()));
        self.write(Method::PUT, &url, "application/json", namespace.value()).await
    }

    /// The binding subresource: says that a pod runs on a node. Once only: a bound pod gives Conflict.
    pub async fn bind(&self, namespace: &str, pod: &str, uid: &str, node: &str) -> Result<(), Error> {
        let url = format!("/api/v1/namespaces/{namespace}/pods/{pod}/binding");
        let body = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": { "name": pod, "namespace": namespace, "uid": uid },
            "target": { "apiVersion": "v1", "kind": "Node", "name": node },
        });
        self.call_write(Method::POST, &url, "application/json", &body).await.map(drop)
    }

    /// Watches from `options.resource_version`. The stream ends when the server or the connection does.
    pub async fn watch(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        options: &ListOptions,
    ) -> Result<WatchStream, Error> {
        let seconds = (self.shared.knobs.watch_timeout_ms / 1000).max(1).to_string();
        let extra = [("watch", "1"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", &seconds)];
        let url = format!("{}{}", path(kind, namespace, ""), query(options, &extra));
        let deadline = ms(self.shared.knobs.client_timeout_ms);
        let sent =
            rt::timeout(deadline, self.send(&self.shared.streams, Method::GET, &url, "", Bytes::new())).await;
        let response = match sent {
            Ok(response) => response?,
            Err(_) => {
                reached!("client: a watch got no answer in time");
                self.move_on(self.shared.current.load(Ordering::Relaxed));
                return Err(Error::Unknown("watch: no answer in time".into()));
            }
        };
        let status = response.status().as_u16();
        if status != 200 {
            reached!("client: a watch was refused");
            let body = collect(response).await?;
            return Err(Error::from_body(status, &body));
        }
        Ok(WatchStream::new(response.into_body(), ms(self.shared.knobs.watch_timeout_ms * 2)))
    }

    async fn read_object(&self, url: &str) -> Result<Object, Error> {
        to_object(decode(&self.call(Method::GET, url, "", Bytes::new()).await?)?)
    }

    async fn write(&self, method: Method, url: &str, form: &str, body: &Value) -> Result<Object, Error> {
        to_object(decode(&self.call_write(method, url, form, body).await?)?)
    }

    async fn call_write(&self, method: Method, url: &str, form: &str, body: &Value) -> Result<Bytes, Error> {
        match &self.fence {
            Some(fence) => fence.check(&method, url)?,
            None => rt::aside(|| Note::Write { what: format!("{method} {url}") }),
        }
        let body = serde_json::to_vec(body).map_err(|e| Error::NotSent(e.to_string()))?;
        self.call(method, url, form, body.into()).await
    }

    /// One request to an answer, within the client's deadline, moving between servers as promised above.
    async fn call(&self, method: Method, url: &str, form: &str, body: Bytes) -> Result<Bytes, Error> {
        let give_up = rt::now() + ms(self.shared.knobs.client_timeout_ms);
        let mut wait = ms(self.shared.knobs.backoff_min_ms);
        loop {
            let server = self.shared.current.load(Ordering::Relaxed);
            let left = give_up - rt::now();
            let tried = rt::timeout(left, async {
                let response = self.send(&self.shared.http, method.clone(), url, form, body.clone()).await?;
                let status = response.status().as_u16();
                let body = collect(response).await?;
                if status < 400 { Ok(body) } else { Err(Error::from_body(status, &body)) }
            });
            let error = match tried.await {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(error)) => error,
                Err(_) => {
                    reached!("client: a request got no answer in time");
                    Error::Unknown("no answer in time".into())
                }
            };
            let again = match &error {
                Error::NotSent(_) => true,
                Error::Unknown(_) | Error::Decode(_) => method == Method::GET,
                Error::Status { code, .. } => (*code == 429) || (*code >= 500 && method == Method::GET),
                Error::Fenced { .. } => false,
            };
            reached!("client: the outcome of a write is unknown", !again && error.is_unknown_outcome());
            reached!("client: a server is busy and asks for patience", error.code() == Some(429));
            if !matches!(error, Error::Status { code: 0..=499, .. }) {
                self.move_on(server);
            }
            if !again || rt::now() + wait >= give_up {
                return Err(error);
            }
            reached!("client: a read is asked for again", method == Method::GET);
            reached!("client: a write that never left is sent again", method != Method::GET);
            rt::sleep(wait).await;
            wait = (wait * 2).min(ms(1_000));
            if let Some(fence) = self.fence.as_ref().filter(|_| method != Method::GET) {
                fence.check(&method, url)?;
            }
        }
    }

    async fn send(
        &self,
        http: &rt::http::Client,
        method: Method,
        url: &str,
        form: &str,
        body: Bytes,
    ) -> Result<http::Response<rt::http::Body>, Error> {
        let server = self.shared.current.load(Ordering::Relaxed);
        let addr = self.shared.servers[server % self.shared.servers.len()];
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("host", addr.to_string())
            .header("user-agent", &self.shared.agent)
            .header("accept", "application/json");
        if !form.is_empty() {
            request = request.header("content-type", form);
        }
        let request = request.body(body).map_err(|e| Error::NotSent(e.to_string()))?;
        http.request(addr, request).await.map_err(|error| {
            self.move_on(server);
            if error.was_not_sent() {
                Error::NotSent(error.to_string())
            } else {
                Error::Unknown(error.to_string())
            }
        })
    }

    /// Moves on from `server`, once, however many requests saw it fail.
    fn move_on(&self, server: usize) {
        let next = server.wrapping_add(1);
        let moved = self.shared.current.compare_exchange(server, next, Ordering::Relaxed, Ordering::Relaxed);
        reached!("client: another API server is turned to", moved.is_ok() && self.shared.servers.len() > 1);
    }
}

/// `/api/v1/namespaces/x/pods/y`; an empty name gives the collection.
pub fn path(kind: &Kind, namespace: Option<&str>, name: &str) -> String {
    let mut path = match kind.group {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    };
    if let Some(namespace) = namespace {
        path.push_str("/namespaces/");
        path.push_str(namespace);
    }
    path.push('/');
    path.push_str(kind.plural);
    if !name.is_empty() {
        path.push('/');
        path.push_str(name);
    }
    path
}

fn query(options: &ListOptions, extra: &[(&str, &str)]) -> String {
    let limit = if options.limit > 0 { options.limit.to_string() } else { String::new() };
    let given = [
        ("labelSelector", options.label_selector.as_str()),
        ("fieldSelector", &options.field_selector),
        ("resourceVersion", &options.resource_version),
        ("resourceVersionMatch", &options.version_match),
        ("limit", &limit),
        ("continue", &options.continue_token),
    ];
    let all = given.iter().chain(extra).filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = all.map(|(name, value)| format!("{name}={}", escape(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Percent-encodes all but the unreserved characters (RFC 3986, section 2.3).
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn delete_body(options: &DeleteOptions) -> Value {
    let mut body = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
    if let Some(seconds) = options.grace_seconds {
        body["gracePeriodSeconds"] = seconds.into();
    }
    if !options.propagation.is_empty() {
        body["propagationPolicy"] = options.propagation.clone().into();
    }
    if !options.uid.is_empty() {
        body["preconditions"]["uid"] = options.uid.clone().into();
    }
    if !options.resource_version.is_empty() {
        body["preconditions"]["resourceVersion"] = options.resource_version.clone().into();
    }
    body
}

async fn collect(response: http::Response<rt::http::Body>) -> Result<Bytes, Error> {
    response.into_body().collect().await.map_err(|e| Error::Unknown(e.to_string()))
}

fn decode(body: &Bytes) -> Result<Value, Error> {
    serde_json::from_slice(body).map_err(|e| Error::Decode(e.to_string()))
}

pub(crate) fn to_object(value: Value) -> Result<Object, Error> {
    Object::from_value(value).map_err(|e| Error::Decode(e.to_string()))
}

fn list_of(kind: &Kind, mut value: Value) -> Result<List, Error> {
    let meta = |name: &str| value["metadata"][name].as_str().unwrap_or_default().to_string();
    let (resource_version, continue_token) = (meta("resourceVersion"), meta("continue"));
    let api_version = match kind.group {
        "" => kind.version.to_string(),
        group => format!("{group}/{}", kind.version),
    };
    let items = match value["items"].take() {
        Value::Array(items) => items,
        Value::Null => vec![],
        _ => return Err(Error::Decode("a list's items must be an array".into())),
    };
    let typed = items.into_iter().map(|mut item| {
        item["apiVersion"] = api_version.clone().into(); // lists leave it out of their items
        item["kind"] = kind.kind.into();
        to_object(item)
    });
    Ok(List { items: typed.collect::<Result<_, _>>()?, resource_version, continue_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_leaves_out_what_is_not_given_and_escapes_the_rest() {
        assert_eq!(query(&ListOptions::default(), &[]), "");
        let options = ListOptions { label_selector: "app in (a,b)".into(), limit: 5, ..Default::default() };
        assert_eq!(
            query(&options, &[("watch", "1")]),
            "?labelSelector=app%20in%20%28a%2Cb%29&limit=5&watch=1"
        );
    }
}
