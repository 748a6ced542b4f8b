//! What the product says about itself. `rt::note(..)` hands a note to whoever watches: the tank's every-step
//! checks in the simulation, nobody in the real build. A note states a fact; it never asks for anything.

use crate::{Index, MemberId, Revision, Term};
use serde::{Deserialize, Serialize};

/// One fact. Byte strings are digests where content would be too much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// A member (re)started and recovered this from its disk.
    MemberStarted { member: MemberId, term: Term, last: Index, applied: Index },
    /// A member became leader.
    Leader { member: MemberId, term: Term },
    /// A member stopped being leader.
    Deposed { member: MemberId, term: Term },
    /// Entries now stand in a member's log (in memory): first index, then (term, digest) of each. Whatever
    /// stood at or behind the first index is gone.
    Appended { member: MemberId, first: Index, entries: Vec<(Term, u64)> },
    /// The entry of this index says that these are the voters, in a member's log (in memory); `outgoing` are those
    /// that are being left, if any.
    Configured { member: MemberId, index: Index, voters: Vec<MemberId>, outgoing: Vec<MemberId> },
    /// The leader sent a member a snapshot, which goes to its disk now. Its whole log (in memory) is gone; what is
    /// appended next stands behind the snapshot's last entry, of this index and term.
    Received { member: MemberId, index: Index, term: Term },
    /// The member's log up to here has been synced to its disk.
    Synced { member: MemberId, term: Term, last: Index },
    /// A member learnt that entries up to here are committed.
    Committed { member: MemberId, term: Term, index: Index },
    /// A member applied an entry; `hash` is the rolling hash of its state machine.
    Applied { member: MemberId, index: Index, term: Term, revision: Revision, hash: u64 },
    /// A member replaced its state by a snapshot.
    Restored { member: MemberId, index: Index, term: Term, revision: Revision, hash: u64 },
    /// A client was told that a write in this entry is done.
    Acknowledged { member: MemberId, index: Index },
    /// A lease ended: revoked by a client, or by time (`expired`).
    LeaseEnded { member: MemberId, lease: i64, expired: bool },
    /// A process holds the named leader-election lock from now on, or holds it no longer.
    Elected { identity: String, lock: String, held: bool },
    /// A process wrote to the API server under a leader-election lock.
    FencedWrite { identity: String, lock: String, what: String },
    /// A process is about to write to the API server under no lock. No part of the record.
    Write { what: String },
    /// A container started (`running`) or ended on a node.
    Container { node: String, namespace: String, pod: String, uid: String, running: bool },
    /// A cache (informer or watch cache) of a process is at this revision with this many objects; the hash is of
    /// their keys below `/registry/<resource>/` and their versions, see [`version_digest`].
    Cache { process: String, resource: String, revision: i64, objects: u64, hash: u64 },
    /// A worker of a queue has dealt with a key; one that `failed` comes again. `waiting`: the keys still there.
    Worked { queue: String, key: String, failed: bool, waiting: u64 },
    /// An update takes the last finalizer from an object that is being deleted: as it was written at this revision it
    /// goes, and is not written without it before. `object`: its key below `/registry/`.
    LastFinalizer { object: String, revision: i64 },
    /// The pods of a node that fell silent are about to be evicted; `silent` of `nodes` nodes are, as far as the
    /// controller knows.
    Evicting { node: String, silent: u64, nodes: u64 },
    /// A controller hears of nodes again, after it had not of any.
    HeardAgain,
    /// A process says something for the record that no check reads.
    Said { text: String },
    /// A member that starts found its disk out of order, and put it right: which file, and what was wrong with it.
    Repaired { member: MemberId, what: String },
    /// History before this revision is gone at a member, as the leader compacted by itself.
    Compacted { member: MemberId, revision: Revision },
}

/// What one object adds to the hash of a [`Note::Cache`]. The hash is the exclusive or of these over all objects:
/// equal for equal states, whatever the way there, and kept up to date by one step per change. FNV-1a (64 bit) of
/// the key's bytes, a zero byte, and the version as eight bytes, least first.
pub fn version_digest(key: &str, version: u64) -> u64 {
    let bytes = key.bytes().chain([0]).chain(version.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
