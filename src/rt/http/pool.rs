//! Connections of a client: HTTP/1.1 ones that wait for their next request, and one shared HTTP/2 connection
//! for each server.
//! Promise: a connection known to be closed is never handed out, and one that hung discredits its siblings.

use super::{ClientOptions, Error, Exec, Timer};
use crate::{AbortHandle, Mono, net::TcpStream};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Connections kept for one server while they have nothing to do, and for how long. Servers close an idle one
/// later than that, so that the race between a request and a close is rare.
const IDLE: usize = 32;
const IDLE_FOR: Duration = Duration::from_secs(60);

/// An HTTP/1.1 connection; closed when dropped.
pub(super) struct Http1 {
    pub sender: http1::SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Http1 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub(super) type Http2 = http2::SendRequest<Full<Bytes>>;

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<BTreeMap<SocketAddr, Vec<(Mono, Http1)>>>,
    shared: Mutex<BTreeMap<SocketAddr, Arc<crate::sync::Mutex<Option<Http2>>>>>,
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Vec<(Mono, Http1)>>> {
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The connection used last, if one is idle and alive.
    pub async fn take(&self, addr: SocketAddr) -> Option<Http1> {
        loop {
            let (since, mut connection) = self.idle().get_mut(&addr)?.pop()?;
            let young = since.elapsed() < IDLE_FOR;
            if young && !connection.sender.is_closed() && connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose exchange is complete.
    pub fn give_back(&self, addr: SocketAddr, connection: Http1) {
        if connection.sender.is_closed() {
            return;
        }
        let mut all = self.idle();
        let idle = all.entry(addr).or_default();
        if idle.len() >= IDLE {
            idle.remove(0);
        }
        idle.push((crate::now(), connection));
    }

    /// A request to this server got no answer: what is idle there may be dead in the same way.
    pub fn distrust(&self, addr: SocketAddr) {
        let dropped = self.idle().remove(&addr);
        drop(dropped); // outside the lock
    }

    /// The shared HTTP/2 connection, made if there is none. True: it is fresh.
    pub async fn shared(&self, addr: SocketAddr, options: &ClientOptions) -> Result<(Http2, bool), Error> {
        let slot = {
            let mut shared = self.shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            shared.entry(addr).or_default().clone()
        };
        let mut slot = slot.lock().await;
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok((sender.clone(), false));
        }
        let sender = http2(addr, options).await?;
        *slot = Some(sender.clone());
        Ok((sender, true))
    }
}

async fn connect(addr: SocketAddr, options: &ClientOptions) -> Result<TokioIo<TcpStream>, Error> {
    let connected = crate::timeout(options.connect_timeout, TcpStream::connect(addr)).await;
    let connected =
        connected.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")));
    connected.map(TokioIo::new).map_err(|error| Error::connect(addr, &error))
}

pub(super) async fn http1(addr: SocketAddr, options: &ClientOptions) -> Result<Http1, Error> {
    let io = connect(addr, options).await?;
    let (sender, connection) = http1::handshake(io).await.map_err(Error::not_sent)?;
    let driver = crate::spawn(async move {
        let _ = connection.await; // whoever has a request on it is told by hyper
    });
    Ok(Http1 { sender, driver: driver.abort_handle() })
}

async fn http2(addr: SocketAddr, options: &ClientOptions) -> Result<Http2, Error> {
    let io = connect(addr, options).await?;
    let mut builder = http2::Builder::new(Exec);
    builder.timer(Timer).max_concurrent_reset_streams(1_024).keep_alive_while_idle(true);
    builder.keep_alive_interval(options.keepalive).keep_alive_timeout(options.keepalive_timeout);
    let (sender, connection) = builder.handshake(io).await.map_err(Error::not_sent)?;
    crate::spawn(async move {
        let _ = connection.await; // ends with its last sender and stream
    });
    Ok(sender)
}
