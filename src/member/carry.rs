//! Carries out what Raft says, in one order, always the same:
//!
//! 1. what may be sent at once is sent;
//! 2. what must be persisted goes to the disk's queue, and what must follow its sync into the outbox;
//! 3. a snapshot begins to replace the store, or committed entries are applied, and answered;
//! 4. reads that are proven are answered;
//! 5. what the log no longer needs is released.
//!
//! The outbox opens only by a finished sync, which is a type that nothing else can make.

use crate::chunks;
use crate::driver::Core;
use crate::error::Error;
use crate::handle::View;
use crate::proposal::Proposal;
use crate::slow;
use base::{Index, MemberId, Note, Term, bug, knobs::ms, reached};
use raft::{
    Data, Effects, Entry, Input, Membership, Payload, Persist, Proposed, Refused, Role, RoleChange, Snapshot,
    SnapshotMeta, Synced,
};
use std::collections::BTreeSet;
use store::{Command, Store, TxnOp};

/// How long a member that was removed still answers (etcd waits as long).
const LAST_WORDS_MS: u64 = 1_000;

/// What a step said to what was asked of it.
pub(crate) struct Outcome {
    pub proposed: Option<Result<Proposed, Refused>>,
    pub transfer: Option<Result<(), Refused>>,
}

impl Core {
    pub(crate) fn step(&mut self, input: Input) -> Result<Outcome, Error> {
        let before = (self.node.role(), self.node.term());
        let effects = self.node.step(input);
        self.carry_out(before, effects)
    }

    /// A sync is done: what waited for it goes out, and Raft learns of it.
    pub(crate) fn after_sync(&mut self, synced: Synced) -> Result<(), Error> {
        for message in self.outbox.release(&synced) {
            self.send_message(message);
        }
        self.step(Input::Synced(synced)).map(drop)
    }

    fn carry_out(&mut self, before: (Role, Term), effects: Effects) -> Result<Outcome, Error> {
        if let Some(role) = effects.role {
            self.note_role(before, role);
        }
        // what a step writes down is told before anybody else can hear of it
        effects.persist.iter().for_each(|persist| self.note_persist(persist));
        for message in effects.send {
            self.send_message(message);
        }
        if !effects.chunks.is_empty() {
            self.keep_snapshots();
            self.chunks.want(effects.chunks);
        }
        if let Some(persist) = effects.persist {
            persist.entries.iter().for_each(|entry| self.addresses.read(entry));
            self.disk.persist(persist);
        }
        if let Some(after_sync) = effects.after_sync {
            self.outbox.push(after_sync);
        }
        if let Some(index) = effects.commit {
            rt::note(Note::Committed { member: self.node.id(), term: self.node.term(), index });
        }
        if effects.role.is_some() || effects.commit.is_some() {
            let (leader, term, committed) = (self.node.leader(), self.node.term(), self.node.commit());
            self.handle.set_view(View { leader, term, committed });
        }
        if let Some(snapshot) = effects.install {
            self.restoring.start(self.snapshots.disk(), snapshot.meta);
            self.keep_snapshots();
        }
        self.apply(&effects.committed)?;
        for read in effects.reads {
            self.reads.ready(read.context, read.index);
        }
        for context in effects.reads_lost {
            self.reads.lost(context);
        }
        if let Some(index) = effects.compacted {
            self.disk.release(index);
        }
        Ok(Outcome { proposed: effects.proposed, transfer: effects.transfer })
    }

    /// The state is that of a snapshot, and Raft goes on behind it.
    pub(crate) fn installed(&mut self, meta: &SnapshotMeta, store: Store) -> Result<(), Error> {
        self.snapshots.installed(meta.index);
        self.handle.restore(store, meta.term);
        self.proposals.jumped(meta.term);
        self.changes.applied(None, meta.term);
        self.heed_members();
        self.step(Input::Installed(meta.index)).map(drop)
    }

    /// A part of a snapshot was read for a follower, or cannot be: then a new snapshot takes the place of that one.
    pub(crate) fn send_chunk(&mut self, outcome: chunks::Outcome) -> Result<(), Error> {
        match outcome {
            Ok(message) => {
                self.send_message(message);
                Ok(())
            }
            Err((chunk, why)) => {
                reached!("member: a snapshot could not be read for a follower");
                let index = chunk.snapshot.meta.index;
                if self.snapshots.spoiled(index) {
                    let what = format!("a new snapshot is taken, as {why}");
                    rt::note(Note::Repaired { member: self.node.id(), what });
                    self.snapshot_if_due(self.handle.with_store(Store::applied));
                }
                self.step(Input::SnapshotLost(index)).map(drop)
            }
        }
    }

