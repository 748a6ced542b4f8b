//! What goes into the machine and what comes out. A promise to others (a vote, an acknowledged entry) leaves
//! the machine inside an [`AfterSync`], which only a [`Synced`] opens, and a [`Synced`] is made only of a
//! [`Ticket`] and the outcome of a sync.
//!
//! ```
//! fn after(held: raft::AfterSync<u8>, ticket: raft::Ticket, outcome: Result<(), ()>) -> Option<u8> {
//!     let synced = ticket.redeem(outcome).ok()?;
//!     held.open(&synced).ok()
//! }
//! ```
//!
//! Nobody else comes to a proof: not by making one, not by a ticket used twice or copied, and what waits for it
//! cannot be reached around it.
//!
//! ```compile_fail
//! fn before(held: raft::AfterSync<u8>) -> Option<u8> {
//!     held.open(&raft::Synced(1)).ok()
//! }
//! ```
//! ```compile_fail
//! fn twice(ticket: raft::Ticket, outcome: Result<(), ()>) -> Option<raft::Synced> {
//!     ticket.redeem(outcome).ok().or_else(|| ticket.redeem(Ok::<(), ()>(())).ok())
//! }
//! ```
//! ```compile_fail
//! fn copied(ticket: &raft::Ticket) -> Option<raft::Synced> {
//!     ticket.clone().redeem(Ok::<(), ()>(())).ok()
//! }
//! ```
//! ```compile_fail
//! fn copied(synced: &raft::Synced) -> raft::Synced {
//!     synced.clone()
//! }
//! ```
//! ```compile_fail
//! fn around(held: raft::AfterSync<u8>) -> u8 {
//!     held.value
//! }
//! ```

use crate::{Body, Data, Entry, Message, Role, Snapshot, Target};
use base::{Index, MemberId, Term};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Something that happened to a member.
#[derive(Debug)]
pub enum Input {
    /// Time passed: one raft tick.
    Tick,
    /// A message came in.
    Message(Message),
    /// Clients want these commands in the log: all of them or none, see [`Effects::proposed`].
    Propose(Vec<Data>),
    /// Other members are wanted; see [`Effects::proposed`].
    Reconfigure(Target),
    /// This voter is to lead; see [`Effects::transfer`].
    Transfer(MemberId),
    /// A client wants a linearizable read. Every attempt takes a context of its own, never used before.
    ReadIndex(u64),
    /// What was to be persisted up to this ticket is on the disk.
    Synced(Synced),
    /// The state machine's state at an applied index has been written *and synced*. The log lets go of what
    /// lies more than `snapshot_keep` behind it.
    SnapshotTaken { index: Index, size: u64 },
    /// The state machine's state has been replaced by that of the snapshot at this index, see [`Effects::install`].
    Installed(Index),
    /// What a [`Chunk`] of the snapshot at this index asked for cannot be read.
    SnapshotLost(Index),
}

/// The part of Raft's state that must outlive a crash besides the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    pub term: Term,
    pub vote: Option<MemberId>,
}

/// What has to be written and synced, in this order. Persists are written in the order they came in; one sync
/// may serve several: then the last ticket stands for all.
#[derive(Debug)]
pub struct Persist {
    pub hard: Option<HardState>,
    /// Goes behind the pieces of the same snapshot; one at the beginning takes the place of all there are.
    pub piece: Option<Piece>,
    /// Received from the leader, all of it by now: it replaces everything, the whole log included.
    pub snapshot: Option<Snapshot>,
    /// Contiguous. Whatever stood at the first one's index or behind it is gone.
    pub entries: Vec<Entry>,
    pub ticket: Ticket,
}

/// Part of a snapshot that is coming in. They come in order, without a gap.
#[derive(Debug)]
pub struct Piece {
    pub snapshot: Snapshot,
    pub offset: u64,
    pub data: Data,
}

/// A part of a snapshot that a follower is to have: `length` bytes from `offset` on are to be read from the disk.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    pub snapshot: Snapshot,
    pub offset: u64,
    pub length: u64,
    /// In whose term it goes, from whom to whom.
    pub term: Term,
    pub from: MemberId,
    pub to: MemberId,
}

impl Chunk {
    /// What to send, with what was read.
    pub fn message(self, data: Data) -> Message {
        let Self { snapshot: Snapshot { meta, size: total }, offset, term, from, to, .. } = self;
        Message { from, to, term, body: Body::SnapshotChunk { meta, total, offset, data } }
    }
}

/// Belongs to one [`Persist`]; the outcome of its sync turns it into a [`Synced`].
#[derive(Debug)]
pub struct Ticket(pub(crate) u64);

impl Ticket {
    /// The only way to a [`Synced`]: through the outcome of the sync that covered this persist and all before.
    pub fn redeem<T, E>(self, outcome: Result<T, E>) -> Result<Synced, E> {
        outcome.map(|_| Synced(self.0))
    }
}

