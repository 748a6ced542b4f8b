//! TCP of the tank.

use std::{
    io::Result,
    mem::take,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net;

pub struct TcpListener(net::TcpListener);

impl TcpListener {
    pub async fn bind(addr: SocketAddr) -> Result<Self> {
        net::TcpListener::bind(addr).await.map(Self)
    }
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr)> {
        let (inner, peer) = self.0.accept().await?;
        Ok((TcpStream { inner, dirty: false }, peer))
    }
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub struct TcpStream {
    inner: net::TcpStream,
    /// Something was written since the last flush.
    dirty: bool,
}

impl TcpStream {
    pub async fn connect(addr: SocketAddr) -> Result<Self> {
        net::TcpStream::connect(addr).await.map(|inner| Self { inner, dirty: false })
    }
    pub fn set_nodelay(&self, on: bool) -> Result<()> {
        self.inner.set_nodelay(on)
    }
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.inner.local_addr()
    }
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, out)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>> {
        self.dirty |= !data.is_empty();
        Pin::new(&mut self.inner).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !take(&mut self.dirty) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
