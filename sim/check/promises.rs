//! Every promise by name, in the words of who made it.

/// A promise that is checked.
#[derive(Debug)]
pub struct Promise {
    pub name: &'static str,
    /// What upstream's documentation says.
    pub words: &'static str,
    pub source: &'static str,
}

const fn promise_of(name: &'static str, words: &'static str, source: &'static str) -> Promise {
    Promise { name, words, source }
}

const RAFT: &str = "Raft, figure 3";
const ETCD: &str = "etcd, API guarantees";
const KUBE: &str = "Kubernetes";

pub const PROMISES: &[Promise] = &[
    promise_of("one leader a term", "At most one leader can be elected in a given term.", RAFT),
    promise_of(
        "votes are on disk before they count",
        "Term and vote are updated on stable storage before responding to RPCs.",
        "Raft, figure 2",
    ),
    promise_of(
        "log matching",
        "If two logs contain an entry with the same index and term, then the logs are identical in all entries up through it.",
        RAFT,
    ),
    promise_of(
        "leader completeness",
        "If a log entry is committed in a given term, it is present in the logs of the leaders of all higher terms.",
        RAFT,
    ),
    promise_of(
        "committed stays committed",
        "A server never applies a different log entry for an index that was applied.",
        RAFT,
    ),
    promise_of(
        "commit and revision never go back",
        "The revision of the store increases monotonically.",
        ETCD,
    ),
    promise_of(
        "equal state at equal index",
        "Members that have applied the same entries are in the same state.",
        RAFT,
    ),
    promise_of("acknowledged is on a quorum of disks", "Any completed operation is durable.", ETCD),
    promise_of(
        "what is damaged is never served",
        "Damage on disk is found when it is read; it is put right or the process ends, and the file is named.",
        "this project",
    ),
    promise_of(
        "linearizable",
        "Every operation appears to take effect at once, between its call and its answer.",
        ETCD,
    ),
    promise_of(
        "watch: ordered",
        "Events are ordered by revision; an event never appears in the past of one already posted.",
        ETCD,
    ),
    promise_of("watch: unique", "An event never appears on a watch twice.", ETCD),
    promise_of(
        "watch: atomic",
        "A list of events encompasses complete revisions; a revision is never split over several lists.",
        ETCD,
    ),
    promise_of(
        "watch: reliable",
        "A sequence of events never drops any subsequence of events within the available history.",
        ETCD,
    ),
    promise_of(
        "watch: resumable",
        "A broken watch, resumed behind the last event it received, misses nothing in between.",
        ETCD,
    ),
    promise_of(
        "watch: bookmark",
        "A progress notice promises that all events up to its revision have been delivered.",
        ETCD,
    ),
    promise_of("watch: filtered", "A watch delivers only what was asked for.", ETCD),
    promise_of(
        "watch: previous value",
        "With prev_kv, an event carries the key as it was right before it.",
        ETCD,
    ),
    promise_of(
        "watch: compacted only when gone",
        "A watch is cancelled as compacted only if it asks for history that is gone.",
        ETCD,
    ),
    promise_of(
        "lease: not before its time",
        "A lease lives for at least its time to live after the last keep-alive that was answered.",
        ETCD,
    ),
    promise_of("lease: not never", "A lease that is not kept alive ends, and its keys are deleted.", ETCD),
    promise_of(
        "users do no more than they may",
        "Roles can be granted access to a single key or a range of keys.",
        "etcd, Role-based access control",
    ),
    promise_of(
        "a lock has one holder",
        "A key exists for as long as its owner has the lock; who came first has it.",
        "etcd, v3lock.proto",
    ),
    promise_of("users do no less than they may", "What a role allows is not refused.", "this project"),
    promise_of(
        "what frees space is let through",
        "A cluster-wide alarm puts the cluster into a maintenance mode which only accepts key reads and deletes.",
        "etcd, Maintenance",
    ),
    promise_of(
        "API watch: no gap after a list",
        "A watch from a list's resourceVersion delivers every change after it, once, in order.",
        KUBE,
    ),
    promise_of(
        "resourceVersion never goes back",
        "What a client has seen of an object is never older than what it saw before.",
        KUBE,
    ),
    promise_of(
        "a pod is bound once",
        "Once a pod is assigned to a node, it stays there until it ends.",
        KUBE,
    ),
    promise_of("phases only go forward", "A pod that has succeeded or failed never runs again.", KUBE),
    promise_of(
        "no node over its allocatable",
        "The sum of the requests of a node's pods never exceeds what is allocatable.",
        KUBE,
    ),
    promise_of("surge", "maxSurge: pods that may exist above the desired number during an update.", KUBE),
    promise_of("unavailable", "maxUnavailable: pods that may be unavailable during an update.", KUBE),
    promise_of(
        "a Job counts each pod once",
        "The controller removes the finalizer only after the Pod has been accounted for in the Job status.",
        KUBE,
    ),
    promise_of(
        "no index runs again",
        "The Job is considered complete when there is one successfully completed Pod for each index.",
        KUBE,
    ),
    promise_of(
        "parallelism",
        "parallelism: the maximum number of pods the job should run at any given time.",
        KUBE,
    ),
    promise_of("finalizers are honoured", "An object is removed only when its finalizers are empty.", KUBE),
    promise_of("owners", "Dependents are deleted only when their owner is, and always then.", KUBE),
    promise_of(
        "no write by one that lost its lock",
        "Only the holder of the leader-election Lease acts.",
        KUBE,
    ),
    promise_of(
        "no mass eviction",
        "If none of the nodes is healthy, the trouble is taken for one of connectivity, and nothing is evicted.",
        "Kubernetes, Nodes",
    ),
    promise_of("caches equal the store", "A cache that has caught up holds what the store holds.", KUBE),
    promise_of("settles", "Once harm ends, the system reaches the desired state, and stays there.", KUBE),
    promise_of("no hot loop", "When nothing changes, nothing is written.", KUBE),
    promise_of("as expected", "The scenario's own expectations.", "this scenario"),
    promise_of("twin run", "The same seed without harm ends in the same objects.", "Sieve (OSDI '22)"),
    promise_of(
        "no process dies by itself",
        "No invariant breaks and no process stops but by harm.",
        "this project",
    ),
];

pub fn promise(name: &str) -> Option<&'static Promise> {
    PROMISES.iter().find(|promise| promise.name == name)
}
