//! Every interval and limit of the product, by name. Times are in milliseconds (`_ns`: nanoseconds), sizes in bytes.
//! A scenario's `knobs:` sets any of them; the real build takes them as flags where a user has a reason to.

use serde::{Deserialize, Serialize};
use std::time::Duration;

macro_rules! knobs {
    ($($(#[$doc:meta])* $name:ident: $default:expr,)+) => {
        /// The knobs, each with the default of the real build (the field's own defaults where it has one).
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct Knobs {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Default for Knobs {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Knobs {
            /// The names as a scenario spells them before camelCase is applied.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)+];

            /// Sets one by its snake_case name; false when there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)+
                    _ => return false,
                }
                true
            }
        }
    };
}

knobs! {
    /// Raft tick. etcd: heartbeat-interval.
    raft_tick_ms: 100,
    /// Ticks without a leader until an election; the drawn time-out is 1 to 2 times this. etcd: 1000 ms.
    raft_election_ticks: 10,
    /// Ticks between heartbeats.
    raft_heartbeat_ticks: 1,
    /// Append messages in flight to one follower.
    raft_inflight_messages: 256,
    /// Bytes of entries in flight to one follower.
    raft_inflight_bytes: 16 << 20,
    /// Bytes of entries in one append message.
    raft_append_bytes: 1 << 20,
    /// Proposals a leader holds uncommitted, in bytes; more are refused.
    raft_uncommitted_bytes: 64 << 20,
    /// Reads a leader holds until a round of heartbeats proves it; more are refused.
    raft_reads: 4_096,
    /// Proposals of one member's clients under way; more are refused.
    member_proposals: 10_000,
    /// Bytes of snapshot in one message.
    raft_snapshot_chunk_bytes: 64 << 10,
    /// Applied entries between snapshots. etcd: snapshot-count.
    snapshot_every: 10_000,
    /// Bytes of log behind a snapshot that are enough for the next, if the state is larger.
    snapshot_log_bytes: 128 << 20,
    /// Entries kept behind a snapshot, for followers that lag a little.
    snapshot_keep: 5_000,
    /// A WAL segment is cut at this size. etcd: 64 MB.
    wal_segment_bytes: 64 << 20,
    /// Proposals gathered into one sync at the most.
    wal_batch: 1_024,
    /// Largest request. etcd: max-request-bytes.
    request_bytes: 1_536 << 10,
    /// Operations in one txn. etcd: max-txn-ops.
    txn_ops: 128,
    /// What a member may hold, in bytes, before it raises the alarm NOSPACE; 0: any amount. etcd: quota-backend-bytes.
    quota_bytes: 2 << 30,
    /// An auth token unused for this long is forgotten. etcd: auth-token-ttl.
    auth_token_ttl_ms: 300_000,
    /// Passwords are hashed in 2 to the power of this many rounds, 4 to 31. etcd: bcrypt-cost.
    bcrypt_cost: 10,
    /// Revisions kept by a member that compacts by itself; 0: as long as the next says. etcd: auto-compaction-retention.
    auto_compact_revisions: 0,
    /// How often it looks whether there are more.
    auto_compact_every_ms: 300_000,
    /// Time for which history is kept by a member that compacts by itself; 0: for ever. etcd: auto-compaction-retention.
    auto_compact_ms: 0,
    /// Time between two comparisons of what the members hold, by the leader; 0: never. etcd: corrupt-check-time.
    corrupt_check_ms: 0,
    /// Time between two comparisons of the hashes that members took at compactions, by the leader; 0: never. etcd:
    /// compact-hash-check-time.
    compact_hash_check_ms: 0,
    /// 1: a member compares what it holds with what the others do before it serves. etcd: initial-corrupt-check.
    corrupt_check_at_start: 0,
    /// Members that only learn, at a time. etcd: max-learners.
    max_learners: 1,
    /// Nanoseconds to apply a request, or to answer a read, after which it is said that it took too long; the largest number:
    /// never, as in the tank. etcd: warning-apply-duration, 100 ms, as in `wavetank member`.
    slow_apply_ns: u64::MAX,
    /// Nanoseconds to answer a call that is no stream. etcd: warning-unary-request-duration, 300 ms, as there.
    slow_call_ns: u64::MAX,
    /// How long a request may wait for the store. etcd: 5 s + 2 x election time-out.
    request_timeout_ms: 7_000,
    /// Committed minus applied entries at which requests are refused. etcd: 5000.
    apply_lag: 5_000,
    /// Least TTL of a lease, in milliseconds. etcd: ceil(1.5 x election time-out).
    lease_min_ttl_ms: 2_000,
    /// How often the leader looks for leases that ended.
    lease_tick_ms: 500,
    /// Time without a renewal after which the leader has agreed what is left of a lease, so that the next leader does not
    /// give it its whole time again; 0: never. etcd: experimental-enable-lease-checkpoint, every 5 min.
    lease_checkpoint_ms: 0,
    /// Leases revoked in a second at the most. etcd: 1000.
    lease_revoke_rate: 1_000,
    /// Events queued for one watch stream before it is treated as slow.
    watch_queue: 1_024,
    /// Idle time after which a watch with progress_notify gets a progress response.
    watch_progress_ms: 600_000,
    /// HTTP/2 keepalive: time of silence before a ping; 0: no pings. etcd: grpc-keepalive-interval, 2 h.
    keepalive_ms: 5_000,
    /// HTTP/2 keepalive: time until an unanswered ping ends the connection. etcd: grpc-keepalive-timeout, 20 s.
    keepalive_timeout_ms: 5_000,
    /// HTTP/2 keepalive: least time between two pings of a client of the store, which has to have something to ask, too;
    /// 0: any pace will do. Our own clients keep to it. etcd: grpc-keepalive-min-time.
    keepalive_min_ms: 5_000,
    /// Streams of a client of the store that may be open at a time on one HTTP/2 connection, and calls by JSON at a time; the
    /// largest number of 32 bits, or more: any number. etcd: max-concurrent-streams.
    most_streams: u32::MAX as u64,
    /// A connection attempt gives up after this.
    connect_timeout_ms: 3_000,
    /// History of store revisions kept by the API server's compactor; 0 never compacts. Upstream: 5 min.
    compact_every_ms: 300_000,
    /// Events kept by a watch cache for each kind.
    watch_cache_events: 1_024,
    /// Events queued for one API watcher before it is dropped.
    watcher_queue: 256,
    /// Bookmarks: time between them.
    bookmark_ms: 60_000,
    /// Longest time a consistent read waits for the watch cache. Upstream: 3 s.
    cache_wait_ms: 3_000,
    /// API server: a request's deadline. Upstream: 60 s.
    api_timeout_ms: 60_000,
    /// Events (the Kubernetes kind) live this long. Upstream: 1 h.
    event_ttl_ms: 3_600_000,
    /// A client's deadline for one request that is not a watch.
    client_timeout_ms: 10_000,
    /// Shortest and longest back-off of clients, informers and queues.
    backoff_min_ms: 50,
    backoff_max_ms: 30_000,
    /// A watch ends after this time and is taken up again. Upstream: 5 to 10 min.
    watch_timeout_ms: 300_000,
    /// Leader election. Upstream: 15 s, 10 s, 2 s.
    elect_lease_ms: 15_000,
    elect_renew_ms: 10_000,
    elect_retry_ms: 2_000,
    /// Workers of one controller.
    controller_workers: 2,
    /// A controller's pending expectations are given up after this. Upstream: 5 min.
    expectations_ms: 300_000,
    /// First batch of a slow start; it doubles while creations succeed. Upstream: 1.
    slow_start: 1,
    /// Job: changes of its pods gathered before it is looked at. Upstream: 1 s.
    job_sync_ms: 1_000,
    /// Job: a failed pod delays the next by the first of these, doubled for each up to the second. Upstream: 10 s, 10 min.
    job_backoff_ms: 10_000,
    job_backoff_max_ms: 600_000,
    /// Kubelet: Lease renewals. Upstream: 10 s of a 40 s lease.
    node_lease_ms: 10_000,
    node_lease_duration_ms: 40_000,
    /// Kubelet: status posted when nothing changed. Upstream: 5 min.
    node_status_ms: 300_000,
    /// Kubelet: what a hollow node has room for. Upstream: 110 pods.
    node_cpu_milli: 8_000,
    node_memory_bytes: 32 << 30,
    node_pods: 110,
    /// Node lifecycle: looks at every node this often. Upstream: 5 s.
    node_monitor_ms: 5_000,
    /// Node lifecycle: silence after which a node is NotReady. Upstream: 50 s.
    node_grace_ms: 50_000,
    /// Node lifecycle: pods stay on a NotReady node for this long. Upstream: tolerationSeconds 300.
    eviction_after_ms: 300_000,
    /// Node lifecycle: nodes evicted in 1000 s. Upstream: 0.1/s.
    eviction_per_1000s: 100,
    /// Node lifecycle: share of NotReady nodes, in percent, at which eviction stops. Upstream: 55 % of a zone.
    eviction_stop_percent: 55,
    /// Scheduler: back-off of an unschedulable pod. Upstream: 1 s to 10 s.
    schedule_backoff_ms: 1_000,
    schedule_backoff_max_ms: 10_000,
    /// Kubelet: a container takes between these to start.
    container_start_min_ms: 100,
    container_start_max_ms: 2_000,
    /// Kubelet: a container takes up to this to stop after being asked to.
    container_stop_max_ms: 1_000,
    /// Kubelet: a container that is not always restarted runs between these, and ends by itself.
    container_run_min_ms: 1_000,
    container_run_max_ms: 5_000,
    /// Kubelet: all pods looked at again. Upstream: 1 min.
    pod_resync_ms: 60_000,
}

impl Knobs {
    /// Raft's election time-out in its shortest form.
    pub fn election_timeout(&self) -> Duration {
        Duration::from_millis(self.raft_tick_ms * self.raft_election_ticks)
    }
}

/// Milliseconds, as the knobs have them, for the clock.
pub fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}
