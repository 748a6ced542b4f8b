//! The one loop of a member: it takes what happens (ticks, frames, requests, finished syncs), one at a time, to
//! Raft, and has `carry` do what Raft says.

use crate::accepted::Accepted;
use crate::addresses::Addresses;
use crate::changes::Changes;
use crate::chunks::Chunks;
use crate::compare::{Comparison, What};
use crate::error::Error;
use crate::frame::{self, Dropped, Forwarded, Frame};
use crate::handle::{ProposeError, Request, TransferAnswer, TransferError};
use crate::join::{self, Asker};
use crate::pending::{Proposals, Reads};
use crate::proposal::{Proposal, ProposalId};
use crate::recover::Recovered;
use crate::restoring::Restoring;
use crate::{
    Config, Handle, Requests, disk::Disk, members::ChangeError, members::Members, snapshots::Snapshots,
};
use base::{Index, MemberId, Term, bug, knobs::ms, reached};
use bytes::Bytes;
use raft::{Data, Input, Membership, Node, Outbox, Proposed, Refused, Role};
use rt::{memory::Gauge, net::Peers};
use std::collections::BTreeMap;

/// Election time-outs without a leader after which a member asks whether it is one still.
const ALONE: u64 = 4;
/// Bytes of proposals in one frame.
const FRAME_BYTES: usize = 1 << 20;

pub struct Core {
    pub(crate) handle: Handle,
    pub(crate) node: Node,
    pub(crate) outbox: Outbox,
    pub(crate) disk: Disk,
    pub(crate) snapshots: Snapshots,
    pub(crate) chunks: Chunks,
    pub(crate) restoring: Restoring,
    pub(crate) proposals: Proposals,
    pub(crate) reads: Reads,
    pub(crate) changes: Changes,
    pub(crate) addresses: Addresses,
    /// This member was removed, and ends then: until then it tells clients so.
    pub(crate) ends: Option<rt::Mono>,
    /// This run's name in its proposals.
    pub(crate) run: u64,
    requests: Requests,
    peers: Peers,
    accepted: Accepted,
    last_count: u64,
    /// Ticks without a leader.
    alone: u64,
    /// Who is to lead, and who wants that.
    transfers: Vec<(MemberId, TransferAnswer)>,
    /// What was lost with an earlier disk is not made up for yet.
    rejoining: bool,
    /// It was made the only member when it started.
    sole: bool,
    /// Those under way that this member began, each by its number.
    pub(crate) comparisons: BTreeMap<u64, Comparison>,
    /// Frames that were not for us, by their reason.
    dropped: BTreeMap<Dropped, u64>,
    held: Holdings,
}

/// What the core holds in memory.
struct Holdings {
    log: Gauge,
    proposals: Gauge,
}

/// A list as the log has it, with the names and URLs that the members have said since.
fn with_what_they_said(listed: &Members, applied: &Members) -> Members {
    let mut listed = listed.clone();
    for (id, member) in &mut listed.present {
        if let Some(said) = applied.present.get(id) {
            member.name.clone_from(&said.name);
            member.client_urls.clone_from(&said.client_urls);
        }
    }
    listed
}

impl Core {
    pub fn new(recovered: Recovered, peers: Peers) -> Self {
        let Recovered { node, handle, requests, disk, snapshots, addresses, sole } = recovered;
        Self {
            rejoining: node.rejoining(),
            handle,
            node,
            outbox: Outbox::default(),
            disk,
            chunks: Chunks::new(snapshots.disk().clone()),
            restoring: Restoring::default(),
            snapshots,
            proposals: Proposals::default(),
            reads: Reads::new(rt::random_u64()),
            changes: Changes::default(),
            addresses,
            ends: None,
            sole,
            transfers: Vec::new(),
            run: rt::random_u64(),
            requests,
            peers,
            accepted: Accepted::default(),
            last_count: 0,
            alone: 0,
            comparisons: BTreeMap::new(),
            dropped: BTreeMap::new(),
            held: Holdings { log: Gauge::new("log"), proposals: Gauge::new("proposals") },
        }
    }

    fn config(&self) -> &Config {
        self.handle.config()
    }

