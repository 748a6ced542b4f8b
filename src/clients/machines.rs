//! Members that are reached by the names of their machines, plain and with TLS, with Debian's etcdctl.

use crate::{
    certificates::{Files, Wanted},
    harness::{ETCDCTL, Members, Process, etcdctl, eventually, succeed, wait_for},
    secure::{HERE, PATIENCE, Secured, outcome},
};
use std::{
    net::{IpAddr, TcpListener, TcpStream, ToSocketAddrs},
    process::Command,
};

fn addresses(name: &str) -> Vec<IpAddr> {
    let found = (name, 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
    found.unwrap_or_default()
}

/// Whether connections to the machine of this name are connections to here, and come from one of its addresses.
fn is_here(name: &str) -> bool {
    let found = addresses(name);
    let comes_from = |address: &IpAddr| {
        let listener = TcpListener::bind((*address, 0)).ok()?;
        let stream = TcpStream::connect(listener.local_addr().ok()?).ok()?;
        Some(stream.local_addr().ok()?.ip())
    };
    !found.is_empty()
        && found
            .iter()
            .all(|address| address.is_ipv4() && comes_from(address).is_some_and(|from| found.contains(&from)))
}

/// A name of this machine that is looked up: `localhost` is not.
fn this_machine() -> &'static str {
    let own = Command::new("uname").arg("-n").output();
    let own = own.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_string());
    let names = own.ok().into_iter().chain(["localhost.localdomain".into(), "machine.localhost".into()]);
    let name = names.into_iter().find(|name| is_here(name));
    name.expect("a name of this machine is needed: 127.0.0.1 and the output of uname -n in /etc/hosts").leak()
}

#[test]
fn members_are_founded_and_found_by_name() {
    let machine = this_machine();
    let members = Members::new("by-name", "http", 3).by_name(machine);
    let _running = members.start_all(&[]);
    wait_for(&members.clients(), &[], || members.log());
    let run = |args: &[&str]| succeed(etcdctl(&members.clients(), args), "");
    assert_eq!(run(&["put", "a", "1"]), "OK\n");
    eventually("each member says by which name it is reached", PATIENCE, || {
        let list = run(&["member", "list"]);
        let named = (1..=3).all(|number| {
            list.contains(&members.peer_url(number)) && list.contains(&members.client_url(number))
        });
        if named && list.matches(machine).count() == 6 { Ok(()) } else { Err(list) }
    });
    // two of the three ask the leader, at the name by which clients reach it
    let lease = run(&["lease", "grant", "100"]);
    let id = lease.split_whitespace().nth(1).expect("an id").to_string();
    for number in 1..=3 {
        let renew = etcdctl(&members.client(number), &["lease", "keep-alive", "--once", &id]);
        assert!(succeed(renew, "").contains("keepalived with TTL(100)"));
    }
}

#[test]
fn a_member_whose_name_is_not_found_is_waited_for() {
    let members = Members::new("by-late-name", "http", 3).by_name(this_machine());
    let nowhere = |number: u16| format!("http://no-such-machine.invalid:{number}");
    let start = |number: u16| {
        let mut args = members.args(number);
        let cluster = args.last_mut().expect("--initial-cluster");
        *cluster = cluster.replace(&members.peer_url(3), &nowhere(3));
        Process::start(&args, &members.folder.0.join("log"))
    };
    let _running = [start(1), start(2)];
    let two = format!("{},{}", members.client(1), members.client(2));
    wait_for(&two, &[], || members.log());
    eventually("it is said who is not found", PATIENCE, || {
        let said = "no connection to the member at no-such-machine.invalid:3: no-such-machine.invalid is not found: ";
        let log = members.log();
        if log.contains(said) { Ok(()) } else { Err(log) }
    });
    let run = |args: &[&str]| succeed(etcdctl(&two, args), "");
    let list = run(&["member", "list"]);
    let third = list.lines().find(|line| line.contains(&nowhere(3))).expect("the third");
    let id = third.split(',').next().expect("an id");
    run(&["member", "update", id, "--peer-urls", &members.peer_url(3)]);
    assert!(run(&["member", "list"]).contains(&members.peer_url(3)));
    let _third = members.start(3, &[]);
    wait_for(&members.client(3), &[], || members.log());
    // and a fourth is added at a name
    let learner = ["member", "add", "m4", "--learner", "--peer-urls"];
    run(&[&learner[..], &[members.peer_url(4).as_str()]].concat());
    let _fourth = members.start(4, &["--initial-cluster-state=existing"]);
    eventually("the fourth says where it serves", PATIENCE, || {
        let list = run(&["member", "list"]);
        if list.contains(&members.client_url(4)) { Ok(()) } else { Err(list + &members.log()) }
    });
}

#[test]
fn a_certificate_is_for_the_name_by_which_a_member_is_reached() {
    let machine = this_machine();
    let named = Wanted { machine: Some(machine), ..HERE };
    let by_name_alone = Wanted { address: None, ..named };
    let members = Members::new("by-secured-name", "https", 3).by_name(machine);
    let mut secured = Secured::start_as(members, named, by_name_alone, &[]);
    secured.wait();
    let lease = succeed(secured.as_user("root", &["lease", "grant", "100"]), "");
    let id = lease.split_whitespace().nth(1).expect("an id").to_string();
    for number in 1..=3 {
        let at = secured.members.client(number);
        let renew = secured.at(&at, "root", &["lease", "keep-alive", "--once", &id]);
        assert!(succeed(renew, "").contains("keepalived with TTL(100)"));
    }
    assert!(!secured.members.log().contains("its certificate is not for"), "{}", secured.members.log());

    let (served, right) = (Files::at(secured.folder(), "served"), Files::at(secured.folder(), "peers"));
    let other = secured.sign("other", Wanted { machine: Some("other.invalid"), ..by_name_alone });
    secured.running[2].kill();
    secured.running[2] = secured.start_one(3, &served, &other);
    let at = secured.members.peer_url(3).replace("https://", "");
    for said in [
        format!(
            "no connection to the member at {at}: its certificate is not for {machine}, but for other.invalid"
        ),
        "but for other.invalid (not found); expected the address in it or a name that is found there".into(),
    ] {
        eventually(&said, PATIENCE, || {
            let log = secured.members.log();
            if log.contains(&said) { Ok(()) } else { Err(log) }
        });
    }
    secured.running[2].kill();
    secured.running[2] = secured.start_one(3, &served, &right);
    let third = secured.members.client(3);
    eventually("the third is back", PATIENCE, || {
        let get = secured.at(&third, "root", &["get", "a"]);
        outcome(get, &secured.members).map_err(|why| format!("{ETCDCTL}: {why}"))
    });
}
