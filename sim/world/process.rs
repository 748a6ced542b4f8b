//! The processes of a simulation and the machines they run on: one process a machine, each a madsim node.
//! Promise: a process dies in one of two ways. When it *crashes*, its machine goes on: what it wrote is in the
//! page cache, its kernel resets its connections. When its machine *loses power*, un-synced bytes are lost,
//! nobody says good-bye on the network, and the next start is another boot. Whatever a dead process still does
//! (destructors run late) has no effect: it belongs to an incarnation that is over.

use crate::{clock, cpu, disk, memory, order, record, timers};
use base::stream::{Stream, stream};
use madsim::{
    Config,
    plugin::Simulator,
    rand::GlobalRng,
    runtime::{Handle, Runtime},
    task::NodeId,
    time::TimeHandle,
};
use rand::{Rng, RngCore};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// The way a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Death {
    /// The process is gone, its machine lives.
    Process,
    /// The machine lost power.
    Power,
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub up: bool,
    pub paused: bool,
    /// How it went down last; `None` if it never did.
    pub death: Option<Death>,
    /// Counts starts and ends; a handle made in another incarnation is void.
    pub incarnation: u64,
    pub starts: u64,
    pub crashes: u64,
    pub power_cuts: u64,
    /// What `main` returned, if it returned in the last incarnation: `Ok` or the text of the error.
    pub exit: Option<Result<(), String>>,
}

struct Process {
    name: Arc<str>,
    name_hash: u64,
    ip: Option<IpAddr>,
    status: Status,
    boot_id: String,
    /// Counts the machines that had its name before this one.
    machine: u64,
    /// Draws of the process itself; a new one for each start.
    random: Stream,
}

#[derive(Default)]
struct Table {
    seed: u64,
    time: Option<TimeHandle>,
    processes: BTreeMap<NodeId, Process>,
    names: BTreeMap<String, NodeId>,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

/// Takes the time handle from the runtime, which hands it to simulators only.
struct Anchor;

impl Simulator for Anchor {
    fn new(_: &GlobalRng, time: &TimeHandle, _: &Config) -> Self {
        TABLE.with_borrow_mut(|table| table.time = Some(time.clone()));
        Anchor
    }
}

/// Begins a new world on this thread: no processes, empty disks, true clocks, an empty record. To be called
/// before `block_on` and before nodes are made.
pub fn install(runtime: &Runtime, seed: u64) {
    TABLE.set(Table { seed, ..Table::default() });
    runtime.add_simulator::<Anchor>();
    record::reset();
    disk::reset();
    order::reset();
    clock::reset();
    cpu::reset();
    memory::reset();
    timers::install(runtime);
}

/// The seed of this world.
pub fn seed() -> u64 {
    TABLE.with_borrow(|table| table.seed)
}

/// Simulated time since the world began: the true time, which no process sees.
pub fn elapsed() -> Duration {
    TABLE.with_borrow(|table| table.time.as_ref().map(TimeHandle::elapsed).unwrap_or_default())
}

pub(crate) fn time() -> TimeHandle {
    TABLE.with_borrow(|table| table.time.clone()).unwrap_or_else(TimeHandle::current)
}

impl Process {
    fn new(seed: u64, name: &str, ip: Option<IpAddr>) -> Self {
        let status = Status {
            up: true,
            paused: false,
            death: None,
            incarnation: 0,
            starts: 1,
            crashes: 0,
            power_cuts: 0,
            exit: None,
        };
        let boot_id = boot_id_of(seed, name, 0);
        let random = stream(seed, &format!("process {name} 0"));
        let name_hash = record::hash(name.as_bytes());
        Self { name: name.into(), name_hash, ip, status, boot_id, machine: 0, random }
    }

