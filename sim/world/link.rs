//! Links: one for each ordered pair of processes.
//! Promise: whatever happens to what is sent over a link is drawn from that link's own stream, the same number of
//! draws for each thing sent, so that a harm to one link moves nothing on another, and little on its own.

use crate::process;
use base::stream::{Stream, stream};
use madsim::task::NodeId;
use rand::RngCore;
use std::{ops::Range, time::Duration};

/// How a link treats what is sent over it. Chances are from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Uniform.
    pub latency: Range<Duration>,
    /// The chance of the long tail, and the latency there.
    pub tail: f64,
    pub tail_latency: Range<Duration>,
    /// Segments and datagrams lost. A lost segment is sent again by TCP.
    pub loss: f64,
    /// Datagrams that come twice.
    pub duplicate: f64,
    /// Datagrams that may be overtaken by later ones; all else arrives in the order sent.
    pub reorder: f64,
    /// 0: without limit.
    pub bytes_per_second: u64,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(300)..Duration::from_millis(2),
            tail: 0.001,
            tail_latency: Duration::from_millis(10)..Duration::from_millis(60),
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            bytes_per_second: 0,
        }
    }
}

impl Profile {
    /// Latency of this range, and nothing else.
    pub fn steady(latency: Range<Duration>) -> Self {
        Self { latency, tail: 0.0, ..Self::default() }
    }
}

/// What happened on a link, or on all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub segments: u64,
    /// Segments that met a cut, and those lost by chance.
    pub segments_cut: u64,
    pub segments_lost: u64,
    pub segments_retransmitted: u64,
    /// Sent to a machine without power.
    pub unpowered: u64,
    /// Segments and datagrams that took the long tail.
    pub delayed: u64,
    pub datagrams: u64,
    pub datagrams_cut: u64,
    pub datagrams_lost: u64,
    pub datagrams_duplicated: u64,
    pub datagrams_reordered: u64,
    /// Datagrams that found no socket, or a full one.
    pub datagrams_unread: u64,
    pub connections: u64,
    /// Connection ends that were told "reset", and those that gave up on a silent peer.
    pub resets: u64,
    pub timeouts: u64,
    pub refused: u64,
}

macro_rules! add_fields {
    ($($field:ident)*) => {
        impl std::ops::Add for Counters {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self { $($field: self.$field + other.$field,)* }
            }
        }
    };
}
add_fields! {
    segments segments_cut segments_lost segments_retransmitted unpowered delayed datagrams datagrams_cut
    datagrams_lost datagrams_duplicated datagrams_reordered datagrams_unread connections resets timeouts refused
}

/// Between two sockets of one machine.
const LOOPBACK: Range<u64> = 15_000..40_000;

pub(crate) struct Link {
    pub from: NodeId,
    pub to: NodeId,
    loopback: bool,
    pub cut: bool,
    /// `None`: the profile of all links.
    pub profile: Option<Profile>,
    pub counters: Counters,
    draws: Stream,
    /// A slow link is busy until then.
    busy_until: u64,
    /// When the last datagram in order arrives.
    pub last_datagram: u64,
}

/// What the link does with one thing sent, before it is known whether it is a segment or a datagram.
pub(crate) struct Fate {
    pub cut: bool,
    pub lost: bool,
    /// When it arrives, and when its duplicate would.
    pub at: u64,
    pub again: Option<u64>,
    pub reordered: bool,
}

/// A number in the range, by 32 random bits.
fn pick(range: &Range<Duration>, bits: u32) -> u64 {
    let (low, high) = (range.start.as_nanos() as u64, range.end.as_nanos() as u64);
    low + ((u128::from(high.saturating_sub(low)) * u128::from(bits)) >> 32) as u64
}

fn chance(probability: f64, bits: u32) -> bool {
    f64::from(bits) < probability * (f64::from(u32::MAX) + 1.0)
}

impl Link {
    pub fn new(from: NodeId, to: NodeId) -> Self {
        let name = format!("link {}->{}", process::name_of(from), process::name_of(to));
        Self {
            from,
            to,
            loopback: from == to,
            cut: false,
            profile: None,
            counters: Counters::default(),
            draws: stream(process::seed(), &name),
            busy_until: 0,
            last_datagram: 0,
        }
    }

    /// Decides about `bytes` sent now. Three draws, always.
    pub fn send(&mut self, common: &Profile, now: u64, bytes: usize) -> Fate {
        let draws = [self.draws.next_u64(), self.draws.next_u64(), self.draws.next_u64()];
        let [latency, tail, loss, again, twice, order] =
            [0, 1, 2, 3, 4, 5].map(|i| (draws[i / 2] >> (32 * (i % 2))) as u32);
        if self.loopback {
            let at = now + LOOPBACK.start + u64::from(latency) % (LOOPBACK.end - LOOPBACK.start);
            return Fate { cut: false, lost: false, at, again: None, reordered: false };
        }
        let profile = self.profile.as_ref().unwrap_or(common);
        let delayed = chance(profile.tail, tail);
        let latency = pick(if delayed { &profile.tail_latency } else { &profile.latency }, latency);
        self.counters.delayed += u64::from(delayed);
        let mut sent = now;
        let nanobytes = (bytes as u64 + 64).saturating_mul(1_000_000_000);
        if let Some(busy) = nanobytes.checked_div(profile.bytes_per_second) {
            sent = now.max(self.busy_until) + busy;
        }
        let reordered = chance(profile.reorder, order);
        let again = chance(profile.duplicate, twice).then(|| sent + latency + pick(&profile.latency, again));
        let lost = chance(profile.loss, loss);
        let at = sent + latency + if reordered { latency + pick(&profile.latency, order) } else { 0 };
        if !self.cut {
            self.busy_until = sent;
        }
        Fate { cut: self.cut, lost, at, again, reordered }
    }
}