    /// Those that are being sent, and one that is being installed, stay on the disk besides the newest.
    pub(crate) fn keep_snapshots(&self) {
        let mut in_use = self.node.snapshots_in_use();
        in_use.extend(self.restoring.index());
        self.snapshots.keep(in_use);
    }

    fn apply(&mut self, committed: &[Entry]) -> Result<(), Error> {
        for entry in committed {
            self.proposals.term_applied(entry.term);
            match &entry.payload {
                Payload::Noop => self.handle.skip(entry.index, entry.term),
                // a joint configuration was left: the state machine knows already where that led
                Payload::Config { context, .. } if context.is_empty() => {
                    self.handle.skip(entry.index, entry.term);
                    if !bug!("B12") {
                        self.heed_members();
                    }
                }
                Payload::Command(data) | Payload::Config { context: data, .. } => self.obey(entry, data)?,
            }
            // An index in the middle of what was handed out is as good a place as any.
            self.snapshot_if_due(entry.index);
        }
        Ok(())
    }

    fn obey(&mut self, entry: &Entry, data: &Data) -> Result<(), Error> {
        let refuse = |reason| Error::Entry { index: entry.index, reason };
        let Proposal { id, by, mut command } = Proposal::decode(data).map_err(refuse)?;
        if bug!("T01") && id.origin != self.node.id() {
            unread(&mut command); // etcd-io/etcd#18667: nobody waits here for what it reads
        }
        if bug!("S02") {
            self.snapshot_if_due(entry.index); // etcd-io/etcd#13766: the index goes before the data
        }
        self.snapshots.applied(data.len() as u64);
        let began = rt::now();
        let applied = self.handle.apply(entry.index, entry.term, by.as_ref(), &command);
        slow::applied(&self.handle, began, &command, &applied);
        reached!(
            "member: a proposal of an earlier life was applied",
            id.origin == self.node.id() && id.run != self.run
        );
        if (id.origin, id.run) == (self.node.id(), self.run) {
            self.proposals.applied(id.count, applied);
        }
        self.changes.applied(Some(id), entry.term);
        if matches!(command, Command::Members(_)) {
            self.heed_members();
        }
        Ok(())
    }

    /// The members are others than before. One that was removed ends, but not before its clients were answered, nor
    /// while a joint configuration still needs it.
    fn heed_members(&mut self) {
        let (members, me) = (self.handle.with_store(|store| store.members().clone()), self.node.id());
        self.addresses.learn(&members);
        let needed = self.node.membership().contains(me) || self.node.configured_at() > self.node.commit();
        // our own: B12 ends although a joint configuration may need it
        let needed = needed && !bug!("B12");
        if members.removed.contains(&me) && !needed && self.ends.is_none() {
            reached!("a member was removed and ends");
            self.ends = Some(rt::now() + ms(LAST_WORDS_MS));
        }
    }

    fn note_role(&self, before: (Role, Term), now: RoleChange) {
        let member = self.node.id();
        let still = now.role == Role::Leader && now.term == before.1;
        if before.0 == Role::Leader && !still {
            rt::note(Note::Deposed { member, term: before.1 });
        }
        if now.role == Role::Leader && !(before.0 == Role::Leader && still) {
            rt::note(Note::Leader { member, term: now.term });
        }
    }

    fn note_persist(&self, persist: &Persist) {
        if let Some(Snapshot { meta, .. }) = &persist.snapshot {
            rt::note(Note::Received { member: self.node.id(), index: meta.index, term: meta.term });
            self.note_config(meta.configured, &meta.membership);
        }
        if let Some(first) = persist.entries.first() {
            let entries = persist.entries.iter().map(|entry| (entry.term, entry.digest())).collect();
            rt::note(Note::Appended { member: self.node.id(), first: first.index, entries });
        }
        for entry in &persist.entries {
            if let Payload::Config { membership, .. } = &entry.payload {
                self.note_config(entry.index, membership);
            }
        }
    }

    fn note_config(&self, index: Index, membership: &Membership) {
        if index > Index(0) {
            let list = |half: &BTreeSet<MemberId>| half.iter().copied().collect();
            let (voters, outgoing) = (list(&membership.voters), list(&membership.outgoing));
            rt::note(Note::Configured { member: self.node.id(), index, voters, outgoing });
        }
    }
}

/// T01: a txn without what it reads, which may be refused.
fn unread(command: &mut Command) {
    let Command::Txn(txn) = command else { return };
    for branch in [&mut txn.success, &mut txn.failure] {
        branch.retain(|op| !matches!(op, TxnOp::Range(_)));
    }
}
