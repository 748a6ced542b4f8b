//! A whole cluster without a world: a wire that holds messages until told otherwise, disks that hold writes
//! until synced, and the checker that looks at every step.

use base::{Index, Knobs, MemberId};
use raft::invariants::{Checker, Violation};
use raft::{
    Chunk, Config, Data, Effects, Entry, HardState, Input, Membership, Message, Node, Outbox, Payload,
    Persist, Piece, Recall, Recovered, Refused, Snapshot, SnapshotMeta, Ticket,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a member has besides its node.
pub struct Member {
    pub node: Option<Node>,
    pub disk: Recovered,
    files: Files,
    /// The snapshot that the state machine is to take its state from.
    pub installing: Option<Index>,
    pub writing: VecDeque<Persist>,
    outbox: Outbox,
    pub app: App,
    boots: u64,
    /// Asks the others, as its disk was lost.
    pub recall: Option<Recall>,
}

/// Snapshots on a disk, and the pieces of one that is coming in.
#[derive(Default)]
struct Files {
    whole: BTreeMap<Index, Data>,
    incoming: Vec<u8>,
}

/// A state machine that remembers only a hash of what it applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct App {
    pub applied: Index,
    pub hash: u64,
}

impl App {
    fn apply(&mut self, entry: &Entry) {
        self.applied = entry.index;
        self.hash = (self.hash ^ entry.digest()).wrapping_mul(0x0100_0000_01b3);
    }

    fn image(&self) -> Data {
        let mut bytes = self.applied.0.to_le_bytes().to_vec();
        bytes.extend(self.hash.to_le_bytes());
        bytes.into()
    }

    fn of(image: &[u8]) -> Self {
        let word = |at: usize| image[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(0);
        Self { applied: Index(word(0)), hash: word(8) }
    }
}

pub struct Cluster {
    pub members: BTreeMap<MemberId, Member>,
    pub wire: Vec<Message>,
    pub check: Checker,
    pub membership: Membership,
    pub knobs: Knobs,
    pub seed: u64,
    pub steps: u64,
    /// Snapshots are installed by [`Cluster::install`] only, not at once.
    pub lazy: bool,
    /// The hash that every member must have at an applied index.
    states: BTreeMap<Index, u64>,
}

pub type Outcome<T = ()> = Result<T, Violation>;

impl Cluster {
    pub fn new(membership: Membership, knobs: Knobs, seed: u64) -> Outcome<Self> {
        Self::with_spares(membership, &[], knobs, seed)
    }

    /// With members that are up and belong to nothing yet.
    pub fn with_spares(
        membership: Membership,
        spares: &[MemberId],
        knobs: Knobs,
        seed: u64,
    ) -> Outcome<Self> {
        Self::found(membership, spares, knobs, seed, |_| Recovered::default())
    }

    /// A cluster whose members start from what `disk` says is on theirs.
    pub fn recovered(
        membership: Membership,
        knobs: Knobs,
        seed: u64,
        disk: impl Fn(MemberId) -> Recovered,
    ) -> Outcome<Self> {
        Self::found(membership, &[], knobs, seed, disk)
    }

    fn found(
        membership: Membership,
        spares: &[MemberId],
        knobs: Knobs,
        seed: u64,
        disk: impl Fn(MemberId) -> Recovered,
    ) -> Outcome<Self> {
        let spares = spares.iter().copied();
        let ids = membership.all().into_iter().chain(spares);
        let mut cluster = Self {
            members: BTreeMap::new(),
            wire: Vec::new(),
            check: Checker::default(),
            membership,
            knobs,
            seed,
            steps: 0,
            lazy: false,
            states: BTreeMap::new(),
        };
        for id in ids {
            let member = Member {
                node: None,
                disk: disk(id),
                files: Files::default(),
                installing: None,
                writing: VecDeque::new(),
                outbox: Outbox::default(),
                app: App::default(),
                boots: 0,
                recall: None,
            };
            cluster.members.insert(id, member);
            cluster.start(id)?;
        }
        Ok(cluster)
    }

