//! TCP as a process sees it: listeners and streams. They are handles; the connection is the kernel's.

use crate::{
    net::{with, with_if_there},
    process,
    tcp::{EndId, Phase},
};
use madsim::{plugin, task::NodeId};
use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Connections a listener holds that were not accepted yet.
pub const BACKLOG: usize = 1_024;

/// A port that is listened on, as the kernel has it.
pub(crate) struct Listening {
    id: u64,
    addr: SocketAddr,
    /// Handshakes until they are accepted, by the number of the client's end: a SYN that comes twice opens one
    /// connection.
    pub pending: BTreeMap<u64, EndId>,
    pub backlog: VecDeque<EndId>,
    pub waiting: Vec<Waker>,
}

impl Listening {
    pub fn is_for(&self, addr: SocketAddr) -> bool {
        self.addr.ip().is_unspecified() || self.addr.ip() == addr.ip()
    }
    /// The handshake with this client has ended.
    pub fn forget(&mut self, client: u64, id: EndId) {
        if self.pending.get(&client) == Some(&id) {
            self.pending.remove(&client);
            self.backlog.retain(|waiting| *waiting != id);
        }
    }
    /// What waits in the backlog is still among the handshakes.
    pub fn is_full(&self) -> bool {
        self.pending.len() >= BACKLOG
    }
}

#[derive(Debug)]
pub struct TcpListener {
    host: NodeId,
    addr: SocketAddr,
    id: u64,
}

impl TcpListener {
    /// Port 0 takes any free port.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let host = plugin::node();
        with(|state| {
            let own = state.ip_of(host, Some(addr.ip()));
            if !addr.ip().is_unspecified() && !addr.ip().is_loopback() && addr.ip() != own {
                let text = format!("{addr} is not an address of this machine ({own})");
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
            }
            let port = if addr.port() == 0 { state.free_port(host) } else { addr.port() };
            let addr = SocketAddr::new(addr.ip(), port);
            if state.listeners.contains_key(&(host, port)) {
                let text = format!("{addr} is in use");
                return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
            }
            let id = state.next_serial();
            let (pending, backlog, waiting) = Default::default();
            state.listeners.insert((host, port), Listening { id, addr, pending, backlog, waiting });
            Ok(Self { host, addr, id })
        })
    }

    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| {
            with(|state| {
                let key = (self.host, self.addr.port());
                let Some(listening) = state.listeners.get_mut(&key).filter(|one| one.id == self.id) else {
                    let gone =
                        io::Error::new(io::ErrorKind::NotConnected, "the process of this listener has died");
                    return Poll::Ready(Err(gone));
                };
                let Some(id) = listening.backlog.pop_front() else {
                    if !listening.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                        listening.waiting.push(cx.waker().clone());
                    }
                    return Poll::Pending;
                };
                let (end, _) = state.end(id).expect("the backlog holds its ends");
                let (local, remote, client) = (end.local, end.remote, end.peer.serial);
                if let Some(listening) = state.listeners.get_mut(&key) {
                    listening.pending.remove(&client);
                }
                Poll::Ready(Ok((TcpStream { id, local, remote }, remote)))
            })
        })
        .await
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        with_if_there(|state| {
            let key = (self.host, self.addr.port());
            // After a restart the port may belong to a younger listener: hence the id.
            if state.listeners.get(&key).is_none_or(|listening| listening.id != self.id) {
                return;
            }
            let listening = state.listeners.remove(&key);
            for id in listening.into_iter().flat_map(|one| one.pending.into_values()) {
                if let Some(end) = state.remove(id) {
                    end.send_reset(&mut state.wire);
                }
            }
        });
    }
}

#[derive(Debug)]
pub struct TcpStream {
    id: EndId,
    local: SocketAddr,
    remote: SocketAddr,
}

impl TcpStream {
    /// Waits for the handshake: for ever where nothing answers, but for [`crate::tcp::SYN_TRIES`].
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let host = plugin::node();
        let stream = with(|state| {
            let peer = state.host_of(host, addr.ip()).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::HostUnreachable,
                    format!("no machine has the address {}", addr.ip()),
                )
            })?;
            if !process::is_up(host) {
                return Err(io::Error::new(io::ErrorKind::NetworkDown, "this process is dead"));
            }
            let ip = if addr.ip().is_loopback() { addr.ip() } else { state.ip_of(host, None) };
            let local = SocketAddr::new(ip, state.free_port(host));
            let end = state.add(host, peer, Phase::SynSent);
            (end.local, end.remote, end.held) = (local, addr, true);
            let id = end.id;
            if let Some((end, wire)) = state.end(id) {
                end.send_syn(wire);
            }
            Ok(Self { id, local, remote: addr })
        })?;
        poll_fn(|cx| {
            with(|state| {
                let Some((end, _)) = state.end(stream.id) else { return Poll::Ready(Err(dead())) };
                match (end.phase, end.error) {
                    (Phase::SynSent, _) => {
                        end.writer = Some(cx.waker().clone());
                        Poll::Pending
                    }
                    (Phase::Dead, Some(kind)) if kind != io::ErrorKind::ConnectionReset => {
                        Poll::Ready(Err(kind.into()))
                    }
                    _ => Poll::Ready(Ok(())), // a reset meanwhile is seen by reading
                }
            })
        })
        .await?;
        Ok(stream)
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.remote)
    }
}

/// The end is gone: its process was killed, and this is one of its destructors at work.
fn dead() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the process of this connection has died")
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with(|state| {
            let Some((end, wire)) = state.end(self.id) else { return Poll::Ready(Err(dead())) };
            match end.read(wire, out) {
                Some(result) => Poll::Ready(result),
                None => {
                    remember(&mut end.reader, cx);
                    Poll::Pending
                }
            }
        })
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with(|state| {
            let Some((end, wire)) = state.end(self.id) else { return Poll::Ready(Err(dead())) };
            if end.phase == Phase::Open && !end.can_write() {
                remember(&mut end.writer, cx);
                return Poll::Pending;
            }
            Poll::Ready(end.write(wire, parts))
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is held back, so that there are no empty segments.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        with(|state| {
            if let Some((end, wire)) = state.end(self.id) {
                end.finish(wire);
            }
        });
        Poll::Ready(Ok(()))
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        with_if_there(|state| state.let_go(self.id));
    }
}
