//! The machine: what a member keeps in mind, how roles and terms change, and how one input becomes effects.

use crate::configs::Configs;
use crate::effects::{AfterSync, Effects, HardState, Input, Persist, Piece, RoleChange, Ticket};
use crate::follow::Incoming;
use crate::install::Installing;
use crate::progress::Progress;
use crate::read::Reads;
use crate::transfer::Transfer;
use crate::{Body, Entry, Log, Membership, Message, Snapshot, SnapshotMeta, rejoin};
use base::{Index, Knobs, MemberId, Term, bug, invariant, reached};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// What a member is told once.
#[derive(Clone, Debug)]
pub struct Config {
    pub id: MemberId,
    /// The configuration the cluster was founded with: of nobody, for a member that joins later. A recovered one
    /// takes precedence.
    pub membership: Membership,
    /// Election time-outs are drawn from this; members must differ in it.
    pub seed: u64,
    pub knobs: Knobs,
}

/// What a member found on its disk.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    pub hard: HardState,
    pub snapshot: Option<Snapshot>,
    /// Contiguous; may begin at or before what the snapshot covers, but leaves no gap behind it.
    pub entries: Vec<Entry>,
    /// An earlier disk was lost, and with it what had been promised in terms up to this one.
    pub forgot: Option<Term>,
}

/// What a member is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    Follower,
    /// Asks whether an election could be won, before it disturbs anyone.
    PreCandidate,
    Candidate,
    Leader,
}

/// One member's part of Raft.
#[derive(Debug)]
pub struct Node {
    pub(crate) id: MemberId,
    pub(crate) knobs: Knobs,
    pub(crate) configs: Configs,
    pub(crate) hard: HardState,
    pub(crate) role: Role,
    pub(crate) leader: Option<MemberId>,
    pub(crate) log: Log,
    pub(crate) commit: Index,
    /// Entries up to here were handed out as committed.
    pub(crate) handed: Index,
    /// The newest one; followers that need what is compacted get it.
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) disk: Disk,
    pub(crate) changed: Changed,
    /// Without a say until what was promised in terms up to this one is made up for.
    pub(crate) forgot: Option<Term>,
    /// The newest one cannot be read: the next takes its place.
    pub(crate) lost: Option<Index>,
    pub(crate) installing: Option<Installing>,
    pub(crate) incoming: Option<Incoming>,
    /// Ticks since the leader was heard of; a leader's: since it last found itself followed by a quorum.
    pub(crate) elapsed: u64,
    timeout: u64,
    chance: u64,
    pub(crate) since_beat: u64,
    pub(crate) votes: BTreeMap<MemberId, bool>,
    /// A candidate's own vote counts from this ticket on.
    pub(crate) own_vote_after: u64,
    pub(crate) followers: BTreeMap<MemberId, Progress>,
    /// Bytes of entries that a leader holds uncommitted.
    pub(crate) uncommitted: u64,
    pub(crate) reads: Reads,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) out: Effects,
    /// Messages of this step that must wait for a sync.
    promises: Vec<Message>,
}

/// What is known of the disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// The last ticket given out, and the last one that was synced.
    pub issued: u64,
    pub synced: u64,
    /// The log is on the disk up to here.
    durable: Index,
    /// Tickets under way and up to where the log will be on the disk with each.
    pending: VecDeque<(u64, Index)>,
}

/// What this step changed of that which must be on the disk.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub hard: bool,
    pub log_from: Option<Index>,
    pub piece: Option<Piece>,
    pub snapshot: bool,
}