    pub fn ids(&self) -> Vec<MemberId> {
        self.members.keys().copied().collect()
    }

    pub fn node(&self, id: MemberId) -> Option<&Node> {
        self.members.get(&id)?.node.as_ref()
    }

    pub fn start(&mut self, id: MemberId) -> Outcome {
        let membership = self.founding(id);
        let Some(member) = self.members.get_mut(&id).filter(|member| member.node.is_none()) else {
            return Ok(());
        };
        if let Some(recall) = &member.recall {
            let Some(forgot) = recall.done() else { return Ok(()) };
            (member.disk.forgot, member.recall) = (Some(forgot), None);
        }
        member.boots += 1;
        let config = Config {
            id,
            membership,
            seed: self.seed ^ (id.0 << 32) ^ member.boots,
            knobs: self.knobs.clone(),
        };
        let newest = member.disk.snapshot.as_ref().map(|snapshot| &member.files.whole[&snapshot.meta.index]);
        member.app = newest.map(|image| App::of(image)).unwrap_or_default();
        member.installing = None;
        member.outbox = Outbox::default();
        let node = Node::new(config, member.disk.clone());
        self.check.started(&node)?;
        member.node = Some(node);
        Ok(())
    }

    /// What a member is told that has nothing on its disk: a spare belongs to nothing.
    fn founding(&self, id: MemberId) -> Membership {
        if self.membership.contains(id) { self.membership.clone() } else { Membership::default() }
    }

    /// Stops a member; of its writes under way, the first `kept` reach the disk.
    pub fn crash(&mut self, id: MemberId, kept: usize) {
        let Some(member) = self.members.get_mut(&id).filter(|member| member.node.is_some()) else { return };
        member.node = None;
        let writes = std::mem::take(&mut member.writing);
        for write in writes.into_iter().take(kept) {
            write_to(&mut member.disk, &mut member.files, write);
        }
        member.files.incoming.clear();
        self.check.crashed(id, kept);
    }

    /// Takes the disk of a member that is down.
    pub fn lose_disk(&mut self, id: MemberId) {
        let others: Vec<MemberId> = self.ids().into_iter().filter(|other| *other != id).collect();
        let Some(member) = self.members.get_mut(&id).filter(|member| member.node.is_none()) else { return };
        (member.disk, member.files) = (Recovered::default(), Files::default());
        member.recall = Some(Recall::new(others, member.boots));
        self.check.lost(id);
    }

    /// A member that lost its disk asks another for its term, and is answered if that one is up.
    pub fn ask(&mut self, id: MemberId, other: MemberId) {
        let Some((term, changed)) =
            self.node(other).map(|node| (node.term(), node.configured_at() > Index(0)))
        else {
            return;
        };
        if let Some(member) = self.members.get_mut(&id)
            && let Some(recall) = &mut member.recall
        {
            recall.answered(other, member.boots, term, changed);
        }
    }

    /// Takes one step; what it asks for is carried out, but for syncs. Says what was asked for.
    pub fn step(&mut self, id: MemberId, input: Input) -> Outcome<Option<Step>> {
        let Some(member) = self.members.get_mut(&id) else { return Ok(None) };
        let Some(node) = &mut member.node else { return Ok(None) };
        self.steps += 1;
        let effects = node.step(input);
        if !node.rejoining() {
            member.disk.forgot = None;
        }
        self.check.stepped(node, &effects)?;
        let Effects { persist, mut send, chunks, after_sync, install, committed, reads, reads_lost, .. } =
            effects;
        send.extend(chunks.into_iter().map(|chunk| read(&member.files, chunk)));
        let step = Step {
            persist: persist.as_ref().map(describe_persist),
            sent: send.clone(),
            waits: after_sync.is_some(),
            installed: install.as_ref().map(|snapshot| snapshot.meta.index),
            committed: committed.clone(),
            reads: reads.iter().map(|read| (read.context, read.index)).collect(),
            reads_lost,
            proposed: effects.proposed,
            transfer: effects.transfer,
            role: effects.role,
        };
        if let Some(snapshot) = &install {
            member.installing = Some(snapshot.meta.index);
        }
        for entry in &committed {
            member.app.apply(entry);
            let hash = *self.states.entry(entry.index).or_insert(member.app.hash);
            same_state(id, hash, member.app)?;
        }
        member.writing.extend(persist);
        if let Some(after) = after_sync {
            member.outbox.push(after);
        }
        self.send(send)?;
        if self.lazy { Ok(Some(step)) } else { self.installed(id, step).map(Some) }
    }

