//! Data folders that earlier releases left: `formats` keeps one of each format of their files, and a member of today goes
//! on with it. What it holds was put by etcdctl, and the member killed.

use crate::harness::{ETCDCTL, Members, etcdctl, succeed, wait_for};
use std::{fs, path::Path};

/// The version in a snapshot file's header.
fn version(file: &Path) -> u8 {
    fs::read(file).expect("a snapshot")[8]
}

fn get(members: &Members, args: &[&str]) -> String {
    let mut get = etcdctl(&members.client(1), &["get", "--print-value-only"]);
    get.args(args);
    succeed(get, "")
}

/// Thirty-three keys of which one was deleted and one put again, a lease, a compaction, a user, two snapshots and a log.
#[test]
fn a_folder_with_snapshots_of_the_first_format() {
    let members = Members::new("upgrade", "http", 1);
    let data = members.data(1);
    fs::create_dir_all(&data).expect("a folder");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/clients/formats/snapshots-1");
    for file in fs::read_dir(kept).expect("the fixture").flatten() {
        fs::copy(file.path(), data.join(file.file_name())).expect("a copy");
    }
    let newest = data.join("000000000000001e.snap");
    assert_eq!(version(&newest), 1);
    for again in [false, true] {
        let mut member = members.start(1, &[]);
        wait_for(&members.client(1), &[], || members.log());
        assert_eq!(version(&newest), 2, "it is written anew, once");
        let all = get(&members, &["key/", "--prefix"]);
        assert_eq!(all.lines().count(), 32 + usize::from(again), "{all}");
        assert_eq!(get(&members, &["key/8"]), "again\n");
        assert_eq!(get(&members, &["key/33"]), "value-33\n", "of the log behind the snapshot");
        assert_eq!(get(&members, &["key/7"]), "");
        let leases = succeed(etcdctl(&members.client(1), &["lease", "list"]), "");
        assert!(leases.starts_with("found 1 leases"), "{leases}");
        let users = succeed(etcdctl(&members.client(1), &["user", "list"]), "");
        assert_eq!(users, "root\n");
        let old = etcdctl(&members.client(1), &["get", "key/8", "--rev=10"]).output().expect(ETCDCTL);
        assert!(String::from_utf8_lossy(&old.stderr).contains("has been compacted"), "{old:?}");
        succeed(etcdctl(&members.client(1), &["put", "key/34", "new"]), "");
        member.kill();
    }
}
