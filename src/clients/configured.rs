//! Members as etcd's configuration file says, and members that listen for others at several URLs, with Debian's etcdctl.

use crate::{
    certificates::Files,
    harness::{ETCDCTL, Members, Process, etcdctl, eventually, succeed, text_of, wait_for, wavetank},
    secure::{HERE, PATIENCE, Secured, outcome},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file that says what the flags of a member do.
fn file(members: &Members, number: u16, more: &str) -> PathBuf {
    let keys = members.args(number).into_iter().filter_map(|flag| {
        let (key, value) = flag.strip_prefix("--")?.split_once('=')?;
        Some(format!("{key}: '{value}'\n"))
    });
    let path = members.folder.0.join(format!("m{number}.yml"));
    fs::write(&path, keys.collect::<String>() + more).expect("a file");
    path
}

fn start(members: &Members, file: &Path) -> Process {
    let args = ["member".into(), "--name=ignored".into(), format!("--config-file={}", file.display())];
    Process::start(&args, &members.folder.0.join("log"))
}

#[test]
fn members_are_configured_by_files() {
    let members = Members::new("configured", "http", 3);
    let more = "max-wals: 5\nlogger: zap\nsnapshot-count: 10\nsnapshot-catchup-entries: 1\n\
         client-transport-security:\n  cert-file:\n";
    let files = [1, 2, 3].map(|number| file(&members, number, more));
    let _running = files.each_ref().map(|file| start(&members, file));
    wait_for(&members.clients(), &[], || members.log());
    assert_eq!(succeed(etcdctl(&members.clients(), &["put", "a", "1"]), ""), "OK\n");
    let list = succeed(etcdctl(&members.clients(), &["member", "list"]), "");
    assert!(
        (1..=3).all(|number| list.contains(&format!("m{number}, {}", members.peer_url(number)))),
        "{list}"
    );
    let (log, shown) = (members.log(), files[0].display());
    for said in [
        format!("configured by {shown}; other flags, and variables, are ignored"),
        format!("{shown}: these do nothing here: logger, max-wals"),
    ] {
        assert!(log.contains(&said), "{said:?} in\n{log}");
    }
}

#[test]
fn a_file_with_a_key_that_is_none_is_refused() {
    let members = Members::new("misconfigured", "http", 1);
    for (more, said) in [
        ("snapshotcount: 1\n", "m1.yml: snapshotcount: there is no such key; did you mean snapshot-count?"),
        ("discovery: http://x\n", "m1.yml: discovery: http://x: that is not served here"),
        ("quota-backend-bytes: much\n", "m1.yml: invalid value 'much' for '--quota-backend-bytes"),
    ] {
        let file = file(&members, 1, more);
        let out = wavetank(&["member".into(), format!("--config-file={}", file.display())]).output();
        let out = out.expect("it ends");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && errors.contains(said), "{said:?} in\n{errors}");
    }
    let out = wavetank(&["member".into(), "--config-file=/no/such.yml".into()]).output().expect("it ends");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(errors.contains("--config-file /no/such.yml: "), "{errors}");
}

#[test]
fn a_file_says_with_what_connections_are_secured() {
    let mut secured = Secured::start("configured-tls", 1);
    secured.wait();
    secured.running[0].kill();
    let path = |path: PathBuf| path.display().to_string();
    let section = |name: &str, files: Files| {
        format!(
            "{name}-transport-security:\n  cert-file: {}\n  key-file: {}\n  client-cert-auth: true\n  \
             trusted-ca-file: {}\n",
            path(files.cert),
            path(files.key),
            path(secured.folder().join("ca.crt"))
        )
    };
    let (served, peers) = (secured.sign("file-served", HERE), secured.sign("file-peers", HERE));
    let more = section("client", served) + &section("peer", peers);
    let file = file(&secured.members, 1, &more);
    let _running = start(&secured.members, &file);
    eventually("it answers", PATIENCE, || {
        outcome(secured.as_user("root", &["put", "a", "1"]), &secured.members)
    });
    let nameless =
        etcdctl(&secured.members.client(1), &["get", "a", "--command-timeout=2s", "--dial-timeout=1s"])
            .arg("--cacert")
            .arg(secured.folder().join("ca.crt"))
            .output();
    assert!(!nameless.expect(ETCDCTL).status.success(), "who shows no certificate is refused");
}

#[test]
fn a_member_listens_for_others_at_several_urls() {
    let members = Members::new("several-urls", "http", 3);
    let second = format!("http://{}", members.peer(4));
    let mut args = members.args(1);
    let listens = args.iter_mut().find(|flag| flag.starts_with("--listen-peer-urls=")).expect("a flag");
    *listens = format!("{listens},{second}");
    let log = members.folder.0.join("log");
    let _running = [Process::start(&args, &log), members.start(2, &[]), members.start(3, &[])];
    wait_for(&members.clients(), &[], || members.log());
    let others = format!("{},{}", members.client(2), members.client(3));
    let run = |args: &[&str]| succeed(etcdctl(&others, args), "");
    let list = run(&["member", "list"]);
    let first = list.lines().find(|line| line.contains(", m1, ")).expect("the first");
    // from now on it is reached there only
    run(&["member", "update", first.split(',').next().expect("an id"), "--peer-urls", &second]);
    run(&["put", "a", "1"]);
    eventually("the first has it, too", PATIENCE, || {
        let get = ["get", "a", "--consistency=s", "--print-value-only"];
        let out = etcdctl(&members.client(1), &get).output().expect(ETCDCTL);
        if text_of(&out) == "1\n" { Ok(()) } else { Err(members.log()) }
    });
}
