//! The processes of a plan: their names, addresses and beginnings, and who starts them again when they end by
//! themselves.

use crate::history::seen::{Effect, Seen};
use crate::nemesis::{Nemesis, now};
use crate::plan::Plan;
use crate::scenario::{Process, Role};
use base::{Knobs, MemberId};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use world::{World, disk_harm, process};

pub const CLUSTER_ID: u64 = 0x7a4e;
const CLIENT: u16 = 2379;
const PEER: u16 = 2380;
const API: u16 = 6443;

/// 10.0.ROLE.N, and on from there for many.
pub fn ip(role: Role, number: u64) -> IpAddr {
    let net = match role {
        Role::Member => 1,
        Role::ApiServer => 2,
        Role::Manager => 3,
        Role::Scheduler => 4,
        Role::Node => 16,
    };
    Ipv4Addr::new(10, 0, net + (number / 250) as u8, (number % 250) as u8 + 1).into()
}

/// Clients and others that are not of the cluster.
pub fn client_ip(number: u64) -> IpAddr {
    Ipv4Addr::new(10, 1, (number / 250) as u8, (number % 250) as u8 + 1).into()
}

pub fn stores(plan: &Plan) -> Vec<SocketAddr> {
    plan.cluster.all_members().map(|p| SocketAddr::new(ip(p.role, p.number), CLIENT)).collect()
}

pub fn apiservers(plan: &Plan) -> Vec<SocketAddr> {
    plan.cluster.processes(Role::ApiServer).map(|p| SocketAddr::new(ip(p.role, p.number), API)).collect()
}

/// The same list, beginning at another place for each process, so that not all speak to one.
fn turned(mut servers: Vec<SocketAddr>, number: u64) -> Vec<SocketAddr> {
    if !servers.is_empty() {
        let by = number as usize % servers.len();
        servers.rotate_left(by);
    }
    servers
}

/// Where a member is found by the others, and by clients.
pub fn peer_url(number: u64) -> String {
    format!("http://{}", SocketAddr::new(ip(Role::Member, number), PEER))
}

fn peers(plan: &Plan) -> Vec<SocketAddr> {
    plan.cluster.all_members().map(|p| SocketAddr::new(ip(p.role, p.number), PEER)).collect()
}

/// A machine that stands ready: it becomes a member once it was added.
fn ready(world: &World, plan: &Plan, process: Process, nemesis: &Nemesis, seen: &Seen) {
    let (own, nemesis, seen, ask) =
        (ip(process.role, process.number), nemesis.clone(), seen.clone(), peers(plan));
    world.create(&process.to_string(), own, move || {
        let (name, seen) = (process.to_string(), seen.clone());
        let join = member::Join {
            knobs: nemesis.knobs(&name),
            name,
            data_dir: "/member".into(),
            listen: member::Listen::plain(SocketAddr::new(own, PEER), SocketAddr::new(own, CLIENT)),
            peer: member::Url::plain(SocketAddr::new(own, PEER)),
            ask: ask.iter().filter(|peer| peer.ip() != own).map(|peer| (*peer).into()).collect(),
        };
        async move {
            while !seen.lock().added.contains(&process.number) {
                rt::sleep(Duration::from_millis(200)).await;
            }
            member::join(join).await.map_err(|error| error.to_string())
        }
    });
}

/// Starts every process of the plan. Each start asks the nemesis for the knobs there are by then.
pub fn boot(world: &World, plan: &Plan, nemesis: &Nemesis, seen: &Seen) {
    plan.cluster.ready().for_each(|process| ready(world, plan, process, nemesis, seen));
    for process in plan.cluster.processes(Role::Member) {
        let (config, nemesis) = (member(plan, process), nemesis.clone());
        world.create(&process.to_string(), ip(process.role, process.number), move || {
            let knobs = nemesis.knobs(&process.to_string());
            let start =
                if was_replaced(&config.name) { member::Start::Again } else { member::Start::Founding };
            let config = member::Config { knobs, start, ..config.clone() };
            async move { member::run(config).await.map_err(|error| error.to_string()) }
        });
    }
    for process in plan.cluster.processes(Role::ApiServer) {
        let ip = ip(process.role, process.number);
        let (etcd, nemesis) = (turned(stores(plan), process.number), nemesis.clone());
        world.create(&process.to_string(), ip, move || {
            let (name, listen) = (process.to_string(), SocketAddr::new(ip, API));
            let knobs = nemesis.knobs(&name);
            let config = api::Config {
                name,
                listen,
                etcd: etcd.iter().copied().map(Into::into).collect(),
                etcd_tls: None,
                knobs,
            };
            async move { api::run(config).await.map_err(|error| error.to_string()) }
        });
    }
    for role in [Role::Manager, Role::Scheduler, Role::Node] {
        for process in plan.cluster.processes(role) {
            start(world, plan, process, nemesis);
        }
    }
}