impl Node {
    /// A member as it starts, from what its disk held. The state machine starts from `recovered.snapshot`.
    pub fn new(config: Config, recovered: Recovered) -> Self {
        let keep = config.knobs.snapshot_keep;
        let log = recovered_log(recovered.snapshot.as_ref(), recovered.entries, keep);
        let start = recovered.snapshot.as_ref().map_or(Index(0), |snapshot| snapshot.meta.index);
        let of_snapshot = recovered.snapshot.as_ref().map(|snapshot| Configs::of(&snapshot.meta));
        let mut configs = of_snapshot.unwrap_or(Configs::starting(Index(0), config.membership));
        let behind = (start.0 + 1..=log.last().0).filter_map(|index| log.entry(Index(index)));
        behind.for_each(|entry| configs.push(entry));
        let mut node = Self {
            id: config.id,
            knobs: config.knobs,
            configs,
            hard: rejoin::resume(recovered.hard, recovered.forgot),
            role: Role::Follower,
            leader: None,
            disk: Disk { durable: log.last(), ..Disk::default() },
            log,
            commit: start,
            handed: start,
            snapshot: recovered.snapshot,
            changed: Changed { hard: recovered.forgot.is_some(), ..Changed::default() },
            forgot: recovered.forgot,
            lost: None,
            installing: None,
            incoming: None,
            elapsed: 0,
            timeout: 0,
            chance: config.seed,
            since_beat: 0,
            votes: BTreeMap::new(),
            own_vote_after: 0,
            followers: BTreeMap::new(),
            uncommitted: 0,
            reads: Reads::default(),
            transfer: None,
            out: Effects::default(),
            promises: Vec::new(),
        };
        reached!("raft: a member came back from its disk", node.hard.term > Term(0));
        reached!("raft: a member came back in a term it has voted in", node.hard.vote.is_some());
        node.restart_clock();
        node
    }

    /// Takes one input and says what has to be done.
    pub fn step(&mut self, input: Input) -> Effects {
        let before = self.role_now();
        let commit = self.commit;
        match input {
            Input::Tick => self.tick(),
            Input::Message(message) => self.receive(message),
            Input::Propose(commands) => self.propose(commands),
            Input::Reconfigure(target) => self.reconfigure(target),
            Input::Transfer(to) => self.transfer_to(to),
            Input::ReadIndex(context) => self.read_index(context),
            Input::Synced(synced) => self.synced(synced.0),
            Input::SnapshotTaken { index, size } => self.snapshot_taken(index, size),
            Input::Installed(index) => self.installed(index),
            Input::SnapshotLost(index) => self.snapshot_lost(index),
        }
        self.persist();
        self.hand_out();
        self.make_up();
        invariant!(self.commit >= commit || bug!("BACK"), "commit never goes back");
        self.out.commit = (self.commit != commit).then_some(self.commit);
        self.out.role = (self.role_now() != before).then(|| self.role_now());
        std::mem::take(&mut self.out)
    }

    pub fn id(&self) -> MemberId {
        self.id
    }

    pub fn term(&self) -> Term {
        self.hard.term
    }

