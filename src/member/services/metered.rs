//! Counts calls as they begin, and by how they ended: a code in the head of an answer, or in what stands behind its body.

use crate::{handle::Handle, slow};
use axum::body::Body;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use rt::Mono;
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tonic::Code;
use tower::{Layer, Service};

const RANGE: &str = "/etcdserverpb.KV/Range";

#[derive(Clone)]
pub struct Metered(pub Handle);

impl<S> Layer<S> for Metered {
    type Service = Meter<S>;

    fn layer(&self, inner: S) -> Meter<S> {
        Meter { inner, handle: self.0.clone() }
    }
}

#[derive(Clone)]
pub struct Meter<S> {
    inner: S,
    handle: Handle,
}

impl<S> Service<Request<Body>> for Meter<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path().to_string();
        self.handle.meters().began(version(request.headers()), kind(&path));
        let call = Call { path, handle: self.handle.clone(), code: None, began: rt::now() };
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map(|answer| counted(answer, call)) })
    }
}

/// Counted when it is dropped: a client that goes away in the middle has cancelled.
struct Call {
    path: String,
    handle: Handle,
    code: Option<Code>,
    began: Mono,
}

/// Which version of the protocol a client says it speaks. It goes into a label: nothing but what versions are made of.
fn version(headers: &HeaderMap) -> String {
    let said = headers.get("client-api-version").and_then(|version| version.to_str().ok());
    let plain = |version: &&str| {
        (1..=32).contains(&version.len())
            && version.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    said.filter(plain).unwrap_or("unknown").into()
}

/// As etcd tells them apart.
fn kind(path: &str) -> &'static str {
    let streams = ["Watch", "LeaseKeepAlive", "Snapshot", "RangeStream", "Observe"];
    let method = path.rsplit('/').next();
    if method.is_some_and(|method| streams.contains(&method)) { "stream" } else { "unary" }
}

impl Call {
    fn ended(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.code = Some(Code::from_bytes(code.as_bytes()));
        }
    }

    /// A refusal has its code in its head.
    fn answered(&self) {
        let took = rt::now() - self.began;
        if kind(&self.path) == "unary" {
            slow::answered(&self.handle, took, &self.path);
        }
        if self.path == RANGE {
            let mut meters = self.handle.meters();
            let refused = self.code.is_some_and(|code| code != Code::Ok);
            if refused { &mut meters.refused_ranges } else { &mut meters.ranges }.add(took);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        self.handle.meters().ended(std::mem::take(&mut self.path), code.into());
    }
}

fn counted(answer: Response<Body>, mut call: Call) -> Response<Body> {
    call.ended(answer.headers());
    call.answered();
    let watched = |body: Body| {
        let frames = body.map_frame(move |frame| {
            if let Some(trailers) = frame.trailers_ref() {
                call.ended(trailers);
            }
            frame
        });
        Body::new(frames)
    };
    answer.map(watched)
}