/// Proof that everything up to a ticket is on the disk.
#[derive(Debug)]
pub struct Synced(pub(crate) u64);

/// Something that must not leave the member before a sync.
#[derive(Debug)]
pub struct AfterSync<T> {
    pub(crate) needs: u64,
    pub(crate) value: T,
}

impl<T> AfterSync<T> {
    /// The content, if this sync covers what it waits for; else itself, unopened.
    pub fn open(self, synced: &Synced) -> Result<T, Self> {
        if self.needs <= synced.0 { Ok(self.value) } else { Err(self) }
    }
}

/// Keeps what waits for syncs, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<AfterSync<Vec<Message>>>,
}

impl Outbox {
    pub fn push(&mut self, after: AfterSync<Vec<Message>>) {
        self.waiting.push_back(after);
    }

    /// Everything that this sync frees.
    pub fn release(&mut self, synced: &Synced) -> Vec<Message> {
        let mut free = Vec::new();
        while let Some(first) = self.waiting.pop_front() {
            match first.open(synced) {
                Ok(messages) => free.extend(messages),
                Err(unopened) => {
                    self.waiting.push_front(unopened);
                    break;
                }
            }
        }
        free
    }
}

/// A linearizable read may be answered from any state that has applied `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadReady {
    pub context: u64,
    pub index: Index,
}

/// Why proposals were not taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NotLeader {
        leader: Option<MemberId>,
    },
    /// More bytes wait for commit than `raft_uncommitted_bytes` allows.
    TooMuchUncommitted,
    /// Leadership is being handed on.
    Transferring,
    /// The last change of members is not committed, or it is not sure yet that it is.
    ChangeUnderWay,
    /// Nobody would vote, or somebody would be a voter and a learner.
    BadMembership,
    /// Only a voter can lead.
    NoVoter,
}

/// Where proposals went: the first at `first`, each next one behind it. They are this client's only if they are
/// committed *in this term*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
    pub term: Term,
    pub first: Index,
    pub count: u64,
}

/// A change of role, term or known leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleChange {
    pub role: Role,
    pub term: Term,
    pub leader: Option<MemberId>,
}

/// What a step asks for.
#[derive(Debug, Default)]
pub struct Effects {
    /// Write and sync this.
    pub persist: Option<Persist>,
    /// May be sent at once, also before `persist` is written.
    pub send: Vec<Message>,
    /// Read these and send them. The snapshots that they are of are on the disk, and stay there while
    /// [`crate::Node::snapshots_in_use`] names them.
    pub chunks: Vec<Chunk>,
    /// May be sent only after a sync.
    pub after_sync: Option<AfterSync<Vec<Message>>>,
    /// Replace the state machine's state by this (it is on the disk by now). Until that is [`Input::Installed`], nothing
    /// more is handed out to be applied. Another one may come meanwhile, and takes its place.
    pub install: Option<Snapshot>,
    /// Newly committed entries that are on this member's disk, in order, without a gap: apply them.
    pub committed: Vec<Entry>,
    /// The commit index, when it moved (it may be ahead of what `committed` has handed out).
    pub commit: Option<Index>,
    /// Reads that may be answered.
    pub reads: Vec<ReadReady>,
    /// Contexts of reads of this member that will not be answered: try again under a new context.
    pub reads_lost: Vec<u64>,
    /// The answer to [`Input::Propose`] and [`Input::Reconfigure`].
    pub proposed: Option<Result<Proposed, Refused>>,
    /// The answer to [`Input::Transfer`]: whether it was begun. That it came about, a change of leader says.
    pub transfer: Option<Result<(), Refused>>,
    /// Role, term or leader are not what they were.
    pub role: Option<RoleChange>,
    /// The log was compacted: it now starts behind this index.
    pub compacted: Option<Index>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Term;

    fn after(needs: u64) -> AfterSync<Vec<Message>> {
        let message = Message { from: MemberId(1), to: MemberId(2), term: Term(needs), body: Body::Stale };
        AfterSync { needs, value: vec![message] }
    }

    #[test]
    fn a_failed_sync_proves_nothing() {
        assert!(Ticket(1).redeem(Err::<(), _>("no space left")).is_err());
    }

    #[test]
    fn only_a_sync_that_covers_it_frees_a_message() {
        let mut outbox = Outbox::default();
        [1, 2, 2, 3].into_iter().for_each(|needs| outbox.push(after(needs)));
        let freed = |outbox: &mut Outbox, ticket| -> Vec<u64> {
            outbox.release(&Synced(ticket)).iter().map(|message| message.term.0).collect()
        };
        assert_eq!(freed(&mut outbox, 0), []);
        assert_eq!(freed(&mut outbox, 2), [1, 2, 2]);
        assert_eq!(freed(&mut outbox, 2), []);
        assert_eq!(freed(&mut outbox, 4), [3]);
    }
}
