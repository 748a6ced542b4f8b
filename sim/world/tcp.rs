//! One end of a TCP connection, as a kernel holds it: it lives on when its process is paused, and lingers after
//! its process has closed it.
//! Promise: bytes arrive once, in order, or the connection fails; a sender is held back by what its peer has not
//! read; what is not acknowledged is sent again, less and less often, and after [`USER_TIMEOUT`] without any
//! progress the end gives up.
//! Not modelled: congestion control, and the time a closed connection's ports stay taken.

use crate::{
    record,
    wire::{Event, Wire, now},
};
use bytes::{Buf, Bytes};
use madsim::task::NodeId;
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    task::Waker,
    time::Duration,
};

/// Bytes a receiver holds unread, and bytes a sender holds unacknowledged.
pub const WINDOW: u64 = 256 << 10;
/// The largest segment; a real card cuts it to packets.
const SEGMENT: usize = 64 << 10;
pub(crate) const MIN_RTO: u64 = ms(200);
pub(crate) const MAX_RTO: u64 = ms(10_000);
/// An end whose peer acknowledges nothing for this long gives up.
pub const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// SYNs are sent again after 1, 2, 4 .. s; after so many, connecting has failed (at 63 s).
pub const SYN_TRIES: u32 = 6;
const SYN_WAIT: u64 = ms(1_000);
const DELAYED_ACK: u64 = ms(40);
/// So many bytes are acknowledged at once.
const ACK_BYTES: u64 = 2 * SEGMENT as u64;
/// A closed end waits so long for its peer to close as well.
const LINGER: u64 = ms(60_000);
/// A lost reset is sent again so often.
pub(crate) const RESET_TRIES: u32 = 7;

const fn ms(count: u64) -> u64 {
    count * 1_000_000
}

/// An end of a connection: its place, and a number that no other end ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndId {
    pub slot: usize,
    pub serial: u64,
}

impl EndId {
    pub const NONE: Self = Self { slot: usize::MAX, serial: 0 };
}

pub(crate) enum Packet {
    SynAck,
    Reset,
    Data(Segment),
}

pub(crate) struct Segment {
    seq: u64,
    data: Bytes,
    fin: bool,
    ack: u64,
    /// The first byte the peer must not send yet.
    edge: u64,
    /// Asks for an acknowledgement though nothing is sent.
    probe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    SynSent,
    SynReceived,
    Open,
    /// Failed; what was received may still be read.
    Dead,
}

struct Chunk {
    seq: u64,
    data: Bytes,
    fin: bool,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.seq + self.data.len() as u64 + u64::from(self.fin)
    }
}

pub(crate) struct End {
    pub id: EndId,
    pub host: NodeId,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub peer: EndId,
    pub peer_host: NodeId,
    pub phase: Phase,
    /// The process holds it.
    pub held: bool,
    /// How many harms keep from the process what arrives.
    pub holds: u32,
    pub error: Option<io::ErrorKind>,
    pub reader: Option<Waker>,
    pub writer: Option<Waker>,
    link: usize,
    last_arrival: u64,

    /// Not yet acknowledged, and of those how many were sent at least once.
    chunks: VecDeque<Chunk>,
    sent: usize,
    written: u64,
    acked: u64,
    finished: bool,
    edge: u64,
    duplicate_acks: u32,
    /// A time-out was answered: all that was sent before it is sent again.
    recovering: bool,

    inbox: VecDeque<Bytes>,
    unread: u64,
    next: u64,
    early: BTreeMap<u64, (Bytes, bool)>,
    peer_finished: bool,
    ack_owed: u64,
    ack_pending: bool,
    told_edge: u64,

    /// The retransmission timer: when it should go off (`u64::MAX`: never), and when it will look.
    timer: u64,
    timer_set: Option<u64>,
    tries: u32,
    rto: u64,
    smoothed: Option<(u64, u64)>,
    timed: Option<(u64, u64)>,
    progress: u64,
}

