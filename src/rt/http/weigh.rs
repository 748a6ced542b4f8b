//! What a server holds for those it serves: requests until they are answered, and answers until they are sent.
//! Promise: not a byte on the wire is another for it. What the kernel buffers is not counted.

use super::Router;
use crate::{
    memory::{Gauge, Held, counted},
    tls::CommonName,
};
use axum::body::Body as AnyBody;
use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    service::Service,
};
use hyper_util::service::TowerToHyperService;
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

/// A router that counts what it holds.
#[derive(Clone)]
pub struct Weighed {
    router: TowerToHyperService<Router>,
    /// Who sends the requests, as its certificate has it.
    sender: Option<CommonName>,
    requests: Gauge,
    answers: Gauge,
}

impl Weighed {
    pub fn new(router: Router) -> Self {
        let (requests, answers) = (Gauge::new("requests"), Gauge::new("answers"));
        Self { router: TowerToHyperService::new(router), sender: None, requests, answers }
    }

    /// The same, for one connection.
    pub fn of(self, sender: Option<CommonName>) -> Self {
        Self { sender, ..self }
    }
}

impl Service<Request<Incoming>> for Weighed {
    type Response = Response<AnyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let held = Arc::new(Held::new(&self.requests, 0));
        let mut request = request.map(|body| Asked { body, held: Arc::downgrade(&held) });
        if let Some(sender) = &self.sender {
            request.extensions_mut().insert(sender.clone());
        }
        let (answering, answers) = (self.router.call(request), self.answers.clone());
        Box::pin(async move {
            let answer = answering.await?;
            drop(held);
            Ok(answer.map(|body| AnyBody::new(Answered { body, answers })))
        })
    }
}

/// The body of a request: counted for as long as it has no answer.
struct Asked {
    body: Incoming,
    held: Weak<Held>,
}

impl Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let (Some(Ok(frame)), Some(held)) = (&frame, self.held.upgrade()) {
            held.grow(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer: each piece is counted from when it is there until it is sent.
struct Answered {
    body: AnyBody,
    answers: Gauge,
}

impl Body for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|data| counted(&self.answers, data)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
