//! Raft's promises over a whole cluster, checked after every step at the cost of what the step changed.
//!
//! Whoever runs a cluster tells the [`Checker`] of every step's effects before it carries them out, of every
//! finished sync, of every message as it leaves, and of crashes and restarts. It keeps a picture of every disk.
//!
//! Promises: one leader a term; a leader votes; a leader only appends; logs that share an entry share all
//! before it; a leader holds all that was committed in earlier terms; one vote a term; what commits is on a
//! quorum of disks; what is acknowledged is on the disk; commit and term never go back; members apply the same
//! entries, each once and in order, and only from their disk; a read sees all that was committed before it.

use crate::{Body, Effects, Entry, Membership, Message, Node, Role, Synced};
use base::{Index, MemberId, Term};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// A promise that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub promise: &'static str,
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.detail)
    }
}

impl std::error::Error for Violation {}

type Verdict = Result<(), Violation>;

fn hold(promise: &'static str, holds: bool, detail: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation { promise, detail: detail() }) }
}

/// The cluster, as far as promises go.
#[derive(Debug, Default)]
pub struct Checker {
    leaders: BTreeMap<Term, MemberId>,
    votes: BTreeMap<(MemberId, Term), MemberId>,
    /// An index and a term name one entry; with it its digest and the term of the one before.
    entries: BTreeMap<(Index, Term), (u64, Term)>,
    /// What was committed at index 1, 2, ...
    committed: Vec<Committed>,
    members: BTreeMap<MemberId, Seen>,
    /// What was on disks that are lost: it was there when it was acknowledged.
    lost: BTreeMap<MemberId, Vec<DiskLog>>,
    /// For each read under way, what was committed when it began.
    reads: BTreeMap<u64, Index>,
}

#[derive(Clone, Copy, Debug)]
struct Committed {
    term: Term,
    digest: u64,
    /// The term of the leader that committed it.
    by: Term,
}

/// One member at its last step, and its disk.
#[derive(Debug)]
struct Seen {
    term: Term,
    role: Role,
    last: Index,
    commit: Index,
    applied: Index,
    disk: DiskLog,
    writing: VecDeque<(u64, Write)>,
    /// Whom it went by: what it commits in its next step, it commits by their disks.
    membership: Membership,
}

#[derive(Debug, Default)]
struct DiskLog {
    /// A snapshot covers everything up to here.
    covered: Index,
    entries: BTreeMap<Index, (Term, u64)>,
}

#[derive(Debug)]
struct Write {
    snapshot: Option<Index>,
    entries: Vec<(Index, Term, u64)>,
}

impl DiskLog {
    /// The disk that a member was started from.
    fn of(node: &Node) -> Self {
        let covered = node.log().base();
        let indexes = (node.first().0..=node.last().0).map(Index);
        let entries = indexes.filter_map(|index| Some((index, id_of(node.log().entry(index)?)))).collect();
        Self { covered, entries }
    }

    fn take(&mut self, write: Write) {
        if let Some(index) = write.snapshot {
            self.covered = index;
            self.entries.clear();
        }
        if let Some((first, ..)) = write.entries.first() {
            self.entries.split_off(first);
        }
        self.entries.extend(write.entries.into_iter().map(|(index, term, digest)| (index, (term, digest))));
    }

    fn last(&self) -> Index {
        self.entries.last_key_value().map_or(self.covered, |(index, _)| *index)
    }

    fn holds(&self, index: Index, entry: (Term, u64)) -> bool {
        index <= self.covered || self.entries.get(&index) == Some(&entry)
    }
}

impl Checker {
    /// A member starts, for the first time or again, with what its disk held.
    pub fn started(&mut self, node: &Node) -> Verdict {
        let known = self.members.remove(&node.id()).map(|seen| seen.disk);
        let disk = known.unwrap_or_else(|| DiskLog::of(node));
        let seen = Seen {
            term: node.term(),
            role: node.role(),
            last: node.last(),
            commit: node.commit(),
            applied: node.applied(),
            disk,
            writing: VecDeque::new(),
            membership: node.membership().clone(),
        };
        let promised = self.votes.range((node.id(), Term(0))..=(node.id(), Term(u64::MAX))).next_back();
        let remembered = promised.is_none_or(|((_, term), vote)| {
            *term < node.term() || (*term == node.term() && node.vote() == Some(*vote))
        });
        self.members.insert(node.id(), seen);
        hold("a vote survives a crash", remembered, || format!("{} forgot {promised:?}", node.id()))
    }

