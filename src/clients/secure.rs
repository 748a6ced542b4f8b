//! Secured connections, with Debian's etcdctl and openssl: mutual authentication, users by certificate, certificates that
//! are replaced while a member runs, versions and cipher suites, and what is said about what is wrong.

use crate::{
    certificates::{Authority, Files, Usage, Valid, Wanted},
    harness::{ETCDCTL, Members, Process, etcdctl, eventually, succeed, text_of},
};
use std::{
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

pub const HERE: Wanted = Wanted {
    common_name: "member",
    address: Some("127.0.0.1"),
    machine: None,
    valid: Valid::ForLong,
    usage: Usage::Both,
    serial: 1,
};
/// The number of the certificate that is revoked.
const REVOKED: u64 = 66;
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const OPENSSL: &str = "openssl is needed: Debian's package openssl";

/// Three members that want certificates of clients and of each other, and what signs those.
pub struct Secured {
    pub members: Members,
    authority: Authority,
    pub running: Vec<Process>,
    more: Vec<String>,
}

pub fn flag(name: &str, value: &Path) -> String {
    format!("--{name}={}", value.display())
}

/// The flags for one side, with these files.
fn flags(prefix: &str, files: &Files, trusted: &Path) -> [String; 3] {
    [
        flag(&format!("{prefix}cert-file"), &files.cert),
        flag(&format!("{prefix}key-file"), &files.key),
        flag(&format!("{prefix}trusted-ca-file"), trusted),
    ]
}

impl Secured {
    pub fn start(name: &str, size: u16) -> Self {
        Self::start_with(name, size, &[])
    }

    /// With more flags; a file among them is one of the folder.
    pub fn start_with(name: &str, size: u16, more: &[&str]) -> Self {
        Self::start_as(Members::new(name, "https", size), HERE, HERE, more)
    }

    /// Members that show these certificates to clients and to each other.
    pub fn start_as(members: Members, served: Wanted, peers: Wanted, more: &[&str]) -> Self {
        let mut secured = Self::prepare(members, more);
        let (served, peers) = (secured.sign("served", served), secured.sign("peers", peers));
        secured.start_all(&served, &peers);
        secured
    }

    fn start_all(&mut self, served: &Files, peers: &Files) {
        self.running = (1..=self.members.size()).map(|n| self.start_one(n, served, peers)).collect();
    }

    /// Members that are not started yet.
    fn prepare(members: Members, more: &[&str]) -> Self {
        let authority = Authority::new("the authority");
        authority.write(&members.folder.0.join("ca.crt"));
        authority.revoke(&members.folder.0.join("revoked.crl"), REVOKED);
        let mut secured = Self { members, authority, running: vec![], more: vec![] };
        let folder = secured.folder().display().to_string();
        secured.more = more.iter().map(|flag| flag.replace("FOLDER", &folder)).collect();
        secured
    }

    pub fn folder(&self) -> &Path {
        &self.members.folder.0
    }

    pub fn sign(&self, name: &str, wanted: Wanted) -> Files {
        self.authority.sign(self.folder(), name, wanted)
    }

    pub fn start_one(&self, number: u16, served: &Files, peers: &Files) -> Process {
        let trusted = self.folder().join("ca.crt");
        let mut more: Vec<String> = flags("", served, &trusted).into();
        more.extend(flags("peer-", peers, &trusted));
        more.extend(self.more.iter().cloned());
        more.extend(["--client-cert-auth".into(), "--peer-client-cert-auth=true".into()]);
        self.members.start(number, &more.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// etcdctl with a certificate that bears this name.
    pub fn as_user(&self, name: &'static str, args: &[&str]) -> Command {
        self.at(&self.members.clients(), name, args)
    }

    /// The same, at these members only.
    pub fn at(&self, endpoints: &str, name: &'static str, args: &[&str]) -> Command {
        let files = Files::at(self.folder(), name);
        if !files.cert.exists() {
            self.sign(name, Wanted { common_name: name, ..Wanted::default() });
        }
        self.with(endpoints, &files, args)
    }

    pub fn with(&self, endpoints: &str, files: &Files, args: &[&str]) -> Command {
        let mut command = etcdctl(endpoints, args);
        command.arg("--cacert").arg(self.folder().join("ca.crt"));
        command.arg("--cert").arg(&files.cert).arg("--key").arg(&files.key);
        command
    }

    /// openssl as a client that shows this certificate, with more arguments.
    pub fn openssl(&self, server: &str, files: &Files, args: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", server]).args(args).stdin(Stdio::null());
        command.arg("-CAfile").arg(self.folder().join("ca.crt"));
        command.arg("-cert").arg(&files.cert).arg("-key").arg(&files.key);
        command
    }

    /// A handshake: what both sides agreed on, or what openssl says went wrong.
    fn shake(&self, server: &str, args: &[&str]) -> Result<String, String> {
        let mut command = self.openssl(server, &Files::at(self.folder(), "peers"), args);
        let said = command.arg("-brief").output().expect(OPENSSL).stderr;
        let said = String::from_utf8_lossy(&said).into_owned();
        let of = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        match (of("Protocol version:"), of("Ciphersuite:")) {
            (Some(version), Some(suite)) => Ok(format!("{version} {suite}")),
            _ => Err(said),
        }
    }

    /// Whether a member takes one that shows this certificate for another member: then it greets it.
    fn is_let_in(&self, files: &Files) -> bool {
        let mut command = self.openssl(&self.members.peer(1), files, &["-quiet"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut openssl = Process(command.spawn().expect(OPENSSL));
        let mut greeting = [0];
        openssl.0.stdout.take().expect("its output").read_exact(&mut greeting).is_ok()
    }

    pub fn wait(&self) {
        eventually("they answer", PATIENCE, || {
            outcome(self.as_user("root", &["get", "none"]), &self.members)
        });
    }
}

pub fn outcome(mut command: Command, members: &Members) -> Result<(), String> {
    let out = command.output().expect(ETCDCTL);
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    if out.status.success() { Ok(()) } else { Err(errors + &members.log()) }
}

pub fn refused(mut command: Command) -> String {
    command.arg("--dial-timeout=1s").arg("--command-timeout=2s");
    let out = command.output().expect(ETCDCTL);
    assert!(!out.status.success(), "{command:?} was not refused");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn members_and_clients_know_each_other_by_certificates() {
    let secured = Secured::start("secured", 3);
    secured.wait();
    let run = |args: &[&str]| succeed(secured.as_user("root", args), "");
    assert_eq!(run(&["put", "a", "1"]), "OK\n");
    assert_eq!(run(&["get", "a", "--print-value-only"]), "1\n");
    eventually("each member says where it serves", PATIENCE, || {
        let list = run(&["member", "list"]);
        if list.lines().all(|line| line.matches("https://").count() == 2) { Ok(()) } else { Err(list) }
    });
    assert_eq!(run(&["endpoint", "status"]).lines().count(), 3);
    // two of the three members ask the leader, over TLS
    let lease = run(&["lease", "grant", "100"]);
    let id = lease.split_whitespace().nth(1).expect("an id").to_string();
    for number in 1..=3 {
        let command =
            secured.at(&secured.members.client(number), "root", &["lease", "keep-alive", "--once", &id]);
        assert!(succeed(command, "").contains("keepalived with TTL(100)"));
    }

    let plain = etcdctl(&secured.members.clients(), &["get", "a"]);
    refused(plain);
    let mut nameless = etcdctl(&secured.members.clients(), &["get", "a"]);
    nameless.arg("--cacert").arg(secured.folder().join("ca.crt"));
    refused(nameless);
    let stranger = Authority::new("somebody else").sign(secured.folder(), "stranger", HERE);
    refused(secured.with(&secured.members.clients(), &stranger, &["get", "a"]));
    let old =
        secured.sign("old", Wanted { common_name: "root", valid: Valid::UntilLongAgo, ..Wanted::default() });
    refused(secured.with(&secured.members.clients(), &old, &["get", "a"]));
    let log = secured.members.log();
    for said in [
        "refused a connection from 127.0.0.1: what came was no TLS: is one side set to plain HTTP?",
        "refused a connection from 127.0.0.1: it showed no certificate, and one is asked for",
        "refused a connection from 127.0.0.1: its certificate is not trusted",
        "refused a connection from 127.0.0.1: its certificate has expired: it was valid until 2002-01-01T00:00:00Z",
    ] {
        assert!(log.contains(said), "{said:?} in\n{log}");
    }
    assert!(!log.contains("no connection to the member"), "{log}");
}

/// Every member takes a put, and asks the leader for a lease.
fn each_serves(secured: &Secured, size: u16) {
    for number in 1..=size {
        let at = secured.members.client(number);
        let run = |args: &[&str]| succeed(secured.at(&at, "root", args), "");
        assert_eq!(run(&["put", &format!("from{number}"), "1"]), "OK\n");
        let lease = run(&["lease", "grant", "100"]);
        let id = lease.split_whitespace().nth(1).expect("an id");
        assert!(run(&["lease", "keep-alive", "--once", id]).contains("keepalived with TTL(100)"));
        assert_eq!(run(&["member", "list"]).lines().count(), usize::from(size));
    }
}

#[test]
fn a_cluster_over_tls_is_doubled_member_by_member() {
    let mut secured = Secured::start("doubled", 3);
    secured.wait();
    secured.more.push("--initial-cluster-state=existing".into());
    let [served, peers] = ["served", "peers"].map(|name| Files::at(secured.folder(), name));
    for number in 4..=6 {
        let (name, url) = (format!("m{number}"), format!("--peer-urls={}", secured.members.peer_url(number)));
        eventually("it is added", PATIENCE, || {
            outcome(secured.as_user("root", &["member", "add", &name, &url]), &secured.members)
        });
        let started = secured.start_one(number, &served, &peers);
        secured.running.push(started);
        let at = secured.members.client(number);
        eventually("it answers", PATIENCE, || {
            outcome(secured.at(&at, "root", &["get", "none"]), &secured.members)
        });
    }
    each_serves(&secured, 6);
}

/// Certificates that are for a server or for a client only, as an authority may sign them.
#[test]
fn members_show_one_certificate_as_servers_and_another_as_clients() {
    let flags = [
        "--client-cert-file=FOLDER/asks.crt",
        "--client-key-file=FOLDER/asks.key",
        "--peer-client-cert-file=FOLDER/calls.crt",
        "--peer-client-key-file=FOLDER/calls.key",
    ];
    let mut secured = Secured::prepare(Members::new("usages", "https", 3), &flags);
    let [server, client] = [Usage::Server, Usage::Client].map(|usage| Wanted { usage, ..HERE });
    let [served, peers] = ["served", "peers"].map(|name| secured.sign(name, server));
    for name in ["asks", "calls"] {
        secured.sign(name, client);
    }
    secured.start_all(&served, &peers);
    secured.wait();
    each_serves(&secured, 3);
    assert!(!secured.is_let_in(&peers), "what is for a server alone is no client's");
    assert!(secured.is_let_in(&Files::at(secured.folder(), "calls")));
    let log = secured.members.log();
    assert_eq!(log.matches("refused a connection").count(), 1, "{log}");
}

#[test]
fn a_member_with_a_wrong_certificate_is_told_what_is_wrong() {
    let mut secured = Secured::start("wrong", 3);
    secured.wait();
    let served = Files::at(secured.folder(), "served");
    let elsewhere = Wanted { address: Some("10.0.0.9"), ..HERE };
    let cases = [
        (secured.sign("elsewhere", elsewhere), "its certificate is not for 127.0.0.1, but for 10.0.0.9"),
        (
            secured.sign("old", Wanted { valid: Valid::UntilLongAgo, ..HERE }),
            "its certificate has expired: it was valid until 2002",
        ),
        (
            Authority::new("somebody else").sign(secured.folder(), "stranger", HERE),
            "its certificate is not trusted: it was signed by nobody in the file of trusted certificates",
        ),
    ];
    for (peers, said) in cases {
        secured.running[2].kill();
        secured.running[2] = secured.start_one(3, &served, &peers);
        eventually(said, PATIENCE, || {
            let log = secured.members.log();
            if log.contains(said) { Ok(()) } else { Err(log) }
        });
    }
    let log = secured.members.log();
    assert!(log.contains("the other side ended it: it says that the certificate shown has expired"), "{log}");
    assert!(log.contains("the other side ended it: it does not trust the certificate shown"), "{log}");
    let first = format!("{},{}", secured.members.client(1), secured.members.client(2));
    assert_eq!(succeed(secured.at(&first, "root", &["put", "b", "2"]), ""), "OK\n", "two of three serve");
    let right = Files::at(secured.folder(), "peers");
    secured.running[2].kill();
    secured.running[2] = secured.start_one(3, &served, &right);
    let third = secured.members.client(3);
    eventually("the third is back", PATIENCE, || {
        outcome(secured.at(&third, "root", &["get", "b"]), &secured.members)
    });
}

#[test]
fn only_those_are_let_in_whose_names_are_allowed_and_who_were_not_revoked() {
    let flags = [
        "--peer-cert-allowed-cn=member",
        "--peer-crl-file=FOLDER/revoked.crl",
        "--client-crl-file=FOLDER/revoked.crl",
        "--client-cert-allowed-hostname=127.0.0.1",
    ];
    let mut secured = Secured::start_with("allowed", 3, &flags);
    let local = secured.sign("local", HERE);
    let clients = secured.members.clients();
    eventually("they answer", PATIENCE, || {
        outcome(secured.with(&clients, &local, &["put", "a", "1"]), &secured.members)
    });
    refused(secured.as_user("nowhere", &["get", "a"]));
    let gone = secured.sign("gone", Wanted { serial: REVOKED, ..HERE });
    refused(secured.with(&clients, &gone, &["get", "a"]));
    let served = Files::at(secured.folder(), "served");
    let intruder = secured.sign("intruder", Wanted { common_name: "intruder", ..HERE });
    for (peers, said) in [
        (&intruder, "the common name in its certificate is \"intruder\", expected member"),
        (&gone, "its certificate was revoked"),
    ] {
        secured.running[2].kill();
        secured.running[2] = secured.start_one(3, &served, peers);
        eventually(said, PATIENCE, || {
            let log = secured.members.log();
            if log.contains(said) { Ok(()) } else { Err(log) }
        });
    }
    let log = secured.members.log();
    for said in [
        "its certificate is not for 127.0.0.1",
        "no connection to the member at 127.0.0.1",
        "it does not let this member in: its own log says why",
    ] {
        assert!(log.contains(said), "{said:?} in\n{log}");
    }
}

#[test]
fn the_common_name_of_a_certificate_is_a_user() {
    let secured = Secured::start("common-names", 3);
    secured.wait();
    let run = |args: &[&str]| succeed(secured.as_user("root", args), "");
    run(&["user", "add", "root", "--no-password"]);
    run(&["user", "grant-role", "root", "root"]);
    run(&["role", "add", "rw"]);
    run(&["role", "grant-permission", "rw", "readwrite", "dir/", "--prefix"]);
    run(&["user", "add", "alice", "--no-password"]);
    run(&["user", "grant-role", "alice", "rw"]);
    run(&["auth", "enable"]);
    let alice = |args: &[&str]| secured.as_user("alice", args);
    assert_eq!(succeed(alice(&["put", "dir/1", "x"]), ""), "OK\n");
    assert!(refused(alice(&["put", "other", "x"])).contains("permission denied"));
    assert!(refused(alice(&["user", "list"])).contains("permission denied"));
    assert!(refused(secured.as_user("nobody", &["get", "dir/1"])).contains("permission denied"));
    assert_eq!(run(&["user", "list"]), "alice\nroot\n");
    // what is passed on to the leader is passed on for the same user
    let lease = succeed(alice(&["lease", "grant", "100"]), "");
    let id = lease.split_whitespace().nth(1).expect("an id").to_string();
    for number in 1..=3 {
        let at = |name, args: &[&str]| secured.at(&secured.members.client(number), name, args);
        let renew = ["lease", "keep-alive", "--once", &id];
        assert!(succeed(at("alice", &renew), "").contains("keepalived with TTL(100)"));
        let nobody = at("nobody", &renew).output().expect(ETCDCTL);
        assert!(!text_of(&nobody).contains("keepalived with TTL(100)"));
        let add = ["member", "add", "more", "--peer-urls=https://127.0.0.1:1"];
        assert!(refused(at("alice", &add)).contains("permission denied"));
    }
    run(&["auth", "disable"]);
}

#[test]
fn certificates_are_replaced_while_a_member_runs() {
    let secured = Secured::start("replaced", 1);
    secured.wait();
    let (next, folder) = (Authority::new("the next authority"), secured.folder());
    let put = |trusted: &Path| {
        let files = Files::at(folder, "root");
        let mut command = etcdctl(&secured.members.clients(), &["put", "a", "1", "--command-timeout=2s"]);
        command.arg("--cacert").arg(trusted).arg("--cert").arg(&files.cert).arg("--key").arg(&files.key);
        outcome(command, &secured.members)
    };
    let (old, new) = (folder.join("ca.crt"), next.write(&folder.join("next.crt")));
    put(&old).expect("the authority of before");
    put(&new).expect_err("not yet");
    // half of the pair is replaced first: the one before stays in use
    let files = next.sign(folder, "coming", HERE);
    std::fs::copy(&files.cert, folder.join("served.crt")).expect("a copy");
    eventually("the half is noticed", PATIENCE, || {
        put(&old)?;
        let log = secured.members.log();
        let said = log.contains("what was before stays in use")
            && log.contains("the key is not that of the certificate");
        if said { Ok(()) } else { Err(log) }
    });
    std::fs::copy(&files.key, folder.join("served.key")).expect("a copy");
    eventually("the new certificate is shown", PATIENCE, || put(&new));
    put(&old).expect_err("no more");
    assert!(secured.members.log().contains("certificates were read again"));
}

/// The way from one authority to the next: for a time both are trusted.
#[test]
fn a_second_authority_is_trusted_as_soon_as_it_is_in_the_file() {
    let secured = Secured::start("rotation", 1);
    secured.wait();
    let (next, folder) = (Authority::new("the next authority"), secured.folder());
    let trusted = folder.join("ca.crt");
    // clients go on with what the member itself shows, which stays signed by the first
    let first = secured.authority.write(&folder.join("first.crt"));
    let root = Wanted { common_name: "root", ..Wanted::default() };
    let (of_first, of_next) = (secured.sign("of-first", root), next.sign(folder, "of-next", root));
    let get = |files: &Files| {
        let mut command = etcdctl(&secured.members.clients(), &["get", "a", "--command-timeout=2s"]);
        command.arg("--cacert").arg(&first).arg("--cert").arg(&files.cert).arg("--key").arg(&files.key);
        outcome(command, &secured.members)
    };
    get(&of_first).expect("the first is trusted");
    get(&of_next).expect_err("the next is not yet");
    let log = secured.members.log();
    assert!(log.contains("refused a connection from 127.0.0.1: its certificate is not trusted"), "{log}");
    assert!(!log.contains("certificates were read again"), "{log}");
    secured.authority.write_both(&next, &trusted);
    eventually("the next is trusted, too", PATIENCE, || get(&of_next));
    get(&of_first).expect("and the first still is");
    assert!(secured.members.log().contains("certificates were read again"));
    // and in the end the next alone
    next.write(&trusted);
    eventually("the first is trusted no more", PATIENCE, || match get(&of_first) {
        Ok(()) => Err("it is".into()),
        Err(_) => Ok(()),
    });
    get(&of_next).expect("the next is");
}

#[test]
fn a_member_s_certificate_is_for_where_it_comes_from() {
    let secured = Secured::start("origin", 1);
    secured.wait();
    let nowhere = Wanted { address: None, ..HERE };
    let elsewhere = Wanted { address: Some("10.0.0.9"), ..HERE };
    let of = |name: &str, wanted: Wanted| secured.sign(name, wanted);
    for files in [
        of("here", HERE),
        of("nowhere", nowhere),
        of("local", Wanted { machine: Some("localhost"), ..nowhere }),
        of("local-too", Wanted { machine: Some("localhost"), ..elsewhere }),
    ] {
        assert!(secured.is_let_in(&files), "{:?}\n{}", files.cert, secured.members.log());
    }
    let elsewhere = of("elsewhere", elsewhere);
    let named = of("named", Wanted { machine: Some("one.invalid"), ..nowhere });
    let every = of("every", Wanted { machine: Some("*.invalid"), ..nowhere });
    for files in [&elsewhere, &named, &every] {
        assert!(!secured.is_let_in(files), "{:?}", files.cert);
    }
    let log = secured.members.log();
    for hosts in [
        "10.0.0.9\n",
        "one.invalid (not found); expected the address in it or a name that is found there",
        "*.invalid (no name that is looked up); expected the address in it or a name",
    ] {
        let said = format!(
            "refused a connection from 127.0.0.1: its certificate is not for 127.0.0.1, but for {hosts}"
        );
        assert!(log.contains(&said), "{said:?} in\n{log}");
    }
    // clients are not asked where they come from
    let clients = secured.members.clients();
    succeed(secured.with(&clients, &elsewhere, &["put", "a", "1"]), "");

    for flag in
        ["--peer-skip-client-san-verification", "--experimental-peer-skip-client-san-verification=true"]
    {
        let secured = Secured::start_with("from-anywhere", 1, &[flag]);
        secured.wait();
        assert!(
            secured.is_let_in(&secured.sign("named", Wanted { machine: Some("one.invalid"), ..nowhere }))
        );
    }
}

#[test]
fn only_versions_and_cipher_suites_that_are_allowed_are_spoken() {
    let flags = ["--tls-max-version=TLS1.2", "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"];
    let secured = Secured::start_with("older", 1, &flags);
    secured.wait();
    for server in [secured.members.client(1), secured.members.peer(1)] {
        let agreed = "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384";
        assert_eq!(secured.shake(&server, &[]).as_deref(), Ok(agreed));
        let newer = secured.shake(&server, &["-tls1_3"]).expect_err("too new");
        assert!(newer.contains("protocol version"), "{newer}");
        let other = ["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"];
        let other = secured.shake(&server, &other).expect_err("another suite");
        assert!(other.contains("handshake failure"), "{other}");
    }
    let log = secured.members.log();
    for said in ["no version of TLS is spoken by both sides", "no cipher suite is spoken by both sides"] {
        let said = format!("refused a connection from 127.0.0.1: {said}");
        assert!(log.contains(&said), "{said:?} in\n{log}");
    }

    // two that speak TLS1.3 only find each other
    let secured = Secured::start_with("newer", 2, &["--tls-min-version=TLS1.3"]);
    secured.wait();
    for server in [secured.members.client(2), secured.members.peer(2)] {
        let agreed = secured.shake(&server, &["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]);
        assert_eq!(agreed.as_deref(), Ok("TLSv1.3 TLS_CHACHA20_POLY1305_SHA256"));
        let older = secured.shake(&server, &["-tls1_2"]).expect_err("too old");
        assert!(older.contains("protocol version"), "{older}");
    }
}

#[test]
fn auto_tls_works_out_of_the_box() {
    let members = Members::new("auto", "https", 3);
    let _running = members.start_all(&["--auto-tls", "--peer-auto-tls"]);
    let with = |number: u16, args: &[&str]| {
        let mut command = etcdctl(&members.client(number), args);
        command.arg("--cacert").arg(members.data(number).join("fixtures/client/cert.pem"));
        command
    };
    for number in 1..=3 {
        eventually("it answers", PATIENCE, || outcome(with(number, &["put", "a", "1"]), &members));
    }
    refused(etcdctl(&members.client(1), &["get", "a"]));
    let mut other = etcdctl(&members.client(1), &["get", "a"]);
    other.arg("--cacert").arg(members.data(2).join("fixtures/client/cert.pem"));
    refused(other);
    use std::os::unix::fs::PermissionsExt;
    let key = std::fs::metadata(members.data(1).join("fixtures/client/key.pem")).expect("the key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600, "nobody else reads the key");
}
