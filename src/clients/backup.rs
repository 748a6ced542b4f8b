//! Backups: saved by etcdctl and by us, looked at, damaged, and made a cluster of.

use crate::harness::{ETCDCTL, Members, etcdctl, eventually, succeed, text_of, wavetank};
use std::{fs, path::Path, process::Command, time::Duration};

const PATIENCE: Duration = Duration::from_secs(30);

fn answers(members: &Members, args: &[&str]) {
    eventually("the store answers", PATIENCE, || {
        let out = etcdctl(&members.clients(), args).output().expect(ETCDCTL);
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        if out.status.success() { Ok(()) } else { Err(errors + &members.log()) }
    });
}

fn refused(mut command: Command) -> String {
    let out = command.output().expect("the binary runs");
    assert!(!out.status.success(), "{command:?} was not refused");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_string).collect()
}

fn status(file: &Path) -> String {
    succeed(wavetank(&words(&format!("snapshot status {}", file.display()))), "")
}

fn revision_of(file: &Path) -> i64 {
    status(file).split(", ").nth(1).expect("a revision").parse().expect("a number")
}

/// A member with some keys, and its backup.
fn saved(name: &str) -> (Members, std::path::PathBuf) {
    let before = Members::new(name, "http", 1);
    let mut running = before.start_all(&[]);
    answers(&before, &["put", "a", "1"]);
    answers(&before, &["put", "a", "2"]);
    answers(&before, &["put", "b", "3"]);
    let lease = succeed(etcdctl(&before.clients(), &["lease", "grant", "1000"]), "");
    let id = lease.split_whitespace().nth(1).expect("an id").to_string();
    answers(&before, &["put", "c", "4", "--lease", &id]);
    let file = before.folder.0.join("backup");
    let said = succeed(etcdctl(&before.clients(), &["snapshot", "save", &file.display().to_string()]), "");
    assert!(said.contains("Snapshot saved at"), "{said}");
    assert_eq!(fs::metadata(&file).expect("the backup").len() % 512, 32);
    let ours = before.folder.0.join("ours");
    let mut save = wavetank(&words(&format!("snapshot save ours --endpoints http://{}", before.clients())));
    save.current_dir(&before.folder.0); // a name alone
    succeed(save, "");
    assert_eq!(fs::read(&ours).expect("ours"), fs::read(&file).expect("theirs"), "both save the same");
    let absent = before.folder.0.join("absent");
    running[0].kill();
    refused(wavetank(&words(&format!(
        "snapshot save {} --endpoints http://{}",
        absent.display(),
        before.clients()
    ))));
    assert!(!absent.exists() && !before.folder.0.join("absent.part").exists(), "no half of a backup is left");
    (before, file)
}

#[test]
fn a_cluster_is_founded_with_a_backup() {
    let (_before, file) = saved("backup");
    assert!(status(&file).contains(", 3, "), "{}", status(&file));
    let after = Members::new("restored", "http", 3);
    for number in 1..=3 {
        let said = succeed(wavetank(&after.restore(number, &file, &["--initial-cluster-token=new"])), "");
        assert!(said.contains("3 keys"), "{said}");
    }
    let again = refused(wavetank(&after.restore(1, &file, &[])));
    assert!(again.contains("expected a folder that is not there yet"), "{again}");
    let _running = after.start_all(&[]);
    answers(&after, &["get", "a"]);
    let run = |args: &[&str]| succeed(etcdctl(&after.clients(), args), "");
    assert_eq!(run(&["get", "a", "--print-value-only"]), "2\n");
    assert_eq!(run(&["get", "a", "--print-value-only", "--rev=2"]), "1\n", "history is there");
    assert_eq!(run(&["lease", "list"]).lines().count(), 2);
    answers(&after, &["put", "a", "5"]);
    let fields = run(&["get", "a", "--write-out=fields"]);
    assert!(fields.contains(&format!("\"ModRevision\" : {}", revision_of(&file) + 1)), "{fields}");
    eventually("they are the members of the new cluster", PATIENCE, || {
        let list = run(&["member", "list"]);
        if list.lines().filter(|line| line.matches("http://").count() == 2).count() == 3 {
            Ok(())
        } else {
            Err(list)
        }
    });
}

#[test]
fn watchers_from_before_are_told_that_their_revision_is_gone() {
    let (_before, file) = saved("bumped");
    let after = Members::new("raised", "http", 1);
    let bump = ["--bump-revision=1000000", "--mark-compacted"];
    assert!(refused(wavetank(&after.restore(1, &file, &bump[..1]))).contains("--mark-compacted"));
    succeed(wavetank(&after.restore(1, &file, &bump)), "");
    let _running = after.start_all(&[]);
    answers(&after, &["get", "a"]);
    let out = etcdctl(&after.clients(), &["get", "a", "--rev", &revision_of(&file).to_string()]).output();
    let errors = String::from_utf8_lossy(&out.expect(ETCDCTL).stderr).into_owned();
    assert!(errors.contains("required revision has been compacted"), "{errors}");
    answers(&after, &["put", "a", "5"]);
    let out = etcdctl(&after.clients(), &["get", "a", "--write-out=fields"]).output().expect(ETCDCTL);
    let raised = revision_of(&file) + 1_000_001;
    assert!(text_of(&out).contains(&format!("\"ModRevision\" : {raised}")), "{}", text_of(&out));
}

#[test]
fn a_damaged_backup_is_refused() {
    let (before, file) = saved("damaged");
    let (bytes, bad) = (fs::read(&file).expect("the backup"), before.folder.0.join("bad"));
    let fresh = Members::new("fresh", "http", 1);
    let restore = |content: &[u8], more: &[&str]| {
        fs::write(&bad, content).expect("a file");
        let why = refused(wavetank(&fresh.restore(1, &bad, more)));
        assert!(!fresh.data(1).exists(), "nothing is left of it");
        why
    };
    let mut flipped = bytes.clone();
    flipped[40] ^= 1;
    assert!(restore(&flipped, &[]).contains("its hash is not that of its content"));
    assert!(restore(&flipped, &["--skip-hash-check"]).contains("the snapshot"));
    assert!(restore(&bytes[..bytes.len() - 1], &[]).contains("it has no hash at its end"));
    assert!(restore(&bytes[..100], &["--skip-hash-check"]).contains("ends in the middle"));
    assert!(restore(b"hello", &["--skip-hash-check"]).contains("not a snapshot of a store"));
    assert!(refused(wavetank(&words("snapshot status /no/such/file"))).contains("/no/such/file"));
}