    pub fn vote(&self) -> Option<MemberId> {
        self.hard.vote
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn leader(&self) -> Option<MemberId> {
        self.leader
    }

    /// The configuration that this member goes by: the last one in its log.
    pub fn membership(&self) -> &Membership {
        // etcd-io/etcd#11284: R01 goes by the last one that was applied.
        if bug!("R01") { &self.configs.at(self.handed).1 } else { self.configs.latest() }
    }

    /// Where the configuration stands that this member goes by; zero if the cluster was founded with it.
    pub fn configured_at(&self) -> Index {
        self.configs.latest_index()
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn first(&self) -> Index {
        self.log.first()
    }

    pub fn last(&self) -> Index {
        self.log.last()
    }

    pub fn commit(&self) -> Index {
        self.commit
    }

    /// Up to here entries were handed out to be applied.
    pub fn applied(&self) -> Index {
        self.handed
    }

    /// Up to here the log is on the disk.
    pub fn durable(&self) -> Index {
        if bug!("S01") { self.log.last() } else { self.disk.durable }
    }

    /// What a snapshot at an applied index must carry; none if the index is not one, or if this node was told of nobody
    /// who votes there. Whoever joins was not founded with the cluster: until it comes to a configuration in the log it
    /// does not know the first one, and who begins with its snapshot would not, either.
    pub fn snapshot_meta(&self, index: Index) -> Option<SnapshotMeta> {
        let term = self.log.term_at(index).filter(|_| index <= self.handed)?;
        let (configured, membership) = self.configs.at(index).clone();
        if membership.voters.is_empty() && !bug!("B10") {
            reached!("raft: no snapshot without a configuration that somebody votes in");
            return None;
        }
        Some(SnapshotMeta { index, term, membership, configured })
    }

    /// Up to where a follower's disk is known to hold our log: only on a leader.
    pub fn matched(&self, id: MemberId) -> Option<Index> {
        self.followers.get(&id).map(|follower| follower.matched)
    }

    /// Whether a follower was heard of within the last election time-out or two: only on a leader.
    pub fn is_heard(&self, id: MemberId) -> bool {
        self.followers.get(&id).is_some_and(|follower| follower.active || follower.was_active)
    }

    /// How replication to a follower stands, for people: only on a leader.
    pub fn progress(&self, id: MemberId) -> Option<String> {
        self.followers.get(&id).map(ToString::to_string)
    }

    fn role_now(&self) -> RoleChange {
        RoleChange { role: self.role, term: self.hard.term, leader: self.leader }
    }

    fn tick(&mut self) {
        self.elapsed += 1;
        if self.role == Role::Leader {
            return self.tick_leader();
        }
        if self.elapsed >= self.timeout && self.may_lead() {
            self.pre_campaign();
        }
    }

    /// It follows a leader of which it has not heard for an election time-out. A voter stands for election by then; who
    /// has no vote can only wait, or ask.
    pub fn is_abandoned(&self) -> bool {
        self.role == Role::Follower && self.elapsed >= self.timeout
    }

    /// Whether it stands for election. One that is a voter no more by its own log still does while that is not sure to
    /// be committed: nobody else may have a log as good (Ongaro, "Consensus: Bridging Theory and Practice", §4.2.2). While
    /// its state is being replaced it does not: it could tell nobody how things stand.
    pub(crate) fn may_lead(&self) -> bool {
        reached!(
            "raft: one whose state is being replaced does not stand for election",
            self.installing.is_some()
        );
        // etcd-io/etcd#12163: R28 stands for election all the same
        (self.installing.is_none() || bug!("R28"))
            && (self.configs.any_since(self.commit, |membership| membership.is_voter(self.id)) || bug!("R22"))
            && self.has_a_say()
    }

    fn receive(&mut self, message: Message) {
        // Who is no member in our log may be one in the sender's, which is newer: everyone is listened to.
        if message.to != self.id || message.from == self.id {
            return;
        }
        if self.sticks_to_its_leader(&message) {
            return reached!("a vote was refused because a leader is alive");
        }
        let hypothetical =
            matches!(message.body, Body::PreVote { .. } | Body::PreVoteAnswer { granted: true });
        if message.term > self.hard.term && !hypothetical {
            reached!("raft: a leader heard of a newer term", self.role == Role::Leader);
            reached!("raft: a candidate heard of a newer term", self.role == Role::Candidate);
            self.follow(message.term, None);
        }
        if message.term < self.hard.term {
            return self.receive_of_old_term(&message);
        }
        let Message { from, term, body, .. } = message;
        match body {
            Body::PreVote { last_index, last_term } => self.on_pre_vote(from, term, last_index, last_term),
            Body::PreVoteAnswer { granted } => self.on_pre_vote_answer(from, term, granted),
            Body::Vote { last_index, last_term, .. } => self.on_vote(from, last_index, last_term),
            Body::VoteAnswer { granted } => self.on_vote_answer(from, granted),
            Body::Append { prev_index, prev_term, entries, commit } => {
                self.hear_leader(from);
                self.on_append((prev_index, prev_term), entries, commit);
            }
            Body::Heartbeat { commit, round } => {
                self.hear_leader(from);
                self.commit_to(if bug!("UNMATCHED") { commit.min(self.log.last()) } else { commit });
                self.send(from, Body::HeartbeatAnswer { round });
            }
            Body::Commit { index } => {
                self.hear_leader(from);
                self.commit_to(index);
            }
            Body::SnapshotChunk { meta, total, offset, data } => {
                self.hear_leader(from);
                self.on_snapshot_chunk(meta, total, offset, data);
            }
            Body::Appended { .. }
            | Body::AppendRefused { .. }
            | Body::HeartbeatAnswer { .. }
            | Body::SnapshotAnswer { .. } => self.on_follower(from, body),
            Body::ReadRequest { context } => self.read_for(from, context),
            Body::ReadAnswer { context, index } => self.out.reads.push(crate::ReadReady { context, index }),
            Body::StandForElection => self.on_stand_for_election(from),
            Body::Stale => {}
        }
    }

    /// A sender of an older term learns ours from the answer, so that it cannot stay behind for ever.
    fn receive_of_old_term(&mut self, message: &Message) {
        match message.body {
            Body::Append { .. } | Body::Heartbeat { .. } | Body::SnapshotChunk { .. } => {
                reached!("a leader of an older term was told so");
                self.send(message.from, Body::Stale);
            }
            Body::PreVote { .. } => {
                reached!("raft: a pre-vote for a term that is past was refused");
                self.send(message.from, Body::PreVoteAnswer { granted: false });
            }
            Body::Vote { .. } => {
                reached!("raft: a vote for a term that is past was refused");
                self.send(message.from, Body::VoteAnswer { granted: false });
            }
            _ => reached!("raft: an answer in a term that is past was dropped"),
        }
    }

    /// Becomes a follower, in a newer term or in this one.
    pub(crate) fn follow(&mut self, term: Term, leader: Option<MemberId>) {
        if term > self.hard.term {
            self.hard = HardState { term, vote: None };
            self.changed.hard = true;
        }
        if self.role == Role::Leader {
            reached!("a leader was deposed");
        }
        self.drop_reads();
        self.followers.clear();
        self.votes.clear();
        self.incoming = None;
        self.uncommitted = 0;
        self.transfer = None;
        self.role = Role::Follower;
        self.leader = leader;
        self.restart_clock();
    }

    /// A message that only the leader of this term sends came from `from`.
    fn hear_leader(&mut self, from: MemberId) {
        invariant!(
            self.role != Role::Leader,
            "one leader a term",
            "{} and {} lead {}",
            self.id,
            from,
            self.hard.term
        );
        if self.role != Role::Follower || self.leader != Some(from) {
            reached!("raft: a candidate found its own term led by another", self.role == Role::Candidate);
            reached!("raft: who asked for pre-votes heard a leader", self.role == Role::PreCandidate);
            self.follow(self.hard.term, Some(from));
        }
        self.elapsed = 0;
    }

    /// The clock starts again, with another time-out.
    pub(crate) fn restart_clock(&mut self) {
        self.elapsed = 0;
        self.since_beat = 0;
        let least = self.knobs.raft_election_ticks.max(1);
        self.timeout = least + self.draw() % least;
    }

    /// The next number of this member's own chance (splitmix64).
    fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn set_hard(&mut self, hard: HardState) {
        self.hard = hard;
        self.changed.hard = true;
    }

    pub(crate) fn push_entry(&mut self, entry: Entry) {
        let index = entry.index;
        self.configs.push(&entry);
        self.log.push(entry);
        self.changed.log_from = Some(self.changed.log_from.map_or(index, |from| from.min(index)));
    }

    pub(crate) fn truncate_log(&mut self, from: Index) {
        self.log.truncate(from);
        self.configs.truncate(from);
        self.disk.forget(Index(from.0 - 1));
    }

    pub(crate) fn send(&mut self, to: MemberId, body: Body) {
        self.send_in(to, self.hard.term, body);
    }

    pub(crate) fn send_in(&mut self, to: MemberId, term: Term, body: Body) {
        self.out.send.push(Message { from: self.id, to, term, body });
    }

    /// Sends what others will rely on: not before the disk holds everything that is in memory now.
    pub(crate) fn promise(&mut self, to: MemberId, body: Body) {
        if bug!("R08-ack") && matches!(body, Body::Appended { .. }) {
            return self.send(to, body);
        }
        self.promises.push(Message { from: self.id, to, term: self.hard.term, body });
    }

    fn persist(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        if changed.hard || changed.log_from.is_some() || changed.piece.is_some() || changed.snapshot {
            self.disk.issued += 1;
            self.disk.pending.push_back((self.disk.issued, self.log.last()));
            let entries = changed.log_from.map(|from| self.log.slice(from, self.log.last(), u64::MAX));
            self.out.persist = Some(Persist {
                hard: changed.hard.then_some(self.hard),
                piece: changed.piece,
                snapshot: self.snapshot.clone().filter(|_| changed.snapshot),
                entries: entries.unwrap_or_default(),
                ticket: Ticket(self.disk.issued),
            });
        }
        let promises = std::mem::take(&mut self.promises);
        if self.disk.issued == self.disk.synced {
            self.out.send.extend(promises);
        } else if !promises.is_empty() {
            self.out.after_sync = Some(AfterSync { needs: self.disk.issued, value: promises });
        }
    }

    fn synced(&mut self, ticket: u64) {
        self.disk.finished(ticket);
        match self.role {
            Role::Leader => self.maybe_commit(),
            Role::Candidate => self.count_own_vote(),
            _ => {}
        }
    }

    /// Only what is on this member's disk is applied: a snapshot of it then never runs ahead of the log.
    fn hand_out(&mut self) {
        self.hand_out_snapshot();
        let upto = self.commit.min(self.durable());
        reached!("raft: an entry was committed before it was on this disk", self.commit > self.durable());
        reached!(
            "raft: committed entries wait for a snapshot to be installed",
            self.installing.is_some() && upto > self.handed
        );
        // openraft eed681d5: R26 goes on with the old state
        if (self.installing.is_none() || bug!("R26")) && upto > self.handed {
            // etcd-io/etcd#10063: R13 counts as applied what is behind the page that was handed out.
            let page = if bug!("R13") { 512 } else { u64::MAX };
            self.out.committed = self.log.slice(self.handed.next(), upto, page);
            self.handed = upto;
        }
    }
}

impl Disk {
    /// Everything up to a ticket is on the disk.
    fn finished(&mut self, ticket: u64) {
        self.synced = self.synced.max(ticket);
        while let Some((_, last)) = self.pending.pop_front_if(|(pending, _)| *pending <= ticket) {
            self.durable = last;
        }
    }

    /// What lies behind `last` in the log is about to be replaced.
    pub(crate) fn forget(&mut self, last: Index) {
        self.durable = self.durable.min(last);
        self.pending.iter_mut().for_each(|(_, pending)| *pending = (*pending).min(last));
    }
}

/// The log as the disk's entries and snapshot give it. Entries that the snapshot covers are kept for followers
/// that lag, as many as are kept otherwise, if they lead up to it; whatever contradicts the snapshot is dropped, as what
/// it covers is committed.
fn recovered_log(snapshot: Option<&Snapshot>, mut entries: Vec<Entry>, keep: u64) -> Log {
    let (index, term) =
        snapshot.map_or((Index(0), Term(0)), |snapshot| (snapshot.meta.index, snapshot.meta.term));
    let first = entries.first().map_or(index.next(), |entry| entry.index);
    // The one that stands for all before the kept ones stays: its term is asked for.
    let too_many = index.0.saturating_sub(keep).saturating_sub(first.0).min(entries.len() as u64);
    drop(entries.drain(..too_many as usize));
    let first = Index(first.0 + too_many);
    invariant!(
        first <= index.next(),
        "the recovered log has no gap",
        "snapshot {}, log from {}",
        index,
        first
    );
    let at = |i: Index| i.0.checked_sub(first.0).and_then(|offset| entries.get(offset as usize));
    let leads_up = first == index.next() || at(index).is_some_and(|entry| entry.term == term);
    if !leads_up {
        reached!("raft: the log on the disk contradicts the snapshot beside it");
        return Log::starting_after(index, term);
    }
    let mut log = match entries.first() {
        Some(entry) if first <= index && first.0 > 1 => Log::starting_after(first, entry.term),
        Some(_) if first.0 == 1 => Log::default(),
        _ => Log::starting_after(index, term),
    };
    let base = log.base();
    reached!(
        "raft: a member came back with entries from before its snapshot",
        snapshot.is_some() && base < index
    );
    entries.into_iter().filter(|entry| entry.index > base).for_each(|entry| log.push(entry));
    reached!(
        "raft: a member came back with entries behind its snapshot",
        snapshot.is_some() && log.last() > index
    );
    log
}
