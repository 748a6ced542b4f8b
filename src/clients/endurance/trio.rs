//! Three real members with mutual TLS, on machines that can be harmed: their disks are small, their clocks their own.

use super::load;
use crate::{
    certificates::{Authority, Files, Valid, Wanted},
    harness::{Members, Process, eventually, wavetank},
};
use etcd::pb;
use rt::tls::{Calling, Identity, Offer, Protocol, Trust};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(60);

/// What the machines are like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    Plain,
    /// The disk of each holds so many MiB.
    SmallDisks(u64),
    /// Each goes by a clock that can be set.
    OwnClocks,
}

pub struct Trio {
    members: Members,
    authority: Authority,
    ground: Ground,
    running: Vec<Option<Process>>,
    /// Keep the small disks while a member is down.
    disks: Vec<Process>,
}

impl Trio {
    /// Starts all three; what they show is valid for so long.
    pub fn start(name: &str, ground: Ground, valid: Valid) -> Self {
        let members = Members::new(name, "https", 3);
        let authority = Authority::new("the authority");
        authority.write(&members.folder.0.join("ca.crt"));
        let mut trio = Self { members, authority, ground, running: vec![None, None, None], disks: vec![] };
        trio.sign("client", Wanted { common_name: "client", ..Wanted::default() });
        trio.certify(valid);
        if let Ground::SmallDisks(size) = ground {
            trio.disks = (1..=3).map(|number| trio.disk(number, size)).collect();
        }
        (1..=3).for_each(|number| trio.set_clock(number, 0));
        (1..=3).for_each(|number| trio.restart(number));
        trio
    }

    fn folder(&self) -> &Path {
        &self.members.folder.0
    }

    fn sign(&self, name: &str, wanted: Wanted) -> Files {
        self.authority.sign(self.folder(), name, wanted)
    }

    /// Gives the members new certificates, in the same files.
    pub fn certify(&self, valid: Valid) {
        let wanted = Wanted {
            common_name: "member",
            address: Some("127.0.0.1"),
            valid,
            serial: 1,
            ..Wanted::default()
        };
        self.sign("served", wanted);
        self.sign("peers", wanted);
    }

    /// How a client calls.
    pub fn calling(&self) -> Calling {
        let Files { cert, key } = Files::at(self.folder(), "client");
        let trust = Trust::Roots(vec![self.folder().join("ca.crt")]);
        let identity = Some(Identity { cert, key });
        Calling { trust, identity, protocol: Protocol::Http, offer: Offer::default() }
    }

    pub fn client(&self, number: u16) -> SocketAddr {
        self.members.client(number).parse().expect("an address")
    }

    pub fn log(&self) -> String {
        self.members.log()
    }

