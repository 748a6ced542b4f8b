//! What is in the museum: each bug with the promises it is known to break, not with all it happened to break.

/// A bug, the swarms that look for it in turn, and the promises it is known to break.
pub struct Piece {
    pub id: &'static str,
    pub what: &'static str,
    pub swarms: &'static [&'static str],
    pub breaks: &'static [&'static str],
}

const RAFT: &[&str] = &[
    "one leader a term",
    "votes are on disk before they count",
    "log matching",
    "leader completeness",
    "committed stays committed",
    "commit and revision never go back",
    "equal state at equal index",
    "acknowledged is on a quorum of disks",
    "linearizable",
    "watch: reliable",
    "watch: resumable",
    "no process dies by itself",
];
const LIVE: &[&str] = &["settles"];
const DIES: &[&str] = &["no process dies by itself"];
const WATCH: &[&str] = &["watch: reliable", "watch: resumable", "watch: unique", "watch: ordered"];
const LEASE: &[&str] = &["lease: not before its time"];
const GAP: &[&str] = &["API watch: no gap after a list"];
const READS: &[&str] = &["linearizable"];
const KV: &[&str] = &["kv-swarm", "elections-swarm"];
const DISKS: &[&str] = &["disks-swarm"];
const STORE: &[&str] = &["kv-swarm"];
const MEMBERS: &[&str] = &["members-swarm"];
const CHANGES: &[&str] = &["changes-swarm"];
const USERS: &[&str] = &["users-swarm"];
const LOCKS: &[&str] = &["locks-swarm"];
const LEASES: &[&str] = &["leases-swarm"];
const BOTH: &[&str] = &["swarm"];
const VIEWS: &[&str] = &["views-swarm"];
const NODES: &[&str] = &["nodes-swarm"];
const ROOM: &[&str] = &["more-pods-than-room"];
const JOBS: &[&str] = &["indexed-job-under-crashes"];
const COUNTED: &[&str] = &["a Job counts each pod once"];

const fn piece(
    id: &'static str,
    what: &'static str,
    swarms: &'static [&'static str],
    breaks: &'static [&'static str],
) -> Piece {
    Piece { id, what, swarms, breaks }
}