    /// Another machine start: ids drawn from a stream of their own, so that harm moves nothing else.
    fn started(&mut self, seed: u64) {
        self.status.up = true;
        self.status.starts += 1;
        self.status.exit = None;
        self.status.incarnation += 1;
        self.random = stream(seed, &format!("process {} {}", self.name, self.status.starts - 1));
    }
}

/// Shaped as the kernel's boot ids are.
fn boot_id_of(seed: u64, name: &str, boot: u64) -> String {
    let mut draws = stream(seed, &format!("boot {name} {boot}"));
    let (high, low) = (draws.next_u64(), draws.next_u64());
    let (time, mid, version) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    format!(
        "{time:08x}-{mid:04x}-4{version:03x}-{:04x}-{:012x}",
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

/// Makes a process and starts it. `main` runs once for each start; when it returns, the process ends as if it
/// had crashed, and what it returned stands in its status.
pub fn create<F, Fut>(handle: &Handle, name: &str, ip: IpAddr, main: F) -> NodeId
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), String>> + 'static,
{
    let taken = TABLE.with_borrow(|table| table.names.contains_key(name));
    assert!(!taken, "a process named {name} exists already");
    let main = Arc::new(main);
    let run = move || {
        let main = main.clone();
        async move {
            let outcome = cpu::paced(main()).await;
            exited(madsim::plugin::node(), outcome);
        }
    };
    let node = handle.create_node().name(name).ip(ip).init(run).build().id();
    register(node, name, Some(ip));
    node
}

/// Gives a node that was made in another way a name.
pub fn register(node: NodeId, name: &str, ip: Option<IpAddr>) {
    TABLE.with_borrow_mut(|table| {
        let process = Process::new(table.seed, name, ip);
        table.processes.insert(node, process);
        table.names.insert(name.into(), node);
    });
}

/// Nodes nobody named (the supervisor, plain tests) are processes as well.
fn with<T>(node: NodeId, look: impl FnOnce(&mut Process) -> T) -> T {
    TABLE.with_borrow_mut(|table| {
        let seed = table.seed;
        look(table.processes.entry(node).or_insert_with(|| Process::new(seed, &format!("node-{node}"), None)))
    })
}

/// The main future returned. The node is killed as well, so that its kernel closes what it held.
fn exited(node: NodeId, outcome: Result<(), String>) {
    let text = match &outcome {
        Ok(()) => "ok".to_string(),
        Err(error) => error.clone(),
    };
    record::event(node, "exit", record::hash(text.as_bytes()), || text.clone());
    with(node, |process| process.status.exit = Some(outcome));
    end(node, Death::Process);
}

fn end(node: NodeId, death: Death) {
    let was_up = with(node, |process| {
        let status = &mut process.status;
        let was_up = std::mem::replace(&mut status.up, false);
        status.paused = false;
        status.death = Some(death);
        status.incarnation += 1;
        match death {
            Death::Process => status.crashes += u64::from(was_up),
            Death::Power => status.power_cuts += 1,
        }
        was_up
    });
    memory::ended(node);
    if was_up {
        let handle = Handle::current();
        // Paused tasks would be dropped under a lock and in our context; woken ones are dropped in their own.
        handle.resume(node);
        handle.kill(node);
    }
    cpu::ended(node);
    disk::ended(node, death);
    if death == Death::Power {
        clock::reboot(node);
        let seed = seed();
        with(node, |process| {
            process.boot_id = boot_id_of(seed, &process.name, process.status.power_cuts);
        });
    }
}

/// Ends a process. False when there was nothing to end: no such process, or it was down already (power can
/// still be cut from a machine whose process crashed).
pub fn kill(name: &str, death: Death) -> bool {
    let Some(node) = node_of(name) else { return false };
    if !is_up(node) && (death == Death::Process || death_of(node) == Some(Death::Power)) {
        return false;
    }
    record::event(node, "kill", death as u64, || format!("{death:?}"));
    end(node, death);
    true
}

/// Puts another machine in the place of one whose process is down: it has the old one's name and address, an empty
/// disk and ids of its own, and is still to be started. False when the process is up or unknown.
pub fn replace(name: &str) -> bool {
    let Some(node) = node_of(name) else { return false };
    if is_up(node) {
        return false;
    }
    record::event(node, "replace", 0, String::new);
    disk::replaced(node);
    with(node, |process| process.machine += 1);
    true
}

/// Starts a process that is down. False when it is up or unknown.
pub fn restart(name: &str) -> bool {
    let Some(node) = node_of(name) else { return false };
    if is_up(node) {
        return false;
    }
    record::event(node, "restart", 0, String::new);
    let seed = seed();
    with(node, |process| process.started(seed));
    Handle::current().restart(node);
    true
}

/// Stops a process from running; its machine's kernel goes on, its clocks too. False if it was not running.
pub fn pause(name: &str) -> bool {
    let Some(node) = node_of(name) else { return false };
    if !is_up(node) || with(node, |process| std::mem::replace(&mut process.status.paused, true)) {
        return false;
    }
    record::event(node, "pause", 0, String::new);
    Handle::current().pause(node);
    true
}

/// Lets a paused process run again. False if it was not paused.
pub fn resume(name: &str) -> bool {
    let Some(node) = node_of(name) else { return false };
    if !with(node, |process| std::mem::replace(&mut process.status.paused, false)) {
        return false;
    }
    record::event(node, "resume", 0, String::new);
    Handle::current().resume(node);
    true
}

/// The node of a process.
pub fn node_of(name: &str) -> Option<NodeId> {
    TABLE.with_borrow(|table| table.names.get(name).copied())
}

/// Who has this address, in words.
pub(crate) fn named(address: SocketAddr) -> String {
    TABLE.with_borrow(|table| {
        let there = table.processes.values().find(|process| process.ip == Some(address.ip()));
        there.map_or_else(|| address.to_string(), |process| process.name.to_string())
    })
}

/// The name of a node's process.
pub fn name_of(node: NodeId) -> Arc<str> {
    with(node, |process| process.name.clone())
}

pub(crate) fn name_hash(node: NodeId) -> u64 {
    with(node, |process| process.name_hash)
}

/// Every named process, in order of name.
pub fn names() -> Vec<String> {
    TABLE.with_borrow(|table| table.names.keys().cloned().collect())
}

pub fn status(name: &str) -> Option<Status> {
    node_of(name).map(|node| with(node, |process| process.status.clone()))
}

/// Whether a node's process runs (paused or not).
pub fn is_up(node: NodeId) -> bool {
    with(node, |process| process.status.up)
}

/// Which start (and end) of the process this is.
pub fn incarnation(node: NodeId) -> u64 {
    with(node, |process| process.status.incarnation)
}

/// How a node's process went down last. A network asks this when madsim resets a node, to know whether the
/// kernel is there to say so to the peers.
pub fn death_of(node: NodeId) -> Option<Death> {
    with(node, |process| process.status.death)
}

/// The node that has this address.
pub fn node_at(ip: IpAddr) -> Option<NodeId> {
    TABLE.with_borrow(|table| {
        let mut all = table.processes.iter();
        all.find(|(_, process)| process.ip == Some(ip)).map(|(node, _)| *node)
    })
}

pub fn ip_of(node: NodeId) -> Option<IpAddr> {
    with(node, |process| process.ip)
}

/// The running process's boot id: another one after each loss of power.
pub fn boot_id() -> String {
    with(madsim::plugin::node(), |process| process.boot_id.clone())
}

/// How many machines there were before the one the running process is on.
pub fn machine() -> u64 {
    with(madsim::plugin::node(), |process| process.machine)
}

/// The id of the machine the running process is on, shaped as systemd's are: it outlives every boot.
pub fn machine_id() -> String {
    let seed = seed();
    with(madsim::plugin::node(), |process| {
        let mut draws = stream(seed, &format!("machine {} {}", process.name, process.machine));
        format!("{:016x}{:016x}", draws.next_u64(), draws.next_u64())
    })
}

/// Draws from the running process's own stream, which begins anew with each start.
pub fn random<T>(draw: impl FnOnce(&mut Stream) -> T) -> T {
    with(madsim::plugin::node(), |process| draw(&mut process.random))
}

/// Draws a duration of a range, which may be empty.
pub(crate) fn draw_duration(rng: &mut Stream, range: &std::ops::Range<Duration>) -> Duration {
    let (low, high) = (range.start.as_nanos() as u64, range.end.as_nanos() as u64);
    Duration::from_nanos(if low < high { rng.gen_range(low..high) } else { low })
}
