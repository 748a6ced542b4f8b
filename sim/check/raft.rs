//! Raft's promises, looked at after every note: one leader a term, log matching, leader completeness, commits and
//! revisions that never go back, equal state at equal index, and nothing acknowledged that is not on a quorum of
//! disks (Raft paper, figure 3; dissertation, chapter 3).

use crate::history::{Nanos, seconds};
use base::{Index, MemberId, Note, Revision, Term};
use std::collections::{BTreeMap, BTreeSet};

/// A promise broken, at the moment it broke.
#[derive(Clone, Debug)]
pub struct Breach {
    pub promise: &'static str,
    pub evidence: Vec<String>,
}

#[derive(Default)]
struct Member {
    log: BTreeMap<u64, (Term, u64)>,
    /// Where its log begins: index and term of what a snapshot covers, be it on disk yet or not.
    base: (u64, Term),
    /// The log that a snapshot replaces, while that is on its way to the disk.
    replaced: BTreeMap<u64, (Term, u64)>,
    /// Entries up to here are covered by a snapshot on disk.
    snapshot: u64,
    synced: u64,
    committed: u64,
    applied: u64,
    revision: Revision,
}

impl Member {
    fn term_at(&self, index: u64) -> Option<Term> {
        let based =
            (index > 0 && index == self.base.0 && self.base.1 != Term::default()).then_some(self.base.1);
        self.log.get(&index).map(|(term, _)| *term).or(based)
    }

    /// As long as it lives, its revision does.
    fn goes_forward(&self, id: MemberId, to: Revision) -> Judged {
        if to >= self.revision {
            return Ok(());
        }
        let text = format!("{id} went back from revision {} to {}", self.revision.0, to.0);
        Err((FORWARD, vec![text]))
    }
}

/// A change of members, by the index and the term of its entry: the voters, and those that were being left.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Config {
    index: u64,
    term: Term,
    voters: Vec<MemberId>,
    outgoing: Vec<MemberId>,
}

/// What is known to be committed at an index.
#[derive(Clone, Copy)]
struct Committed {
    /// Its entry: term and digest.
    entry: (Term, u64),
    /// No later than in this term, the first in which a member knew of it. That may lie far behind the term of the
    /// entry, and leaders of terms before it need not have the entry, however late they hear that they were chosen.
    by: Term,
}

pub struct Raft {
    voters: usize,
    members: BTreeMap<MemberId, Member>,
    /// What stood on disks that a harm took away: there it was when it was acknowledged.
    lost: Vec<(MemberId, Member)>,
    leaders: BTreeMap<Term, MemberId>,
    /// Members that came back, after a term had its leader, without knowing of that term: their votes for it, if
    /// they gave any, were not on disk.
    forgetful: BTreeMap<Term, BTreeSet<MemberId>>,
    /// Digest of the entry of a term at an index, and the term in front of it.
    entries: BTreeMap<(u64, Term), (u64, Option<Term>)>,
    /// Changes of members that stood in somebody's log.
    configs: BTreeSet<Config>,
    committed: BTreeMap<u64, Committed>,
    hashes: BTreeMap<u64, (u64, Revision, MemberId)>,
    pub looked_at: BTreeMap<&'static str, u64>,
    pub first: Option<Breach>,
}

pub const ONE_LEADER: &str = "one leader a term";
pub const VOTES: &str = "votes are on disk before they count";
pub const MATCHING: &str = "log matching";
pub const COMPLETE: &str = "leader completeness";
pub const FORWARD: &str = "commit and revision never go back";
pub const EQUAL: &str = "equal state at equal index";
pub const DURABLE: &str = "acknowledged is on a quorum of disks";
pub const SAFE: &str = "committed stays committed";

