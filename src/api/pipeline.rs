//! One request, from its bytes to its answer: route, authenticate, read the body, do what the verb says, answer
//! in the form asked for. Everything that is refused is answered with a Status.

use crate::{
    answer::{self, Form},
    discovery, health, openapi,
    refusal::Refusal,
    request::{Query, Route, Target, Verb},
    server::Server,
    subresources, verbs,
};
use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use base::{knobs::ms, reached};
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use objects::status::Status;
use std::sync::Arc;

/// Slack for what stands around an object in a body.
const BODY_SLACK: usize = 1 << 20;

/// One request to objects.
pub struct Call {
    pub server: Arc<Server>,
    pub target: Target,
    pub query: Query,
    pub form: Form,
    pub content_type: String,
    pub body: Bytes,
}

pub type Answer = Result<Response, Refusal>;

pub async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    let query = Query::parse(request.uri().query().unwrap_or(""));
    let answer = match Route::parse(request.uri().path()) {
        Route::Objects(target) => objects(server, target, query, request).await,
        Route::Other => other(&server, &query, &request),
        Route::Unknown => Err(Status::no_such_path().into()),
    };
    answer.unwrap_or_else(|refusal| answer::refusal(&refusal))
}

/// Discovery, health and schemas.
fn other(server: &Server, query: &Query, request: &Request) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Status::method_not_allowed("", "").into());
    }
    let path = match request.uri().path() {
        "/" => "/",
        path => path.trim_end_matches('/'),
    };
    let found = health::answer(server, path, query.flag("verbose").is_some())
        .or_else(|| discovery::answer(path, request.headers()))
        .or_else(|| openapi::answer(path));
    found.ok_or_else(|| Status::no_such_path().into())
}

async fn objects(server: Arc<Server>, target: Target, query: Query, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let Some(verb) = target.verb(&parts.method, &query) else {
        return Err(Status::method_not_allowed("", "").into());
    };
    let deadline = ms(server.config.knobs.api_timeout_ms);
    let form = Form::parse(&parts.headers, &query)?;
    let content_type = header_text(&parts.headers, header::CONTENT_TYPE);
    let work = async {
        let limit = server.config.knobs.request_bytes as usize + BODY_SLACK;
        let body = read(body, limit).await?;
        let call = Call { server, target, query, form, content_type, body };
        dispatch(verb, call).await
    };
    match rt::timeout(deadline, work).await {
        Ok(answer) => answer,
        Err(_) => {
            reached!("api: a request ran out of time");
            Err(Refusal::timeout("request did not complete within the allotted timeout"))
        }
    }
}

async fn dispatch(verb: Verb, call: Call) -> Answer {
    if !call.target.subresource.is_empty() {
        return subresources::dispatch(verb, call).await;
    }
    match verb {
        Verb::Get => verbs::get::get(&call).await,
        Verb::List => verbs::list::list(&call).await,
        Verb::Watch => verbs::watch::watch(call).await,
        Verb::Create => verbs::create::create(&call).await,
        Verb::Update => verbs::update::update(&call).await,
        Verb::Patch => verbs::patch::patch(&call).await,
        Verb::Delete => verbs::delete::delete(&call).await,
        Verb::DeleteCollection => verbs::deletecollection::delete_collection(&call).await,
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    axum::body::to_bytes(body, limit).await.map_err(|why| {
        let text = why.to_string();
        if text.contains("limit") {
            Status::too_large(&format!("limit is {limit}")).into()
        } else {
            Refusal::bad_request(&text)
        }
    })
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_string()
}
