//! The HTTP server: HTTP/1.1 and HTTP/2 with prior knowledge on one port, told apart by HTTP/2's preface.

use super::{Exec, Router, Timer, calm::Calm, keepalive, pings::Pings, weigh::Weighed};
use crate::{
    net::{Stream, TcpListener, TcpStream},
    tls,
};
use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// HTTP/2: silence after which a ping is sent; 0: none is.
    pub keepalive: Duration,
    /// HTTP/2: a ping unanswered for this long ends the connection.
    pub keepalive_timeout: Duration,
    /// HTTP/2: least time between two pings of a client, which is left if it pings more often, or without a stream;
    /// 0: any pace will do.
    pub least_between_pings: Duration,
    /// HTTP/2: streams that may be open at a time on one connection; those that are too many wait on the client's side.
    /// None: any number.
    pub most_streams: Option<u32>,
    /// Connections are secured by this; plain if there is nothing.
    pub tls: Option<tls::Server>,
}

/// An HTTP/1.1 connection without a request for this long is closed; also one that says nothing at all.
const IDLE: Duration = Duration::from_secs(120);
/// After a connection could not be accepted (too many open files, for example).
const PAUSE: Duration = Duration::from_millis(100);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves for ever; ends when dropped, with all its connections.
pub async fn serve(listener: TcpListener, router: Router, options: ServeOptions) -> std::convert::Infallible {
    let mut connections = Connections::default();
    let service = Weighed::new(router);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                connections.add(crate::spawn(connection(stream, from, service.clone(), options.clone())))
            }
            Err(_) => crate::sleep(PAUSE).await,
        }
    }
}

/// The tasks of the open connections.
#[derive(Default)]
struct Connections {
    tasks: Vec<crate::JoinHandle<()>>,
    prune_at: usize,
}

impl Connections {
    fn add(&mut self, task: crate::JoinHandle<()>) {
        self.tasks.push(task);
        if self.tasks.len() > self.prune_at {
            self.tasks.retain(|task| !task.is_finished());
            self.prune_at = self.tasks.len() * 2 + 16;
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.tasks.iter().for_each(crate::JoinHandle::abort);
    }
}

/// Serves one connection to its end. How it ends is of no interest here: the client knows.
async fn connection(stream: TcpStream, from: SocketAddr, service: Weighed, options: ServeOptions) {
    let Some(mut stream) = Stream::accepted(stream, from, options.tls.as_ref()).await else { return };
    let service = service.of(stream.common_name());
    let Ok(Ok((http2, start))) = crate::timeout(IDLE, sniff(&mut stream)).await else { return };
    let stream = Rewound { start, stream };
    if http2 {
        let least = Some(options.least_between_pings).filter(|least| !least.is_zero());
        let pings = least.map(|least| Pings::new(least, PREFACE.len()));
        let io = TokioIo::new(Calm::new(stream, pings));
        let mut builder = http2::Builder::new(Exec);
        builder.timer(Timer).auto_date_header(false).max_concurrent_streams(options.most_streams);
        builder.max_pending_accept_reset_streams(1_024).max_local_error_reset_streams(1_024);
        let (silence, patience) = keepalive(options.keepalive, options.keepalive_timeout);
        builder.keep_alive_interval(silence).keep_alive_timeout(patience);
        let _ = builder.serve_connection(io, service).await;
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(Timer).header_read_timeout(IDLE).auto_date_header(false);
        let _ = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }
}

/// Reads until it is clear whether this is HTTP/2; gives back what was read.
async fn sniff(stream: &mut Stream) -> io::Result<(bool, Bytes)> {
    let mut start = Vec::with_capacity(1_024);
    loop {
        if stream.read_buf(&mut start).await? == 0 {
            return Ok((false, start.into())); // closed: hyper finds out by itself
        }
        let common = start.len().min(PREFACE.len());
        if start[..common] != PREFACE[..common] {
            return Ok((false, start.into()));
        }
        if common == PREFACE.len() {
            return Ok((true, start.into()));
        }
    }
}

/// A stream of which the start has been read already.
struct Rewound {
    start: Bytes,
    stream: Stream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, out);
        }
        let length = self.start.len().min(out.remaining());
        out.put_slice(&self.start.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