impl Raft {
    pub fn new(voters: usize) -> Self {
        Raft {
            voters,
            members: BTreeMap::new(),
            lost: vec![],
            leaders: BTreeMap::new(),
            forgetful: BTreeMap::new(),
            entries: BTreeMap::new(),
            configs: BTreeSet::new(),
            committed: BTreeMap::new(),
            hashes: BTreeMap::new(),
            looked_at: BTreeMap::new(),
            first: None,
        }
    }

    /// Looks at one note. Only the first breach is kept: what follows one is no evidence of anything.
    pub fn see(&mut self, at: Nanos, note: &Note) {
        if self.first.is_some() {
            return;
        }
        let judged = match note {
            Note::MemberStarted { member, term, last, applied } => {
                self.started(*member, *last, *applied);
                self.remembers(*member, *term)
            }
            Note::Leader { member, term } => self.leader(*member, *term),
            Note::Appended { member, first, entries } => self.appended(*member, *first, entries),
            Note::Configured { member, index, voters, outgoing } => {
                self.configured(*member, index.0, voters, outgoing);
                Ok(())
            }
            Note::Received { member, index, term } => self.received(*member, *index, *term),
            Note::Synced { member, last, .. } => self.synced(*member, *last),
            Note::Committed { member, term, index } => self.commit(*member, *term, *index),
            Note::Applied { member, index, revision, hash, .. } => {
                self.applied(*member, *index, *revision, *hash)
            }
            Note::Restored { member, index, term, revision, hash } => {
                self.restored(*member, *index, *term, *revision, *hash)
            }
            Note::Acknowledged { member, index } => self.acknowledged(*member, *index),
            _ => Ok(()),
        };
        if let Err((promise, mut evidence)) = judged {
            evidence.insert(0, format!("at {}", seconds(at)));
            self.first = Some(Breach { promise, evidence });
        }
    }

    /// A harm took a member's disk away, or an operator did, after damage.
    pub fn lost_disk(&mut self, id: MemberId) {
        let known = self.members.remove(&id).unwrap_or_default();
        self.lost.push((id, known));
    }

    fn member(&mut self, member: MemberId) -> &mut Member {
        self.members.entry(member).or_default()
    }

    fn count(&mut self, promise: &'static str) {
        *self.looked_at.entry(promise).or_insert(0) += 1;
    }

    fn started(&mut self, id: MemberId, last: Index, applied: Index) {
        let member = self.member(id);
        member.log.split_off(&(last.0 + 1));
        member.replaced.clear();
        member.synced = last.0;
        member.committed = applied.0;
        member.applied = applied.0;
        member.snapshot =
            member.snapshot.min(applied.0).max(member.log.keys().next().map_or(applied.0, |n| n - 1));
        member.base = (member.snapshot, Term::default());
        member.revision = Revision(0);
    }

    /// A leader was chosen by a quorum that had its term on disk; no more than the others may not know of it. Once
    /// members have changed, nobody knows here which quorum that was.
    fn remembers(&mut self, id: MemberId, term: Term) -> Judged {
        if !self.configs.is_empty() {
            return Ok(());
        }
        self.count(VOTES);
        for (elected, leader) in self.leaders.range(term.next()..) {
            let forgetful = self.forgetful.entry(*elected).or_default();
            forgetful.insert(id);
            let others = self.voters - forgetful.len().min(self.voters);
            if others * 2 <= self.voters {
                let names: Vec<String> = forgetful.iter().map(MemberId::to_string).collect();
                let text = format!(
                    "{leader} was elected in term {}, of which {} know nothing after a restart: at most {others} of {} votes were on disk",
                    elected.0,
                    names.join(" and "),
                    self.voters
                );
                return Err((VOTES, vec![text]));
            }
        }
        Ok(())
    }

