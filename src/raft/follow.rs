//! Appending, and taking a snapshot, as a follower does it. It acknowledges only what is on its disk.

use crate::effects::Piece;
use crate::{Body, Data, Entry, Node, Snapshot, SnapshotMeta};
use base::{Index, MemberId, Term, bug, invariant, reached};

/// A snapshot of which chunks came in.
#[derive(Debug)]
pub(crate) struct Incoming {
    snapshot: Snapshot,
    /// Bytes that came, and are on their way to the disk.
    received: u64,
}

impl Node {
    fn leader_id(&self) -> MemberId {
        self.leader.unwrap_or(self.id)
    }

    pub(crate) fn on_append(&mut self, prev: (Index, Term), entries: Vec<Entry>, commit: Index) {
        let leader = self.leader_id();
        let (prev_index, prev_term) = prev;
        if prev_index < self.commit {
            // Our log up to the commit index is the leader's too; the base may lie behind `prev`.
            reached!("an append began before what is committed");
            return self.promise(leader, Body::Appended { index: self.commit });
        }
        if self.log.term_at(prev_index) != Some(prev_term) {
            reached!("raft: an append would leave a gap in the log", prev_index > self.log.last());
            reached!("raft: an append contradicts the log", prev_index <= self.log.last());
            let hint_index = self.log.may_agree_at(prev_index, prev_term);
            let hint_term = self.log.term_at(hint_index).unwrap_or(Term(0));
            return self.send(leader, Body::AppendRefused { prev_index, hint_index, hint_term });
        }
        let last = Index(prev_index.0 + entries.len() as u64);
        self.take(prev_index, entries);
        self.commit_to(commit.min(last));
        self.promise(leader, Body::Appended { index: last });
    }

    /// Takes entries that follow `prev`. What is here already stays: an old or doubled message must not undo a
    /// newer one. Only from the first entry that differs is the log replaced.
    fn take(&mut self, prev: Index, entries: Vec<Entry>) {
        let differs = |entry: &Entry| self.log.term_at(entry.index) != Some(entry.term);
        let news = if bug!("R10") { Some(0) } else { entries.iter().position(differs) };
        let from = Index(prev.0 + 1 + news.unwrap_or(0) as u64);
        reached!("raft: an append came twice", news.is_none() && !entries.is_empty());
        reached!("raft: an append begins with what is here already", news.is_some_and(|first| first > 0));
        if bug!("R10") || (news.is_some() && from <= self.log.last()) {
            reached!("a follower dropped entries that differ from the leader's");
            invariant!(
                from > self.commit,
                "what is committed stays",
                "truncating at {} of {}",
                from,
                self.commit
            );
            self.truncate_log(from);
        }
        let news = news.unwrap_or(entries.len());
        entries.into_iter().skip(news).for_each(|entry| self.push_entry(entry));
    }

    /// The leader says that what we have up to `commit` is committed.
    pub(crate) fn commit_to(&mut self, commit: Index) {
        invariant!(commit <= self.log.last(), "only what is in the log is committed", "{}", commit);
        self.commit = if bug!("BACK") { commit } else { self.commit.max(commit) };
    }

    pub(crate) fn on_snapshot_chunk(&mut self, meta: SnapshotMeta, total: u64, offset: u64, data: Data) {
        let leader = self.leader_id();
        if meta.index <= self.commit {
            reached!("raft: a snapshot came that is behind what is committed");
            self.incoming = None;
            return self.promise(leader, Body::Appended { index: self.commit });
        }
        if self.log.term_at(meta.index) == Some(meta.term) {
            reached!("a snapshot came for what the log holds");
            self.incoming = None;
            self.commit_to(meta.index);
            return self.promise(leader, Body::Appended { index: meta.index });
        }
        let (index, snapshot) = (meta.index, Snapshot { meta, size: total });
        reached!(
            "raft: a snapshot that was coming in gave way to another",
            self.incoming.as_ref().is_some_and(|other| other.snapshot != snapshot)
        );
        let known = self.incoming.take().filter(|incoming| incoming.snapshot == snapshot);
        let mut incoming = known.unwrap_or(Incoming { snapshot: snapshot.clone(), received: 0 });
        reached!("raft: a chunk of a snapshot came twice or out of order", offset != incoming.received);
        if offset == incoming.received {
            incoming.received += data.len() as u64;
            self.take_piece(Piece { snapshot: snapshot.clone(), offset, data });
        }
        let received = incoming.received;
        if received < total {
            self.incoming = Some(incoming);
            // behind the sync, so that no more is on its way than the disk can keep up with
            return self.promise(leader, Body::SnapshotAnswer { index, received });
        }
        reached!("raft: a snapshot took the place of a longer log", self.log.last() > index);
        self.replace_by(snapshot);
        self.promise(leader, Body::Appended { index });
    }
}
