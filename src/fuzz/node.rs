//! One Raft node that hears what frames say, with a disk that keeps everything at once and a store behind it.

use crate::FAR;
use base::{Index, Knobs, MemberId, Term};
use member::{
    frame::{self, Frame},
    proposal::Proposal,
};
use raft::{
    Body, Config, Data, Effects, Entry, HardState, Input, Membership, Message, Node, Outbox, Payload, Piece,
    Recovered, Role, Snapshot, SnapshotMeta,
};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};
use store::Store;

pub const ME: MemberId = MemberId(1);
/// The cluster whose frames it takes.
pub const CLUSTER: u64 = 9;
/// Ticks within which an election is called.
const PATIENCE: u32 = 40;

/// What it was before the first frame.
#[derive(Clone, Copy)]
pub struct Past {
    /// It has a log of some entries, of which the first are committed.
    pub log: bool,
    /// It leads.
    pub leads: bool,
    /// It gets the log and has no say.
    pub learns: bool,
}

impl Past {
    pub fn of(byte: u8) -> Self {
        Self { log: byte & 1 != 0, leads: byte & 2 != 0, learns: byte & 4 != 0 }
    }
}

/// A member stops when what it was sent cannot be applied: it would no longer be the same as the others.
#[derive(Debug)]
pub struct Stopped;

pub struct Hearer {
    pub node: Node,
    outbox: Outbox,
    store: Store,
    /// Snapshots on its disk, and the pieces of one that is coming in.
    snapshots: BTreeMap<Index, Vec<u8>>,
    incoming: Vec<u8>,
}

impl Hearer {
    pub fn new(past: Past) -> Self {
        let everyone = Membership::of_voters((1..=3).map(MemberId));
        let membership = match past.learns {
            true => Membership { learners: [ME].into(), ..Membership::of_voters([2, 3].map(MemberId)) },
            false => everyone,
        };
        let (recovered, store) = if past.log { found(&membership) } else { Default::default() };
        let config = Config { id: ME, membership, seed: 1, knobs: Knobs::default() };
        let on_disk = recovered.snapshot.iter().map(|snapshot| (snapshot.meta.index, store.snapshot()));
        let (snapshots, incoming, outbox) = (on_disk.collect(), Vec::new(), Outbox::default());
        let mut hearer = Self { node: Node::new(config, recovered), outbox, store, snapshots, incoming };
        if past.leads && !past.learns {
            hearer.win();
        }
        hearer
    }

    /// Is elected by the second of three.
    fn win(&mut self) {
        for _ in 0..PATIENCE {
            if self.node.role() == Role::Leader {
                return;
            }
            let standing = self.node.role() == Role::PreCandidate;
            let (term, body) = match standing {
                true => (self.node.term().next(), Body::PreVoteAnswer { granted: true }),
                false => (self.node.term(), Body::VoteAnswer { granted: true }),
            };
            self.step(Input::Tick).expect("nothing was sent");
            if standing || self.node.role() == Role::Candidate {
                let message = Message { from: MemberId(2), to: ME, term, body };
                self.step(Input::Message(message)).expect("nothing was sent");
            }
        }
        panic!("whom a quorum votes for leads: {:?}", self.node);
    }

