//! Datagrams between members: frames that may be lost, come twice, or overtake each other.
//! Promise: what arrives is whole; a socket holds a bounded number of unread frames and drops the rest.

use crate::{
    net::{State, with, with_if_there},
    process, record,
};
use bytes::Bytes;
use madsim::{plugin, task::NodeId};
use std::{collections::VecDeque, future::poll_fn, io, net::SocketAddr, task::Poll, task::Waker};

/// Unread frames of one socket, and their bytes.
const FRAMES: usize = 8_192;
const BYTES: usize = 128 << 20;

/// A bound socket, as the kernel has it.
pub(crate) struct Socket {
    id: u64,
    inbox: VecDeque<Bytes>,
    bytes: usize,
    reader: Option<Waker>,
}

/// A socket for frames.
pub struct DatagramSocket {
    host: NodeId,
    port: u16,
    id: u64,
}

impl DatagramSocket {
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let host = plugin::node();
        with(|state| {
            state.ip_of(host, Some(addr.ip()));
            let port = if addr.port() == 0 { state.free_port(host) } else { addr.port() };
            if state.sockets.contains_key(&(host, port)) {
                let text = format!("{addr} is in use");
                return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
            }
            let id = state.next_serial();
            state.sockets.insert((host, port), Socket { id, inbox: VecDeque::new(), bytes: 0, reader: None });
            Ok(Self { host, port, id })
        })
    }

    /// Never waits. A frame for an address nobody has is lost.
    pub fn send(&self, to: SocketAddr, frame: Bytes) {
        with(|state| {
            // The destructors of a dead process send nothing.
            let alive = state.sockets.get(&(self.host, self.port)).is_some_and(|socket| socket.id == self.id);
            let Some(peer) = state.host_of(self.host, to.ip()).filter(|_| alive) else { return };
            let link = state.wire.link(self.host, peer);
            state.wire.datagram(link, to.port(), frame);
        });
    }

    /// The next frame.
    pub async fn recv(&self) -> io::Result<Bytes> {
        poll_fn(|cx| {
            with(|state| {
                let socket = state.sockets.get_mut(&(self.host, self.port)).filter(|one| one.id == self.id);
                let Some(socket) = socket else {
                    let gone =
                        io::Error::new(io::ErrorKind::NotConnected, "the process of this socket has died");
                    return Poll::Ready(Err(gone));
                };
                match socket.inbox.pop_front() {
                    Some(frame) => {
                        socket.bytes -= frame.len();
                        Poll::Ready(Ok(frame))
                    }
                    None => {
                        socket.reader = Some(cx.waker().clone());
                        Poll::Pending
                    }
                }
            })
        })
        .await
    }
}

impl Drop for DatagramSocket {
    fn drop(&mut self) {
        with_if_there(|state| {
            let key = (self.host, self.port);
            if state.sockets.get(&key).is_some_and(|socket| socket.id == self.id) {
                state.sockets.remove(&key);
            }
        });
    }
}

impl State {
    pub(crate) fn datagram(&mut self, host: NodeId, from: NodeId, port: u16, frame: Bytes) {
        let socket = self.sockets.get_mut(&(host, port));
        let Some(socket) = socket.filter(|one| one.inbox.len() < FRAMES && one.bytes + frame.len() <= BYTES)
        else {
            self.wire.counters.datagrams_unread += 1;
            return;
        };
        record::event(host, "datagram", record::hash(&frame), || {
            let said = record::describe(&frame).unwrap_or_else(|| format!("{} bytes", frame.len()));
            format!("from {}: {said}", process::name_of(from))
        });
        socket.bytes += frame.len();
        socket.inbox.push_back(frame);
        self.wire.wake.extend(socket.reader.take());
    }
}
