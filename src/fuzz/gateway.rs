//! Calls as JSON, and what a person or a probe asks over plain HTTP.

use crate::{
    Seed,
    input::{Input, Output},
    served::{self, Served},
};
use axum::body::Body;
use http::{Request, StatusCode, Uri};
use member::services::gateway::PATHS;

/// Calls, each of them `path, sender, length, body`. A path behind the last stands for a question over plain HTTP, of which
/// the body is path and query.
pub fn gateway(bytes: &[u8]) {
    served::calls(bytes, request, judge);
}

fn request(served: &Served, input: &mut Input) -> Request<Body> {
    let (path, sender, body) = (input.byte(), input.byte(), input.block());
    let request = match PATHS.get(usize::from(path)) {
        Some((path, _, _)) => Request::post(*path).body(Body::from(body.to_vec())),
        None => {
            let text = String::from_utf8_lossy(body);
            let uri: Uri = text.parse().unwrap_or_else(|_| Uri::from_static("/readyz?verbose"));
            Request::get(uri).body(Body::empty())
        }
    };
    let mut request = request.expect("of known parts");
    request.headers_mut().extend(served.headers(sender));
    request
}

/// What is answered is JSON, or lines of it, but for what is asked over plain HTTP.
fn judge(status: StatusCode, said: &[u8]) {
    if status == StatusCode::OK && said.first() == Some(&b'{') {
        let values = serde_json::Deserializer::from_slice(said).into_iter::<serde_json::Value>();
        values.for_each(|value| drop(value.expect("an answer is JSON")));
    }
}

/// Bodies by the end of their path.
const BODIES: &[(&str, &str)] = &[
    (
        "/kv/range",
        r#"{"key":"YQ==","range_end":"AA==","limit":"2","sort_order":"DESCEND","sort_target":"MOD"}"#,
    ),
    ("/kv/put", r#"{"key":"Yg==","value":"bmV3","lease":"7","prev_kv":true}"#),
    ("/kv/deleterange", r#"{"key":"YQ==","range_end":"AA==","prev_kv":true}"#),
    (
        "/kv/txn",
        r#"{"compare":[{"result":"GREATER","target":"VERSION","key":"YQ==","version":"0"}],"success":[{"request_put":{"key":"YQ==","value":"MQ=="}},{"request_txn":{"failure":[{"request_range":{"key":"Yg=="}}]}}]}"#,
    ),
    ("/kv/compaction", r#"{"revision":"4","physical":true}"#),
    (
        "/watch",
        r#"{"create_request":{"key":"YQ==","range_end":"AA==","start_revision":"4","filters":["NODELETE"]}}"#,
    ),
    ("/lease/grant", r#"{"TTL":"60","ID":"9"}"#),
    ("/lease/revoke", r#"{"ID":"7"}"#),
    ("/lease/keepalive", r#"{"ID":"7"} {"ID":"8"}"#),
    ("/lease/timetolive", r#"{"ID":"7","keys":true}"#),
    ("/cluster/member/add", r#"{"peerURLs":["http://10.0.0.2:2380"],"isLearner":true}"#),
    ("/cluster/member/update", r#"{"ID":"1","peerURLs":["http://10.0.0.1:2390"]}"#),
    ("/maintenance/alarm", r#"{"action":"ACTIVATE","memberID":"1","alarm":"NOSPACE"}"#),
    ("/maintenance/hashkv", r#"{"revision":"4"}"#),
    ("/auth/authenticate", r#"{"name":"root","password":"pw"}"#),
    ("/auth/user/add", r#"{"name":"carol","password":"pw","options":{"no_password":true}}"#),
    ("/auth/user/grant", r#"{"user":"bob","role":"some"}"#),
    (
        "/auth/role/grant",
        r#"{"name":"some","perm":{"permType":"READWRITE","key":"YQ==","range_end":"AA=="}}"#,
    ),
    ("/lock/lock", r#"{"name":"bG9jaw==","lease":"7"}"#),
    ("/election/campaign", r#"{"name":"ZWxlY3Q=","lease":"7","value":"bWU="}"#),
    ("/election/proclaim", r#"{"leader":{"name":"ZQ==","key":"ZS83","rev":"6","lease":"7"},"value":"bWU="}"#),
];

/// Questions over plain HTTP.
const QUESTIONS: &[&str] =
    &["/health?serializable=true&exclude=NOSPACE", "/readyz/non_learner?verbose", "/metrics", "/version"];

pub fn seeds() -> Vec<Seed> {
    let call = |path: usize, body: &str| {
        let output = Output::default().byte(0).byte(path as u8).byte(1).block(body.as_bytes());
        output.byte(path as u8).byte(2).block(body.as_bytes()).into_bytes()
    };
    let seed = |(number, (path, _, _)): (usize, &(&str, &str, &str))| {
        let body = BODIES.iter().find(|(end, _)| path.ends_with(end)).map_or("{}", |(_, body)| body);
        (path.trim_start_matches("/v3/").replace('/', "-"), call(number, body))
    };
    let questions = QUESTIONS.iter().enumerate();
    let questions = questions.map(|(number, question)| (format!("question-{number}"), call(255, question)));
    PATHS.iter().enumerate().map(seed).chain(questions).collect()
}