    /// Runs until something fails.
    pub async fn run(mut self) -> Result<std::convert::Infallible, Error> {
        let mut ticks = rt::interval(ms(self.config().knobs.raft_tick_ms));
        loop {
            rt::select! {
                synced = self.disk.finished() => {
                    if let Some((synced, took)) = synced? {
                        self.handle.meters().syncs.add(took);
                        self.after_sync(synced)?;
                    }
                }
                taken = self.snapshots.finished() => {
                    let (index, size) = taken?;
                    self.step(Input::SnapshotTaken { index, size })?;
                }
                restored = self.restoring.finished() => {
                    let (meta, store) = restored?;
                    self.installed(&meta, store)?;
                }
                chunk = self.chunks.finished() => self.send_chunk(chunk?)?,
                _ = ticks.tick() => self.tick()?,
                frame = self.peers.recv() => self.receive(&frame.map_err(Error::Peers)?)?,
                request = self.requests.recv() => {
                    // The handle in this very loop keeps the channel open.
                    if let Some(request) = request {
                        self.serve(request);
                    }
                }
            }
            self.go_on()?;
        }
    }

    /// What may have become possible, whatever has happened.
    fn go_on(&mut self) -> Result<(), Error> {
        self.serve_queued();
        self.propose()?;
        self.change_members()?;
        self.transfer()?;
        if let Some(context) = self.reads.send(rt::now()) {
            self.step(Input::ReadIndex(context))?;
        }
        if self.rejoining && !self.node.rejoining() {
            self.rejoining = false;
            self.disk.rejoined();
        }
        self.disk.start();
        self.chunks.start(&self.node);
        self.held.log.set(self.node.log().bytes());
        self.held.proposals.set(self.proposals.bytes());
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Error> {
        self.step(Input::Tick)?;
        self.keep_snapshots();
        let now = rt::now();
        let patience = self.config().knobs.election_timeout();
        self.proposals.sweep(now);
        self.changes.sweep(now);
        // our own: B13 neither asks nor knows that it learns while its store is empty
        if !bug!("B13") {
            self.ask_if_alone();
        }
        if self.ends.is_some_and(|ends| ends <= now) {
            return Err(Error::Removed);
        }
        self.reads.sweep(now, patience, self.node.leader().is_some());
        if let Some(leader) = self.other_leader() {
            let overdue = self.proposals.overdue(self.node.term(), now - patience / 4);
            if !overdue.is_empty() {
                reached!("a forwarded proposal was sent again");
            }
            self.forward(leader, overdue);
        }
        Ok(())
    }

    /// Without a leader for long, it may have been removed without hearing of it: it asks the others, now and then.
    fn ask_if_alone(&mut self) {
        // our own: B06 takes a leader that is heard of no more for one
        let led = self.node.leader().is_some() && (bug!("B06") || !self.node.is_abandoned());
        self.alone = if led { 0 } else { self.alone + 1 };
        let knobs = &self.config().knobs;
        if self.alone < ALONE * knobs.raft_election_ticks
            || !self.alone.is_multiple_of(knobs.raft_election_ticks)
        {
            return;
        }
        if self.node.configured_at() == Index(0) && self.node.membership().contains(self.node.id()) {
            return; // members never changed, as far as it knows
        }
        reached!("member: one without a leader asks whether it is a member still");
        let (peer, id) = (self.config().peer(), Some(self.node.id()));
        let question = Frame::WhoAmI { nonce: 0, peer, id };
        self.addresses.others(self.node.id()).for_each(|to| self.send(to, &question));
    }

    /// Takes what clients want, as much as is there: a flood of frames must not keep them out.
    fn serve_queued(&mut self) {
        for _ in 0..self.config().knobs.wal_batch.max(1) {
            let Ok(request) = self.requests.try_recv() else { return };
            self.serve(request);
        }
    }

    fn serve(&mut self, request: Request) {
        let most = self.config().knobs.member_proposals as usize;
        match request {
            Request::ReadIndex { answer } => self.reads.add(self.deadline(), answer),
            Request::Change { change, answer } if self.changes.len() < most => {
                self.changes.add(change, self.deadline(), answer);
            }
            Request::Change { answer, .. } => drop(answer.send(Err(ChangeError::NotBegun))),
            Request::Transfer { to, answer } => self.transfers.push((to, answer)),
            Request::Compare { what, answers } => self.compare(what, answers),
            Request::Tell { to, frame } => self.send(to, &frame),
            Request::Propose { answer, .. } if self.proposals.len() >= most => {
                reached!("a proposal was refused because too many are under way");
                let _ = answer.send(Err(ProposeError::TooManyRequests));
            }
            Request::Propose { by, command, only_in, answer } => {
                let data = Proposal { id: self.next_id(), by, command }.encode();
                self.proposals.add(self.last_count, data, only_in, self.deadline(), answer);
            }
        }
    }

    pub(crate) fn next_id(&mut self) -> ProposalId {
        self.last_count += 1;
        self.id(self.last_count)
    }

    fn id(&self, count: u64) -> ProposalId {
        ProposalId { origin: self.node.id(), run: self.run, count }
    }

    /// A little before the client's own, so that the reason reaches it.
    fn deadline(&self) -> rt::Mono {
        let timeout = self.handle.request_timeout();
        rt::now() + timeout.saturating_sub(ms(2 * self.config().knobs.raft_tick_ms)).max(timeout / 2)
    }

    fn other_leader(&self) -> Option<MemberId> {
        self.node.leader().filter(|leader| *leader != self.node.id())
    }

    /// Sends proposals on their way: into the log here, or to the leader.
    fn propose(&mut self) -> Result<(), Error> {
        self.proposals.refuse_others((self.node.role() == Role::Leader).then_some(self.node.term()));
        if self.node.leader().is_none() {
            reached!("member: proposals wait for a leader", self.proposals.len() > 0);
            return Ok(());
        }
        let unsent = self.proposals.unsent(self.config().knobs.wal_batch.max(1) as usize);
        if unsent.is_empty() {
            return Ok(());
        }
        if let Some(leader) = self.other_leader() {
            self.forward(leader, unsent);
            return Ok(());
        }
        let (counts, data): (Vec<u64>, Vec<Data>) = unsent.into_iter().unzip();
        match self.step(Input::Propose(data))?.proposed {
            Some(Ok(Proposed { term, .. })) => self.proposals.appended(&counts, term),
            Some(Err(Refused::TooMuchUncommitted)) => {
                self.proposals.refuse(&counts, ProposeError::TooManyRequests);
            }
            // they go out when leadership has been handed on, or has not
            Some(Err(_)) | None => {}
        }
        Ok(())
    }

    /// Hands on leadership, as a client wants.
    fn transfer(&mut self) -> Result<(), Error> {
        for (to, answer) in std::mem::take(&mut self.transfers) {
            let begun =
                self.step(Input::Transfer(to))?.transfer.unwrap_or(Err(Refused::NotLeader { leader: None }));
            let _ = answer.send(begun.map_err(|refused| match refused {
                Refused::NoVoter => TransferError::NoVoter,
                Refused::NotLeader { .. } => TransferError::NotLeader,
                _ => TransferError::UnderWay,
            }));
        }
        Ok(())
    }

    fn forward(&mut self, leader: MemberId, proposals: Vec<(u64, Data)>) {
        let (term, now) = (self.node.term(), rt::now());
        let mut frame = Vec::new();
        let mut bytes = 0;
        for (count, data) in proposals {
            if bytes > 0 && bytes + data.len() > FRAME_BYTES {
                self.send(leader, &Frame::Propose { term, proposals: std::mem::take(&mut frame) });
                bytes = 0;
            }
            bytes += data.len();
            frame.push(Forwarded { id: self.id(count), data });
            self.proposals.forwarded(&[count], term, now);
        }
        if !frame.is_empty() {
            self.send(leader, &Frame::Propose { term, proposals: frame });
        }
    }

    /// Others' proposals, if this member leads in the term they are for.
    fn accept(&mut self, term: Term, proposals: Vec<Forwarded>) -> Result<(), Error> {
        if self.node.role() != Role::Leader || self.node.term() != term {
            reached!("a proposal came to a member that does not lead");
            return Ok(());
        }
        let fresh: Vec<Forwarded> =
            proposals.into_iter().filter(|proposal| self.accepted.first_time(term, proposal.id)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let data = fresh.iter().map(|proposal| proposal.data.clone()).collect();
        if !matches!(self.step(Input::Propose(data))?.proposed, Some(Ok(_))) {
            reached!("member: a forwarded proposal was refused and may come again");
            fresh.iter().for_each(|proposal| self.accepted.forget(proposal.id));
        }
        Ok(())
    }

    fn receive(&mut self, bytes: &Bytes) -> Result<(), Error> {
        let own = self.config().cluster_id;
        match frame::open(own, bytes) {
            Ok(Frame::Raft { message, .. }) if self.was_removed(message.from) => {
                reached!("a member that was removed was told so");
                self.send(message.from, &Frame::Removed);
                Ok(())
            }
            Ok(Frame::Raft { message, sender }) => {
                if !bug!("B11") {
                    self.addresses.hear(message.from, sender);
                }
                self.step(Input::Message(message)).map(drop)
            }
            Ok(Frame::Propose { term, proposals }) => self.accept(term, proposals),
            Ok(Frame::Recall { from, nonce }) => {
                reached!("a member that lost its disk was told the term");
                let (term, me) = (self.node.term(), self.node.id());
                let changed = self.node.configured_at() > Index(0);
                self.send(from, &Frame::Recalled { from: me, nonce, term, changed });
                Ok(())
            }
            Ok(Frame::WhoAmI { nonce, peer, id }) => {
                self.answer_who_am_i(own, &Asker { nonce, peer, id });
                Ok(())
            }
            Ok(Frame::Removed) => Err(Error::Removed),
            Ok(Frame::Compare { from, nonce, revision }) => {
                self.answer_compare(from, nonce, What::Kept(revision));
                Ok(())
            }
            Ok(Frame::CompareCompacted { from, nonce, revision }) => {
                self.answer_compare(from, nonce, What::Compacted(revision));
                Ok(())
            }
            Ok(Frame::Compared { from, nonce, held }) => {
                self.compared(from, nonce, held);
                Ok(())
            }
            Ok(Frame::YouAre { id, instead, .. }) if join::is_another(&self.node, id, instead) => {
                reached!("member: one that serves is told that it is another one");
                Err(Error::Renamed)
            }
            // the answers to one that is who it thought
            Ok(Frame::Recalled { .. } | Frame::YouAre { .. }) => Ok(()),
            Err(reason) => {
                if let Ok(Frame::WhoAmI { nonce, peer, id }) = frame::open(frame::ANY, bytes) {
                    self.answer_who_am_i(frame::ANY, &Asker { nonce, peer, id });
                    return Ok(());
                }
                reached!("a frame was dropped that was not for this member");
                *self.dropped.entry(reason).or_default() += 1;
                Ok(())
            }
        }
    }

    /// Tells one that asks who it is, in an envelope like that of the question.
    fn answer_who_am_i(&self, envelope: u64, asker: &Asker) {
        if let Some(answer) = self.who_is(asker) {
            self.peers.send(asker.peer.clone(), frame::seal(envelope, &answer));
        }
    }

    /// Nothing, if it is not known (yet).
    fn who_is(&self, asker: &Asker) -> Option<Frame> {
        if asker.id.is_some_and(|id| self.was_removed(id)) {
            return Some(Frame::Removed);
        }
        let (cluster, nonce) = (self.config().cluster_id, asker.nonce);
        let (members, agreed) = (self.listed(), self.handle.members());
        let id = join::find(&members, asker)?;
        let is_nobody = |id| !agreed.present.contains_key(&id) && !self.node.membership().contains(id);
        let instead = agreed.present.contains_key(&id) && asker.id.is_some_and(is_nobody);
        let started = members.present[&id].has_started();
        Some(Frame::YouAre { nonce, cluster, id, members, started, instead })
    }

    pub(crate) fn send_message(&self, message: raft::Message) {
        let sender = self.config().peer();
        self.send(message.to, &Frame::Raft { message, sender });
    }

    /// Whose address is not known gets nothing.
    pub(crate) fn send(&self, to: MemberId, frame: &Frame) {
        if let Some(peer) = self.addresses.get(to) {
            self.peers.send(peer, frame::seal(self.config().cluster_id, frame));
        }
    }

    /// The members by the last list in the log, committed or not: who asks which one it is may be needed to commit
    /// the very entry that adds it.
    fn listed(&self) -> Members {
        let newest = self.addresses.newest();
        let Membership { voters, learners, .. } = self.node.membership();
        let in_the_log = newest.present.keys().eq(voters.union(learners));
        let applied = self.handle.members();
        // our own: B05 goes by what is agreed on
        if in_the_log && !bug!("B05") { with_what_they_said(newest, &applied) } else { applied }
    }

    /// For good: a joint configuration that still needs it is left, and that is agreed on. Until then a leader that
    /// crashes may come back with a log that needs it. Of those that it lost for good one that was made the only member
    /// hears nothing from the beginning.
    fn was_removed(&self, id: MemberId) -> bool {
        if self.sole && self.addresses.newest().removed.contains(&id) {
            return true;
        }
        let agreed = self.node.configured_at() <= self.node.commit() || bug!("B16");
        (agreed && !self.node.membership().contains(id) || bug!("B12"))
            && self.handle.with_store(|store| store.members().removed.contains(&id))
    }

    /// The store's own snapshot, when it is time.
    pub(crate) fn snapshot_if_due(&mut self, applied: Index) {
        if self.snapshots.is_due(applied, self.handle.with_store(store::Store::bytes))
            && let Some(meta) = self.node.snapshot_meta(applied)
        {
            reached!("member: a snapshot of its own was begun");
            self.handle.with_store(|store| self.snapshots.start(store, meta));
        }
    }
}
