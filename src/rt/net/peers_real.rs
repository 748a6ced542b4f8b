//! Frames between members over TCP: one connection for each direction, made when there is something to send.
//! Promise: `send` never waits. A frame is lost when its queue is full or its connection breaks, as on any
//! datagram network; what gets through arrives whole.

use super::{Endpoint, MAX_FRAME, Stream, TcpListener, TcpStream, lookup::LOOKUP};
use crate::{AbortHandle, Mono, complaints::Complaints, now, sleep, spawn, timeout, tls};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufWriter},
    sync::{Mutex as AsyncMutex, mpsc},
};

/// Frames that wait for one peer, and frames that wait for `recv`.
const QUEUE: usize = 4_096;
const ARRIVED: usize = 256;
/// Bytes of a frame for which room is made before they come.
const AT_ONCE: usize = 128 << 10;
/// Bytes that wait for one peer at the most; one frame is always taken.
const QUEUE_BYTES: usize = 64 << 20;
/// Addresses that have a queue: who is told many makes room for no more than these.
const ADDRESSES: usize = 64;
/// A connection attempt once an address is known, and the silence after one that failed.
const CONNECT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
/// A peer that takes none of our bytes for this long has lost the connection.
const STALLED: Duration = Duration::from_secs(10);

/// A socket for frames between members; a frame may be lost, come twice, or overtake another.
pub struct Peers {
    arrived: AsyncMutex<mpsc::Receiver<Bytes>>,
    outgoing: Mutex<BTreeMap<Endpoint, Outgoing>>,
    deliver: mpsc::Sender<Bytes>,
    listening: Vec<AbortHandle>,
    tls: (Option<tls::Server>, Option<tls::Client>),
}

struct Outgoing {
    frames: mpsc::Sender<Bytes>,
    waiting: Arc<Mutex<usize>>,
    task: AbortHandle,
    last: Mono,
}

impl Peers {
    /// Connections of both directions are secured by `tls`; plain if there is nothing.
    pub async fn bind(addr: SocketAddr, tls: Option<(tls::Server, tls::Client)>) -> io::Result<Self> {
        let (deliver, arrived) = mpsc::channel(ARRIVED);
        let (arrived, outgoing) = (AsyncMutex::new(arrived), Mutex::new(BTreeMap::new()));
        let mut peers = Self { arrived, outgoing, deliver, listening: vec![], tls: tls.unzip() };
        peers.listen_too(addr).await?;
        Ok(peers)
    }

    /// Listens at one more address.
    pub async fn listen_too(&mut self, addr: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(addr).await?;
        let listening = listen(listener, self.tls.0.clone(), self.deliver.clone());
        self.listening.push(spawn(listening).abort_handle());
        Ok(())
    }

    /// Sends a frame, or loses it; never waits.
    pub fn send(&self, to: impl Into<Endpoint>, frame: Bytes) {
        let to = to.into();
        assert!(frame.len() <= MAX_FRAME, "a frame of {} bytes; the limit is {MAX_FRAME}", frame.len());
        let mut outgoing = lock(&self.outgoing);
        make_room(&mut outgoing, &to);
        let peer = outgoing.entry(to.clone()).or_insert_with(|| {
            let (frames, queue) = mpsc::channel(QUEUE);
            let waiting = Arc::new(Mutex::new(0));
            let task = spawn(deliver(to, self.tls.1.clone(), queue, waiting.clone())).abort_handle();
            Outgoing { frames, waiting, task, last: now() }
        });
        peer.last = now();
        let mut waiting = lock(&peer.waiting);
        let length = frame.len();
        if *waiting + length <= QUEUE_BYTES && peer.frames.try_send(frame).is_ok() {
            *waiting += length;
        }
    }

    /// The next frame that arrived.
    pub async fn recv(&self) -> io::Result<Bytes> {
        let frame = self.arrived.lock().await.recv().await;
        frame.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the peer listener has ended"))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.listening.iter().for_each(AbortHandle::abort);
        for peer in lock(&self.outgoing).values() {
            peer.task.abort();
        }
    }
}

