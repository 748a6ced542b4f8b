//! What etcd's end-to-end tests claim of who somebody is by certificate, by name and password, or by both, and of the hosts
//! that members are let in from (`claims-e2e.md`).

use crate::{
    certificates::{Files, Wanted},
    harness::{ETCDCTL, Members, eventually, succeed, wavetank},
    secure::{HERE, PATIENCE, Secured, outcome, refused},
};
use std::thread;

/// One member that tells users apart: root by its certificate, and two users, each with a key of its own; the second of them
/// has a password.
fn told_apart(name: &str) -> Secured {
    let secured = Secured::start_with(name, 1, &["--bcrypt-cost=4"]);
    secured.wait();
    let run = |args: &[&str]| succeed(secured.as_user("root", args), "");
    run(&["user", "add", "root", "--no-password"]);
    run(&["user", "grant-role", "root", "root"]);
    run(&["user", "add", "cert", "--no-password"]);
    run(&["user", "add", "named:pw"]);
    for (user, key) in [("cert", "of-cert"), ("named", "of-named")] {
        run(&["role", "add", key]);
        run(&["role", "grant-permission", key, "readwrite", key]);
        run(&["user", "grant-role", user, key]);
    }
    run(&["auth", "enable"]);
    secured
}

#[test]
fn a_name_with_a_password_counts_more_than_a_certificate() {
    let secured = told_apart("names-both");
    let put = |key: &str, more: &[&str]| secured.as_user("cert", &[&["put", key, "1"][..], more].concat());
    assert_eq!(succeed(put("of-cert", &[]), ""), "OK\n");
    assert!(refused(put("of-named", &[])).contains("permission denied"));
    assert_eq!(succeed(put("of-named", &["--user=named:pw"]), ""), "OK\n");
    assert!(refused(put("of-cert", &["--user=named:pw"])).contains("permission denied"));
    // a wrong password makes nobody the user of the certificate
    assert!(refused(put("of-cert", &["--user=named:no"])).contains("authentication failed"));
}

#[test]
fn who_has_no_password_is_known_by_its_certificate_alone() {
    let secured = told_apart("names-none");
    let as_user = |user: &str| secured.as_user("other", &["put", "of-cert", "1", &format!("--user={user}")]);
    assert!(refused(as_user("cert:pw")).contains("authentication failed"));
    // without a password etcdctl asks for no token, and shows its certificate alone
    assert!(refused(as_user("cert:")).contains("permission denied"));
    let cert = |args: &[&str]| secured.as_user("cert", args);
    assert_eq!(succeed(cert(&["put", "of-cert", "1"]), ""), "OK\n");
    assert_eq!(succeed(cert(&["get", "of-cert", "--print-value-only"]), ""), "1\n");
    // nor does root need one
    assert_eq!(succeed(secured.as_user("root", &["user", "list"]), ""), "cert\nnamed\nroot\n");
}

/// A certificate brings no revision of the users along that could be old.
#[allow(clippy::disallowed_methods)] // real clients, real threads
#[test]
fn who_is_known_by_its_certificate_goes_on_while_users_change() {
    let secured = told_apart("names-change");
    thread::scope(|scope| {
        let change = scope.spawn(|| {
            for n in 0..15 {
                let user = format!("user{n}");
                succeed(secured.as_user("root", &["user", "add", &format!("{user}:pw")]), "");
                succeed(secured.as_user("root", &["user", "grant-role", &user, "of-cert"]), "");
                succeed(secured.as_user("root", &["user", "delete", &user]), "");
            }
        });
        let mut puts = 0;
        while puts < 30 || !change.is_finished() {
            assert_eq!(succeed(secured.as_user("cert", &["put", "of-cert", &puts.to_string()]), ""), "OK\n");
            puts += 1;
        }
        change.join().expect("all were changed");
    });
}

#[test]
fn a_member_is_let_in_if_its_certificate_is_for_one_of_the_hosts_named() {
    let flags = ["--peer-cert-allowed-hostname=localhost,member.test"];
    // peers here are at 127.0.0.1, for which their certificates are as well
    let mut secured = Secured::start_with("names-hosts", 3, &flags);
    let named = secured.sign("named", Wanted { machine: Some("member.test"), ..HERE });
    let served = Files::at(secured.folder(), "served");
    let clients = secured.members.clients();
    let put = |secured: &Secured, value: &str| {
        let mut command = secured.at(&clients, "root", &["put", "a", value]);
        command.args(["--dial-timeout=1s", "--command-timeout=2s"]);
        outcome(command, &secured.members)
    };
    eventually("they do not let each other in", PATIENCE, || {
        let log = secured.members.log();
        let said = "its certificate is not for localhost or member.test";
        if log.contains(said) { Ok(()) } else { Err(log) }
    });
    put(&secured, "0").expect_err("nobody leads");
    for number in 1..=3 {
        secured.running[usize::from(number - 1)].kill();
        secured.running[usize::from(number - 1)] = secured.start_one(number, &served, &named);
    }
    eventually("they let each other in", PATIENCE, || put(&secured, "1"));
    let out = secured.at(&clients, "root", &["get", "a", "--print-value-only"]).output().expect(ETCDCTL);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "1\n");
}

#[test]
fn metrics_over_https_want_a_certificate_to_show() {
    let members = Members::new("names-metrics", "http", 1);
    let mut args = members.args(1);
    args.push(format!("--listen-metrics-urls=https://{}", members.client(2)));
    let out = wavetank(&args).output().expect("it ends");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && errors.contains("an https URL needs a certificate"), "{errors}");
}
