//! What is under way: every segment and datagram between sending and arrival, and the timers of TCP, in one queue
//! with one driver, which is the only task that madsim's timers wake.

use crate::{
    link::{Counters, Fate, Link, Profile},
    process, record,
    tcp::{EndId, MAX_RTO, MIN_RTO, Packet, RESET_TRIES},
};
use bytes::Bytes;
use madsim::task::NodeId;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

pub(crate) enum Event {
    /// A packet arrives at a machine.
    Packet {
        host: NodeId,
        to: EndId,
        from: EndId,
        from_host: NodeId,
        packet: Packet,
    },
    /// The first packet of a connection arrives.
    Syn {
        host: NodeId,
        addr: SocketAddr,
        from: EndId,
        from_host: NodeId,
        from_addr: SocketAddr,
    },
    /// An end's retransmission timer, delayed acknowledgement, end of lingering.
    Retransmit {
        end: EndId,
        at: u64,
    },
    Acknowledge {
        end: EndId,
    },
    Linger {
        end: EndId,
    },
    /// A reset that was lost is sent again.
    ResetAgain {
        link: usize,
        host: NodeId,
        to: EndId,
        from: EndId,
        from_host: NodeId,
        tries: u32,
    },
    Datagram {
        host: NodeId,
        from: NodeId,
        port: u16,
        frame: Bytes,
    },
}

struct Scheduled {
    at: u64,
    seq: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    /// The heap gives the greatest first: the earliest, and of those the one scheduled first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

#[derive(Default)]
pub(crate) struct Wire {
    pub links: Vec<Link>,
    index: BTreeMap<(NodeId, NodeId), usize>,
    pub profile: Profile,
    /// What belongs to no link.
    pub counters: Counters,
    /// Tasks to wake once the borrow of the network has ended.
    pub wake: Vec<Waker>,
    queue: BinaryHeap<Scheduled>,
    next_seq: u64,
    driver: Option<Waker>,
    /// Wake-ups of the driver asked of madsim, the earliest last.
    armed: Vec<u64>,
}

pub(crate) fn now() -> u64 {
    process::elapsed().as_nanos() as u64
}

impl Wire {
    pub fn link(&mut self, from: NodeId, to: NodeId) -> usize {
        *self.index.entry((from, to)).or_insert_with(|| {
            self.links.push(Link::new(from, to));
            self.links.len() - 1
        })
    }

    pub fn schedule(&mut self, at: u64, event: Event) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.queue.push(Scheduled { at, seq, event });
        self.arm();
    }

    /// The next event whose time has come.
    pub fn due(&mut self, now: u64) -> Option<Event> {
        if self.queue.peek()?.at > now {
            return None;
        }
        self.queue.pop().map(|scheduled| scheduled.event)
    }

    /// The driver runs.
    pub fn driven(&mut self, driver: &Waker, now: u64) {
        self.driver = Some(driver.clone());
        while self.armed.last().is_some_and(|at| *at <= now) {
            self.armed.pop();
        }
    }

    /// Asks madsim to wake the driver for the first event, unless it will be awake by then.
    pub fn arm(&mut self) {
        let (Some(first), Some(driver)) = (self.queue.peek(), &self.driver) else { return };
        let at = first.at;
        if self.armed.last().is_some_and(|armed| *armed <= at) {
            return;
        }
        let time = process::time();
        let wait = Duration::from_nanos(at.saturating_sub(time.elapsed().as_nanos() as u64));
        let deadline = time.now_instant() + wait;
        let mut sleep = time.sleep(wait);
        Pin::new(&mut sleep).reset(deadline); // `sleep` alone rounds up to a millisecond
        if Pin::new(&mut sleep).poll(&mut Context::from_waker(driver)).is_ready() {
            driver.wake_by_ref();
        }
        self.armed.push(at);
    }

    /// What the link does with so many bytes.
    fn fate(&mut self, link: usize, bytes: usize) -> Fate {
        self.links[link].send(&self.profile, now(), bytes)
    }

    /// Sends something of TCP. Gives the time of arrival, not before `not_before`; `None` if it is lost.
    pub fn segment(&mut self, link: usize, bytes: usize, not_before: u64) -> Option<u64> {
        let fate = self.fate(link, bytes);
        let counters = &mut self.links[link].counters;
        counters.segments += 1;
        counters.segments_cut += u64::from(fate.cut);
        counters.segments_lost += u64::from(fate.lost && !fate.cut);
        (!fate.cut && !fate.lost).then(|| fate.at.max(not_before))
    }

    /// Sends a reset over a link, with (tries, not before) so far.
    pub fn reset(
        &mut self,
        link: usize,
        host: NodeId,
        (to, from): (EndId, EndId),
        from_host: NodeId,
        (tries, not_before): (u32, u64),
    ) {
        match self.segment(link, 0, not_before) {
            Some(at) => {
                self.schedule(at, Event::Packet { host, to, from, from_host, packet: Packet::Reset });
            }
            None if tries < RESET_TRIES => {
                let at = now() + (MIN_RTO << tries).min(MAX_RTO);
                self.schedule(at, Event::ResetAgain { link, host, to, from, from_host, tries: tries + 1 });
            }
            None => {}
        }
    }

    /// Sends a datagram.
    pub fn datagram(&mut self, link: usize, port: u16, frame: Bytes) {
        let fate = self.fate(link, frame.len());
        let Link { counters, from, to: host, last_datagram, .. } = &mut self.links[link];
        let (from, host) = (*from, *host);
        counters.datagrams += 1;
        if fate.cut || fate.lost {
            base::reached!("tank: a datagram met a cut", fate.cut);
            base::reached!("tank: a datagram was lost", !fate.cut);
            counters.datagrams_cut += u64::from(fate.cut);
            counters.datagrams_lost += u64::from(!fate.cut);
            return;
        }
        base::reached!("tank: a datagram overtook others", fate.reordered);
        base::reached!("tank: a datagram came twice", fate.again.is_some());
        counters.datagrams_reordered += u64::from(fate.reordered);
        counters.datagrams_duplicated += u64::from(fate.again.is_some());
        let at = if fate.reordered {
            fate.at
        } else {
            *last_datagram = fate.at.max(*last_datagram);
            *last_datagram
        };
        if let Some(again) = fate.again {
            self.schedule(again.max(at), Event::Datagram { host, from, port, frame: frame.clone() });
        }
        self.schedule(at, Event::Datagram { host, from, port, frame });
    }

    /// A segment arrived: into the record.
    pub fn record(&self, host: NodeId, remote: SocketAddr, words: &[u64], data: &[u8]) {
        let payload = record::hash_words(words) ^ record::hash(data);
        record::event(host, "tcp", payload, || {
            format!("from {}, {} bytes, {words:?}", process::named(remote), data.len())
        });
    }
}
