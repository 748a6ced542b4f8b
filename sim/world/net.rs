//! The network of a world: machines, what is under way between them, and the nemesis's handle on it.
//! Promise: a machine without power is silent; one whose process died resets its connections; one that is up
//! refuses what nobody listens for. A cut is one-way, takes what is sent from then on, and never touches what one
//! machine says to itself.

use crate::{
    datagram::Socket,
    link::{Counters, Profile},
    process::{self, Death},
    record,
    stream::Listening,
    tcp::{self, End, EndId, Packet, Phase},
    wire::{Event, Wire, now},
};
use madsim::{
    Config,
    plugin::Simulator,
    rand::GlobalRng,
    runtime::{Handle, Runtime},
    task::NodeId,
    time::TimeHandle,
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    task::Poll,
};

#[derive(Default)]
pub(crate) struct State {
    pub wire: Wire,
    ends: Vec<Option<End>>,
    free: Vec<usize>,
    last_serial: u64,
    pub listeners: BTreeMap<(NodeId, u16), Listening>,
    pub sockets: BTreeMap<(NodeId, u16), Socket>,
    ips: BTreeMap<IpAddr, NodeId>,
    ports: BTreeMap<NodeId, u16>,
    driven: u64,
}

thread_local! {
    static NET: RefCell<State> = RefCell::default();
}

/// Looks at the network, then wakes whoever has to know, and only then: a waker may run anything.
pub(crate) fn with<T>(act: impl FnOnce(&mut State) -> T) -> T {
    let (result, wake) = NET.with_borrow_mut(|state| {
        let result = act(state);
        (result, std::mem::take(&mut state.wire.wake))
    });
    for waker in wake {
        waker.wake();
    }
    result
}

/// As `with`, for destructors: at the end of the thread the network may be gone.
pub(crate) fn with_if_there(act: impl FnOnce(&mut State)) {
    if NET.try_with(|_| ()).is_ok() {
        with(act);
    }
}

/// Hears of the end of processes.
struct Deaths;

impl Simulator for Deaths {
    fn new(_: &GlobalRng, _: &TimeHandle, _: &Config) -> Self {
        Deaths
    }
    /// madsim holds its table of nodes meanwhile: nothing here may ask it anything.
    fn reset_node(&self, host: NodeId) {
        with(|state| state.process_ended(host, process::death_of(host).unwrap_or(Death::Process)));
    }
}

/// Tasks that ended are forgotten by madsim only when it counts them.
const COUNT_TASKS_EVERY: u64 = 50_000;

/// Begins an empty network, and starts its driver.
pub(crate) fn install(runtime: &Runtime) {
    NET.take();
    runtime.add_simulator::<Deaths>();
    let node = runtime.create_node().name("network").build();
    node.spawn(poll_fn(|cx| {
        let count = with(|state| {
            state.wire.driven(cx.waker(), now());
            while let Some(event) = state.wire.due(now()) {
                state.happen(event);
            }
            state.wire.arm();
            state.driven += 1;
            state.driven.is_multiple_of(COUNT_TASKS_EVERY)
        });
        if count {
            Handle::current().metrics().num_tasks();
        }
        Poll::<()>::Pending
    }));
}

impl State {
    // ---- machines ----

    /// The address by which a machine is known to others; taken from what it binds if it was given none.
    pub fn ip_of(&mut self, host: NodeId, bound: Option<IpAddr>) -> IpAddr {
        let known = process::ip_of(host).or(bound).filter(|ip| !ip.is_loopback() && !ip.is_unspecified());
        if let Some(ip) = known {
            self.ips.insert(ip, host);
        }
        known.unwrap_or(IpAddr::from([127, 0, 0, 1]))
    }

    /// The machine a packet for this address goes to.
    pub fn host_of(&mut self, from: NodeId, ip: IpAddr) -> Option<NodeId> {
        if ip.is_loopback() || ip.is_unspecified() {
            return Some(from);
        }
        self.ips.get(&ip).copied().or_else(|| {
            let host = process::node_at(ip)?;
            self.ips.insert(ip, host);
            Some(host)
        })
    }

    /// A port nobody listens on.
    pub fn free_port(&mut self, host: NodeId) -> u16 {
        loop {
            let port = self.ports.entry(host).or_insert(32_767);
            *port = if *port >= 60_999 { 32_768 } else { *port + 1 };
            let port = *port;
            if !self.listeners.contains_key(&(host, port)) && !self.sockets.contains_key(&(host, port)) {
                return port;
            }
        }
    }