/// Forgets the address that was sent nothing for the longest time, if there is no room for this one.
fn make_room(outgoing: &mut BTreeMap<Endpoint, Outgoing>, to: &Endpoint) {
    if outgoing.len() < ADDRESSES || outgoing.contains_key(to) {
        return;
    }
    let oldest = outgoing.iter().min_by_key(|(_, peer)| peer.last).map(|(endpoint, _)| endpoint.clone());
    if let Some(peer) = oldest.and_then(|endpoint| outgoing.remove(&endpoint)) {
        peer.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

async fn listen(listener: TcpListener, tls: Option<tls::Server>, deliver: mpsc::Sender<Bytes>) {
    let mut connections = tokio::task::JoinSet::new(); // they end with the listener
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                connections.spawn(receive(stream, from, tls.clone(), deliver.clone()));
            }
            Err(_) => sleep(PAUSE).await, // out of file descriptors, for example
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Reads frames until the connection ends or breaks the format. A full queue is felt by the sender.
async fn receive(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<tls::Server>,
    deliver: mpsc::Sender<Bytes>,
) {
    let Some(mut stream) = Stream::accepted(stream, from, tls.as_ref()).await else { return };
    while let Some(frame) = read(&mut stream).await {
        if deliver.send(frame).await.is_err() {
            return;
        }
    }
}

/// The next frame; none if the connection ends, or breaks the format. Room is made as bytes come, not as their length says.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    let length = stream.read_u32_le().await.ok()? as usize;
    if length > MAX_FRAME {
        return None;
    }
    let mut frame = Vec::with_capacity(length.min(AT_ONCE));
    stream.take(length as u64).read_to_end(&mut frame).await.ok()?;
    (frame.len() == length).then(|| frame.into())
}

/// Writes the frames for one peer, over one connection after another. What waited for a connection that
/// could not be made is old by then, and dropped.
async fn deliver(
    to: Endpoint,
    tls: Option<tls::Client>,
    mut queue: mpsc::Receiver<Bytes>,
    waiting: Arc<Mutex<usize>>,
) {
    let mut taken = |frame: &Bytes| *lock(&waiting) -= frame.len();
    let patience = if to.address().is_some() { CONNECT } else { LOOKUP + CONNECT };
    let complaints = Complaints::default();
    while let Some(first) = queue.recv().await {
        taken(&first);
        let stream = match timeout(patience, Stream::connect(&to, tls.as_ref())).await {
            Ok(Ok(stream)) => stream,
            failed => {
                if let Ok(Err(error)) = failed
                    && error.kind() == io::ErrorKind::NotFound
                {
                    complaints.say(format!("no connection to the member at {to}: {error}"));
                }
                while let Ok(frame) = queue.try_recv() {
                    taken(&frame);
                }
                sleep(PAUSE).await;
                continue;
            }
        };
        let mut stream = BufWriter::with_capacity(64 << 10, stream);
        let mut next = Some(first);
        while let Some(frame) = next {
            if !matches!(timeout(STALLED, write(&mut stream, &frame, queue.is_empty())).await, Ok(Ok(()))) {
                break;
            }
            next = queue.recv().await;
            next.iter().for_each(&mut taken);
        }
    }
}

async fn write(stream: &mut BufWriter<Stream>, frame: &Bytes, flush: bool) -> io::Result<()> {
    stream.write_u32_le(frame.len() as u32).await?;
    stream.write_all(frame).await?;
    if flush { stream.flush().await } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::book;

    #[test]
    fn addresses_without_end_have_queues_for_the_last_of_them() {
        crate::run(async {
            let here = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
            let peers = Peers::bind(here(0), None).await.expect("a port");
            for port in 1..=1_000 {
                peers.send(here(1), Bytes::new());
                peers.send(here(port), Bytes::new());
            }
            let there = lock(&peers.outgoing)
                .keys()
                .filter_map(Endpoint::address)
                .map(|at| at.port())
                .collect::<Vec<_>>();
            let last = 1_000 - (ADDRESSES as u16 - 2)..=1_000;
            assert_eq!(there, std::iter::once(1).chain(last).collect::<Vec<_>>(), "the one in use stays");
        });
    }

    #[test]
    fn one_whose_name_comes_late_or_whose_address_changes_is_found() {
        crate::run(async {
            let taken = TcpListener::bind(([127, 0, 0, 4], 0).into()).await.expect("a port");
            let port = taken.local_addr().expect("bound").port();
            drop(taken);
            let sender = Peers::bind(([127, 0, 0, 1], 0).into(), None).await.expect("a port");
            let to: Endpoint = format!("moves.test:{port}").parse().expect("a name");
            book::enter("moves.test", &[]);
            sender.send(to.clone(), Bytes::from("lost"));
            sleep(PAUSE).await;
            for last in [4, 5] {
                let receiver = Peers::bind(([127, 0, 0, last], port).into(), None).await.expect("the port");
                book::enter("moves.test", &[&format!("127.0.0.{last}")]);
                let mut heard = None;
                for _ in 0..50 {
                    sender.send(to.clone(), Bytes::from("again"));
                    heard = timeout(PAUSE, receiver.recv()).await.ok().and_then(Result::ok);
                    if heard.is_some() {
                        break;
                    }
                }
                assert_eq!(heard.as_deref(), Some(&b"again"[..]), "at 127.0.0.{last}");
            }
        });
    }

    #[test]
    fn a_frame_is_read_whole_or_not_at_all() {
        crate::run(async {
            let long = vec![7; 3 * AT_ONCE];
            let sent = [&3_u32.to_le_bytes()[..], b"abc", &(long.len() as u32).to_le_bytes(), &long].concat();
            let mut stream = sent.as_slice();
            assert_eq!(read(&mut stream).await.as_deref(), Some(&b"abc"[..]));
            assert_eq!(read(&mut stream).await.as_deref(), Some(long.as_slice()));
            assert_eq!(read(&mut stream).await, None, "it has ended");
            let cut = &sent[..sent.len() - 1];
            assert_eq!(read(&mut &cut[7..]).await, None, "it is cut");
            let endless = (MAX_FRAME as u32 + 1).to_le_bytes();
            assert_eq!(read(&mut endless.as_slice()).await, None, "it is longer than a frame may be");
        });
    }
}
