//! A large state: what it costs in memory and on the disk, how long a restart takes, and what a member needs that joins.
//! Run by hand, in the release build; `KEYS` and `VALUE` (bytes) say how large.

use crate::harness::{Members, Process, eventually, succeed, wait_for, wavetank};
use base::Knobs;
use etcd::{Client, pb};
use rand::RngCore;
use std::{fs, net::SocketAddr, path::Path, time::Duration};

const WRITERS: u64 = 64;
const PATIENCE: Duration = Duration::from_secs(1_800);
const MIB: u64 = 1 << 20;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Resident memory now and at the most, in MiB.
fn memory(process: &Process) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", process.0.id())).expect("it runs");
    let of = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line of it");
        line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") / 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// MiB of the files in a folder.
fn on_disk(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("a folder").flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum::<u64>() / MIB
}

fn snapshots(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder").flatten();
    let names = names.map(|file| file.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".snap")).collect()
}

/// Each writer puts its share of the keys, one after the other; no two values are alike.
fn fill(members: &Members, keys: u64, value: u64) {
    let endpoint = vec![members.client(1).parse::<SocketAddr>().expect("an address")];
    rt::run(async move {
        let clients: Vec<Client> = (0..8).map(|_| Client::new(endpoint.clone(), &Knobs::default())).collect();
        let write = async |writer: u64| {
            let mut draw = base::stream::stream(writer, "values");
            for key in (writer..keys).step_by(WRITERS as usize) {
                let mut value = vec![0; value as usize];
                draw.fill_bytes(&mut value);
                let key = format!("key/{key:012}").into();
                let put = pb::PutRequest { key, value: value.into(), ..Default::default() };
                clients[writer as usize % 8].put(put).await.expect("a put");
            }
        };
        futures::future::join_all((0..WRITERS).map(write)).await;
    });
}

fn keys_at(endpoint: &str) -> i64 {
    let client = Client::new(vec![endpoint.parse::<SocketAddr>().expect("an address")], &Knobs::default());
    let (key, range_end) = ("key/".into(), "key0".into());
    let range = pb::RangeRequest { key, range_end, count_only: true, ..Default::default() };
    rt::run(async move { client.range(range).await.expect("a count").count })
}

#[test]
#[ignore = "takes minutes, and as much memory and disk as it is told"]
fn what_a_large_state_costs() {
    let (keys, value) = (number("KEYS", 100_000), number("VALUE", 1_024));
    let members = Members::new("large", "http", 1);
    let flags = ["--quota-backend-bytes=100000000000"];
    let mut one = members.start(1, &flags);
    wait_for(&members.client(1), &[], || members.log());
    let data = members.data(1);
    let began = rt::now();
    fill(&members, keys, value);
    let took = began.elapsed().as_secs_f64();
    println!("{keys} keys, {value} bytes each: {} MiB of values", keys * value / MIB);
    println!(
        "filled in {took:.0} s; memory (now, most): {:?} MiB; on disk {} MiB",
        memory(&one),
        on_disk(&data)
    );
    println!("snapshots: {:?}", snapshots(&data));
    let wanted = keys_at(&members.client(1));
    assert_eq!(wanted, keys as i64);

    one.kill();
    let began = rt::now();
    let one = members.start(1, &flags);
    eventually("it serves again", PATIENCE, || {
        let mut get = crate::harness::etcdctl(&members.client(1), &["get", "none"]);
        let out = get.output().expect("etcdctl");
        if out.status.success() { Ok(()) } else { Err(members.log()) }
    });
    println!("restarted in {:.1} s; memory: {:?} MiB", began.elapsed().as_secs_f64(), memory(&one));
    assert_eq!(keys_at(&members.client(1)), wanted);

    let began = rt::now();
    let file = members.folder.0.join("backup");
    let endpoint = format!("http://{}", members.client(1));
    let save =
        ["snapshot", "save", &file.display().to_string(), "--endpoints", &endpoint].map(str::to_string);
    succeed(wavetank(&save), "");
    println!("saved in {:.0} s; memory: {:?} MiB", began.elapsed().as_secs_f64(), memory(&one));
    fs::remove_file(&file).expect("the backup");

    let peers = format!("--peer-urls=http://{}", members.peer(2));
    succeed(crate::harness::etcdctl(&members.client(1), &["member", "add", "m2", "--learner", &peers]), "");
    let began = rt::now();
    let two = members.start(2, &["--quota-backend-bytes=100000000000", "--initial-cluster-state=existing"]);
    eventually("it has all of it", PATIENCE, || {
        let promoted =
            crate::harness::etcdctl(&members.client(1), &["member", "list"]).output().expect("etcdctl");
        let list = String::from_utf8_lossy(&promoted.stdout).into_owned();
        let id = list.lines().find(|line| line.contains("m2")).and_then(|line| line.split(',').next());
        let Some(id) = id else { return Err(list) };
        let out = crate::harness::etcdctl(&members.client(1), &["member", "promote", id])
            .output()
            .expect("etcdctl");
        if out.status.success() { Ok(()) } else { Err(members.log()) }
    });
    println!(
        "another joined in {:.0} s; memory of the first: {:?} MiB, of the other: {:?} MiB",
        began.elapsed().as_secs_f64(),
        memory(&one),
        memory(&two)
    );
    assert_eq!(keys_at(&members.client(2)), wanted);
}
