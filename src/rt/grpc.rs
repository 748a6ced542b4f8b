//! gRPC: one HTTP/2 connection as a service for tonic's generated clients. Servers hand tonic's routes, made
//! into a router, to `http::serve`.

use crate::{
    http::{Exec, Timer, keepalive},
    net::{Endpoint, Stream},
    tls,
};
use base::{Knobs, knobs::ms};
use futures::future::BoxFuture;
use http::{Request, Response, Uri, uri};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::TokioIo;
use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

/// What a request body is.
pub use tonic::body::Body;

#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// Silence after which a ping is sent; 0: none is.
    pub keepalive: Duration,
    /// Also while nothing is asked. etcd and grpc-go leave a client that does so.
    pub while_idle: bool,
    /// A ping unanswered for this long ends the connection, and with it every stream.
    pub keepalive_timeout: Duration,
    pub connect_timeout: Duration,
    /// The connection is secured by this; plain if there is nothing.
    pub tls: Option<tls::Client>,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self::of(&Knobs::default(), None)
    }
}

impl ChannelOptions {
    /// Those of a client to which a member with the same knobs, or an etcd as it comes, has no objection: where somebody
    /// counts, it pings only while something is asked, and a tenth slower than it may, as no two clocks are the same.
    pub fn of(knobs: &Knobs, tls: Option<tls::Client>) -> Self {
        let least = knobs.keepalive_min_ms;
        let pace = match knobs.keepalive_ms {
            0 => 0,
            wanted => wanted.max(least.saturating_add(least / 10)),
        };
        Self {
            keepalive: ms(pace),
            while_idle: least == 0,
            keepalive_timeout: ms(knobs.keepalive_timeout_ms),
            connect_timeout: ms(knobs.connect_timeout_ms),
            tls,
        }
    }
}

/// One connection; clones share it. It is never made again: a closed channel stays closed.
#[derive(Clone)]
pub struct Channel {
    sender: http2::SendRequest<Body>,
    scheme: uri::Scheme,
    authority: uri::Authority,
}

impl Channel {
    pub async fn connect(to: impl Into<Endpoint>, options: ChannelOptions) -> io::Result<Self> {
        let to = to.into();
        let authority = to.to_string().parse().map_err(io::Error::other)?;
        let scheme = if options.tls.is_some() { uri::Scheme::HTTPS } else { uri::Scheme::HTTP };
        let connecting = Stream::connect(&to, options.tls.as_ref());
        let stream = crate::timeout(options.connect_timeout, connecting).await;
        let stream = stream.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))??;
        let mut builder = http2::Builder::new(Exec);
        builder.timer(Timer).max_concurrent_reset_streams(1_024).keep_alive_while_idle(options.while_idle);
        let (silence, patience) = keepalive(options.keepalive, options.keepalive_timeout);
        builder.keep_alive_interval(silence).keep_alive_timeout(patience);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        crate::spawn(async move {
            let _ = connection.await; // ends with its last sender and stream
        });
        Ok(Self { sender, scheme, authority })
    }

    /// The connection has ended; requests fail without being sent.
    pub fn closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // Generated clients give the path only; HTTP/2 needs scheme and authority too.
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query.get_or_insert_with(|| uri::PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).expect("all three parts are there");
        Box::pin(self.sender.send_request(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_pings_no_faster_than_it_may_and_not_at_all_if_it_is_not_to() {
        let of = |wanted, least| {
            let knobs = Knobs { keepalive_ms: wanted, keepalive_min_ms: least, ..Knobs::default() };
            let options = ChannelOptions::of(&knobs, None);
            (options.keepalive.as_millis(), options.while_idle)
        };
        assert_eq!(of(20, 5_000), (5_500, false));
        assert_eq!(of(9_000, 5_000), (9_000, false));
        assert_eq!(of(20, 0), (20, true));
        assert_eq!((of(0, 5_000), of(0, 0)), ((0, false), (0, true)), "none are wanted");
    }
}
