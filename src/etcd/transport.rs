//! One channel to one endpoint, as the generated clients need it: whatever breaks below gRPC becomes a status
//! that says whether the request may have arrived.

use crate::retry::{connection_lost, not_sent};
use base::reached;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use std::task::{Context, Poll};
use tonic::{Status, body::Body};
use tower::Service;

#[derive(Clone)]
pub(crate) struct Transport {
    channel: rt::grpc::Channel,
}

impl Transport {
    pub(crate) fn new(channel: rt::grpc::Channel) -> Self {
        Self { channel }
    }

    pub(crate) fn closed(&self) -> bool {
        self.channel.closed()
    }
}

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Self::Response, Status>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.channel.poll_ready(cx).map_err(not_sent)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.channel.call(request);
        Box::pin(async move {
            // A connection that ended before it took the request says "canceled".
            let lost = |error: <rt::grpc::Channel as Service<http::Request<Body>>>::Error| match error {
                error if error.is_canceled() => {
                    reached!("etcd: a connection ended before it took the request");
                    not_sent(error)
                }
                error => connection_lost(error),
            };
            let response = answer.await.map_err(lost)?;
            Ok(response.map(|body| Body::new(body.map_err(connection_lost))))
        })
    }
}
