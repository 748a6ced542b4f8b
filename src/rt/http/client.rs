//! The HTTP client.
//! Promise: a request is sent again only if the first sending cannot have been executed, or if it changes nothing
//! (GET and its kin). A PUT is idempotent to RFC 9110, but its answer is not: one with a resourceVersion that was
//! executed is refused as a conflict when it comes again, and the caller takes its own write for somebody else's.
//! Dropping the future of a request cancels it.

use super::{
    Body, Error,
    body::Lease,
    pool::{self, Pool},
};
use base::bug;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header, uri};
use http_body_util::Full;
use std::{net::SocketAddr, sync::Arc, time::Duration};

#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// One multiplexed HTTP/2 connection for each server, instead of pooled HTTP/1.1 ones.
    pub http2: bool,
    /// HTTP/2: silence after which a ping is sent, also while nothing is asked.
    pub keepalive: Duration,
    /// HTTP/2: a ping unanswered for this long ends the connection.
    pub keepalive_timeout: Duration,
    pub connect_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            http2: false,
            keepalive: seconds(5),
            keepalive_timeout: seconds(5),
            connect_timeout: seconds(3),
        }
    }
}

/// A client; clones share their connections.
#[derive(Clone)]
pub struct Client {
    options: Arc<ClientOptions>,
    pool: Arc<Pool>,
}

impl Client {
    pub fn new(options: ClientOptions) -> Self {
        Self { options: Arc::new(options), pool: Arc::default() }
    }

    /// Sends a request to this server and waits for the head of the answer; for how long is the caller's
    /// choice (`rt::timeout`). The URI may be a path only.
    pub async fn request(&self, addr: SocketAddr, request: Request<Bytes>) -> Result<Response<Body>, Error> {
        let request = prepare(addr, request.map(Full::new), self.options.http2)?;
        let mut distrust = Distrust { pool: &self.pool, addr, answered: false };
        let result = if self.options.http2 {
            self.request_http2(addr, request).await
        } else {
            self.request_http1(addr, request).await
        };
        distrust.answered = result.is_ok();
        result
    }

    async fn request_http1(
        &self,
        addr: SocketAddr,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Body>, Error> {
        let again = may_be_repeated(&request).then(|| request.clone());
        let mut used = self.pool.take(addr).await;
        loop {
            let fresh = used.is_none();
            let mut connection = match used.take() {
                Some(connection) => connection,
                None => pool::http1(addr, &self.options).await?,
            };
            let mut error = match connection.sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Lease::Http1 { pool: self.pool.clone(), addr, connection };
                    return Ok(response.map(|incoming| Body::new(incoming, lease)));
                }
                Err(error) => error,
            };
            let unsent = error.take_message();
            let error = error.into_error();
            request = match (unsent, &again) {
                (Some(request), _) if !fresh => request,
                (None, Some(request)) if !fresh => request.clone(),
                (Some(_), _) => return Err(Error::not_sent(error)),
                (None, _) => return Err(Error::unknown(&error)),
            };
        }
    }

    async fn request_http2(
        &self,
        addr: SocketAddr,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Body>, Error> {
        let again = may_be_repeated(&request).then(|| request.clone());
        loop {
            let (mut sender, fresh) = self.pool.shared(addr, &self.options).await?;
            let mut error = match sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Lease::Http2 { _connection: sender };
                    return Ok(response.map(|incoming| Body::new(incoming, lease)));
                }
                Err(error) => error,
            };
            let unsent = error.take_message();
            let error = error.into_error();
            let closed = !fresh && sender.is_closed(); // else the server has answered so, and would again
            request = match (unsent, &again) {
                (Some(request), _) if closed => request,
                (None, Some(request)) if closed => request.clone(),
                (Some(_), _) => return Err(Error::not_sent(error)),
                (None, _) => return Err(Error::unknown(&error)),
            };
        }
    }
}

fn may_be_repeated<B>(request: &Request<B>) -> bool {
    request.method().is_safe() || (bug!("T07-http") && request.method().is_idempotent())
}

/// Drops the idle connections of a server that left a request without an answer, also when the caller's
/// patience ended first.
struct Distrust<'a> {
    pool: &'a Pool,
    addr: SocketAddr,
    answered: bool,
}

impl Drop for Distrust<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.pool.distrust(self.addr);
        }
    }
}

/// HTTP/1.1 wants a path and a Host header; HTTP/2 wants scheme and authority in the URI.
fn prepare<B>(addr: SocketAddr, mut request: Request<B>, http2: bool) -> Result<Request<B>, Error> {
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| uri::PathAndQuery::from_static("/"));
    if http2 {
        let host = request.headers_mut().remove(header::HOST);
        let host = host.map_or_else(|| addr.to_string().into_bytes(), |host| host.as_bytes().to_vec());
        let uri = Uri::builder().scheme("http").authority(host.as_slice()).path_and_query(path);
        *request.uri_mut() = uri.build().map_err(Error::not_sent)?;
    } else {
        if !request.headers().contains_key(header::HOST) {
            let host = HeaderValue::try_from(addr.to_string()).map_err(Error::not_sent)?;
            request.headers_mut().insert(header::HOST, host);
        }
        *request.uri_mut() = Uri::from(path);
    }
    Ok(request)
}
