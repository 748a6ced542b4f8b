//! Every role as a process of its own, and Ctrl-C, which ends each of them cleanly.

use crate::{
    harness::{ETCDCTL, Folder, KUBECTL, Process, Served, etcdctl, eventually, free_ports, succeed, text_of},
    kubectl::WEB,
};
use std::{process::Command, time::Duration};

/// One of each: a member, an API server, controllers, a scheduler, a node; all on ports from `first` on.
struct Roles {
    folder: Folder,
    first: u16,
}

impl Roles {
    fn start(&self, words: &str) -> Process {
        let words: Vec<String> = words.split(' ').map(str::to_string).collect();
        Process::start(&words, &self.folder.0.join("log"))
    }

    fn member(&self) -> Process {
        let (peer, client, data) = (self.first, self.first + 1, self.folder.0.join("member"));
        let urls = format!(
            "--listen-peer-urls http://127.0.0.1:{peer} --listen-client-urls http://127.0.0.1:{client}"
        );
        self.start(&format!("member --data-dir {} {urls}", data.display()))
    }

    fn all(&self) -> Vec<Process> {
        let (client, api, data) = (self.first + 1, self.first + 2, self.folder.0.join("node"));
        let (apiserver, data) = (format!("--apiserver 127.0.0.1:{api}"), data.display());
        let others = [
            format!("apiserver --listen 127.0.0.1:{api} --etcd-servers http://127.0.0.1:{client}"),
            format!("controllers {apiserver} --identity c"),
            format!("scheduler {apiserver} --identity s"),
            format!("kubelet {apiserver} --node n --data-dir {data}"),
        ];
        std::iter::once(self.member()).chain(others.iter().map(|words| self.start(words))).collect()
    }

    fn kubectl(&self, args: &[&str]) -> Command {
        let program = std::env::var("WAVETANK_KUBECTL").unwrap_or_else(|_| "kubectl".into());
        let mut command = Command::new(program);
        command.arg("--server").arg(format!("http://127.0.0.1:{}", self.first + 2)).args(args);
        command.env("HOME", &self.folder.0).env("NO_PROXY", "*").env_remove("KUBECONFIG");
        command
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }
}

#[test]
fn every_role_runs_as_a_process_of_its_own_and_ends_when_asked() {
    let roles = Roles { folder: Folder::new("roles"), first: free_ports(3) };
    let mut all = roles.all();
    eventually("the node is Ready", Duration::from_secs(60), || {
        let out = roles.kubectl(&["get", "nodes", "--no-headers"]).output().expect(KUBECTL);
        if text_of(&out).contains(" Ready ") { Ok(()) } else { Err(text_of(&out) + &roles.log()) }
    });
    succeed(roles.kubectl(&["apply", "-f", "-"]), WEB);
    let rolled = succeed(roles.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]), "");
    assert!(rolled.contains("successfully rolled out"), "{rolled}");
    let endpoint = format!("127.0.0.1:{}", roles.first + 1);
    let put = etcdctl(&endpoint, &["put", "kept", "v"]).output().expect(ETCDCTL);
    assert!(put.status.success());
    for process in all.iter_mut().rev() {
        assert!(process.interrupt(), "{}", roles.log());
    }
    let _member = roles.member();
    eventually("what was acknowledged is there", Duration::from_secs(30), || {
        let out = etcdctl(&endpoint, &["get", "kept", "--print-value-only"]).output().expect(ETCDCTL);
        if text_of(&out) == "v\n" { Ok(()) } else { Err(text_of(&out) + &roles.log()) }
    });
}

#[test]
fn a_whole_control_plane_stops_on_ctrl_c() {
    let mut served = Served::start("interrupt", 1, 1);
    served.wait_ready(1);
    assert!(served.process.interrupt(), "{}", served.log());
}