    /// A member crashed; of what it was writing, the first `kept` writes reached the disk.
    pub fn crashed(&mut self, member: MemberId, kept: usize) {
        let Some(seen) = self.members.get_mut(&member) else { return };
        for (_, write) in std::mem::take(&mut seen.writing).into_iter().take(kept) {
            seen.disk.take(write);
        }
    }

    /// The disk of a member that is down is lost. What it voted for itself binds nobody: the candidate is no more.
    pub fn lost(&mut self, member: MemberId) {
        let Some(seen) = self.members.get_mut(&member) else { return };
        self.votes.retain(|(voter, _), candidate| *voter != member || *candidate != member);
        self.lost.entry(member).or_default().push(std::mem::take(&mut seen.disk));
    }

    /// A sync was finished.
    pub fn synced(&mut self, member: MemberId, synced: &Synced) {
        let Some(seen) = self.members.get_mut(&member) else { return };
        while let Some((_, write)) = seen.writing.pop_front_if(|(ticket, _)| *ticket <= synced.0) {
            seen.disk.take(write);
        }
    }

    /// A message leaves a member.
    pub fn sent(&mut self, message: &Message) -> Verdict {
        let (from, term) = (message.from, message.term);
        match message.body {
            Body::Vote { .. } => self.voted(from, term, from),
            Body::VoteAnswer { granted: true } => self.voted(from, term, message.to),
            Body::Appended { index } => match self.members.get(&from) {
                Some(seen) if seen.term == term => {
                    let last = seen.disk.last();
                    hold("what is acknowledged is on the disk", index <= last, || {
                        format!("{from} acknowledged {index}, its disk ends at {last}")
                    })
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn voted(&mut self, voter: MemberId, term: Term, candidate: MemberId) -> Verdict {
        let first = *self.votes.entry((voter, term)).or_insert(candidate);
        hold("one vote a term", first == candidate, || {
            format!("{voter} voted for {first} and {candidate} in {term}")
        })
    }

    /// A read begins; what is committed by now it must see.
    pub fn read_began(&mut self, context: u64) {
        self.reads.insert(context, self.last_committed());
    }

    /// The last index that any member found committed.
    pub fn last_committed(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    /// A member took a step; its effects are not carried out yet.
    pub fn stepped(&mut self, node: &Node, effects: &Effects) -> Verdict {
        let Some(mut seen) = self.members.remove(&node.id()) else { return Ok(()) };
        let verdict = self.check_step(node, effects, &mut seen);
        let membership = std::mem::replace(&mut seen.membership, node.membership().clone());
        self.members.insert(node.id(), seen);
        verdict?;
        self.check_new_commits(node, &membership)
    }

    fn check_step(&mut self, node: &Node, effects: &Effects, seen: &mut Seen) -> Verdict {
        let id = node.id();
        hold("terms never go back", node.term() >= seen.term, || format!("{id} at {}", node.term()))?;
        hold("commit never goes back", node.commit() >= seen.commit, || {
            format!("{id} at {}", node.commit())
        })?;
        let led = seen.role == Role::Leader && seen.term == node.term();
        if node.role() == Role::Leader && !led {
            self.check_leader(node)?;
        }
        if let Some(persist) = &effects.persist {
            let first = persist.entries.first().map(|entry| entry.index);
            let appends = first.is_none_or(|first| first > seen.last) && persist.snapshot.is_none();
            hold("a leader only appends", appends || !led, || format!("{id} replaced {first:?}"))?;
            self.check_matching(node, &persist.entries)?;
            let entries = persist.entries.iter().map(|entry| (entry.index, entry.term, entry.digest()));
            let snapshot = persist.snapshot.as_ref().map(|snapshot| snapshot.meta.index);
            seen.writing.push_back((persist.ticket.0, Write { snapshot, entries: entries.collect() }));
        }
        self.check_commit(node, seen)?;
        self.check_applied(id, effects, seen)?;
        self.check_reads(id, effects)?;
        (seen.term, seen.role, seen.last, seen.commit) =
            (node.term(), node.role(), node.last(), node.commit());
        Ok(())
    }

    fn check_leader(&mut self, node: &Node) -> Verdict {
        let (id, term) = (node.id(), node.term());
        let first = *self.leaders.entry(term).or_insert(id);
        hold("one leader a term", first == id, || format!("{first} and {id} lead {term}"))?;
        let votes = |membership: &Membership| membership.is_voter(id);
        let voter = node.configs.any_since(node.commit(), votes);
        hold("a leader votes", voter, || format!("{id} leads {term}"))?;
        for (offset, entry) in self.committed.iter().enumerate().skip(node.log().base().0 as usize) {
            let index = Index(offset as u64 + 1);
            let held = node.log().term_at(index) == Some(entry.term) || entry.by >= term;
            hold("a leader holds all that was committed", held, || {
                format!("{id} leads {term} without {index} of {}", entry.term)
            })?;
        }
        Ok(())
    }

    fn check_matching(&mut self, node: &Node, entries: &[Entry]) -> Verdict {
        for entry in entries {
            let before = node.log().term_at(Index(entry.index.0 - 1)).unwrap_or_default();
            let this = (entry.digest(), before);
            let first = *self.entries.entry((entry.index, entry.term)).or_insert(this);
            hold("logs that share an entry share all before it", first == this, || {
                format!("{} has another {} of {}", node.id(), entry.index, entry.term)
            })?;
        }
        Ok(())
    }

    /// What a member newly finds committed is what others found committed.
    fn check_commit(&self, node: &Node, seen: &Seen) -> Verdict {
        for index in seen.commit.0 + 1..=node.commit().0.min(self.committed.len() as u64) {
            let Some(term) = node.log().term_at(Index(index)) else { continue };
            let first = self.committed[index as usize - 1];
            let digest = node.log().entry(Index(index)).map_or(first.digest, Entry::digest);
            hold("one entry is committed at an index", (first.term, first.digest) == (term, digest), || {
                format!("{} at i{index}: {term} after {}", node.id(), first.term)
            })?;
        }
        Ok(())
    }

    /// What nobody found committed before is on a quorum of disks.
    fn check_new_commits(&mut self, node: &Node, membership: &Membership) -> Verdict {
        let before = self.committed.len() as u64;
        if node.commit().0 <= before {
            return Ok(());
        }
        for index in before + 1..=node.commit().0 {
            let entry = node.log().entry(Index(index));
            let (term, digest) = entry.map(id_of).ok_or_else(|| Violation {
                promise: "what commits is in the log",
                detail: format!("{} committed i{index}", node.id()),
            })?;
            self.committed.push(Committed { term, digest, by: node.term() });
        }
        let last = self.committed[node.commit().0 as usize - 1];
        let holds = |id: &MemberId| {
            let disks = self.members.get(id).map(|seen| &seen.disk).into_iter();
            let mut disks = disks.chain(self.lost.get(id).into_iter().flatten());
            disks.any(|disk| disk.holds(node.commit(), (last.term, last.digest)))
        };
        let halves = [&membership.voters, &membership.outgoing];
        let quorum = halves
            .iter()
            .filter(|half| !half.is_empty())
            .all(|half| half.iter().filter(|id| holds(id)).count() * 2 > half.len());
        hold("what commits is on a quorum of disks", quorum, || {
            format!("{} committed {} of {}", node.id(), node.commit(), last.term)
        })
    }

    fn check_applied(&self, id: MemberId, effects: &Effects, seen: &mut Seen) -> Verdict {
        if let Some(snapshot) = &effects.install {
            let (index, on_disk) = (snapshot.meta.index, seen.disk.covered);
            hold("what is applied is on the disk", index <= on_disk, || format!("{id} installed {index}"))?;
            hold("a snapshot leads forward", index > seen.applied, || format!("{id} installed {index}"))?;
            seen.applied = index;
        }
        for entry in &effects.committed {
            let next = entry.index == seen.applied.next();
            hold("entries are applied once and in order", next, || {
                format!("{id} applied {} after {}", entry.index, seen.applied)
            })?;
            let on_disk = seen.disk.holds(entry.index, id_of(entry));
            hold("what is applied is on the disk", on_disk, || format!("{id} applied {}", entry.index))?;
            seen.applied = entry.index;
        }
        Ok(())
    }

    fn check_reads(&mut self, id: MemberId, effects: &Effects) -> Verdict {
        for read in &effects.reads {
            let Some(floor) = self.reads.get(&read.context) else { continue };
            hold("a read sees all that was committed before it", read.index >= *floor, || {
                format!("{id} answers from {}, committed were {floor}", read.index)
            })?;
        }
        Ok(())
    }
}

fn id_of(entry: &Entry) -> (Term, u64) {
    (entry.term, entry.digest())
}
