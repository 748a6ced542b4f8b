//! Clients that others wrote, as their users have them: the etcd-client crate of Rust, and Python's etcd3 (gRPC) and
//! etcd3gw (JSON). What each is used for stands in `etcd-client/` and `python/`, as programs that know nothing of who
//! serves them: ours do, one and three, and so does a real etcd, without which a flow could ask for anything.

use crate::harness::{
    ETCDCTL, Folder, Members, Process, etcdctl, eventually, free_ports, succeed, text_of, wait_for,
};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

const PROTOC: &str = "protoc is needed: Debian's packages protobuf-compiler and libprotobuf-dev";
const PYTHON: &str = "python3 with etcd3, etcd3gw and protobuf<3.21 is needed: \
    `python3 -m pip install --target DIR ...`, and DIR in WAVETANK_PYTHON";

/// The program around the crate. It is built outside this workspace, whose flags are not for it.
fn crate_flows(flows: &str, addresses: &str) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let program = BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("etcd-client");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/src/clients/etcd-client/Cargo.toml");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--manifest-path", manifest]);
        cargo.env("CARGO_TARGET_DIR", &target).current_dir(std::env::temp_dir());
        let out = cargo.output().expect("cargo");
        assert!(out.status.success(), "{}\n{PROTOC}", String::from_utf8_lossy(&out.stderr));
        target.join("debug/etcd-client-flows")
    });
    let mut command = Command::new(program);
    command.arg(flows).args(addresses.split(','));
    command
}

fn python(args: &[&str]) -> Command {
    let mut command = Command::new("python3");
    if let Ok(packages) = std::env::var("WAVETANK_PYTHON") {
        command.env("PYTHONPATH", packages);
    }
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/clients/python")).arg("-B").args(args);
    command
}

fn python_flows(script: &str, address: &str, ca: Option<&Path>) -> Command {
    let has = python(&[
        "-c",
        "import os; os.environ['PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION'] = 'python'; \
        import etcd3, etcd3gw",
    ])
    .output()
    .expect(PYTHON);
    assert!(has.status.success(), "{}\n{PYTHON}", String::from_utf8_lossy(&has.stderr));
    let mut command = python(&[script, address]);
    command.args(ca);
    command
}

/// Runs it to its end, which must be a good one after at least so many flows.
fn goes_well(command: Command, flows: usize) {
    let said = succeed(command, "");
    assert!(said.lines().filter(|line| line.starts_with("ok ")).count() >= flows, "{said}");
}

/// Members of ours, and what they were started with.
fn ours(name: &str, size: u16, more: &[&str]) -> (Members, Vec<Process>) {
    let members = Members::new(name, "http", size);
    let running = members.start_all(&[more, &["--bcrypt-cost=4"]].concat());
    wait_for(&members.clients(), &[], || members.log());
    (members, running)
}

/// A real etcd, alone.
struct Etcd {
    _process: Process,
    _folder: Folder,
    address: String,
}

impl Etcd {
    fn start(name: &str) -> Self {
        let (folder, first) = (Folder::new(name), free_ports(2));
        let (address, peer) = (format!("127.0.0.1:{first}"), format!("127.0.0.1:{}", first + 1));
        let mut etcd = Command::new("etcd");
        etcd.args([
            format!("--data-dir={}", folder.0.join("data").display()),
            format!("--listen-client-urls=http://{address}"),
            format!("--advertise-client-urls=http://{address}"),
            format!("--listen-peer-urls=http://{peer}"),
            format!("--initial-advertise-peer-urls=http://{peer}"),
            format!("--initial-cluster=default=http://{peer}"),
        ]);
        let process = Process::spawn(etcd, &folder.0.join("log"));
        wait_for(&address, &[], String::new);
        Self { _process: process, _folder: folder, address }
    }
}

#[test]
fn the_etcd_client_crate_does_its_everyday_work() {
    for size in [1, 3] {
        let (members, _running) = ours(&format!("crate-{size}"), size, &[]);
        goes_well(crate_flows("everyday", &members.clients()), 22);
    }
    goes_well(crate_flows("everyday", &Etcd::start("crate-etcd").address), 22);
}

/// Debian's etcd has none of it yet.
#[test]
fn the_etcd_client_crate_reads_in_pieces_and_outlives_its_tokens() {
    let (members, _running) = ours("crate-newer", 3, &["--auth-token-ttl=2"]);
    goes_well(crate_flows("newer", &members.clients()), 2);
}

#[test]
fn the_etcd_client_crate_adds_a_member_and_removes_it() {
    let (members, _running) = ours("crate-members", 3, &[]);
    let url = format!("http://{}", members.peer(4));
    let mut flow = crate_flows(&format!("learner={url}"), &members.clients());
    let flow = flow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the flow");
    eventually("it is listed", Duration::from_secs(30), || {
        let out = etcdctl(&members.clients(), &["member", "list"]).output().expect(ETCDCTL);
        if text_of(&out).contains(&url) { Ok(()) } else { Err(text_of(&out) + &members.log()) }
    });
    let _fourth = members.start(4, &["--initial-cluster-state=existing"]);
    let out = flow.wait_with_output().expect("it ends");
    assert!(out.status.success(), "{}\n{}", String::from_utf8_lossy(&out.stderr), members.log());
}

#[test]
fn python_does_its_everyday_work_over_grpc() {
    for size in [1, 3] {
        let (members, _running) = ours(&format!("python-grpc-{size}"), size, &[]);
        goes_well(python_flows("over_grpc.py", &members.client(size), None), 11);
    }
    goes_well(python_flows("over_grpc.py", &Etcd::start("python-grpc-etcd").address, None), 11);
}

#[test]
fn python_has_users_over_tls() {
    let members = Members::new("python-tls", "https", 3);
    let _running = members.start_all(&["--auto-tls", "--peer-auto-tls", "--bcrypt-cost=4"]);
    let ca = members.data(1).join("fixtures/client/cert.pem");
    let flag = format!("--cacert={}", ca.display());
    wait_for(&members.client(1), &[&flag], || members.log());
    goes_well(python_flows("over_grpc.py", &members.client(1), Some(&ca)), 12);
}

#[test]
fn python_does_its_everyday_work_over_json() {
    for size in [1, 3] {
        let (members, _running) = ours(&format!("python-json-{size}"), size, &[]);
        goes_well(python_flows("over_json.py", &members.client(size), None), 11);
    }
    goes_well(python_flows("over_json.py", &Etcd::start("python-json-etcd").address, None), 11);
}