impl End {
    pub fn new(id: EndId, host: NodeId, peer_host: NodeId, phase: Phase, link: usize) -> Self {
        let unset = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            id,
            host,
            local: unset,
            remote: unset,
            peer: EndId::NONE,
            peer_host,
            phase,
            held: false,
            holds: 0,
            error: None,
            reader: None,
            writer: None,
            link,
            last_arrival: 0,
            chunks: VecDeque::new(),
            sent: 0,
            written: 0,
            acked: 0,
            finished: false,
            edge: WINDOW,
            duplicate_acks: 0,
            recovering: false,
            inbox: VecDeque::new(),
            unread: 0,
            next: 0,
            early: BTreeMap::new(),
            peer_finished: false,
            ack_owed: 0,
            ack_pending: false,
            told_edge: WINDOW,
            timer: u64::MAX,
            timer_set: None,
            tries: 0,
            rto: MIN_RTO,
            smoothed: None,
            timed: None,
            progress: now(),
        }
    }

    /// Nothing is left to do for the kernel.
    pub fn is_over(&self) -> bool {
        let closed = self.finished && self.chunks.is_empty() && self.peer_finished;
        !self.held && (self.phase == Phase::Dead || (self.phase == Phase::Open && closed))
    }

    // ---- what the process does ----

    pub fn can_write(&self) -> bool {
        self.written - self.acked < WINDOW
    }

    /// Takes as much as there is room for.
    pub fn write(&mut self, wire: &mut Wire, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        if self.finished || self.phase != Phase::Open {
            return Err(self.error.unwrap_or(io::ErrorKind::BrokenPipe).into());
        }
        let room = (WINDOW - (self.written - self.acked)) as usize;
        let total = parts.iter().map(|part| part.len()).sum::<usize>().min(room).min(SEGMENT);
        if total == 0 {
            return Ok(0);
        }
        let mut data = Vec::with_capacity(total);
        for part in parts {
            let left = total - data.len();
            data.extend_from_slice(&part[..part.len().min(left)]);
        }
        self.chunks.push_back(Chunk { seq: self.written, data: data.into(), fin: false });
        self.written += total as u64;
        self.pump(wire);
        Ok(total)
    }

    /// One harm less keeps from the process what has arrived; gives the bytes that come late.
    pub fn release(&mut self, wire: &mut Wire) -> u64 {
        let held = self.holds > 0;
        self.holds = self.holds.saturating_sub(1);
        if held && self.holds == 0 {
            wire.wake.extend(self.reader.take())
        }
        self.unread
    }

    /// No more will be written.
    pub fn finish(&mut self, wire: &mut Wire) {
        if self.finished || self.phase != Phase::Open {
            return;
        }
        self.finished = true;
        self.chunks.push_back(Chunk { seq: self.written, data: Bytes::new(), fin: true });
        self.written += 1;
        self.pump(wire);
    }

    /// Fills `out` with what was received; 0 at the end of the stream, `None` if there is nothing yet.
    pub fn read(&mut self, wire: &mut Wire, out: &mut tokio::io::ReadBuf<'_>) -> Option<io::Result<()>> {
        if self.holds > 0 && self.phase != Phase::Dead {
            base::reached!("tank: a process reads nothing of what has arrived");
            return None;
        }
        if self.inbox.is_empty() {
            return match (self.peer_finished, self.error.take()) {
                (true, _) => Some(Ok(())),
                (false, Some(kind)) => Some(Err(kind.into())),
                (false, None) => (self.phase == Phase::Dead).then_some(Ok(())),
            };
        }
        while out.remaining() > 0
            && let Some(first) = self.inbox.front_mut()
        {
            let length = first.len().min(out.remaining());
            out.put_slice(&first[..length]);
            first.advance(length);
            self.unread -= length as u64;
            if first.is_empty() {
                self.inbox.pop_front();
            }
        }
        // A sender that is about to stop, or has, learns that there is room again.
        let (usable, room) = (self.told_edge.saturating_sub(self.next), WINDOW - self.unread);
        if usable < WINDOW / 4 && room >= WINDOW / 2 && self.phase == Phase::Open {
            self.acknowledge(wire, false);
        }
        Some(Ok(()))
    }

    /// The other side of a handshake is known to be there.
    pub fn established(&mut self) {
        (self.phase, self.held, self.timer, self.tries) = (Phase::Open, true, u64::MAX, 0);
    }

    /// The process lets go of it. True: the peer is told by a reset, as bytes it sent were never read.
    pub fn let_go(&mut self, wire: &mut Wire) -> bool {
        self.held = false;
        (self.reader, self.writer) = (None, None);
        match self.phase {
            Phase::Open if self.unread > 0 => {
                base::reached!("tank: a connection was closed with bytes unread");
                true
            }
            Phase::Open => {
                self.finish(wire);
                wire.schedule(now() + LINGER, Event::Linger { end: self.id });
                false
            }
            _ => {
                self.phase = Phase::Dead;
                false
            }
        }
    }

    // ---- what is sent ----

    fn send(&mut self, wire: &mut Wire, packet: Packet) {
        let bytes = if let Packet::Data(segment) = &packet { segment.data.len() } else { 0 };
        let Some(at) = wire.segment(self.link, bytes, self.last_arrival) else { return };
        self.last_arrival = at;
        let (host, to, from, from_host) = (self.peer_host, self.peer, self.id, self.host);
        wire.schedule(at, Event::Packet { host, to, from, from_host, packet });
    }

    pub fn send_syn(&mut self, wire: &mut Wire) {
        if let Some(at) = wire.segment(self.link, 0, self.last_arrival) {
            self.last_arrival = at;
            let (host, addr, from, from_host) = (self.peer_host, self.remote, self.id, self.host);
            wire.schedule(at, Event::Syn { host, addr, from, from_host, from_addr: self.local });
        }
        self.set_timer(wire, now() + (SYN_WAIT << self.tries));
    }

    pub fn send_syn_ack(&mut self, wire: &mut Wire) {
        self.send(wire, Packet::SynAck);
        self.set_timer(wire, now() + (SYN_WAIT << self.tries));
    }

    /// Sends a reset, and again if it is lost, as a kernel does for a close nobody has acknowledged.
    pub fn send_reset(&self, wire: &mut Wire) {
        let not_before = self.last_arrival;
        wire.reset(self.link, self.peer_host, (self.peer, self.id), self.host, (0, not_before));
    }

    fn window_edge(&self) -> u64 {
        self.next + WINDOW - self.unread.min(WINDOW)
    }

    fn send_segment(&mut self, wire: &mut Wire, seq: u64, data: Bytes, fin: bool, probe: bool) {
        (self.ack_owed, self.told_edge) = (0, self.window_edge());
        let segment = Segment { seq, data, fin, ack: self.next, edge: self.told_edge, probe };
        self.send(wire, Packet::Data(segment));
    }

    fn acknowledge(&mut self, wire: &mut Wire, probe: bool) {
        self.send_segment(wire, self.written, Bytes::new(), false, probe);
    }

    /// Sends what the peer has room for.
    fn pump(&mut self, wire: &mut Wire) {
        while self.phase == Phase::Open
            && let Some(chunk) = self.chunks.get_mut(self.sent)
        {
            let room = self.edge.saturating_sub(chunk.seq);
            if room == 0 && !chunk.fin {
                break;
            }
            if (chunk.data.len() as u64) > room {
                let rest = chunk.data.split_off(room as usize);
                let rest = Chunk { seq: chunk.seq + room, data: rest, fin: false };
                self.chunks.insert(self.sent + 1, rest);
            }
            if self.sent == 0 && self.timer == u64::MAX {
                self.progress = now();
            }
            self.sent += 1;
            self.transmit(wire, self.sent - 1);
        }
        if !self.chunks.is_empty() && self.timer == u64::MAX {
            self.set_timer(wire, now() + self.rto);
        }
    }

    fn transmit(&mut self, wire: &mut Wire, index: usize) {
        let chunk = &self.chunks[index];
        let (seq, data, fin, end) = (chunk.seq, chunk.data.clone(), chunk.fin, chunk.end());
        if self.timed.is_none() {
            self.timed = Some((end, now()));
        }
        self.send_segment(wire, seq, data, fin, false);
    }

    fn retransmit(&mut self, wire: &mut Wire, indices: std::ops::Range<usize>) {
        for index in indices {
            wire.links[self.link].counters.segments_retransmitted += 1;
            self.transmit(wire, index);
        }
        self.timed = None; // an answer could be one to either sending
    }

    fn set_timer(&mut self, wire: &mut Wire, at: u64) {
        self.timer = at;
        if self.timer_set.is_none_or(|set| set > at) {
            self.timer_set = Some(at);
            wire.schedule(at, Event::Retransmit { end: self.id, at });
        }
    }

    // ---- what arrives ----

    /// The connection has failed.
    pub fn fail(&mut self, wire: &mut Wire, kind: io::ErrorKind) {
        if self.phase != Phase::Dead {
            (self.phase, self.error, self.timer) = (Phase::Dead, Some(kind), u64::MAX);
            self.chunks.clear();
            wire.wake.extend(self.reader.take().into_iter().chain(self.writer.take()));
        }
    }

    /// The answer to our SYN.
    pub fn opened(&mut self, wire: &mut Wire, peer: EndId) {
        if self.phase == Phase::SynSent {
            (self.phase, self.peer, self.timer, self.tries) = (Phase::Open, peer, u64::MAX, 0);
            wire.wake.extend(self.writer.take());
        }
        self.acknowledge(wire, false); // also when the first one was lost
    }

    pub fn arrived(&mut self, wire: &mut Wire, segment: Segment) {
        let words = [self.id.serial, segment.seq, segment.ack, u64::from(segment.fin)];
        wire.record(self.host, self.remote, &words, &segment.data);
        self.acked_to(wire, &segment);
        if !segment.data.is_empty() || segment.fin {
            self.received(wire, segment);
        } else if segment.probe {
            self.acknowledge(wire, false);
        }
        self.pump(wire);
        if self.ack_owed > ACK_BYTES {
            self.acknowledge(wire, false);
        } else if self.ack_owed > 0 && !self.ack_pending {
            self.ack_pending = true;
            wire.schedule(now() + DELAYED_ACK, Event::Acknowledge { end: self.id });
        }
    }

    fn acked_to(&mut self, wire: &mut Wire, segment: &Segment) {
        let pure = segment.data.is_empty() && !segment.fin;
        let same_edge = segment.edge <= self.edge;
        self.edge = self.edge.max(segment.edge);
        if segment.ack > self.acked {
            self.advance(wire, segment.ack);
        } else if segment.ack == self.acked && pure {
            self.progress = if self.sent == 0 { now() } else { self.progress };
            if same_edge && self.sent > 0 {
                self.duplicate_acks += 1;
                if self.duplicate_acks == 3 {
                    base::reached!("tank: a lost segment was sent again at the third hint");
                    self.retransmit(wire, 0..1);
                }
            }
        }
    }

    fn advance(&mut self, wire: &mut Wire, ack: u64) {
        let now = now();
        (self.acked, self.progress, self.duplicate_acks, self.tries) = (ack, now, 0, 0);
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= ack) {
            self.chunks.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
        if let Some(front) = self.chunks.front_mut().filter(|front| front.seq < ack) {
            front.data.advance((ack - front.seq) as usize);
            front.seq = ack;
        }
        if let Some((_, at)) = self.timed.take_if(|(end, _)| *end <= ack) {
            self.measured(now - at);
        }
        if std::mem::take(&mut self.recovering) {
            self.retransmit(wire, 0..self.sent);
        }
        self.timer = u64::MAX;
        if !self.chunks.is_empty() {
            self.set_timer(wire, now + self.rto);
        }
        if self.can_write() {
            wire.wake.extend(self.writer.take());
        }
    }

    /// The retransmission time-out follows the measured round trips (RFC 6298).
    fn measured(&mut self, round_trip: u64) {
        let (mean, deviation) = match self.smoothed {
            None => (round_trip, round_trip / 2),
            Some((mean, deviation)) => {
                ((mean * 7 + round_trip) / 8, (deviation * 3 + mean.abs_diff(round_trip)) / 4)
            }
        };
        self.smoothed = Some((mean, deviation));
        self.rto = (mean + 4 * deviation).clamp(MIN_RTO, MAX_RTO);
    }

    fn received(&mut self, wire: &mut Wire, segment: Segment) {
        let Segment { seq, data, fin, .. } = segment;
        let end = seq + data.len() as u64 + u64::from(fin);
        if end <= self.next || end > self.next + WINDOW + 1 {
            base::reached!("tank: a segment came twice");
            return self.acknowledge(wire, false); // old, or more than we ever allowed
        }
        if seq > self.next {
            base::reached!("tank: a segment overtook another");
            self.early.insert(seq, (data, fin));
            return self.acknowledge(wire, false);
        }
        let known = (self.next - seq).min(data.len() as u64);
        self.accept(data.slice(known as usize..), fin);
        while let Some((first, (data, fin))) = self.early.pop_first() {
            if first > self.next {
                self.early.insert(first, (data, fin));
                break;
            }
            let end = first + data.len() as u64 + u64::from(fin);
            if end > self.next {
                let known = (self.next - first).min(data.len() as u64);
                self.accept(data.slice(known as usize..), fin);
            }
        }
        wire.wake.extend(self.reader.take());
    }

    fn accept(&mut self, data: Bytes, fin: bool) {
        self.next += data.len() as u64 + u64::from(fin);
        self.ack_owed += data.len() as u64 + 1;
        self.peer_finished |= fin;
        self.unread += data.len() as u64;
        if !data.is_empty() {
            self.inbox.push_back(data);
        }
    }

    /// What is answered by a reset: data for a process that closed its end, and the answer to a second SYN
    /// that was on its way when the first one's came.
    pub fn refuses(&self, from: EndId, packet: &Packet) -> bool {
        match packet {
            Packet::Reset => false,
            Packet::SynAck => self.peer != EndId::NONE && self.peer != from,
            Packet::Data(_) if self.phase == Phase::Dead => true,
            Packet::Data(segment) => !self.held && self.phase == Phase::Open && !segment.data.is_empty(),
        }
    }

    // ---- what time does ----

    pub fn delayed_ack(&mut self, wire: &mut Wire) {
        self.ack_pending = false;
        if self.ack_owed > 0 && self.phase == Phase::Open {
            self.acknowledge(wire, false);
        }
    }

    /// The retransmission timer looks.
    pub fn tick(&mut self, wire: &mut Wire, set_for: u64) {
        if self.timer_set != Some(set_for) {
            return; // an earlier one was set since
        }
        self.timer_set = None;
        if self.timer > now() {
            if self.timer != u64::MAX {
                self.set_timer(wire, self.timer);
            }
            return;
        }
        self.timer = u64::MAX;
        self.tries += 1;
        match self.phase {
            Phase::Dead => {}
            Phase::SynSent | Phase::SynReceived if self.tries >= SYN_TRIES => {
                base::reached!("tank: a handshake was given up");
                self.fail(wire, io::ErrorKind::TimedOut);
            }
            Phase::SynSent => {
                base::reached!("tank: a SYN was sent again");
                self.send_syn(wire);
            }
            Phase::SynReceived => self.send_syn_ack(wire),
            Phase::Open => self.overdue(wire),
        }
    }

    fn overdue(&mut self, wire: &mut Wire) {
        let now = now();
        if now >= self.progress + USER_TIMEOUT.as_nanos() as u64 {
            base::reached!("tank: a connection was given up after 30 s of silence");
            wire.counters.timeouts += 1;
            record::event(self.host, "tcp time-out", self.id.serial, || self.remote.to_string());
            return self.fail(wire, io::ErrorKind::TimedOut);
        }
        if self.sent > 0 {
            base::reached!("tank: a segment was sent again when its time was up");
            self.recovering = self.sent > 1;
            self.retransmit(wire, 0..1);
        } else {
            base::reached!("tank: a sender asks whether there is room again");
            self.acknowledge(wire, true); // the peer has no room: has it now?
        }
        let wait = (self.rto << self.tries.min(16)).min(MAX_RTO);
        self.set_timer(wire, now + wait);
    }
}
