//! The disk's side of Raft's effects: what has to be persisted is written in the order in which it came, and
//! one sync serves everything that gathered while the sync before was running.

use crate::{codec, error::Error};
use base::{Index, MemberId, Note, Term, reached};
use raft::{Payload, Persist, Piece, Synced, Ticket};
use std::{future::pending, time::Duration};
use wal::{Record, Wal};

pub struct Disk {
    member: MemberId,
    queue: Vec<Persist>,
    /// Segments up to here may go.
    release: Option<Index>,
    /// What was lost with an earlier disk is made up for: the note of it may go.
    rejoined: bool,
    state: State,
    /// Term and last index of the log, as the disk holds them after the last sync.
    term: Term,
    durable: Index,
    /// What the sync under way will make of it.
    becoming: (Term, Index),
}

/// The proof of a sync, and how long that took.
type Sync = (Synced, Duration);

/// The log back, and the proof of a sync if there was one.
type Done = (Box<Wal>, Option<Sync>);

enum State {
    Idle(Box<Wal>),
    Busy(rt::JoinHandle<Result<Done, Error>>),
    /// A write or a sync failed: never again.
    Failed,
}

impl Disk {
    pub fn new(member: MemberId, wal: Wal, term: Term, durable: Index) -> Self {
        let state = State::Idle(Box::new(wal));
        let becoming = (term, durable);
        Self { member, queue: Vec::new(), release: None, rejoined: false, state, term, durable, becoming }
    }

    pub fn persist(&mut self, persist: Persist) {
        // What is replaced in memory is no longer what the sync under way makes durable.
        if let Some(first) = persist.entries.first() {
            let before = Index(first.index.0 - 1);
            reached!(
                "member: entries were replaced while they were being synced",
                self.becoming.1 > before && matches!(self.state, State::Busy(_))
            );
            self.durable = self.durable.min(before);
            self.becoming.1 = self.becoming.1.min(before);
        }
        self.queue.push(persist);
    }

    pub fn release(&mut self, up_to: Index) {
        self.release = self.release.max(Some(up_to));
    }

    pub fn rejoined(&mut self) {
        self.rejoined = true;
    }

    /// Begins with what has gathered, unless something is under way.
    pub fn start(&mut self) {
        if self.queue.is_empty() && self.release.is_none() && !self.rejoined {
            return;
        }
        let State::Idle(_) = self.state else {
            return reached!("member: writes gather while a sync is under way");
        };
        let State::Idle(wal) = std::mem::replace(&mut self.state, State::Failed) else { return };
        let batch = std::mem::take(&mut self.queue);
        reached!("member: one sync serves several writes", batch.len() > 1);
        for persist in &batch {
            let (term, last) = self.becoming;
            let last = persist.snapshot.as_ref().map_or(last, |snapshot| snapshot.meta.index);
            let last = persist.entries.last().map_or(last, |entry| entry.index);
            self.becoming = (persist.hard.map_or(term, |hard| hard.term), last);
        }
        let (release, rejoined) = (self.release.take(), std::mem::take(&mut self.rejoined));
        self.state = State::Busy(rt::spawn(carry_out(wal, batch, release, rejoined)));
    }

    /// Waits for the sync under way; for ever if there is none. A failure is the member's end.
    pub async fn finished(&mut self) -> Result<Option<Sync>, Error> {
        let State::Busy(task) = &mut self.state else { return pending().await };
        let outcome = task.await;
        reached!("member: a write or a sync failed for good", matches!(outcome, Ok(Err(_))));
        self.state = State::Failed;
        let (wal, synced) = outcome.map_err(|error| Error::Task(error.to_string()))??;
        self.state = State::Idle(wal);
        if synced.is_some() {
            (self.term, self.durable) = self.becoming;
            rt::note(Note::Synced { member: self.member, term: self.term, last: self.durable });
        }
        Ok(synced)
    }
}

/// Writes a batch and syncs once. The ticket of the last stands for all.
async fn carry_out(
    mut wal: Box<Wal>,
    batch: Vec<Persist>,
    release: Option<Index>,
    rejoined: bool,
) -> Result<Done, Error> {
    let mut last: Option<Ticket> = None;
    for persist in batch {
        if let Some(hard) = persist.hard {
            wal.append(&[Record::HardState(wal::HardState { term: hard.term, vote: hard.vote })]).await?;
        }
        if let Some(Piece { snapshot, offset, data }) = &persist.piece {
            wal.receive(&to_wal_snapshot(snapshot), *offset, data).await?;
        }
        if persist.snapshot.is_some() {
            wal.install().await?;
        }
        if !persist.entries.is_empty() {
            let records: Vec<Record> = persist.entries.iter().map(to_record).collect();
            wal.append(&records).await?;
        }
        last = Some(persist.ticket);
    }
    let began = rt::now();
    let synced = match last {
        Some(ticket) => Some((ticket.redeem(wal.sync().await)?, began.elapsed())),
        None => None,
    };
    if let Some(up_to) = release {
        wal.release(up_to).await?;
    }
    if rejoined {
        wal.rejoined().await?;
    }
    Ok((wal, synced))
}

