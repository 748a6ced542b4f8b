//! Datagrams of the tank.

use super::MAX_FRAME;
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

    /// Sends a frame, or loses it; never waits.
    pub fn send(&self, to: SocketAddr, frame: Bytes) {
        assert!(frame.len() <= MAX_FRAME, "a frame of {} bytes; the limit is {MAX_FRAME}", frame.len());
        self.0.send(to, frame);
    }

    /// The next frame that arrived.
    pub async fn recv(&self) -> io::Result<Bytes> {
        self.0.recv().await
    }
}