    /// A disk in memory, seen by whoever enters it.
    fn disk(&self, number: u16, size: u64) -> Process {
        let data = self.members.data(number);
        std::fs::create_dir_all(&data).expect("a folder");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c"]);
        command
            .arg(format!("mount -t tmpfs -o size={size}m tmpfs \"$0\" && echo mounted && exec sleep 1000"));
        command.arg(&data);
        let log = self.folder().join(format!("disk-{number}"));
        let disk = Process::spawn(command, &log);
        eventually("the disk is there", LONG, || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if said.contains("mounted") { Ok(()) } else { Err(said) }
        });
        disk
    }

    /// Where a file on the disk of a member is seen from outside.
    fn outside(&self, number: u16, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.disks[usize::from(number) - 1].0.id()));
        root.join(self.members.data(number).strip_prefix("/").expect("an absolute path")).join(name)
    }

    /// Leaves nothing free on the disk of a member.
    pub fn fill(&self, number: u16) {
        let mut filler = std::fs::File::create(self.outside(number, "filler")).expect("a file");
        let block = [0_u8; 4096];
        while std::io::Write::write_all(&mut filler, &block).is_ok() {}
    }

    pub fn free(&self, number: u16) {
        std::fs::remove_file(self.outside(number, "filler")).expect("the filler is there");
    }

    /// Sets a member's clock so many seconds off.
    pub fn set_clock(&self, number: u16, seconds: i64) {
        let (path, next) = (self.clock(number), self.folder().join("clock.next"));
        std::fs::write(&next, format!("{seconds:+}\n")).expect("a file");
        std::fs::rename(next, path).expect("a file");
    }

    fn clock(&self, number: u16) -> PathBuf {
        self.folder().join(format!("clock-{number}"))
    }

    fn args(&self, number: u16) -> Vec<String> {
        let file = |flag: &str, name: &str| format!("--{flag}={}", self.folder().join(name).display());
        let mut args = self.members.args(number);
        for (prefix, name) in [("", "served"), ("peer-", "peers")] {
            args.push(file(&format!("{prefix}cert-file"), &format!("{name}.crt")));
            args.push(file(&format!("{prefix}key-file"), &format!("{name}.key")));
            args.push(file(&format!("{prefix}trusted-ca-file"), "ca.crt"));
            args.push(format!("--{prefix}client-cert-auth"));
        }
        args
    }

    fn command(&self, number: u16) -> Command {
        let mut command = wavetank(&self.args(number));
        match self.ground {
            Ground::Plain => {}
            Ground::OwnClocks => {
                command.env("LD_PRELOAD", faketime()).env("FAKETIME_TIMESTAMP_FILE", self.clock(number));
                command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            }
            Ground::SmallDisks(_) => {
                let disk = self.disks[usize::from(number) - 1].0.id();
                let inside = std::mem::replace(&mut command, Command::new("nsenter"));
                command.args(["--user", "--preserve-credentials", "--mount", "--target", &disk.to_string()]);
                command.arg(inside.get_program()).args(inside.get_args());
            }
        }
        command
    }

    /// Starts a member again, or for the first time.
    pub fn restart(&mut self, number: u16) {
        let process = Process::spawn(self.command(number), &self.folder().join("log"));
        self.running[usize::from(number) - 1] = Some(process);
    }

    /// Starts those again that ended by themselves, as a supervisor does.
    pub fn restart_ended(&mut self) {
        for number in 1..=3 {
            let process = self.running[usize::from(number) - 1].as_mut();
            if process.is_none_or(|process| process.0.try_wait().expect("its state").is_some()) {
                self.restart(number);
            }
        }
    }

    /// kill -9.
    pub fn kill(&mut self, number: u16) {
        self.running[usize::from(number) - 1].take().expect("it runs").kill();
    }

    /// The one that leads, by what most say.
    pub fn leader(&self) -> u16 {
        let mut leader = None;
        eventually("one leads", LONG, || {
            leader = rt::run(async {
                for number in 1..=3 {
                    let status = load::client_at(self, [number]).await.status(pb::StatusRequest {}).await;
                    if let Ok(status) = status
                        && status.header.is_some_and(|header| header.member_id == status.leader)
                    {
                        return Some(number);
                    }
                }
                None
            });
            leader.map(drop).ok_or_else(|| self.log())
        });
        leader.expect("one leads")
    }

    /// Grants a lease of so many seconds.
    pub fn lease(&self, ttl: i64) -> i64 {
        let grant = pb::LeaseGrantRequest { ttl, id: 0 };
        rt::run(async { load::client(self).await.lease_grant(grant).await }).expect("a lease").id
    }

    /// How many seconds a lease has left.
    pub fn left(&self, id: i64) -> i64 {
        let ask = pb::LeaseTimeToLiveRequest { id, keys: false };
        rt::run(async { load::client(self).await.lease_time_to_live(ask).await }).expect("an answer").ttl
    }

    /// Each member holds all of these.
    pub fn holds(&self, keys: &BTreeSet<String>) {
        for number in 1..=3 {
            eventually("it holds all that was acknowledged", LONG, || {
                let found =
                    rt::run(self.keys(number)).map_err(|status| format!("{status:?}; {}", self.log()))?;
                let lost: Vec<&String> = keys.difference(&found).take(5).collect();
                if lost.is_empty() { Ok(()) } else { Err(format!("member {number} lacks {lost:?}")) }
            });
        }
    }

    async fn keys(&self, number: u16) -> Result<BTreeSet<String>, tonic::Status> {
        let client = load::client_at(self, [number]).await;
        let (key, range_end) = (b"load/".to_vec().into(), b"load0".to_vec().into());
        let request = pb::RangeRequest { key, range_end, keys_only: true, ..Default::default() };
        let kvs = client.range(request).await?.kvs;
        Ok(kvs.into_iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned()).collect())
    }
}

/// The library that tells a process another time.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("a folder").flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|path| path.exists()).expect("libfaketime is needed: Debian's package libfaketime")
}
