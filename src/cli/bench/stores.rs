//! Members as processes of this machine, ours or a real etcd's: one line of flags starts both.

use super::{Error, measure::Usage};
use base::Knobs;
use etcd::{Client, pb};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

pub enum Kind {
    Ours,
    /// And where it is.
    Etcd(PathBuf),
}

/// A store that runs; stopped, and its data removed, when dropped.
pub struct Store {
    members: Vec<Child>,
    clients: Vec<SocketAddr>,
    folder: PathBuf,
}

/// How long a store may take until it answers.
const READY: Duration = Duration::from_secs(30);
/// Ticks of the kernel's clock in a second, as Linux has it everywhere.
const TICKS: u64 = 100;

/// What the real one says of itself.
pub fn version(program: &Path) -> Result<String, Error> {
    let out = Command::new(program).arg("--version").output();
    let out = out.map_err(|error| {
        format!(
            "{}: {error}; expected a real etcd there (Debian: etcd-server), or --etcd PROGRAM",
            program.display()
        )
    })?;
    Ok(String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_string())
}

impl Store {
    /// Starts so many members, each with an empty folder, and waits until they answer.
    pub async fn start(kind: Kind, members: u16, folder: &Path) -> Result<Self, Error> {
        let ports = free_ports(usize::from(members) * 2)?;
        let mut store = Store { members: vec![], clients: vec![], folder: folder.to_path_buf() };
        let peers: Vec<SocketAddr> = ports.iter().copied().step_by(2).collect();
        store.clients = ports.iter().copied().skip(1).step_by(2).collect();
        let cluster: Vec<String> =
            peers.iter().enumerate().map(|(n, peer)| format!("m{n}=http://{peer}")).collect();
        for (n, (peer, client)) in peers.iter().zip(&store.clients).enumerate() {
            let mut command = match &kind {
                Kind::Ours => {
                    let mut ours = Command::new(std::env::current_exe()?);
                    ours.arg("member");
                    ours
                }
                Kind::Etcd(program) => {
                    let mut etcd = Command::new(program);
                    etcd.arg("--log-level=error");
                    etcd
                }
            };
            command.arg(format!("--name=m{n}")).arg("--data-dir").arg(folder.join(format!("m{n}")));
            command.arg(format!("--listen-client-urls=http://{client}"));
            command.arg(format!("--advertise-client-urls=http://{client}"));
            command.arg(format!("--listen-peer-urls=http://{peer}"));
            command.arg(format!("--initial-advertise-peer-urls=http://{peer}"));
            command.arg(format!("--initial-cluster={}", cluster.join(",")));
            command.arg("--quota-backend-bytes=8589934592");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            store.members.push(command.spawn()?);
        }
        store.wait().await?;
        Ok(store)
    }

    /// Until each of them answers a read that a quorum has to confirm.
    async fn wait(&self) -> Result<(), Error> {
        let deadline = rt::now() + READY;
        for client in &self.clients {
            let client = Client::new(vec![*client], &Knobs::default());
            while let Err(status) =
                client.range(pb::RangeRequest { key: "a".into(), ..Default::default() }).await
            {
                if rt::now() > deadline {
                    return Err(format!("a store did not answer in {READY:?}: {}", status.message()).into());
                }
                rt::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// Connections, spread over the members.
    pub fn clients(&self, connections: u32) -> Vec<Client> {
        let knobs = Knobs { client_timeout_ms: 60_000, ..Knobs::default() };
        let endpoints = self.clients.iter().cycle().take(connections as usize);
        endpoints.map(|endpoint| Client::new(vec![*endpoint], &knobs)).collect()
    }

    /// What its processes used so far.
    pub fn usage(&self) -> Usage {
        let mut all = Usage::default();
        for member in &self.members {
            let of =
                |file: &str| fs::read_to_string(format!("/proc/{}/{file}", member.id())).unwrap_or_default();
            all.cpu += cpu(&of("stat"));
            all.memory += field(&of("status"), "VmRSS:") * 1_024;
            all.written += field(&of("io"), "write_bytes:");
        }
        all
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.kill();
            let _ = member.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// User and system time, fields 14 and 15 of `/proc/PID/stat`, counted behind the name in parentheses.
fn cpu(stat: &str) -> Duration {
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = rest.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 1_000 / TICKS)
}

/// The number behind a name.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Ports that nobody listens on. They were held all at once, so that they differ.
fn free_ports(count: usize) -> Result<Vec<SocketAddr>, Error> {
    let held: Result<Vec<TcpListener>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    Ok(held?.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let stat = "12 (a (strange) name) S 1 12 12 0 -1 4194304 2000 0 0 0 150 50 0 0 20 0 9";
        assert_eq!(cpu(stat), Duration::from_secs(2));
        assert_eq!(field("VmPeak:\t  9 kB\nVmRSS:\t  123 kB\n", "VmRSS:"), 123);
        assert_eq!(field("", "VmRSS:"), 0);
    }
}