    /// What a step asked for, and what it asks for once its snapshot is installed.
    fn installed(&mut self, id: MemberId, mut step: Step) -> Outcome<Step> {
        if let Some(then) = self.install(id)? {
            step.committed.extend(then.committed);
            step.sent.extend(then.sent);
            step.reads.extend(then.reads);
        }
        Ok(step)
    }

    /// The state machine takes its state from the snapshot that it was to.
    pub fn install(&mut self, id: MemberId) -> Outcome<Option<Step>> {
        let Some(member) = self.members.get_mut(&id) else { return Ok(None) };
        let Some(index) = member.installing.take() else { return Ok(None) };
        member.app = App::of(&member.files.whole[&index]);
        self.step(id, Input::Installed(index))
    }

    fn send(&mut self, messages: Vec<Message>) -> Outcome {
        for message in messages {
            self.check.sent(&message)?;
            self.wire.push(message);
        }
        Ok(())
    }

    /// Finishes a sync that covers the first `count` writes under way. Says what it freed and what followed.
    pub fn sync(&mut self, id: MemberId, count: usize) -> Outcome<Option<(Vec<Message>, Step)>> {
        let Some(member) = self.members.get_mut(&id) else { return Ok(None) };
        let mut last = None;
        for _ in 0..count {
            let Some(write) = member.writing.pop_front() else { break };
            last = Some(write_to(&mut member.disk, &mut member.files, write));
        }
        let Some(ticket) = last else { return Ok(None) };
        let Ok(synced) = ticket.redeem(Ok::<(), ()>(())) else { return Ok(None) };
        self.check.synced(id, &synced);
        let freed = member.outbox.release(&synced);
        self.send(freed.clone())?;
        Ok(self.step(id, Input::Synced(synced))?.map(|step| (freed, step)))
    }

    /// Writes a snapshot of what a member has applied, and lets its log be compacted.
    pub fn snapshot(&mut self, id: MemberId) -> Outcome<Option<Index>> {
        let Some(member) = self.members.get_mut(&id) else { return Ok(None) };
        let Some(node) = &member.node else { return Ok(None) };
        let index = member.app.applied;
        let newest = member.disk.snapshot.as_ref().map_or(Index(0), |snapshot| snapshot.meta.index);
        let receives =
            member.writing.iter().any(|write| write.snapshot.is_some()) || member.installing.is_some();
        let Some(meta) = node.snapshot_meta(index).filter(|_| index > newest && !receives) else {
            return Ok(None);
        };
        let data = member.app.image();
        let size = data.len() as u64;
        member.disk.snapshot = Some(Snapshot { meta, size });
        member.files.whole.insert(index, data);
        self.step(id, Input::SnapshotTaken { index, size })?;
        let base = self.node(id).map_or(Index(0), |node| node.log().base());
        if let Some(member) = self.members.get_mut(&id) {
            member.disk.entries.retain(|entry| entry.index > base);
        }
        Ok(Some(index))
    }