    /// Takes an input, does what it asks for, and what follows from that.
    pub fn step(&mut self, input: Input) -> Result<(), Stopped> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let effects = self.node.step(input);
            inputs.extend(self.carry_out(effects)?);
        }
        Ok(())
    }

    /// Says what follows.
    fn carry_out(&mut self, effects: Effects) -> Result<Vec<Input>, Stopped> {
        effects.send.iter().for_each(can_be_said);
        for chunk in effects.chunks {
            let (from, to) = (chunk.offset as usize, (chunk.offset + chunk.length) as usize);
            let data = Data::from(&self.snapshots[&chunk.snapshot.meta.index][from..to]);
            can_be_said(&chunk.message(data));
        }
        effects.after_sync.into_iter().for_each(|after| self.outbox.push(after));
        let mut follows = Vec::new();
        if let Some(Snapshot { meta, .. }) = &effects.install {
            self.store = Store::restore(&self.snapshots[&meta.index]).map_err(|_| Stopped)?;
            if self.store.applied() != meta.index {
                return Err(Stopped);
            }
            follows.push(Input::Installed(meta.index));
        }
        effects.committed.iter().try_for_each(|entry| self.apply(entry))?;
        let Some(persist) = effects.persist else { return Ok(follows) };
        if let Some(Piece { offset, data, .. }) = &persist.piece {
            self.incoming.truncate(*offset as usize);
            assert_eq!(self.incoming.len() as u64, *offset, "pieces come in order");
            self.incoming.extend_from_slice(data);
        }
        if let Some(Snapshot { meta, size }) = &persist.snapshot {
            assert_eq!(self.incoming.len() as u64, *size, "all of it came");
            self.snapshots.insert(meta.index, std::mem::take(&mut self.incoming));
        }
        let synced = persist.ticket.redeem(Ok::<_, Stopped>(()))?;
        self.outbox.release(&synced).iter().for_each(can_be_said);
        follows.push(Input::Synced(synced));
        Ok(follows)
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), Stopped> {
        let (Payload::Command(data) | Payload::Config { context: data, .. }) = &entry.payload else {
            self.store.skip(entry.index);
            return Ok(());
        };
        let proposal = Proposal::decode(data).map_err(|_| Stopped)?;
        self.store.apply_by(entry.index, proposal.by.as_ref(), &proposal.command);
        Ok(())
    }

    /// Whether a message keeps the promises of Raft to one that keeps them. Those that do not are stopped at by invariants,
    /// and rightly: whoever sends one has lost what it promised, or lies, and going on would spread it.
    pub fn may_hear(&self, message: &Message) -> bool {
        let of_leader = matches!(
            message.body,
            Body::Append { .. } | Body::Heartbeat { .. } | Body::Commit { .. } | Body::SnapshotChunk { .. }
        );
        if of_leader && self.node.role() == Role::Leader && message.term == self.node.term() {
            return false; // there is one leader in a term
        }
        match &message.body {
            _ if message.term.0 > FAR => false,
            Body::SnapshotChunk { meta, .. } => meta.index.0 <= FAR,
            // what a leader says to be committed here is what it knows to be here
            Body::Heartbeat { commit: index, .. } | Body::Commit { index } => *index <= self.node.last(),
            _ => true,
        }
    }
}

/// What is said can be heard.
fn can_be_said(message: &Message) {
    let said =
        Frame::Raft { message: message.clone(), sender: SocketAddr::from(([10, 0, 0, 1], 2380)).into() };
    assert_eq!(frame::open(CLUSTER, &frame::seal(CLUSTER, &said)), Ok(said));
}

/// What a disk held: a snapshot up to 4, and a log behind it.
fn found(membership: &Membership) -> (Recovered, Store) {
    let mut store = Store::new();
    (1..=4).for_each(|index| store.skip(Index(index)));
    let meta =
        SnapshotMeta { index: Index(4), term: Term(2), membership: membership.clone(), configured: Index(0) };
    let snapshot = Snapshot { meta, size: store.snapshot().len() as u64 };
    let entry = |(index, term)| Entry { term: Term(term), index: Index(index), payload: Payload::Noop };
    let entries = [(4, 2), (5, 2), (6, 3), (7, 3)].map(entry).into();
    let hard = HardState { term: Term(3), vote: None };
    (Recovered { hard, snapshot: Some(snapshot), entries, forgot: None }, store)
}

/// A command as a log entry has it.
pub fn command(command: store::Command) -> Data {
    let id = member::proposal::ProposalId { origin: MemberId(2), run: 5, count: 1 };
    Proposal { id, by: None, command }.encode()
}
