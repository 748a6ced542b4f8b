//! Members of the store and API servers in a world, and processes beside them. Other crates' tests stand on this
//! too.
#![allow(dead_code)] // each of them uses a part

use base::{Knobs, MemberId};
use member::MemberAddr;
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};
use world::World;

/// The name of an API server.
pub fn server(id: u8) -> String {
    format!("api-{id}")
}

fn member_addr(id: u64, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([10, 0, 0, id as u8]), port)
}

pub fn server_addr(id: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([10, 0, 1, id]), 8080)
}

/// Starts members and API servers.
pub fn start(world: &World, members: u64, servers: u8, knobs: &Knobs) {
    (1..=members).for_each(|id| start_member(world, id, members, knobs));
    (1..=servers).for_each(|id| start_server(world, id, members, knobs));
}

fn start_member(world: &World, id: u64, members: u64, knobs: &Knobs) {
    let member = |id| MemberAddr::plain(format!("member-{id}"), member_addr(id, 2380), member_addr(id, 2379));
    let config = member::Config {
        id: MemberId(id),
        name: format!("member-{id}"),
        cluster_id: 1,
        start: member::Start::Founding,
        data_dir: "/data".into(),
        listen: member::Listen::plain(member_addr(id, 2380), member_addr(id, 2379)),
        members: (1..=members).map(|id| (MemberId(id), member(id))).collect(),
        knobs: knobs.clone(),
    };
    world.create(&config.name.clone(), member_addr(id, 0).ip(), move || {
        let config = config.clone();
        async move { member::run(config).await.map_err(|error| error.to_string()) }
    });
}

fn start_server(world: &World, id: u8, members: u64, knobs: &Knobs) {
    let config = api::Config {
        name: server(id),
        listen: server_addr(id),
        etcd: (1..=members).map(|id| member_addr(id, 2379).into()).collect(),
        etcd_tls: None,
        knobs: knobs.clone(),
    };
    world.create(&server(id), server_addr(id).ip(), move || {
        let config = config.clone();
        async move { api::run(config).await.map_err(|error| error.to_string()) }
    });
}

/// Runs a future in a process of its own and gives what it gave.
pub async fn process<T, F>(world: &World, name: &str, act: impl FnOnce() -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    let (answer, result) = rt::sync::oneshot::channel();
    let once = Arc::new(Mutex::new(Some((act, answer))));
    let number = name.bytes().fold(1u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    world.create(name, [10, 0, 2, number].into(), move || {
        let once = once.lock().unwrap().take();
        async move {
            if let Some((act, answer)) = once {
                let _ = answer.send(act().await);
            }
            Ok(())
        }
    });
    result.await.expect("a process that runs to its end")
}

/// Looks until it is so, for `seconds` at the most.
pub async fn eventually(seconds: u64, so: impl AsyncFn() -> bool) {
    for _ in 0..seconds * 20 {
        if so().await {
            return;
        }
        rt::sleep(base::knobs::ms(50)).await;
    }
    panic!("it never came to be so");
}