    /// Everything works from now on: starts everyone, delivers everything, until all have applied the same.
    /// The error is the promise that a cluster left in peace agrees within so many ticks.
    pub fn settle(&mut self, ticks: u64) -> Outcome {
        for id in self.ids() {
            self.start(id)?;
        }
        for id in self.ids() {
            self.ids().into_iter().for_each(|other| self.ask(id, other));
            self.start(id)?;
        }
        for _ in 0..ticks {
            self.quiesce()?;
            if self.agreed() {
                return self.check_open();
            }
            for id in self.ids() {
                self.step(id, Input::Tick)?;
            }
            if let Some(leader) = self.leader() {
                self.step(leader, Input::Propose(vec!["settle".into()]))?;
            }
        }
        Err(Violation { promise: "a cluster left in peace agrees", detail: self.summary() })
    }

    /// A leader with nothing uncommitted takes a proposal and commits it.
    fn check_open(&mut self) -> Outcome {
        let Some(leader) = self.leader() else { return Ok(()) };
        let mut proposed = self.propose(leader, "is this taken?")?;
        if proposed == Some(Err(Refused::Transferring)) {
            // a successor that was told so long ago that nothing is left to hear of it: the leader goes on
            (0..self.knobs.raft_election_ticks).try_for_each(|_| self.step(leader, Input::Tick).map(drop))?;
            self.quiesce()?;
            proposed = self.propose(leader, "and this?")?;
        }
        self.quiesce()?;
        let committed = self.node(leader).is_some_and(|node| node.commit() == node.last());
        if matches!(proposed, Some(Ok(_))) && committed {
            return Ok(());
        }
        Err(Violation {
            promise: "a cluster at rest takes proposals",
            detail: format!("{leader} said {proposed:?}"),
        })
    }

    fn propose(&mut self, id: MemberId, command: &str) -> Outcome<Option<Result<raft::Proposed, Refused>>> {
        Ok(self.step(id, Input::Propose(vec![command.into()]))?.and_then(|step| step.proposed))
    }

    /// Delivers in order and syncs, until nothing is left to do.
    pub fn quiesce(&mut self) -> Outcome {
        for _ in 0..100_000 {
            for id in self.ids() {
                self.sync(id, usize::MAX)?;
                self.install(id)?;
            }
            if self.wire.is_empty() && self.members.values().all(|member| member.writing.is_empty()) {
                return Ok(());
            }
            for message in std::mem::take(&mut self.wire) {
                self.step(message.to, Input::Message(message))?;
            }
        }
        Err(Violation { promise: "messages come to an end", detail: self.summary() })
    }

    /// The leader of the newest term.
    pub fn leader(&self) -> Option<MemberId> {
        let leaders = self.nodes().filter(|node| node.role() == raft::Role::Leader);
        leaders.max_by_key(|node| node.term()).map(Node::id)
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.members.values().filter_map(|member| member.node.as_ref())
    }

    /// One leader, which committed in its term, and everyone who belongs to it has applied all of its log.
    fn agreed(&self) -> bool {
        let Some(leader) = self.leader().and_then(|id| self.node(id)) else { return false };
        let state = self.members[&leader.id()].app;
        leader.log().term_at(leader.commit()) == Some(leader.term())
            && leader.commit() == leader.last()
            && leader.membership().outgoing.is_empty()
            && leader.membership().all().iter().filter_map(|id| self.members.get(id)).all(|member| {
                let follows = |node: &Node| node.leader() == Some(leader.id());
                member.app == state && member.node.as_ref().is_some_and(follows)
            })
    }

