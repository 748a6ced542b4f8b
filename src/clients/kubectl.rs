//! kubectl against a whole control plane.

use crate::harness::{KUBECTL, Served, eventually, succeed, text_of};
use std::{io::Read, process::Stdio, thread, time::Duration};

pub const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{ name: web, image: 'web:v1' }]
";

#[test]
fn kubectl_does_its_everyday_work() {
    let served = Served::start("kubectl", 1, 2);
    served.wait_ready(2);
    let run = |args: &[&str]| succeed(served.kubectl(args), "");
    assert_eq!(succeed(served.kubectl(&["apply", "-f", "-"]), WEB), "deployment.apps/web created\n");
    let rolled = run(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert!(rolled.contains("successfully rolled out"), "{rolled}");
    assert_eq!(succeed(served.kubectl(&["apply", "-f", "-"]), WEB), "deployment.apps/web unchanged\n");
    let pods = run(&["get", "pods", "-o", "wide"]);
    assert!(
        pods.starts_with("NAME") && pods.matches("Running").count() == 2 && pods.contains("node-"),
        "{pods}"
    );
    let described = run(&["describe", "deployment", "web"]);
    assert!(
        described.contains("2 desired | 2 updated | 2 total | 2 available | 0 unavailable"),
        "{described}"
    );
    assert!(described.contains("ScalingReplicaSet"), "{described}");
    assert_eq!(run(&["scale", "deployment/web", "--replicas=3"]), "deployment.apps/web scaled\n");
    run(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert_eq!(run(&["set", "image", "deployment/web", "web=web:v2"]), "deployment.apps/web image updated\n");
    run(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    let images = run(&["get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].image}"]);
    assert!(images.split(' ').filter(|image| *image == "web:v2").count() >= 3, "{images}");
    let history = run(&["rollout", "history", "deployment/web"]);
    assert!(history.contains("\n1 ") && history.contains("\n2 "), "{history}");
    watches(&served);
    let deleted = run(&["delete", "deployment", "web", "--wait=false"]);
    assert!(deleted.starts_with("deployment.apps \"web\" deleted"), "{deleted}");
    eventually("the pods have gone", Duration::from_secs(60), || {
        let out = served.kubectl(&["get", "pods,rs", "-o", "name"]).output().expect(KUBECTL);
        if text_of(&out).is_empty() { Ok(()) } else { Err(text_of(&out)) }
    });
}

const SQUARES: &str = "
apiVersion: batch/v1
kind: Job
metadata: { name: squares }
spec:
  completionMode: Indexed
  completions: 4
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: square, image: 'squares:v1' }]
";

#[test]
fn kubectl_runs_a_job() {
    let served = Served::start("kubectl-job", 1, 2);
    served.wait_ready(2);
    let run = |args: &[&str]| succeed(served.kubectl(args), "");
    assert_eq!(succeed(served.kubectl(&["apply", "-f", "-"]), SQUARES), "job.batch/squares created\n");
    let waited = run(&["wait", "--for=condition=complete", "--timeout=60s", "job/squares"]);
    assert_eq!(waited, "job.batch/squares condition met\n");
    assert_eq!(succeed(served.kubectl(&["apply", "-f", "-"]), SQUARES), "job.batch/squares unchanged\n");
    let jobs = run(&["get", "jobs"]);
    let words: Vec<&str> = jobs.split_whitespace().collect();
    assert_eq!(words[..5], ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"], "{jobs}");
    assert_eq!(words[5..8], ["squares", "Complete", "4/4"], "{jobs}");
    let described = run(&["describe", "job", "squares"]);
    assert!(
        described.contains("Completed Indexes:  0-3") && described.contains("Job completed"),
        "{described}"
    );
    assert_eq!(run(&["create", "job", "one", "--image=one:v1"]), "job.batch/one created\n");
    run(&["wait", "--for=condition=complete", "--timeout=60s", "job/one"]);
    let pods = run(&["get", "pods", "-l", "job-name=squares", "-o", "name"]);
    assert_eq!(pods.lines().count(), 4, "{pods}");
    run(&["delete", "job", "squares", "one", "--timeout=60s"]);
    eventually("the pods have gone", Duration::from_secs(60), || {
        let out = served.kubectl(&["get", "pods,jobs", "-o", "name"]).output().expect(KUBECTL);
        if text_of(&out).is_empty() { Ok(()) } else { Err(text_of(&out)) }
    });
}

fn watches(served: &Served) {
    let mut watch = served.kubectl(&["get", "configmaps", "-w", "--no-headers"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().expect(KUBECTL);
    let mut out = watch.stdout.take().expect("its output");
    thread::sleep(Duration::from_secs(2));
    succeed(served.kubectl(&["create", "configmap", "seen", "--from-literal=a=b"]), "");
    let mut seen = [0; 4];
    out.read_exact(&mut seen).expect("the event");
    assert_eq!(&seen, b"seen");
    let _ = watch.kill();
    let _ = watch.wait();
}

#[test]
fn kubectl_is_told_what_is_wrong() {
    let served = Served::start("kubectl-errors", 1, 0);
    served.wait_ready(0);
    let fails = |args: &[&str], input: &str| {
        let mut command = served.kubectl(args);
        command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect(KUBECTL);
        std::io::Write::write_all(&mut child.stdin.take().expect("input"), input.as_bytes())
            .expect("it reads");
        let out = child.wait_with_output().expect("it ends");
        assert!(!out.status.success(), "{args:?} should fail: {}", text_of(&out));
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let missing = fails(&["get", "pod", "nobody"], "");
    assert!(missing.contains("Error from server (NotFound): pods \"nobody\" not found"), "{missing}");
    let misspelt = WEB.replace("replicas:", "replica:");
    let unknown = fails(&["apply", "-f", "-"], &misspelt);
    assert!(unknown.contains("unknown field \"spec.replica\""), "{unknown}");
    let wrong = fails(
        &["apply", "-f", "-"],
        &WEB.replace("matchLabels: { app: web }", "matchLabels: { app: other }"),
    );
    assert!(wrong.contains("`selector` does not match template `labels`"), "{wrong}");
}
