//! The body of an answer, as it arrives.
//! Promise: dropping it before its end closes the HTTP/1.1 connection or cancels the HTTP/2 stream, so that a
//! server learns that nobody watches any more; after its end the connection serves the next request.

use super::{
    Error,
    pool::{Http1, Http2, Pool},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use std::{fmt, net::SocketAddr, sync::Arc};

/// What the body holds until it ends.
pub(super) enum Lease {
    Http1 { pool: Arc<Pool>, addr: SocketAddr, connection: Http1 },
    Http2 { _connection: Http2 },
}

pub struct Body {
    incoming: Incoming,
    /// `None` once the body has ended, well or not.
    lease: Option<Lease>,
}

impl Body {
    pub(super) fn new(incoming: Incoming, lease: Lease) -> Self {
        let mut body = Self { incoming, lease: Some(lease) };
        body.end_if_complete();
        body
    }

    /// The next piece; `None` at the regular end, and always after an error.
    pub async fn frame(&mut self) -> Option<Result<Bytes, Error>> {
        while self.lease.is_some() {
            match self.incoming.frame().await {
                Some(Ok(frame)) => {
                    self.end_if_complete();
                    match frame.into_data() {
                        Ok(data) if !data.is_empty() => return Some(Ok(data)),
                        _ => continue, // trailers
                    }
                }
                Some(Err(error)) => {
                    self.lease = None;
                    return Some(Err(Error::body(&error)));
                }
                None => self.end(),
            }
        }
        None
    }

    /// All of it.
    pub async fn collect(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.frame().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.frame().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(more) = self.frame().await.transpose()? {
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    }

    fn end_if_complete(&mut self) {
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(Lease::Http1 { pool, addr, connection }) = self.lease.take() {
            pool.give_back(addr, connection);
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("ended", &self.lease.is_none()).finish()
    }
}