    fn powered(host: NodeId) -> bool {
        process::is_up(host) || process::death_of(host) != Some(Death::Power)
    }

    fn process_ended(&mut self, host: NodeId, death: Death) {
        self.listeners.retain(|(node, _), _| *node != host);
        self.sockets.retain(|(node, _), _| *node != host);
        let theirs: Vec<EndId> =
            self.ends.iter().flatten().filter(|end| end.host == host).map(|end| end.id).collect();
        for id in theirs {
            let end = self.remove(id);
            if let Some(end) = end.filter(|end| death == Death::Process && end.peer != EndId::NONE) {
                end.send_reset(&mut self.wire);
            }
        }
    }

    // ---- ends of connections ----

    pub fn next_serial(&mut self) -> u64 {
        self.last_serial += 1;
        self.last_serial
    }

    pub fn add(&mut self, host: NodeId, peer_host: NodeId, phase: Phase) -> &mut End {
        let serial = self.next_serial();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.ends.push(None);
            self.ends.len() - 1
        });
        let link = self.wire.link(host, peer_host);
        let id = EndId { slot, serial };
        self.ends[slot].insert(End::new(id, host, peer_host, phase, link))
    }

    /// An end, and the wire it sends over.
    pub fn end(&mut self, id: EndId) -> Option<(&mut End, &mut Wire)> {
        let end = self.ends.get_mut(id.slot)?.as_mut().filter(|end| end.id == id)?;
        Some((end, &mut self.wire))
    }

    pub fn remove(&mut self, id: EndId) -> Option<End> {
        let slot = self.ends.get_mut(id.slot)?;
        let end = slot.take_if(|end| end.id == id)?;
        self.free.push(id.slot);
        // It may be a handshake that failed.
        if let Some(listening) = self.listeners.get_mut(&(end.host, end.local.port())) {
            listening.forget(end.peer.serial, id);
        }
        Some(end)
    }

    /// A process lets go of its end.
    pub fn let_go(&mut self, id: EndId) {
        let Some((end, wire)) = self.end(id) else { return };
        if end.let_go(wire) {
            end.send_reset(wire);
            self.remove(id);
        } else {
            self.remove_if_over(id);
        }
    }

    fn remove_if_over(&mut self, id: EndId) {
        if self.end(id).is_some_and(|(end, _)| end.is_over()) {
            self.remove(id);
        }
    }

    // ---- what happens ----

    fn happen(&mut self, event: Event) {
        match event {
            Event::Packet { host, to, from, from_host, packet } => {
                self.packet(host, to, from, from_host, packet)
            }
            Event::Syn { host, addr, from, from_host, from_addr } => {
                self.syn(host, addr, from, from_host, from_addr)
            }
            Event::Retransmit { end: id, at } => {
                if let Some((end, wire)) = self.end(id) {
                    end.tick(wire, at);
                    self.remove_if_over(id);
                }
            }
            Event::Acknowledge { end } => {
                if let Some((end, wire)) = self.end(end) {
                    end.delayed_ack(wire);
                }
            }
            Event::Linger { end: id } => {
                if self.end(id).is_some_and(|(end, _)| !end.held) {
                    self.remove(id);
                }
            }
            Event::ResetAgain { link, host, to, from, from_host, tries } => {
                if Self::powered(from_host) {
                    self.wire.reset(link, host, (to, from), from_host, (tries, 0));
                }
            }
            Event::Datagram { host, from, port, frame } => self.datagram(host, from, port, frame),
        }
    }

    fn packet(&mut self, host: NodeId, to: EndId, from: EndId, from_host: NodeId, packet: Packet) {
        let Some((end, wire)) = self.end(to).filter(|(end, _)| !end.refuses(from, &packet)) else {
            return self.unknown(host, to, from, from_host, &packet);
        };
        match packet {
            Packet::Reset => {
                record::event(host, "tcp reset", to.serial, || end.remote.to_string());
                wire.counters.resets += 1;
                let refused = end.phase == Phase::SynSent;
                base::reached!("tank: a connection was refused", refused);
                base::reached!("tank: a connection was reset", !refused);
                wire.counters.refused += u64::from(refused);
                let kind =
                    if refused { io::ErrorKind::ConnectionRefused } else { io::ErrorKind::ConnectionReset };
                end.fail(wire, kind);
            }
            Packet::SynAck => end.opened(wire, from),
            Packet::Data(segment) => {
                if end.phase == Phase::SynReceived {
                    end.established();
                    let (host, port) = (end.host, end.local.port());
                    self.accepted(host, port, to);
                }
                if let Some((end, wire)) = self.end(to) {
                    end.arrived(wire, segment);
                }
            }
        }
        self.remove_if_over(to);
    }

    /// A packet for a connection this machine does not know (any more): answered by a reset.
    fn unknown(&mut self, host: NodeId, to: EndId, from: EndId, from_host: NodeId, packet: &Packet) {
        let link = self.wire.link(host, from_host);
        if !Self::powered(host) {
            base::reached!("tank: a packet came to a machine without power");
            self.wire.links[link].counters.unpowered += 1;
        } else if !matches!(packet, Packet::Reset) {
            base::reached!("tank: a packet came for a connection that is gone");
            self.wire.reset(link, from_host, (from, to), host, (tcp::RESET_TRIES, 0));
            if self.end(to).is_some_and(|(end, _)| !end.held) {
                self.remove(to);
            }
        }
    }

    fn syn(&mut self, host: NodeId, addr: SocketAddr, from: EndId, from_host: NodeId, from_addr: SocketAddr) {
        if !Self::powered(host) {
            let link = self.wire.link(from_host, host);
            self.wire.links[link].counters.unpowered += 1;
            return;
        }
        record::event(host, "tcp syn", from.serial, || {
            format!("from {}, at {addr}", process::named(from_addr))
        });
        let Some(listening) = self.listeners.get_mut(&(host, addr.port())).filter(|one| one.is_for(addr))
        else {
            let link = self.wire.link(host, from_host);
            let peer = (from, EndId::NONE);
            return self.wire.reset(link, from_host, peer, host, (tcp::RESET_TRIES, 0));
        };
        let known = listening.pending.get(&from.serial).copied();
        if known.is_none() && listening.is_full() {
            base::reached!("tank: a SYN was dropped because too many wait");
            return; // dropped; the client will try again
        }
        let id = known.unwrap_or_else(|| {
            let end = self.add(host, from_host, Phase::SynReceived);
            (end.local, end.remote, end.peer) = (addr, from_addr, from);
            let id = end.id;
            let listening = self.listeners.get_mut(&(host, addr.port()));
            listening.expect("found above").pending.insert(from.serial, id);
            id
        });
        match self.end(id) {
            Some((end, wire)) if end.phase != Phase::Dead => end.send_syn_ack(wire),
            _ => {} // it came and went
        }
    }

    /// A handshake is complete: the connection waits for `accept`.
    fn accepted(&mut self, host: NodeId, port: u16, id: EndId) {
        match self.listeners.get_mut(&(host, port)) {
            Some(listening) => {
                listening.backlog.push_back(id);
                self.wire.counters.connections += 1;
                self.wire.wake.append(&mut listening.waiting);
            }
            None => {
                // The listener has closed meanwhile.
                if let Some(end) = self.remove(id) {
                    end.send_reset(&mut self.wire);
                }
            }
        }
    }
}