/// Who a candidate for a lock is: whoever comes in its place on another machine is another.
fn identity(name: String) -> String {
    match process::machine() {
        0 => name,
        machine => format!("{name}_{machine}"),
    }
}

fn start(world: &World, plan: &Plan, process: Process, nemesis: &Nemesis) {
    let (nemesis, apiservers) = (nemesis.clone(), turned(apiservers(plan), process.number));
    let name = process.to_string();
    world.create(&name.clone(), ip(process.role, process.number), move || {
        let (knobs, apiservers, name) = (nemesis.knobs(&name), apiservers.clone(), name.clone());
        async move {
            match process.role {
                Role::Manager => {
                    let config = controllers::Config { identity: identity(name), apiservers, knobs };
                    controllers::run(config).await.map_err(|error| error.to_string())
                }
                Role::Scheduler => {
                    let config = scheduler::Config { identity: identity(name), apiservers, knobs };
                    scheduler::run(config).await.map_err(|error| error.to_string())
                }
                _ => {
                    let (node, data_dir) = (name, "/kubelet".into());
                    let config = kubelet::Config { node, apiservers, data_dir, knobs };
                    kubelet::run(config).await.map_err(|error| error.to_string())
                }
            }
        }
    });
}

fn member(plan: &Plan, process: Process) -> member::Config {
    let addresses = plan.cluster.processes(Role::Member).map(|p| {
        let ip = ip(p.role, p.number);
        let (peer, client) = (SocketAddr::new(ip, PEER), SocketAddr::new(ip, CLIENT));
        let found = member::MemberAddr::plain(p.to_string(), peer, client);
        // as by etcd's flags, which name peers only: each says itself where it serves
        let clients = if plan.cluster.ready().next().is_some() { vec![] } else { found.clients };
        (MemberId(p.number), member::MemberAddr { clients, ..found })
    });
    let members: BTreeMap<_, _> = addresses.collect();
    let own = ip(process.role, process.number);
    member::Config {
        id: MemberId(process.number),
        name: process.to_string(),
        cluster_id: CLUSTER_ID,
        start: member::Start::Founding,
        data_dir: "/member".into(),
        listen: member::Listen::plain(SocketAddr::new(own, PEER), SocketAddr::new(own, CLIENT)),
        members: members.clone(),
        knobs: Knobs::default(),
    }
}

/// Starts again what ended by itself, as any service manager would, and writes down why it ended.
pub async fn supervise(plan: Plan, nemesis: Nemesis, seen: Seen) {
    let roles = [Role::Member, Role::ApiServer, Role::Manager, Role::Scheduler, Role::Node];
    let processes = roles.iter().flat_map(|role| plan.cluster.processes(*role)).chain(plan.cluster.ready());
    let names: Vec<String> = processes.map(|process| process.to_string()).collect();
    let mut operator = Operator::default();
    loop {
        rt::sleep(Duration::from_millis(500)).await;
        for name in &names {
            let Some(status) = process::status(name) else { continue };
            if status.up || nemesis.keeps_down(name) || seen.lock().removed.contains(name) {
                continue;
            }
            if let Some(exit) = status.exit {
                base::reached!("tank: a process ended by itself and is started again");
                let why = exit.err().unwrap_or_else(|| "it ended as if it were done".into());
                if why == member::Error::Removed.to_string() && !plan.operators.is_empty() {
                    base::reached!("tank: a member that was removed ended");
                    seen.lock().removed.insert(name.clone());
                    continue;
                }
                operator.hears(name, &why, &seen);
                seen.lock().deaths.push((now(), name.clone(), why));
            }
            process::restart(name);
        }
    }
}

/// Does for a member that ends for its damaged disk what the error says: gives it an empty folder.
#[derive(Default)]
struct Operator {
    /// How often each has said so.
    heard: BTreeMap<String, u32>,
}

impl Operator {
    /// Acts on what it has heard twice. The process is down.
    fn hears(&mut self, name: &str, why: &str, seen: &Seen) {
        if !seen.lock().damage.ended(name, why) {
            return;
        }
        let heard = self.heard.entry(name.to_string()).or_insert(0);
        *heard += 1;
        if *heard > 1
            && let Some(disk) = disk_harm::control(name)
        {
            *heard = 0;
            let files = disk.files().len();
            disk.wipe();
            seen.lost_disk(name);
            let (at, what) = (now(), format!("an empty disk, after damage, for {name}"));
            let (of, did) = (vec![name.to_string()], format!("{files} files lost"));
            seen.lock().harms.push(Effect { at, until: at, of, line: 0, required: false, what, did });
        }
    }
}

/// Whether a process has another disk than it began with. Who gives it one also leaves out that the cluster is new.
fn was_replaced(name: &str) -> bool {
    disk_harm::control(name).is_some_and(|disk| disk.counters().wipes > 0)
}
