//! `/metrics`, in the text form of Prometheus, with the names, kinds and help that dashboards made for etcd go by.

use crate::{handle::Handle, meters::Histogram};
use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use std::fmt::Write;
use tonic::Code;

/// The lines of all metrics.
#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, "gauge", help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, "counter", help, value);
    }

    fn histogram<const FIRST: u64, const BUCKETS: usize>(
        &mut self,
        name: &str,
        help: &str,
        times: &Histogram<FIRST, BUCKETS>,
    ) {
        self.head(name, "histogram", help);
        self.times(name, "", times);
    }

    /// The lines of a histogram; a label, if there is one.
    fn times<const FIRST: u64, const BUCKETS: usize>(
        &mut self,
        name: &str,
        label: &str,
        times: &Histogram<FIRST, BUCKETS>,
    ) {
        let (before, alone) = match label {
            "" => (String::new(), String::new()),
            label => (format!("{label},"), format!("{{{label}}}")),
        };
        for (end, count) in times.buckets() {
            let _ = writeln!(self.0, "{name}_bucket{{{before}le=\"{}\"}} {count}", end.as_secs_f64());
        }
        let _ = writeln!(self.0, "{name}_bucket{{{before}le=\"+Inf\"}} {}", times.count);
        let (sum, count) = (times.sum.as_secs_f64(), times.count);
        let _ = writeln!(self.0, "{name}_sum{alone} {sum}\n{name}_count{alone} {count}");
    }
}

pub async fn serve(State(handle): State<Handle>) -> Response {
    let mut text = Text::default();
    server(&handle, &mut text);
    store(&handle, &mut text);
    hashes(&handle, &mut text);
    promotions(&handle, &mut text);
    calls(&handle, &mut text);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response()
}

fn server(handle: &Handle, text: &mut Text) {
    let (view, meters) = (handle.view(), handle.meters().clone());
    let applied = handle.applied();
    text.head("etcd_server_version", "gauge", "1, labelled with the version this member speaks.");
    let _ = writeln!(text.0, "etcd_server_version{{server_version=\"{}\"}} 1", super::VERSION);
    text.head("etcd_cluster_version", "gauge", "1, labelled with the version the members speak together.");
    let _ = writeln!(text.0, "etcd_cluster_version{{cluster_version=\"{}\"}} 1", super::cluster_version());
    text.gauge("etcd_server_has_leader", "1 while this member knows a leader.", view.leader.is_some().into());
    text.gauge("etcd_server_is_leader", "1 while this member leads.", handle.leads().into());
    text.gauge("etcd_server_is_learner", "1 while this member only learns.", handle.learns().into());
    text.counter(
        "etcd_server_leader_changes_seen_total",
        "How often the leader changed.",
        meters.leader_changes,
    );
    text.gauge(
        "etcd_server_proposals_committed_total",
        "Index up to which the log is agreed on.",
        view.committed.0,
    );
    text.gauge(
        "etcd_server_proposals_applied_total",
        "Index up to which the log is applied here.",
        applied.0,
    );
    text.gauge(
        "etcd_server_proposals_pending",
        "Proposals of this member's clients that are under way.",
        meters.proposals_pending,
    );
    text.counter(
        "etcd_server_proposals_failed_total",
        "Proposals of this member's clients that came to nothing, or whose end is not known.",
        meters.proposals_failed,
    );
    text.gauge(
        "etcd_server_quota_backend_bytes",
        "Bytes a member may hold before it raises the alarm NOSPACE.",
        handle.knobs().quota_bytes,
    );
    let help = "Requests that took longer to apply, or to read, than it may take.";
    text.counter("etcd_server_slow_apply_total", help, meters.slow_applies);
    text.counter("etcd_server_health_success", "Probes of /health told that all is well.", meters.healthy);
    text.counter("etcd_server_health_failures", "Probes of /health told that it is not.", meters.unhealthy);
    text.histogram(
        "etcd_disk_wal_fsync_duration_seconds",
        "How long it took to make what gathered durable.",
        &meters.syncs,
    );
}