fn to_record(entry: &raft::Entry) -> Record {
    let raft::Entry { term, index, payload } = entry;
    Record::Entry(wal::Entry { index: *index, term: *term, data: codec::encode(payload) })
}

pub fn to_wal_snapshot(snapshot: &raft::Snapshot) -> wal::Snapshot {
    let raft::SnapshotMeta { index, term, .. } = snapshot.meta;
    wal::Snapshot { index, term, meta: encode_meta(&snapshot.meta), size: snapshot.size }
}

/// What a snapshot file says beside the index and the term: the configuration, and where it stood.
pub fn encode_meta(meta: &raft::SnapshotMeta) -> Vec<u8> {
    codec::encode(&(&meta.membership, meta.configured))
}

/// What the disk held, in Raft's words.
pub fn recovered(found: wal::Recovered) -> Result<raft::Recovered, Error> {
    let snapshot = match found.snapshot {
        None => None,
        Some(wal::Snapshot { index, term, meta, size }) => {
            let refuse = |reason: codec::DecodeError| Error::Snapshot { index, reason: reason.to_string() };
            let (membership, configured) = codec::decode(&meta).map_err(refuse)?;
            let meta = raft::SnapshotMeta { index, term, membership, configured };
            Some(raft::Snapshot { meta, size })
        }
    };
    let entry = |entry: wal::Entry| {
        let wal::Entry { index, term, data } = entry;
        let payload: Payload = codec::decode(&data).map_err(|reason| Error::Entry { index, reason })?;
        Ok(raft::Entry { term, index, payload })
    };
    let hard = raft::HardState { term: found.hard.term, vote: found.hard.vote };
    let entries: Vec<_> = found.entries.into_iter().map(entry).collect::<Result<_, Error>>()?;
    check(hard.term, snapshot.as_ref(), &entries)?;
    Ok(raft::Recovered { hard, snapshot, entries, forgot: found.forgot })
}

/// Refuses what Raft never leaves behind: terms that fall along the log, or lie beyond the member's own.
fn check(current: Term, snapshot: Option<&raft::Snapshot>, entries: &[raft::Entry]) -> Result<(), Error> {
    let refuse = |index: Index, reason: String| {
        Err(Error::Entry { index, reason: codec::DecodeError::new("one that a member can have", reason) })
    };
    let covered = snapshot.map_or((Index(0), Term(0)), |snapshot| (snapshot.meta.index, snapshot.meta.term));
    if snapshot.is_some_and(|snapshot| !snapshot.meta.is_sound(current)) {
        return refuse(covered.0, format!("its snapshot is none that a member in {current} can have"));
    }
    let begins = entries.first().is_none_or(|first| first.index > covered.0);
    let mut before = if begins { covered.1 } else { Term(0) };
    for entry in entries {
        if entry.term < before || entry.term > current {
            let term = entry.term;
            return refuse(
                entry.index,
                format!("it is of term {term}, that before it of {before}, the member in {current}"),
            );
        }
        if !entry.is_sound() {
            return refuse(entry.index, "nobody votes in its configuration".into());
        }
        before = entry.term;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(current: u64, snapshot: Option<(u64, u64)>, entries: &[(u64, u64)]) -> bool {
        let snapshot = snapshot.map(|(index, term)| {
            let membership = raft::Membership::of_voters([MemberId(1)]);
            let (index, term) = (Index(index), Term(term));
            let meta = raft::SnapshotMeta { index, term, membership, configured: Index(0) };
            raft::Snapshot { meta, size: 0 }
        });
        let entry = |(index, term): &(u64, u64)| raft::Entry {
            index: Index(*index),
            term: Term(*term),
            payload: Payload::Noop,
        };
        let entries: Vec<_> = entries.iter().map(entry).collect();
        check(Term(current), snapshot.as_ref(), &entries).is_err()
    }

    #[test]
    fn terms_never_fall_along_a_log_and_are_never_ahead_of_the_member() {
        assert!(!refused(3, None, &[(1, 1), (2, 3)]));
        assert!(refused(3, None, &[(1, 3), (2, 1)]));
        assert!(refused(2, None, &[(1, 1), (2, 3)]));
        assert!(!refused(3, Some((4, 2)), &[(5, 2), (6, 3)]));
        assert!(!refused(3, Some((4, 2)), &[(3, 1), (4, 2)]), "it may begin before the snapshot's end");
        assert!(refused(3, Some((4, 2)), &[(5, 1)]));
        assert!(refused(1, Some((4, 2)), &[]));
    }

    #[test]
    fn somebody_votes_in_every_configuration() {
        let payload = Payload::Config { membership: raft::Membership::default(), context: "".into() };
        let entry = raft::Entry { term: Term(1), index: Index(1), payload };
        let why = check(Term(1), None, &[entry]).expect_err("nobody would vote").to_string();
        assert!(why.contains("nobody votes in its configuration"), "{why}");
    }
}