    fn leader(&mut self, id: MemberId, term: Term) -> Judged {
        self.count(ONE_LEADER);
        match self.leaders.insert(term, id) {
            Some(other) if other != id => {
                return Err((ONE_LEADER, vec![format!("{other} and {id} both lead in term {}", term.0)]));
            }
            _ => {}
        }
        self.count(COMPLETE);
        let member = self.members.entry(id).or_default();
        for (index, Committed { entry, by }) in self.committed.range(member.base.0 + 1..) {
            if *by < term && member.log.get(index) != Some(entry) {
                let has = member
                    .log
                    .get(index)
                    .map_or("nothing".into(), |(term, _)| format!("an entry of term {}", term.0));
                let text = format!(
                    "{id} leads in term {}, but where entry {index} of term {} was committed in term {} it has {has}",
                    term.0, entry.0.0, by.0
                );
                return Err((COMPLETE, vec![text]));
            }
        }
        Ok(())
    }

    fn appended(&mut self, id: MemberId, first: Index, entries: &[(Term, u64)]) -> Judged {
        let committed = self.members.get(&id).map_or(0, |member| member.committed);
        if first.0 <= committed {
            let log = &self.members[&id].log;
            let replaced = entries.iter().zip(first.0..).find(|(entry, index)| {
                *index <= committed && log.get(index).is_some_and(|known| known != *entry)
            });
            if let Some((entry, index)) = replaced {
                let text = format!(
                    "{id} replaced entry {index}, which it knew to be committed, by one of term {}",
                    entry.0.0
                );
                return Err((SAFE, vec![text]));
            }
        }
        let mut before = self.members.get(&id).and_then(|member| member.term_at(first.0.wrapping_sub(1)));
        for (entry, index) in entries.iter().zip(first.0..) {
            self.count(MATCHING);
            let known = self.entries.entry((index, entry.0)).or_insert((entry.1, before));
            if known.0 != entry.1 {
                let text = format!("{id} has another entry {index} of term {} than somebody else", entry.0.0);
                return Err((MATCHING, vec![text]));
            }
            if let (Some(one), Some(other)) = (known.1, before)
                && one != other
            {
                let text = format!(
                    "in front of entry {index} of term {}, {id} has one of term {}, somebody else one of term {}",
                    entry.0.0, other.0, one.0
                );
                return Err((MATCHING, vec![text]));
            }
            known.1 = known.1.or(before);
            before = Some(entry.0);
        }
        let member = self.member(id);
        member.log.split_off(&first.0);
        member.synced = member.synced.min(first.0.saturating_sub(1));
        member.log.extend((first.0..).zip(entries.iter().copied()));
        Ok(())
    }

    /// One that came with a snapshot stood in the leader's log before.
    fn configured(&mut self, id: MemberId, index: u64, voters: &[MemberId], outgoing: &[MemberId]) {
        if let Some((term, _)) = self.member(id).log.get(&index).copied() {
            let (voters, outgoing) = (voters.to_vec(), outgoing.to_vec());
            self.configs.insert(Config { index, term, voters, outgoing });
        }
    }

    /// What stands on the disk stays there until the snapshot does.
    fn received(&mut self, id: MemberId, index: Index, term: Term) -> Judged {
        let member = self.member(id);
        member.replaced.append(&mut member.log);
        member.base = (index.0, term);
        Ok(())
    }

    fn synced(&mut self, id: MemberId, last: Index) -> Judged {
        let member = self.member(id);
        member.synced = member.synced.max(last.0);
        Ok(())
    }

    fn commit(&mut self, id: MemberId, term: Term, index: Index) -> Judged {
        self.count(FORWARD);
        let member = self.members.entry(id).or_default();
        if index.0 < member.committed {
            let text = format!("{id} had committed up to {}, now up to {}", member.committed, index.0);
            return Err((FORWARD, vec![text]));
        }
        let new = member.log.range(member.committed + 1..).take_while(|(n, _)| **n <= index.0);
        for (n, entry) in new {
            let known = self.committed.entry(*n).or_insert(Committed { entry: *entry, by: term });
            known.by = known.by.min(term);
            if known.entry != *entry {
                let text = format!(
                    "entry {n} is committed as one of term {}, and by {id} as one of term {}",
                    known.entry.0.0, entry.0.0
                );
                return Err((SAFE, vec![text]));
            }
        }
        member.committed = index.0;
        self.count(SAFE);
        Ok(())
    }

