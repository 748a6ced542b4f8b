//! Datagrams of the tank.

use super::MAX_FRAME;
use bytes::Bytes;
use std::{io, net::SocketAddr};

/// A socket for frames between members; a frame may be lost, come twice, or overtake another.
pub struct Peers(std::sync::Arc<madsim::net::Endpoint>);

impl Peers {
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        madsim::net::Endpoint::bind(addr).await.map(std::sync::Arc::new).map(Self)
    }

    /// Sends a frame, or loses it; never waits.
    pub fn send(&self, to: SocketAddr, frame: Bytes) {
        assert!(frame.len() <= MAX_FRAME, "a frame of {} bytes; the limit is {MAX_FRAME}", frame.len());
        let endpoint = self.0.clone();
        crate::spawn(async move {
            let _ = endpoint.send_to_raw(to, 0, Box::new(frame)).await;
        });
    }

    /// The next frame that arrived.
    pub async fn recv(&self) -> io::Result<Bytes> {
        let (frame, _) = self.0.recv_from_raw(0).await?;
        Ok(*frame.downcast::<Bytes>().expect("Peers sends Bytes only"))
    }
}
