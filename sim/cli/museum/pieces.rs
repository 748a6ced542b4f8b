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
const BOTH: &[&str] = &["swarm"];

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
    piece("R03", "votes compared by index alone", KV, RAFT),
    piece("R06", "an entry of an earlier term counted as committed", KV, RAFT),
    piece("R08", "a vote answered before it is on disk", KV, RAFT),
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
        BOTH,
        &["surge", "no hot loop", "settles"],
    ),
    piece("P01", "a rollout trusts a count from before a set was scaled", BOTH, &["unavailable"]),
    piece("P03", "a rollout forgets that new pods may not be ready yet", BOTH, &["unavailable"]),
    piece("I07", "a namesake seen after a gap is taken for the one before", BOTH, &["settles", "owners"]),
    piece(
        "E01",
        "a manager that lost its lock goes on writing",
        BOTH,
        &["no write by one that lost its lock"],
    ),
    piece("R03-and", "votes compared by index and term, each for itself", KV, LIVE),
    piece("R05", "a quorum looked for in what is no longer sorted", KV, RAFT),
    piece("R08-ack", "entries acknowledged before they are on disk", KV, RAFT),
    piece("R13", "what lies behind a page counts as applied", KV, DIES),
    piece("R16", "a read joins a round that began before it", KV, READS),
    piece("R17", "a read is answered by a leader that knows of the next", KV, READS),
    piece("R19", "a vote seen is a vote granted", KV, RAFT),
    piece("R24", "a leader never goes back in a follower's log", KV, LIVE),
    piece("R25", "the count of what is uncommitted leaks", KV, LIVE),
    piece("R26", "entries applied while a snapshot is installed take it back", KV, RAFT),
    piece("R27", "a snapshot leaves what contradicts it in the log", KV, RAFT),
    piece("R31", "entries that cannot be read are taken for the end of the log", KV, LIVE),
    piece("S06", "a torn end of the log makes a member unbootable", KV, DIES),
    piece("S07", "a sync that does nothing", KV, RAFT),
    piece("S11", "what was refused does not count as applied", KV, DIES),
    piece("M01", "the revision is that of what was left", KV, RAFT),
    piece("M03", "a deletion is not in the index after a restart", KV, WATCH),
    piece("W01", "a snapshot sends watches back to where they began", KV, WATCH),
    piece("W04", "a watch that fell behind compaction is not told", KV, WATCH),
    piece("W05", "a watch from the future hears of the past", KV, &["watch: bookmark", "watch: ordered"]),
    piece("L02", "a lease is renewed while it ends", KV, LEASE),
    piece("L05", "a new leader does not know of a lease that was granted", KV, LEASE),
    piece(
        "L07",
        "a leader that steps down keeps the time of leases",
        KV,
        &["lease: not before its time", "no process dies by itself"],
    ),
    piece("A02", "after a failed watch any state will do", BOTH, &["settles", "surge", "no hot loop"]),
    piece("A04", "a watch lives through a cache that is filled anew", BOTH, GAP),
    piece("A06", "a deletion carries the version before it", BOTH, GAP),
    piece("A07", "pages of a list are of different revisions", BOTH, GAP),
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
    piece("A14", "old events survive a cache that is filled anew", BOTH, GAP),
    piece("A18", "the end of a slow watch gets lost", BOTH, GAP),
    piece("I01", "what a new list lacks stays in the cache", BOTH, &["settles", "caches equal the store"]),
    piece(
        "I05",
        "an older state overwrites a newer one in a cache",
        BOTH,
        &["settles", "caches equal the store"],
    ),
    piece("I06", "a key that came while it was worked on is lost", BOTH, LIVE),
    piece("C02", "a new manager begins with a cache that lags", BOTH, &["surge", "unavailable"]),
    piece("C05", "a creation of unknown outcome counts as failed", BOTH, &["surge"]),
    piece("P02", "a change of size in mid-rollout drops what is needed", BOTH, &["unavailable"]),
    piece("G01", "an owner that is not in the cache is gone", BOTH, &["owners"]),
    piece("G02", "what was orphaned before the start stays", BOTH, &["settles", "owners"]),
    piece("G03", "an object that changed is judged by what it was", BOTH, &["owners"]),
    piece("K01", "a bind that failed leaves its room taken", BOTH, LIVE),
    piece(
        "K02",
        "a pod is forgotten between its bind and its sight",
        BOTH,
        &["no node over its allocatable"],
    ),
    piece("K03", "a pod that fitted nowhere is never looked at again", BOTH, LIVE),
    piece("N01", "all nodes silent means all pods evicted", BOTH, &["unavailable"]),
];
