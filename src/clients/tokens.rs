//! Tokens that are signed by a key: members share nothing but the key.

use crate::harness::{ETCDCTL, Members, etcdctl, eventually, succeed};
use base::Knobs;
use etcd::{Client, pb};
use rcgen::KeyPair;
use std::{fs, net::SocketAddr, time::Duration};

#[test]
fn a_signed_token_is_taken_by_every_member_and_exchanged_when_it_is_old() {
    let members = Members::new("signed", "http", 3);
    let (key, file) = (KeyPair::generate().expect("a key"), |name| members.folder.0.join(name));
    let (private, public) = (file("private.pem"), file("public.pem"));
    fs::write(&private, key.serialize_pem()).expect("a file");
    fs::write(&public, key.public_key_pem()).expect("a file");
    let takes = format!("--auth-token=jwt,pub-key={},sign-method=ES256,ttl=1s", public.display());
    let signs = format!("{takes},priv-key={}", private.display());
    let _running = [members.start(1, &[&signs]), members.start(2, &[&signs]), members.start(3, &[&takes])];
    eventually("the store answers", Duration::from_secs(30), || {
        let out = etcdctl(&members.clients(), &["get", "none"]).output().expect(ETCDCTL);
        if out.status.success() { Ok(()) } else { Err(members.log()) }
    });
    let run = |args: &[&str]| succeed(etcdctl(&members.client(1), args), "");
    run(&["user", "add", "root:secret"]);
    run(&["user", "grant-role", "root", "root"]);
    run(&["user", "add", "alice:pw"]);
    run(&["role", "add", "r"]);
    run(&["role", "grant-permission", "r", "readwrite", "a"]);
    run(&["user", "grant-role", "alice", "r"]);
    run(&["auth", "enable"]);

    // the third takes tokens, and signs none
    let third = etcdctl(&members.client(3), &["--user=alice:pw", "get", "a"]).output().expect(ETCDCTL);
    let why = String::from_utf8_lossy(&third.stderr).into_owned();
    assert!(why.contains("it takes tokens, and signs none"), "{why}");
    let as_root =
        |args: &[&str]| succeed(etcdctl(&members.client(2), &[&["--user=root:secret"], args].concat()), "");
    rt::run(async {
        let address: SocketAddr = members.client(1).parse().expect("an address");
        let alice = Client::new(vec![address], &Knobs::default()).for_user("alice", "pw");
        let put = || pb::PutRequest { key: "a".into(), value: "1".into(), ..Default::default() };
        alice.put(put()).await.expect("her key");
        rt::sleep(Duration::from_secs(3)).await;
        alice.put(put()).await.expect("her token's time is over, and she asks for another");
        as_root(&["role", "add", "another"]);
        alice.put(put()).await.expect("roles have changed, and she asks for another");
        as_root(&["user", "revoke-role", "alice", "r"]);
        let denied = alice.put(put()).await.expect_err("she may not any more");
        assert_eq!(denied.message(), "etcdserver: permission denied");
    });
}