fn store(handle: &Handle, text: &mut Text) {
    let (revision, compacted, keys, kept, bytes, leases) = handle.with_store(|store| {
        let compacted = store.compacted().0.max(0) as u64;
        let leases = store.leases().count() as u64;
        (store.revision().0 as u64, compacted, store.len() as u64, store.kept() as u64, store.bytes(), leases)
    });
    let (streams, watchers) = handle.hub().count();
    let (puts, deletions) = handle.meters().changes;
    text.counter("etcd_mvcc_put_total", "Puts applied here since it started, those of txns included.", puts);
    text.counter(
        "etcd_mvcc_delete_total",
        "Keys deleted here since it started, by whatever it was.",
        deletions,
    );
    text.gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes that the state would take in a snapshot.", bytes);
    text.gauge(
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "The same: nothing here is held in reserve.",
        bytes,
    );
    text.gauge("etcd_debugging_mvcc_db_total_size_in_bytes", "The same, by its old name.", bytes);
    text.gauge("etcd_debugging_mvcc_current_revision", "The revision there is.", revision);
    text.gauge("etcd_debugging_mvcc_compact_revision", "History before this revision is gone.", compacted);
    text.gauge("etcd_debugging_mvcc_keys_total", "Keys there are.", keys);
    text.gauge("etcd_debugging_mvcc_watch_stream_total", "Streams of watches.", streams as u64);
    text.gauge("etcd_debugging_mvcc_watcher_total", "Watches on all streams.", watchers as u64);
    text.gauge("etcd_debugging_lease_total", "Leases there are.", leases);
    text.gauge(
        "wavetank_store_versions_kept",
        "Versions of keys that are kept, those of the past included.",
        kept,
    );
}

fn promotions(handle: &Handle, text: &mut Text) {
    let meters = handle.meters().clone();
    let help = "Learners that got a vote while this member led.";
    text.counter("etcd_server_learner_promote_successes", help, meters.promoted);
    let name = "etcd_server_learner_promote_failures";
    text.head(name, "counter", "How often a learner was not given one by this member, by why.");
    for (why, count) in &meters.not_promoted {
        let _ = writeln!(text.0, "{name}{{Reason=\"{why}\"}} {count}");
    }
}

fn hashes(handle: &Handle, text: &mut Text) {
    let meters = handle.meters().clone();
    let help = "How long it took to make a hash of all that is there (Hash).";
    text.histogram("etcd_mvcc_hash_duration_seconds", help, &meters.hashes);
    let help = "How long it took to make a hash of a revision (HashKV, and where members compare).";
    text.histogram("etcd_mvcc_hash_rev_duration_seconds", help, &meters.revision_hashes);
}

fn calls(handle: &Handle, text: &mut Text) {
    let name = "grpc_server_handled_total";
    text.head(name, "counter", "Calls that ended, by how.");
    let meters = handle.meters().clone();
    for ((path, code), count) in &meters.calls {
        let Some((service, method)) = path.trim_start_matches('/').split_once('/') else { continue };
        let code = code_name(Code::from_i32(*code));
        let _ = writeln!(
            text.0,
            "{name}{{grpc_code=\"{code}\",grpc_method=\"{method}\",grpc_service=\"{service}\",grpc_type=\"{}\"}} {count}",
            kind_of(service, method)
        );
    }
    let name = "etcd_server_client_requests_total";
    text.head(name, "counter", "Calls that began, by the version of the client's protocol.");
    for ((version, kind), count) in &meters.begun {
        let _ = writeln!(text.0, "{name}{{client_api_version=\"{version}\",type=\"{kind}\"}} {count}");
    }
    let name = "etcd_server_range_duration_seconds";
    text.head(name, "histogram", "How long it took to answer a range, or to refuse it.");
    text.times(name, "success=\"true\"", &meters.ranges);
    text.times(name, "success=\"false\"", &meters.refused_ranges);
}

/// How often each side of a call speaks: dashboards set streams apart by it.
fn kind_of(service: &str, method: &str) -> &'static str {
    match (service, method) {
        ("etcdserverpb.Watch", "Watch") | (_, "LeaseKeepAlive") => "bidi_stream",
        (_, "Watch" | "Snapshot" | "RangeStream" | "Observe") => "server_stream",
        _ => "unary",
    }
}

/// As gRPC's own documents write it.
fn code_name(code: Code) -> String {
    match code {
        Code::Ok => "OK".into(),
        Code::Cancelled => "Canceled".into(),
        other => format!("{other:?}"),
    }
}
