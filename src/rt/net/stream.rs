//! A TCP connection, plain or secured.

use super::{Endpoint, TcpStream};
use crate::tls::{self, CommonName};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) enum Stream {
    Plain(TcpStream),
    Secured(Box<tls::Stream>),
}

impl Stream {
    /// Connects; secured if there is something to secure it with. `NotFound` if a name has no address.
    pub(crate) async fn connect(to: &Endpoint, tls: Option<&tls::Client>) -> io::Result<Self> {
        let stream = connect(to).await?;
        match tls {
            None => Ok(Stream::Plain(stream)),
            Some(tls) => Ok(Stream::Secured(Box::new(tls.connect(stream, to).await?))),
        }
    }

    /// A connection that came, as it is to be; nothing if it was to be secured and could not be.
    pub(crate) async fn accepted(
        stream: TcpStream,
        from: SocketAddr,
        tls: Option<&tls::Server>,
    ) -> Option<Self> {
        match tls {
            Some(tls) if tls.lets_in_plain(&stream).await => Some(Stream::Plain(stream)),
            None => Some(Stream::Plain(stream)),
            Some(tls) => Some(Stream::Secured(Box::new(tls.accept(stream, from).await?))),
        }
    }

    /// Of the certificate that the other side showed.
    pub(crate) fn common_name(&self) -> Option<CommonName> {
        match self {
            Stream::Plain(_) => None,
            Stream::Secured(stream) => stream.common_name(),
        }
    }
}

#[cfg(not(madsim))]
use super::lookup::connect;

/// In the tank nobody knows names.
#[cfg(madsim)]
async fn connect(to: &Endpoint) -> io::Result<TcpStream> {
    let nobody = || io::Error::new(io::ErrorKind::NotFound, format!("{to}: there are no names in the tank"));
    TcpStream::connect(to.address().ok_or_else(nobody)?).await
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, out),
            Stream::Secured(stream) => Pin::new(stream.as_mut()).poll_read(cx, out),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Stream::Secured(stream) => Pin::new(stream.as_mut()).poll_write(cx, data),
        }
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Stream::Secured(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, parts),
        }
    }
    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Secured(stream) => stream.is_write_vectored(),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Secured(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Secured(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