    fn applied(&mut self, id: MemberId, index: Index, revision: Revision, hash: u64) -> Judged {
        self.count(FORWARD);
        let member = self.members.entry(id).or_default();
        if index.0 <= member.applied && member.applied > 0 {
            let text = format!("{id} applied entry {} after entry {}", index.0, member.applied);
            return Err((FORWARD, vec![text]));
        }
        member.goes_forward(id, revision)?;
        (member.applied, member.revision) = (index.0, revision);
        self.same_state(id, index, revision, hash)
    }

    fn same_state(&mut self, id: MemberId, index: Index, revision: Revision, hash: u64) -> Judged {
        self.count(EQUAL);
        let known = *self.hashes.entry(index.0).or_insert((hash, revision, id));
        if (known.0, known.1) != (hash, revision) {
            let text = format!(
                "after entry {}, {} is at revision {} and {id} at {}, with states that differ",
                index.0, known.2, known.1.0, revision.0
            );
            return Err((EQUAL, vec![text]));
        }
        Ok(())
    }

    fn restored(&mut self, id: MemberId, index: Index, term: Term, revision: Revision, hash: u64) -> Judged {
        let member = self.members.entry(id).or_default();
        member.goes_forward(id, revision)?;
        member.log = member.log.split_off(&(index.0 + 1));
        member.base = (index.0, term);
        member.replaced.clear();
        member.snapshot = index.0;
        member.synced = member.synced.max(index.0);
        member.committed = member.committed.max(index.0);
        (member.applied, member.revision) = (index.0, revision);
        self.same_state(id, index, revision, hash)
    }

    fn acknowledged(&mut self, id: MemberId, index: Index) -> Judged {
        self.count(DURABLE);
        let on_disk = |member: &&Member| member.snapshot >= index.0 || member.synced >= index.0;
        let entry = self.members.get(&id).and_then(|member| member.log.get(&index.0)).copied();
        let same = |member: &&Member| {
            let held = |log: &BTreeMap<_, _>| log.get(&index.0).copied() == entry;
            member.snapshot >= index.0 || entry.is_none() || held(&member.log) || held(&member.replaced)
        };
        let disks = self.members.iter().chain(self.lost.iter().map(|(id, disk)| (id, disk)));
        let holders = disks.filter(|(_, disk)| on_disk(disk) && same(disk)).map(|(id, _)| *id);
        let holders: BTreeSet<MemberId> = holders.collect();
        if self.is_quorum(&holders, id, index.0) {
            return Ok(());
        }
        let names: Vec<String> = holders.iter().map(MemberId::to_string).collect();
        let text = match self.configs.is_empty() {
            true => format!(
                "{id} acknowledged entry {}, which is on the disks of {} of {} members",
                index.0,
                holders.len(),
                self.voters
            ),
            false => format!(
                "{id} acknowledged entry {}, which is on the disks of {} only: no quorum of any members since",
                index.0,
                names.join(" and ")
            ),
        };
        Err((DURABLE, vec![text]))
    }

    /// A leader goes by the last configuration in its log: the one before an index, or any that followed.
    fn is_quorum(&self, holders: &BTreeSet<MemberId>, id: MemberId, index: u64) -> bool {
        let log = self.members.get(&id);
        // Of those that were taken back none counts; behind a snapshot, which is of what is committed, that tells.
        let in_log = |config: &&Config| {
            let base = log.map_or(0, |log| log.base.0);
            match config.index <= base {
                true => self.committed.get(&config.index).is_none_or(|known| known.entry.0 == config.term),
                false => log.and_then(|log| log.term_at(config.index)) == Some(config.term),
            }
        };
        let before = self.configs.iter().filter(|config| config.index <= index).filter(in_log);
        let last = before.map(|config| config.index).max();
        if last.is_none() && holders.len() * 2 > self.voters {
            return true;
        }
        let majority =
            |half: &[MemberId]| half.iter().filter(|id| holders.contains(id)).count() * 2 > half.len();
        let valid = self.configs.iter().filter(|config| config.index >= last.unwrap_or(0));
        valid.into_iter().any(|config| {
            majority(&config.voters) && (config.outgoing.is_empty() || majority(&config.outgoing))
        })
    }
}

