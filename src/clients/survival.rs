//! kill -9 under load: nothing that was acknowledged is lost.

use crate::harness::{ETCDCTL, Folder, Members, Process, etcdctl, eventually, free_ports, text_of};
use std::{thread, time::Duration};

/// Rounds of kill -9; `WAVETANK_ROUNDS` asks for more.
fn rounds() -> u64 {
    std::env::var("WAVETANK_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

#[test]
fn a_member_that_is_told_no_folder_keeps_its_data_where_it_was_started() {
    let (folder, first) = (Folder::new("no-folder"), free_ports(2));
    let (client, peer) = (format!("127.0.0.1:{first}"), format!("127.0.0.1:{}", first + 1));
    let log = folder.0.join("log");
    let args = [
        "member".to_string(),
        format!("--listen-client-urls=http://{client}"),
        format!("--listen-peer-urls=http://{peer}"),
    ];
    for expected in ["", "1\n"] {
        let mut member = Process::start_in(&folder.0, &args, &log);
        eventually("what was put before is there", Duration::from_secs(30), || {
            let out = etcdctl(&client, &["get", "a", "--print-value-only"]).output().expect(ETCDCTL);
            let well = out.status.success() && text_of(&out) == expected;
            if well { Ok(()) } else { Err(std::fs::read_to_string(&log).unwrap_or_default()) }
        });
        assert!(etcdctl(&client, &["put", "a", "1"]).output().expect(ETCDCTL).status.success());
        member.kill();
    }
    assert!(folder.0.join("default.etcd").is_dir());
}

#[test]
fn a_member_that_lost_its_log_does_not_begin_anew() {
    let members = Members::new("no-log", "http", 1);
    let mut running = members.start(1, &[]);
    eventually("the member answers", Duration::from_secs(30), || {
        let out = etcdctl(&members.client(1), &["put", "a", "1"]).output().expect(ETCDCTL);
        if out.status.success() { Ok(()) } else { Err(members.log()) }
    });
    running.kill();
    for entry in std::fs::read_dir(members.data(1)).expect("its folder") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|ending| ending == "wal") {
            std::fs::remove_file(path).expect("a log");
        }
    }
    let _again = members.start(1, &[]);
    eventually("it says so", Duration::from_secs(30), || {
        let log = members.log();
        if log.contains("none can be spared") { Ok(()) } else { Err(log) }
    });
}

#[test]
#[allow(clippy::disallowed_methods)] // real clients, real threads
fn nothing_acknowledged_is_lost_to_kill_9() {
    let members = Members::new("survival", "http", 1);
    let endpoint = members.client(1);
    let said = || members.log();
    let mut acknowledged = vec![];
    for round in 0..rounds() {
        let mut member = members.start(1, &[]);
        let puts = |i: u64| {
            let key = format!("r{round:03}-{i:05}");
            let out =
                etcdctl(&endpoint, &["--command-timeout=2s", "put", &key, "v"]).output().expect(ETCDCTL);
            out.status.success().then_some(key)
        };
        eventually("the member answers", Duration::from_secs(30), || {
            acknowledged.push(puts(0).ok_or_else(said)?);
            Ok(())
        });
        let load = thread::scope(|scope| {
            let clients: Vec<_> = (0..3u64)
                .map(|client| {
                    scope.spawn(move || (1..60).map_while(|i| puts(client * 1000 + i)).collect::<Vec<_>>())
                })
                .collect();
            thread::sleep(Duration::from_millis(300 + 97 * (round % 7)));
            member.kill();
            clients.into_iter().flat_map(|client| client.join().expect("a client")).collect::<Vec<_>>()
        });
        acknowledged.extend(load);
    }
    let _member = members.start(1, &[]);
    eventually("every acknowledged key is there", Duration::from_secs(30), || {
        let out = etcdctl(&endpoint, &["get", "r", "--prefix", "--keys-only"]).output().expect(ETCDCTL);
        let text = text_of(&out);
        let there: std::collections::BTreeSet<&str> = text.split_whitespace().collect();
        match acknowledged.iter().find(|key| !there.contains(key.as_str())) {
            Some(lost) => {
                Err(format!("{lost} was acknowledged and is gone ({} keys)\n{}", there.len(), said()))
            }
            None => Ok(()),
        }
    });
    assert!(acknowledged.len() as u64 > rounds(), "the load did something");
}