pub const PIECES: &[Piece] = &[
    piece("CANARY", "a client that lies about what it read", KV, READS),
    piece("R01", "members go by the configuration they applied last", MEMBERS, RAFT),
    piece("R03", "votes compared by index alone", KV, RAFT),
    piece("R06", "an entry of an earlier term counted as committed", KV, RAFT),
    piece("R08", "a vote answered before it is on disk", KV, RAFT),
    piece("R02", "members change before the leader has committed anything", CHANGES, RAFT),
    piece("R20", "a joint configuration is taken for its second half", CHANGES, RAFT),
    piece("R15", "a read served before the first commit of the term", KV, READS),
    piece("R18", "a leader reads locally without proof of leadership", KV, READS),
    piece("R10", "appending truncates what was acknowledged", KV, RAFT),
    piece("S01", "a single member acknowledges before its disk does", KV, RAFT),
    piece(
        "M02",
        "compaction at a tombstone drops the deletion",
        KV,
        &["watch: reliable", "watch: resumable"],
    ),
    piece(
        "W03",
        "a progress notice overtakes events",
        KV,
        &["watch: bookmark", "watch: reliable", "watch: resumable"],
    ),
    piece("L01", "a deposed leader ends leases", KV, &["lease: not before its time"]),
    piece(
        "T03",
        "what roles may do is not known again behind a snapshot",
        USERS,
        &["equal state at equal index", "users do no less than they may"],
    ),
    piece("T05", "a txn inside a txn is not asked who sends it", USERS, &["users do no more than they may"]),
    piece(
        "T06",
        "without space, what frees space is refused too",
        USERS,
        &["what frees space is let through"],
    ),
    piece("L09", "a lease cannot end by itself while users are told apart", USERS, &["lease: not never"]),
    piece("L08", "a lock is had though its lease ended meanwhile", LOCKS, &["a lock has one holder"]),
    piece("T07", "a write is sent twice", KV, READS),
    piece(
        "A01",
        "a list is served from a cache that lags",
        BOTH,
        &["resourceVersion never goes back", "API watch: no gap after a list"],
    ),
    piece(
        "C01",
        "pods are created again before the first are seen",
        VIEWS,
        &["surge", "no hot loop", "settles"],
    ),
    piece("P01", "a rollout trusts a count from before a set was scaled", BOTH, &["unavailable"]),
    piece("P03", "a rollout forgets that new pods may not be ready yet", BOTH, &["unavailable"]),
    piece("I07", "a namesake seen after a gap is taken for the one before", VIEWS, &["settles", "owners"]),
    piece(
        "E01",
        "a manager that lost its lock goes on writing",
        BOTH,
        &["no write by one that lost its lock"],
    ),
    piece("R05", "a quorum looked for in what is no longer sorted", KV, RAFT),
    piece("R08-ack", "entries acknowledged before they are on disk", KV, RAFT),
    piece("R13", "what lies behind a page counts as applied", KV, DIES),
    piece("R17", "a read is answered by a leader that knows of the next", KV, READS),
    piece("R19", "a vote seen is a vote granted", KV, RAFT),
    piece("R24", "a leader never goes back in a follower's log", KV, LIVE),
    piece("R31", "entries that cannot be read are taken for the end of the log", STORE, LIVE),
    piece("S06", "a torn end of the log makes a member unbootable", KV, DIES),
    piece("S07", "a sync that does nothing", KV, RAFT),
    piece(
        "S20",
        "a checksum that nobody looks at",
        DISKS,
        &["what is damaged is never served", "log matching"],
    ),
    piece("S21", "a member that lost its disk starts as if it were new", DISKS, RAFT),
    piece("S02", "a snapshot has the index of what it lacks", KV, DIES),
    piece("S11", "what was refused does not count as applied", KV, DIES),
    piece("M01", "the revision is that of what was left", STORE, RAFT),
    piece("M05", "what keeps other history is compared", STORE, LIVE),
    piece("M03", "a deletion is not in the index after a restart", STORE, WATCH),
    piece("W01", "a snapshot sends watches back to where they began", STORE, WATCH),
    piece("W04", "a watch that fell behind compaction is not told", KV, WATCH),
    piece("W05", "a watch from the future hears of the past", KV, &["watch: bookmark", "watch: ordered"]),
    piece("L02", "a lease is renewed while it ends", STORE, LEASE),
    piece("L03", "a new leader gives leases their whole time again", LEASES, &["lease: not never"]),
    piece("L05", "a new leader does not know of a lease that was granted", STORE, LEASE),
    piece(
        "L07",
        "a leader that steps down keeps the time of leases",
        STORE,
        &["lease: not before its time", "no process dies by itself"],
    ),
    piece("A05", "the past is read by an index that no longer fits", BOTH, GAP),
    piece("A06", "a deletion carries the version before it", BOTH, GAP),
    piece(
        "A10",
        "a watch from before the window begins with a gap",
        BOTH,
        &["API watch: no gap after a list", "settles"],
    ),
    piece(
        "A11",
        "a progress notice that comes too early is believed",
        BOTH,
        &["caches equal the store", "API watch: no gap after a list"],
    ),
    piece("A12", "events go by another key than watchers are filed under", BOTH, LIVE),
    piece("A18", "the end of a slow watch gets lost", BOTH, GAP),
    piece("I06", "a key that came while it was worked on is lost", BOTH, LIVE),
    piece("N01", "pods are evicted when no node is heard of any more", NODES, &["no mass eviction"]),
    piece("N05", "a node that came back gives the next its turn", NODES, &["no mass eviction"]),
    piece("G02", "what was orphaned before the start stays", BOTH, &["settles", "owners"]),
    piece("J01", "a Job lets its pods go before it has counted them", JOBS, COUNTED),
    piece("J02", "a Job's pods are made again before the first are seen", JOBS, &["parallelism"]),
    piece("B05", "a new voter is told who it is once that is agreed on", MEMBERS, LIVE),
    piece("B11", "a leader that no list has named cannot be answered", CHANGES, LIVE),
    piece("B12", "a member ends that a joint configuration needs", CHANGES, LIVE),
    piece("B13", "a learner that is removed is never told", CHANGES, LIVE),
    piece("B14", "a member keeps the id that a lost change gave it", CHANGES, LIVE),
    piece("B15", "an id that a lost change gave is given again", CHANGES, RAFT),
    piece("B01", "behind a snapshot nobody was ever removed", MEMBERS, RAFT),
    piece("R26", "entries are applied to a state that is being replaced", MEMBERS, RAFT),
    piece("BACK", "a follower takes up a commit that is behind its own", KV, RAFT),
    piece("UNMATCHED", "what a leader has committed is so in a follower's log, too", KV, RAFT),
    piece("G05", "an owner is looked for where things without a namespace are", BOTH, &["owners"]),
    piece("LIMIT", "a Job bears no failure, whatever its limit is", JOBS, &["as expected", "twin run"]),
    piece(
        "LOST",
        "a change that lost a race is written over what won",
        VIEWS,
        &["phases only go forward", "surge", "owners"],
    ),
    piece("LATE", "a watch from now begins behind the next change", KV, &["watch: reliable"]),
    piece("AGAIN", "a batch of events begins with the last one of the batch before", KV, &["watch: unique"]),
    piece("ATOMIC", "events of one revision come one by one", KV, &["watch: atomic"]),
    piece("FILTER", "what a watch has filtered out is sent all the same", KV, &["watch: filtered"]),
    piece("PREV", "the value before is the one before a revision ago", KV, &["watch: previous value"]),
    piece("GONE", "the revision of a compaction counts as gone", KV, &["watch: compacted only when gone"]),
    piece(
        "EDGE",
        "who asks for all that a permission holds is refused",
        USERS,
        &["users do no less than they may"],
    ),
    piece("K02", "a pod's place is free until its binding is seen", ROOM, &["no node over its allocatable"]),
    piece("BOUND", "a pod is bound though it has a node", BOTH, &["a pod is bound once"]),
    piece("INDEX", "an index is made again though it has succeeded", JOBS, &["no index runs again"]),
    piece("FINALIZER", "a second deletion waits for nobody's finalizer", VIEWS, &["finalizers are honoured"]),
    piece("HOT", "a status is written though it says nothing new", BOTH, &["no hot loop"]),
    piece("B10", "whoever joins takes a snapshot before it knows who votes", MEMBERS, DIES),
];

/// Planted too, but not hunted: tests of their crates find them, or a scenario in `scenarios/bugs/`, or, UNORDERED, the
/// test of `same`.
const ELSEWHERE: &[&str] = &[
    "A02",
    "A07",
    "B02",
    "B03",
    "B06",
    "B07",
    "B08",
    "B09",
    "B16",
    "B17",
    "C01-expired",
    "C05",
    "C06",
    "C07",
    "C08",
    "C09",
    "E02",
    "G01",
    "G03",
    "HASHED",
    "K01",
    "K05",
    "K06",
    "N02",
    "N06",
    "P02",
    "P04",
    "R03-and",
    "R16",
    "R21",
    "R22",
    "R25",
    "R27",
    "R28",
    "R30",
    "S09",
    "S22",
    "T01",
    "T05-quota",
    "T07-http",
    "TAIL",
    "UNORDERED",
    "W06",
    "W09",
];

/// Every bug that can be planted.
pub fn planted() -> impl Iterator<Item = &'static str> {
    PIECES.iter().map(|piece| piece.id).chain(ELSEWHERE.iter().copied())
}