type Judged = Result<(), (&'static str, Vec<String>)>;

#[cfg(test)]
mod tests {
    use super::*;

    const A: MemberId = MemberId(1);
    const B: MemberId = MemberId(2);
    const C: MemberId = MemberId(3);

    fn appended(member: MemberId, first: u64, entries: &[(u64, u64)]) -> Note {
        let entries = entries.iter().map(|(term, digest)| (Term(*term), *digest)).collect();
        Note::Appended { member, first: Index(first), entries }
    }

    fn synced(member: MemberId, term: u64, last: u64) -> Note {
        Note::Synced { member, term: Term(term), last: Index(last) }
    }

    fn committed(member: MemberId, term: u64, index: u64) -> Note {
        Note::Committed { member, term: Term(term), index: Index(index) }
    }

    fn applied(member: MemberId, index: u64, hash: u64) -> Note {
        Note::Applied { member, index: Index(index), term: Term(1), revision: Revision(index as i64), hash }
    }

    fn judge(notes: &[Note]) -> Option<&'static str> {
        let mut raft = Raft::new(3);
        notes.iter().enumerate().for_each(|(n, note)| raft.see(n as u64, note));
        raft.first.map(|breach| breach.promise)
    }

    fn leader(member: MemberId, term: u64) -> Note {
        Note::Leader { member, term: Term(term) }
    }

    fn right() -> Vec<Note> {
        vec![
            leader(A, 1),
            appended(A, 1, &[(1, 10), (1, 11)]),
            appended(B, 1, &[(1, 10), (1, 11)]),
            synced(A, 1, 2),
            synced(B, 1, 2),
            committed(A, 1, 2),
            applied(A, 1, 100),
            applied(A, 2, 101),
            Note::Acknowledged { member: A, index: Index(2) },
            committed(B, 1, 2),
            applied(B, 1, 100),
            applied(B, 2, 101),
            leader(B, 2),
        ]
    }

    fn with(notes: &[Note]) -> Option<&'static str> {
        judge(&[right().as_slice(), notes].concat())
    }

    #[test]
    fn a_right_course_is_accepted() {
        assert_eq!(judge(&right()), None);
    }

    /// A stands still while it stands for term 4; C, of term 5, commits what is of term 2 with B; only then A hears that it
    /// was chosen.
    #[test]
    fn a_leader_that_hears_late_of_its_votes_needs_what_was_committed_before_its_term() {
        let course = |by: u64, elected: u64| {
            judge(&[
                leader(C, 2),
                appended(C, 1, &[(2, 20)]),
                appended(A, 1, &[(3, 30)]),
                leader(C, 5),
                appended(B, 1, &[(2, 20)]),
                appended(C, 2, &[(5, 50)]),
                committed(B, 5, 1),
                committed(C, by, 1),
                leader(A, elected),
            ])
        };
        assert_eq!(course(5, 4), None);
        assert_eq!(course(5, 6), Some(COMPLETE));
        assert_eq!(course(3, 4), Some(COMPLETE), "the first that knew of it counts, whenever it says so");
    }

    #[test]
    fn each_planted_violation_is_flagged() {
        assert_eq!(with(&[leader(C, 2)]), Some(ONE_LEADER));
        assert_eq!(with(&[leader(C, 3)]), Some(COMPLETE));
        assert_eq!(with(&[appended(C, 1, &[(1, 77)])]), Some(MATCHING));
        assert_eq!(with(&[appended(A, 2, &[(2, 20)])]), Some(SAFE));
        assert_eq!(with(&[appended(C, 1, &[(1, 10), (2, 20)]), committed(C, 2, 2)]), Some(SAFE));
        assert_eq!(with(&[committed(A, 1, 1)]), Some(FORWARD));
        assert_eq!(with(&[applied(A, 2, 101)]), Some(FORWARD));
        let restored = |revision| Note::Restored {
            member: A,
            index: Index(9),
            term: Term(2),
            revision: Revision(revision),
            hash: 900,
        };
        assert_eq!(with(&[restored(1)]), Some(FORWARD), "a snapshot that it took while it lived");
        assert_eq!(with(&[restored(2)]), None);
        assert_eq!(with(&[applied(C, 2, 999)]), Some(EQUAL));
        let unsynced = [appended(B, 3, &[(2, 30)]), Note::Acknowledged { member: B, index: Index(3) }];
        assert_eq!(with(&unsynced), Some(DURABLE));
        let back = |member, term| Note::MemberStarted {
            member,
            term: Term(term),
            last: Index(2),
            applied: Index(0),
        };
        assert_eq!(with(&[back(C, 1)]), None, "one of three may not have heard");
        assert_eq!(with(&[back(C, 1), back(A, 2)]), None);
        assert_eq!(with(&[back(C, 1), back(A, 1)]), Some(VOTES));
        let lost = Note::MemberStarted { member: B, term: Term(2), last: Index(1), applied: Index(0) };
        let again = [lost, Note::Acknowledged { member: A, index: Index(2) }];
        assert_eq!(with(&again), Some(DURABLE));
    }

    fn received(index: u64, term: u64) -> Note {
        Note::Received { member: C, index: Index(index), term: Term(term) }
    }

    fn restored(index: u64, term: u64, hash: u64) -> Note {
        let revision = Revision(index as i64);
        Note::Restored { member: C, index: Index(index), term: Term(term), revision, hash }
    }

    /// Entries may stand behind a snapshot before it is on the disk; once they were taken for those that the
    /// snapshot had replaced, and their member, elected, for one that lacked them.
    #[test]
    fn a_snapshot_replaces_what_stood_before_it_came_and_nothing_that_came_later() {
        let other = appended(C, 1, &[(1, 10), (1, 11), (1, 12)]);
        let came = [other.clone(), received(2, 1), committed(C, 2, 2)];
        let more =
            [appended(A, 3, &[(2, 30)]), synced(A, 2, 3), appended(C, 3, &[(2, 30)]), committed(A, 2, 3)];
        let done = [synced(C, 2, 3), restored(2, 1, 101), Note::Acknowledged { member: A, index: Index(3) }];
        let whole = [came.as_slice(), &more, &done, &[leader(C, 3)]].concat();
        assert_eq!(with(&whole), None);
        assert_eq!(
            with(&[came.as_slice(), &more[..2], &more[3..], &[leader(C, 3)]].concat()),
            Some(COMPLETE)
        );
        let in_front =
            [came.as_slice(), &[appended(C, 3, &[(2, 30)]), appended(A, 2, &[(1, 11), (2, 30)])]].concat();
        assert_eq!(with(&in_front), None);
        assert_eq!(
            with(&[other, received(2, 2), appended(C, 3, &[(2, 30)]), more[0].clone()]),
            Some(MATCHING)
        );
    }

    /// The old log counts until the snapshot is on the disk.
    #[test]
    fn what_a_snapshot_replaces_stays_on_the_disk_until_the_snapshot_does() {
        let on_disk = [appended(C, 1, &[(1, 10), (1, 11), (1, 12)]), synced(C, 1, 3), received(4, 1)];
        let written = [appended(A, 3, &[(1, 12)]), synced(A, 1, 3)];
        let acknowledged = [Note::Acknowledged { member: A, index: Index(3) }];
        assert_eq!(with(&[on_disk.as_slice(), &written, &acknowledged].concat()), None);
        assert_eq!(with(&[&on_disk[2..], &written, &acknowledged].concat()), Some(DURABLE));
    }

    /// What stood on a disk before a harm took it counts for what is acknowledged later; nothing else does.
    /// Of changes of members the last one before an entry counts, or any behind it; but none that was taken back.
    #[test]
    fn what_is_acknowledged_is_on_a_quorum_of_those_who_are_members_then() {
        let of = |member, index, voters: &[MemberId]| Note::Configured {
            member,
            index: Index(index),
            voters: voters.to_vec(),
            outgoing: vec![],
        };
        let acknowledged = Note::Acknowledged { member: A, index: Index(4) };
        let d = MemberId(4);
        let on = |member, term| [appended(member, 3, &[(term, 30), (term, 31)]), synced(member, term, 4)];
        let two = |voters: &[MemberId]| [&on(A, 1)[..], &[of(A, 3, voters)], &on(B, 1)].concat();
        assert_eq!(with(&[two(&[A, B, C]), vec![acknowledged.clone()]].concat()), None);
        assert_eq!(with(&[two(&[A, B, C, d]), vec![acknowledged.clone()]].concat()), Some(DURABLE));
        let three = [two(&[A, B, C, d]), on(C, 1).to_vec(), vec![acknowledged.clone()]].concat();
        let all_of_c = appended(C, 1, &[(1, 10), (1, 11)]);
        assert_eq!(with(&[vec![all_of_c], three].concat()), None);
        // C's change of four stood behind entry 2, and B's entries took its place
        let taken_back = [appended(C, 1, &[(1, 10), (1, 11), (1, 99)]), of(C, 3, &[A, B, C, d])];
        let replaced = [&taken_back[..], &on(B, 2), &on(A, 2), &[acknowledged]].concat();
        assert_eq!(with(&replaced), None);
    }

    /// Nor does one that was taken back before the snapshot that a learner got (members-swarm, seed 10224).
    #[test]
    fn what_a_learner_acknowledges_behind_a_snapshot_is_on_a_quorum_of_what_was_committed() {
        let d = MemberId(4);
        let on = |member, term| [appended(member, 3, &[(term, 30), (term, 31)]), synced(member, term, 4)];
        let taken_back = [
            appended(C, 1, &[(1, 10), (1, 11), (1, 99)]),
            Note::Configured { member: C, index: Index(3), voters: vec![C, d], outgoing: vec![] },
        ];
        let behind = [
            committed(A, 2, 3),
            Note::Received { member: d, index: Index(3), term: Term(2) },
            appended(d, 4, &[(2, 31)]),
            Note::Acknowledged { member: d, index: Index(4) },
        ];
        assert_eq!(with(&[&taken_back[..], &on(B, 2), &on(A, 2), &behind].concat()), None);
        let one_only = [&taken_back[..], &on(B, 2)[..1], &on(A, 2), &behind].concat();
        assert_eq!(with(&one_only), Some(DURABLE));
    }

    #[test]
    fn a_disk_that_is_taken_away_held_what_it_held() {
        let acknowledged = |index| Note::Acknowledged { member: A, index: Index(index) };
        let back = Note::MemberStarted { member: B, term: Term(3), last: Index(0), applied: Index(0) };
        let judge = |index| {
            let mut raft = Raft::new(3);
            right().iter().for_each(|note| raft.see(0, note));
            [appended(A, 3, &[(1, 12)]), synced(A, 1, 3)].iter().for_each(|note| raft.see(1, note));
            raft.lost_disk(B);
            [back.clone(), acknowledged(index)].iter().for_each(|note| raft.see(2, note));
            raft.first.map(|breach| breach.promise)
        };
        assert_eq!(judge(2), None);
        assert_eq!(judge(3), Some(DURABLE));
    }
}
