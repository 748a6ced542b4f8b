//! TLS in the tank: nothing of it can be made, and what follows from that is known to the compiler.

use super::{Calling, CommonName, Identity, Serving};
use crate::net::{Endpoint, TcpStream};
use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fn none<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there is no TLS in the tank"))
}

/// A server's end; none.
#[derive(Clone, Debug)]
pub enum Server {}

impl Server {
    pub async fn load(_: Serving) -> io::Result<Self> {
        none()
    }

    pub fn or_plain(self) -> Self {
        match self {}
    }

    pub(crate) async fn lets_in_plain(&self, _: &TcpStream) -> bool {
        match *self {}
    }

    pub(crate) async fn accept(&self, _: TcpStream, _: SocketAddr) -> Option<Stream> {
        match *self {}
    }
}

/// A client's end; none.
#[derive(Clone, Debug)]
pub enum Client {}

impl Client {
    pub async fn load(_: Calling) -> io::Result<Self> {
        none()
    }

    pub(crate) async fn connect(&self, _: TcpStream, _: &Endpoint) -> io::Result<Stream> {
        match *self {}
    }
}

pub async fn signed_by_itself(_: &Path, _: &[String], _: Duration) -> io::Result<Identity> {
    none()
}

/// A secured connection; none.
pub(crate) enum Stream {}

impl Stream {
    pub(crate) fn common_name(&self) -> Option<CommonName> {
        match *self {}
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match *self {}
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}
