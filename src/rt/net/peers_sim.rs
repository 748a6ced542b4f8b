//! Datagrams of the tank.

use super::{Endpoint, MAX_FRAME};
use crate::tls;
use bytes::Bytes;
use std::{io, net::SocketAddr};
use world::DatagramSocket;

/// A socket for frames between members; a frame may be lost, come twice, or overtake another.
pub struct Peers(DatagramSocket);

impl Peers {
    /// There is no TLS in the tank.
    pub async fn bind(addr: SocketAddr, tls: Option<(tls::Server, tls::Client)>) -> io::Result<Self> {
        if let Some((server, _)) = tls {
            match server {}
        }
        DatagramSocket::bind(addr).await.map(Self)
    }

    /// Refused: who is in the tank listens at one address.
    pub async fn listen_too(&mut self, _: SocketAddr) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "in the tank a member listens at one address"))
    }

    /// Sends a frame, or loses it, as to any name; never waits.
    pub fn send(&self, to: impl Into<Endpoint>, frame: Bytes) {
        assert!(frame.len() <= MAX_FRAME, "a frame of {} bytes; the limit is {MAX_FRAME}", frame.len());
        if let Some(to) = to.into().address() {
            self.0.send(to, frame);
        }
    }

    /// The next frame that arrived.
    pub async fn recv(&self) -> io::Result<Bytes> {
        self.0.recv().await
    }
}
