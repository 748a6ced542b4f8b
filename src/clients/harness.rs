//! Starts and stops the real binary, and runs clients against it.

use std::{
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

/// A folder of the test's own, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `count` ports in a row that are free now, and that no other test of this process is given. They lie below
/// the range from which the kernel takes ports for outgoing connections.
pub fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 12_000 + (std::process::id() % 900) as u16 * 20;
    for _ in 0..200 {
        let first = start + NEXT.fetch_add(count, Ordering::Relaxed);
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(free) {
            return first;
        }
    }
    panic!("no {count} free ports in a row from {start} on");
}

/// A process that dies with the test.
pub struct Process(pub Child);

impl Process {
    /// Starts the real binary.
    pub fn start(args: &[String], log: &Path) -> Self {
        Self::start_in(Path::new("."), args, log)
    }

    /// The same, in a folder.
    pub fn start_in(folder: &Path, args: &[String], log: &Path) -> Self {
        let mut command = wavetank(args);
        command.current_dir(folder);
        Self::spawn(command, log)
    }

    /// Starts whatever this is; what it prints is added to the log.
    pub fn spawn(mut command: Command, log: &Path) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        command.stdout(log.try_clone().expect("a log")).stderr(log).stdin(Stdio::null());
        let shown = format!("{command:?}");
        Process(command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}")))
    }

    /// Ctrl-C; gives true when it ended by itself and said that all was well.
    pub fn interrupt(&mut self) -> bool {
        let sent = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        let mut well = false;
        eventually("it stops", Duration::from_secs(20), || match self.0.try_wait() {
            Ok(Some(status)) => {
                well = status.success();
                Ok(())
            }
            waited => Err(format!("{waited:?}")),
        });
        well
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The real binary, to be run to its end.
pub fn wavetank(args: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
    command.args(args).stdin(Stdio::null());
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `wavetank serve` with its folder and ports.
pub struct Served {
    /// Before the folder: it is stopped first.
    pub process: Process,
    pub folder: Folder,
    pub etcd: String,
    api: u16,
}

impl Served {
    pub fn start(name: &str, members: u16, nodes: u16) -> Self {
        let folder = Folder::new(name);
        let first = free_ports(2 * members + 1);
        let api = first + 2 * members;
        let args = |text: &str| text.split(' ').map(str::to_string).collect::<Vec<_>>();
        let mut line =
            args(&format!("serve --members {members} --nodes {nodes} --port {api} --etcd-port {first}"));
        line.extend(["--data-dir".into(), folder.0.join("data").display().to_string()]);
        let process = Process::start(&line, &folder.0.join("log"));
        let etcd: Vec<String> = (0..members).map(|i| format!("127.0.0.1:{}", first + 2 * i)).collect();
        Served { process, folder, etcd: etcd.join(","), api }
    }

    pub fn etcdctl(&self, args: &[&str]) -> Command {
        etcdctl(&self.etcd, args)
    }

    pub fn kubectl(&self, args: &[&str]) -> Command {
        let program = std::env::var("WAVETANK_KUBECTL").unwrap_or_else(|_| "kubectl".into());
        let mut command = Command::new(program);
        command.arg("--kubeconfig").arg(self.folder.0.join("data/kubeconfig")).args(args);
        command.env("HOME", &self.folder.0).env("NO_PROXY", "*");
        command
    }

    /// What the processes printed, for a failure's message.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }

    /// Waits until the API server answers and `nodes` nodes are ready.
    pub fn wait_ready(&self, nodes: usize) {
        eventually(&format!("{nodes} nodes are Ready on port {}", self.api), Duration::from_secs(60), || {
            let out = self.kubectl(&["get", "nodes", "--no-headers"]).output().expect(KUBECTL);
            let text = text_of(&out);
            if text.lines().filter(|line| line.contains(" Ready ")).count() == nodes {
                Ok(())
            } else {
                Err(format!("{text}\n{}\n{}", String::from_utf8_lossy(&out.stderr), self.log()))
            }
        });
    }
}

pub const KUBECTL: &str = "kubectl is needed: put it on the PATH, or its path into WAVETANK_KUBECTL";
pub const ETCDCTL: &str = "etcdctl is needed: Debian's package etcd-client";

/// Waits until each endpoint answers; etcdctl is given these flags.
pub fn wait_for(endpoints: &str, flags: &[&str], log: impl Fn() -> String) {
    for endpoint in endpoints.split(',') {
        eventually("each endpoint answers", Duration::from_secs(30), || {
            let out = etcdctl(endpoint, &["get", "none"]).args(flags).output().expect(ETCDCTL);
            let errors = String::from_utf8_lossy(&out.stderr).into_owned();
            if out.status.success() { Ok(()) } else { Err(errors + &log()) }
        });
    }
}

pub fn etcdctl(endpoints: &str, args: &[&str]) -> Command {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").arg("--endpoints").arg(endpoints).args(args).stdin(Stdio::null());
    command
}

pub fn text_of(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs to the end, with something on its standard input, and gives what it printed; a failure fails the test.
pub fn succeed(mut command: Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = format!("{command:?}");
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}. {KUBECTL}; {ETCDCTL}"));
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads its input");
    let out = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{shown}\n{}\n{errors}", text_of(&out));
    text_of(&out)
}

/// Tries until it holds, or fails the test with the last reason.
#[allow(clippy::disallowed_methods)] // real clients, real time
pub fn eventually(what: &str, within: Duration, mut holds: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + within;
    loop {
        match holds() {
            Ok(()) => return,
            Err(why) if Instant::now() > deadline => panic!("not within {within:?}: {what}\n{why}"),
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// The address of every member here.
const HERE: &str = "127.0.0.1";

/// Members on loopback, each a process of its own, started with etcd's flags.
pub struct Members {
    pub folder: Folder,
    /// `http` or `https`, of both kinds of URLs.
    scheme: &'static str,
    first: u16,
    size: u16,
    /// The name by which members are reached; without one they are by address.
    machine: Option<&'static str>,
}

impl Members {
    /// A cluster of so many to be; ports are kept for three more.
    pub fn new(name: &str, scheme: &'static str, size: u16) -> Self {
        Self { folder: Folder::new(name), scheme, first: free_ports(2 * (size + 3)), size, machine: None }
    }

    pub fn size(&self) -> u16 {
        self.size
    }

    /// Members that listen everywhere, and are reached by this name.
    pub fn by_name(self, machine: &'static str) -> Self {
        Self { machine: Some(machine), ..self }
    }

    /// Where others reach one.
    pub fn peer_url(&self, number: u16) -> String {
        self.url(&self.peer(number))
    }

    pub fn client_url(&self, number: u16) -> String {
        self.url(&self.client(number))
    }

    fn url(&self, listens: &str) -> String {
        let url = format!("{}://{listens}", self.scheme);
        self.machine.map_or(url.clone(), |machine| url.replace(HERE, machine))
    }

    pub fn client(&self, number: u16) -> String {
        format!("127.0.0.1:{}", self.first + 2 * (number - 1))
    }

    pub fn peer(&self, number: u16) -> String {
        format!("127.0.0.1:{}", self.first + 2 * (number - 1) + 1)
    }

    pub fn clients(&self) -> String {
        let all: Vec<String> = (1..=self.size).map(|number| self.client(number)).collect();
        all.join(",")
    }

    pub fn data(&self, number: u16) -> PathBuf {
        self.folder.0.join(format!("m{number}"))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }

    /// `--initial-cluster` of the first so many.
    fn cluster(&self, size: u16) -> String {
        let named = |number| format!("m{number}={}", self.peer_url(number));
        (1..=size).map(named).collect::<Vec<_>>().join(",")
    }

    /// etcd's flags of one.
    pub fn args(&self, number: u16) -> Vec<String> {
        let listens = |at: String| match self.machine {
            Some(_) => format!("{}://{}", self.scheme, at.replace(HERE, "0.0.0.0")),
            None => format!("{}://{at}", self.scheme),
        };
        vec![
            "member".into(),
            format!("--name=m{number}"),
            format!("--data-dir={}", self.data(number).display()),
            format!("--listen-client-urls={}", listens(self.client(number))),
            format!("--listen-peer-urls={}", listens(self.peer(number))),
            format!("--advertise-client-urls={}", self.client_url(number)),
            format!("--initial-advertise-peer-urls={}", self.peer_url(number)),
            format!("--initial-cluster={}", self.cluster(self.size.max(number))),
        ]
    }

    pub fn start(&self, number: u16, more: &[&str]) -> Process {
        let more = more.iter().map(|flag| flag.to_string());
        let args: Vec<String> = self.args(number).into_iter().chain(more).collect();
        Process::start(&args, &self.folder.0.join("log"))
    }

    /// Flags of a new member that is made of a backup.
    pub fn restore(&self, number: u16, file: &Path, more: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = ["snapshot", "restore"].map(str::to_string).into();
        args.extend([
            file.display().to_string(),
            format!("--name=m{number}"),
            format!("--data-dir={}", self.data(number).display()),
            format!("--initial-advertise-peer-urls={}", self.peer_url(number)),
            format!("--initial-cluster={}", self.cluster(self.size)),
        ]);
        args.extend(more.iter().map(|flag| flag.to_string()));
        args
    }

    /// Starts them all.
    pub fn start_all(&self, more: &[&str]) -> Vec<Process> {
        (1..=self.size).map(|number| self.start(number, more)).collect()
    }
}