    pub fn summary(&self) -> String {
        let one = |node: &Node| {
            let leader = node.leader().map_or("-".to_string(), |leader| leader.to_string());
            format!(
                "{} {:?}{} {} leader {leader} log {}..{} commit {} applied {}",
                node.id(),
                node.role(),
                if node.rejoining() { " without a say" } else { "" },
                node.term(),
                node.first(),
                node.last(),
                node.commit(),
                node.applied()
            )
        };
        let progress = |node: &Node| -> String {
            let of = |id: &MemberId| node.progress(*id).map(|progress| format!("\n    {id}: {progress:?}"));
            self.members.keys().filter_map(of).collect()
        };
        self.nodes().map(|node| one(node) + &progress(node)).collect::<Vec<_>>().join("\n")
    }
}

/// What a step asked for, as scripts show it.
pub struct Step {
    pub persist: Option<String>,
    pub sent: Vec<Message>,
    pub waits: bool,
    pub installed: Option<Index>,
    pub committed: Vec<Entry>,
    pub reads: Vec<(u64, Index)>,
    pub reads_lost: Vec<u64>,
    pub proposed: Option<Result<raft::Proposed, raft::Refused>>,
    pub transfer: Option<Result<(), raft::Refused>>,
    pub role: Option<raft::RoleChange>,
}

fn same_state(id: MemberId, hash: u64, app: App) -> Outcome {
    if hash == app.hash {
        return Ok(());
    }
    Err(Violation {
        promise: "members apply the same entries",
        detail: format!("{id} differs at {}", app.applied),
    })
}

/// What a follower is to have of a snapshot, read from the disk.
fn read(files: &Files, chunk: Chunk) -> Message {
    let (from, to) = (chunk.offset as usize, (chunk.offset + chunk.length) as usize);
    let data = Data::from(&files.whole[&chunk.snapshot.meta.index][from..to]);
    chunk.message(data)
}

fn write_to(disk: &mut Recovered, files: &mut Files, write: Persist) -> Ticket {
    if let Some(hard) = write.hard {
        disk.hard = hard;
    }
    if let Some(Piece { offset, data, .. }) = write.piece {
        files.incoming.truncate(offset as usize);
        assert_eq!(files.incoming.len() as u64, offset, "pieces come in order");
        files.incoming.extend_from_slice(&data);
    }
    if let Some(snapshot) = write.snapshot {
        let image = std::mem::take(&mut files.incoming);
        assert_eq!(image.len() as u64, snapshot.size, "all of it came");
        files.whole.insert(snapshot.meta.index, image.into());
        disk.snapshot = Some(snapshot);
        disk.entries.clear();
    }
    if let Some(first) = write.entries.first().map(|entry| entry.index) {
        disk.entries.retain(|entry| entry.index < first);
    }
    disk.entries.extend(write.entries);
    write.ticket
}

pub fn describe_entry(entry: &Entry) -> String {
    match &entry.payload {
        Payload::Noop => format!("{}/{} noop", entry.index, entry.term),
        Payload::Command(data) => format!("{}/{} {}", entry.index, entry.term, String::from_utf8_lossy(data)),
        Payload::Config { membership, .. } => {
            format!("{}/{} {}", entry.index, entry.term, describe_membership(membership))
        }
    }
}

fn describe_persist(persist: &Persist) -> String {
    let mut parts = Vec::new();
    if let Some(HardState { term, vote }) = persist.hard {
        let vote = vote.map_or("nobody".to_string(), |id| id.to_string());
        parts.push(format!("{term} vote {vote}"));
    }
    if let Some(Piece { snapshot, offset, data }) = &persist.piece {
        let SnapshotMeta { index, term, .. } = &snapshot.meta;
        parts.push(format!("bytes {offset}..{} of snapshot {index}/{term}", offset + data.len() as u64));
    }
    if let Some(snapshot) = &persist.snapshot {
        parts.push(format!("snapshot {}/{}", snapshot.meta.index, snapshot.meta.term));
    }
    if !persist.entries.is_empty() {
        parts.push(describe_entries(&persist.entries));
    }
    parts.join(", ")
}

/// `{voters}`, learners behind a plus, the voters that are being left behind an arrow's tail.
pub fn describe_membership(membership: &Membership) -> String {
    let list = |ids: &BTreeSet<MemberId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let Membership { voters, learners, outgoing } = membership;
    let mut text = list(voters);
    if !learners.is_empty() {
        text += &format!(" + {}", list(learners));
    }
    if !outgoing.is_empty() {
        text += &format!(" <- {}", list(outgoing));
    }
    format!("{{{text}}}")
}

pub fn describe_entries(entries: &[Entry]) -> String {
    format!("[{}]", entries.iter().map(describe_entry).collect::<Vec<_>>().join(", "))
}