/// Ends of connections whose processes are kept from what arrives.
#[derive(Clone, Debug, Default)]
pub struct Held(Vec<EndId>);

impl Held {
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// The nemesis's handle on the network. Processes are named; an unknown name is answered by `false`.
#[derive(Clone, Copy, Debug)]
pub struct Net(());

/// The network of this thread's world.
pub fn net() -> Net {
    Net(())
}

impl Net {
    fn on_link(self, from: &str, to: &str, kind: &'static str, act: impl FnOnce(&mut State, usize)) -> bool {
        let (Some(from), Some(to)) = (process::node_of(from), process::node_of(to)) else { return false };
        record::event(from, kind, record::hash(process::name_of(to).as_bytes()), || {
            process::name_of(to).to_string()
        });
        with(|state| {
            let link = state.wire.link(from, to);
            act(state, link);
        });
        true
    }

    /// Takes what `from` sends to `to`, from now on.
    pub fn cut(self, from: &str, to: &str) -> bool {
        self.on_link(from, to, "cut", |state, link| state.wire.links[link].cut = true)
    }

    /// Ends a cut. What TCP still holds is sent again when its timers say so.
    pub fn heal(self, from: &str, to: &str) -> bool {
        self.on_link(from, to, "heal", |state, link| state.wire.links[link].cut = false)
    }

    pub fn is_cut(self, from: &str, to: &str) -> bool {
        let (Some(from), Some(to)) = (process::node_of(from), process::node_of(to)) else { return false };
        with(|state| {
            let link = state.wire.link(from, to);
            state.wire.links[link].cut
        })
    }

    /// Gives one link a profile of its own; `None` takes it away.
    pub fn set_link(self, from: &str, to: &str, profile: Option<Profile>) -> bool {
        self.on_link(from, to, "link profile", |state, link| state.wire.links[link].profile = profile)
    }

    /// The profile one link has of its own.
    pub fn link_profile(self, from: &str, to: &str) -> Option<Profile> {
        let (from, to) = (process::node_of(from)?, process::node_of(to)?);
        with(|state| {
            let link = state.wire.link(from, to);
            state.wire.links[link].profile.clone()
        })
    }

    /// The profile of all links that have none of their own.
    pub fn set_profile(self, profile: Profile) {
        with(|state| state.wire.profile = profile);
    }

    pub fn profile(self) -> Profile {
        with(|state| state.wire.profile.clone())
    }

    /// Keeps from `to` what arrives from `from` on the connections that are open now. They stay alive: its kernel
    /// acknowledges until the window is full. New connections are free.
    pub fn hold(self, from: &str, to: &str) -> Held {
        let mut held = Held::default();
        self.on_link(from, to, "hold", |state, link| {
            let (from, to) = (state.wire.links[link].from, state.wire.links[link].to);
            let theirs = state.ends.iter_mut().flatten();
            for end in theirs.filter(|end| (end.host, end.peer_host) == (to, from)) {
                if end.phase == Phase::Open && end.held {
                    end.holds += 1;
                    held.0.push(end.id);
                }
            }
        });
        held
    }

    /// Hands over what was held. Gives its bytes, and how many of the connections are gone.
    pub fn release(self, held: &Held) -> (u64, usize) {
        with(|state| {
            let (mut bytes, mut gone) = (0, 0);
            for id in &held.0 {
                match state.end(*id) {
                    Some((end, wire)) if end.held && end.phase != Phase::Dead => {
                        record::event(end.host, "tcp release", id.serial, || end.remote.to_string());
                        bytes += end.release(wire);
                    }
                    _ => gone += 1,
                }
            }
            (bytes, gone)
        })
    }

    /// Ends all cuts, all holds and all profiles of single links.
    pub fn heal_all(self) {
        with(|state| {
            for link in &mut state.wire.links {
                (link.cut, link.profile) = (false, None);
            }
            let State { ends, wire, .. } = state;
            for end in ends.iter_mut().flatten().filter(|end| end.holds > 0) {
                end.holds = 1;
                end.release(wire);
            }
        });
    }

    /// Resets every connection between two processes, as a meddling middlebox does. Gives their number.
    pub fn reset_connections(self, one: &str, other: &str) -> usize {
        let (Some(one), Some(other)) = (process::node_of(one), process::node_of(other)) else { return 0 };
        with(|state| {
            let between = |end: &&mut End| {
                (end.host, end.peer_host) == (one, other) || (end.host, end.peer_host) == (other, one)
            };
            let mut ends = 0;
            for end in state.ends.iter_mut().flatten().filter(between).filter(|end| end.phase == Phase::Open)
            {
                record::event(end.host, "tcp reset", end.id.serial, || "by the nemesis".into());
                state.wire.counters.resets += 1;
                end.fail(&mut state.wire, io::ErrorKind::ConnectionReset);
                ends += 1;
            }
            ends / 2 + ends % 2
        })
    }

    /// What happened on all links together.
    pub fn counters(self) -> Counters {
        with(|state| {
            let links = state.wire.links.iter().map(|link| link.counters);
            links.fold(state.wire.counters, |sum, one| sum + one)
        })
    }

    /// What happened on one link.
    pub fn link_counters(self, from: &str, to: &str) -> Counters {
        let (Some(from), Some(to)) = (process::node_of(from), process::node_of(to)) else {
            return Counters::default();
        };
        with(|state| {
            let link = state.wire.link(from, to);
            state.wire.links[link].counters
        })
    }

    /// Ends of connections some kernel holds now.
    pub fn open_ends(self) -> usize {
        with(|state| state.ends.iter().flatten().count())
    }
}
