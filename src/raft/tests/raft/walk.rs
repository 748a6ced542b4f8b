//! Random walks of whole clusters: everything a network, a disk and a power cut may do, in any order, and every
//! promise held after every step. Each planted bug must be found by the same walk.

use crate::cluster::{Cluster, Outcome};
use base::stream::{Stream, stream};
use base::{Index, Knobs, MemberId, Term, marks};
use raft::{Data, Entry, HardState, Input, Membership, Payload, Recovered, Role, Target};
use rand::Rng;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Steps of the walk in one suite, over all episodes of plain clusters of three and of five; those with learners and
/// joint configurations come on top.
const STEPS: u64 = 1_000_000;
const EPISODE: u64 = 2_000;
/// Ticks a cluster left in peace may take to agree.
const PEACE: u64 = 400;
/// More messages than this and the network loses some.
const WIRE: usize = 300;

/// How often each thing happens in one episode, drawn from its seed: some are rough, some are mild.
struct Habits {
    deliver: u32,
    tick: u32,
    propose: u32,
    read: u32,
    sync: u32,
    crash: u32,
    start: u32,
    snapshot: u32,
    lose: u32,
    cut: u32,
    /// Takes the disk of one that is down.
    wipe: u32,
    configure: u32,
    transfer: u32,
    install: u32,
    /// Chances in a hundred.
    in_order: u32,
    double: u32,
    keep_unsynced: u32,
}

impl Habits {
    fn draw(chance: &mut Stream) -> Self {
        let mut of = |choices: &[u32]| choices[chance.gen_range(0..choices.len())];
        Self {
            deliver: of(&[100, 200, 400]),
            tick: of(&[20, 40, 80, 160, 300]),
            propose: of(&[1, 5, 20, 60]),
            read: of(&[2, 10, 30]),
            sync: of(&[20, 60, 200, 400]),
            crash: of(&[0, 1, 3, 8, 20]),
            start: of(&[10, 40, 80]),
            snapshot: of(&[0, 2, 10]),
            lose: of(&[0, 2, 20, 60]),
            cut: of(&[0, 1, 4, 10]),
            wipe: 0,
            configure: 0,
            transfer: 0,
            install: of(&[5, 50, 300]),
            in_order: of(&[0, 50, 90, 100]),
            double: of(&[0, 2, 15]),
            keep_unsynced: of(&[0, 50, 100]),
        }
    }
}

fn membership(chance: &mut Stream) -> Membership {
    let set = |ids: &[u64]| ids.iter().map(|id| MemberId(*id)).collect::<BTreeSet<_>>();
    let of = |voters: &[u64], learners: &[u64], outgoing: &[u64]| Membership {
        voters: set(voters),
        learners: set(learners),
        outgoing: set(outgoing),
    };
    match chance.gen_range(0..10) {
        0..=3 => of(&[1, 2, 3], &[], &[]),
        4..=6 => of(&[1, 2, 3, 4, 5], &[], &[]),
        7 => of(&[1, 2, 3], &[4], &[]),
        8 => of(&[1, 2, 3], &[], &[3, 4, 5]),
        _ => of(&[1, 2, 3], &[4], &[1, 5]),
    }
}

fn knobs(chance: &mut Stream) -> Knobs {
    let mut of = |choices: &[u64]| choices[chance.gen_range(0..choices.len())];
    Knobs {
        raft_election_ticks: of(&[3, 5, 10]),
        raft_inflight_messages: of(&[1, 2, 8, 256]),
        raft_append_bytes: of(&[1, 20, 1 << 20]),
        raft_uncommitted_bytes: of(&[100, 1 << 20]),
        raft_snapshot_chunk_bytes: of(&[3, 8, 64]),
        snapshot_keep: of(&[0, 1, 5, 50]),
        ..Knobs::default()
    }
}

/// What was done to the clusters.
#[derive(Clone, Copy, Debug, Default)]
struct Harm {
    lost: u64,
    doubled: u64,
    overtaken: u64,
    cut: u64,
    /// Crashes with nothing un-synced, with all of it lost, and with some or all of it kept.
    crashes_synced: u64,
    crashes_losing: u64,
    crashes_keeping: u64,
    disks_lost: u64,
    changes: u64,
}

impl Harm {
    fn kinds(&mut self) -> [(&'static str, &mut u64); 7] {
        [
            ("lost", &mut self.lost),
            ("doubled", &mut self.doubled),
            ("overtaken", &mut self.overtaken),
            ("cut", &mut self.cut),
            ("crashes with nothing un-synced", &mut self.crashes_synced),
            ("crashes that lose the un-synced", &mut self.crashes_losing),
            ("crashes that keep some of it", &mut self.crashes_keeping),
        ]
    }

    fn add(&mut self, mut other: Harm) {
        for ((_, sum), (_, more)) in self.kinds().into_iter().zip(other.kinds()) {
            *sum += *more;
        }
    }
}

struct Walk {
    cluster: Cluster,
    harm: Harm,
    habits: Habits,
    chance: Stream,
    /// Members cut off from the others.
    apart: BTreeSet<MemberId>,
    proposals: u64,
    reads: u64,
    /// Changes of members that were begun.
    changes: u64,
}

impl Walk {
    fn new(seed: u64, spares: &[MemberId]) -> Outcome<Self> {
        let mut chance = stream(seed, "walk");
        let (membership, mut knobs) = (membership(&mut chance), knobs(&mut chance));
        // From a stream of its own: it came later, and moves no walk that was there before.
        let bytes = stream(seed, "bytes on their way").gen_range(0..8);
        knobs.raft_inflight_bytes = [1, 30].get(bytes).copied().unwrap_or(knobs.raft_inflight_bytes);
        let spares: Vec<MemberId> = spares.iter().copied().filter(|id| !membership.contains(*id)).collect();
        let mut cluster = Cluster::with_spares(membership, &spares, knobs, seed)?;
        cluster.lazy = true;
        let habits = Habits::draw(&mut chance);
        Ok(Self {
            cluster,
            harm: Harm::default(),
            habits,
            chance,
            apart: BTreeSet::new(),
            proposals: 0,
            reads: 0,
            changes: 0,
        })
    }

    fn someone(&mut self) -> MemberId {
        let ids = self.cluster.ids();
        ids[self.chance.gen_range(0..ids.len())]
    }

    /// Mostly a leader, but clients are wrong at times.
    fn someone_who_leads(&mut self) -> MemberId {
        match self.cluster.leader() {
            Some(leader) if self.chance.gen_range(0..4) > 0 => leader,
            _ => self.someone(),
        }
    }

    fn percent(&mut self, chances: u32) -> bool {
        self.chance.gen_range(0..100) < chances
    }

    fn step(&mut self) -> Outcome {
        let h = &self.habits;
        let weights = [
            h.deliver,
            h.tick,
            h.propose,
            h.read,
            h.sync,
            h.crash,
            h.start,
            h.snapshot,
            h.lose,
            h.cut,
            h.wipe,
            h.configure,
            h.transfer,
            h.install,
        ];
        let mut pick = self.chance.gen_range(0..weights.iter().sum());
        let mut what = 0;
        while pick >= weights[what] {
            pick -= weights[what];
            what += 1;
        }
        match what {
            0 => self.deliver(),
            1 => self.tick(),
            2 => self.propose(),
            3 => self.read(),
            4 => self.sync(),
            5 => self.crash(),
            6 => self.start(),
            7 => {
                let id = self.someone();
                self.cluster.snapshot(id).map(drop)
            }
            8 => {
                self.lose();
                Ok(())
            }
            9 => {
                self.cut();
                Ok(())
            }
            10 => {
                self.lose_disk();
                Ok(())
            }
            11 => self.configure(),
            12 => self.transfer(),
            _ => {
                let id = self.someone();
                self.cluster.install(id).map(drop)
            }
        }
    }

    /// One comes, goes, or gets or loses its vote; now and then, any others are to be the voters.
    fn configure(&mut self) -> Outcome {
        let id = self.someone_who_leads();
        let Some(Membership { mut voters, mut learners, .. }) =
            self.cluster.node(id).map(|node| node.membership().clone())
        else {
            return Ok(());
        };
        let who = self.someone();
        match self.chance.gen_range(0..8) {
            0 | 1 => drop(voters.remove(&who)),
            2 => drop(learners.remove(&who)),
            3 if !voters.contains(&who) => drop(learners.insert(who)),
            3..=6 => {
                learners.remove(&who);
                voters.insert(who);
            }
            _ => {
                let (ids, most) = (self.cluster.ids(), self.chance.gen_range(1..=5));
                voters = (0..most).map(|_| ids[self.chance.gen_range(0..ids.len())]).collect();
                learners.retain(|id| !voters.contains(id));
            }
        }
        let target = Target { voters, learners, context: Data::default() };
        let step = self.cluster.step(id, Input::Reconfigure(target))?;
        self.changes += u64::from(step.is_some_and(|step| matches!(step.proposed, Some(Ok(_)))));
        Ok(())
    }

    fn transfer(&mut self) -> Outcome {
        let (id, to) = (self.someone_who_leads(), self.someone());
        self.cluster.step(id, Input::Transfer(to)).map(drop)
    }

    fn start(&mut self) -> Outcome {
        let id = self.someone();
        if self.cluster.members[&id].recall.is_some() {
            let other = self.someone();
            self.cluster.ask(id, other);
        }
        self.cluster.start(id)
    }

    /// One at a time: of two that must ask each other, neither ever comes back; and while most have no say, nobody
    /// leads.
    fn lose_disk(&mut self) {
        let members = self.cluster.members.values();
        let asks = members.into_iter().any(|member| member.recall.is_some() || member.disk.forgot.is_some());
        let id = self.someone();
        // of two voters none can be spared; and where members change, a lost disk is lost for good
        let Membership { voters, outgoing, .. } = &self.cluster.membership;
        let spared = (voters.len() > 2 || !voters.contains(&id)) && outgoing.is_empty();
        if !asks && spared && self.cluster.node(id).is_none() {
            self.harm.disks_lost += 1;
            self.cluster.lose_disk(id);
        }
    }

    fn deliver(&mut self) -> Outcome {
        while self.cluster.wire.len() > WIRE {
            self.lose();
        }
        let len = self.cluster.wire.len();
        if len == 0 {
            return Ok(());
        }
        let at = if self.percent(self.habits.in_order) { 0 } else { self.chance.gen_range(0..len) };
        let doubled = self.percent(self.habits.double);
        self.harm.doubled += u64::from(doubled);
        self.harm.overtaken += u64::from(at > 0);
        let message = if doubled { self.cluster.wire[at].clone() } else { self.cluster.wire.remove(at) };
        if self.apart.contains(&message.from) != self.apart.contains(&message.to) {
            self.harm.cut += 1;
            return Ok(());
        }
        self.cluster.step(message.to, Input::Message(message)).map(drop)
    }

    fn lose(&mut self) {
        let len = self.cluster.wire.len();
        if len > 0 {
            let at = self.chance.gen_range(0..len);
            self.cluster.wire.remove(at);
            self.harm.lost += 1;
        }
    }

    fn tick(&mut self) -> Outcome {
        let id = self.someone();
        self.cluster.step(id, Input::Tick).map(drop)
    }

    fn propose(&mut self) -> Outcome {
        let id = self.someone_who_leads();
        let count = self.chance.gen_range(1..4);
        let commands = (0..count).map(|_| {
            self.proposals += 1;
            format!("command {}", self.proposals).as_str().into()
        });
        let commands = commands.collect();
        self.cluster.step(id, Input::Propose(commands)).map(drop)
    }

    fn read(&mut self) -> Outcome {
        self.reads += 1;
        let (id, context) = (self.someone_who_leads(), self.reads);
        self.cluster.check.read_began(context);
        self.cluster.step(id, Input::ReadIndex(context)).map(drop)
    }

    fn sync(&mut self) -> Outcome {
        let id = self.someone();
        let writing = self.cluster.members[&id].writing.len();
        let count = if writing > 0 { self.chance.gen_range(1..=writing) } else { 0 };
        self.cluster.sync(id, count).map(drop)
    }

    fn crash(&mut self) -> Outcome {
        let id = self.someone_who_leads();
        let writing = self.cluster.members[&id].writing.len();
        let kept =
            if self.percent(self.habits.keep_unsynced) { self.chance.gen_range(0..=writing) } else { 0 };
        if self.cluster.node(id).is_some() {
            let kind = match (writing, kept) {
                (0, _) => &mut self.harm.crashes_synced,
                (_, 0) => &mut self.harm.crashes_losing,
                _ => &mut self.harm.crashes_keeping,
            };
            *kind += 1;
        }
        self.cluster.crash(id, kept);
        Ok(())
    }

    fn cut(&mut self) {
        self.apart.clear();
        if self.percent(60) {
            let ids = self.cluster.ids();
            self.apart = ids.into_iter().filter(|_| self.chance.gen_range(0..5) < 2).collect();
        }
    }

    fn whole(&mut self) -> Outcome {
        while self.cluster.steps < EPISODE {
            self.step()?;
        }
        self.cluster.settle(PEACE)
    }
}

/// One episode: how it ended, where, and what was done to it.
fn episode(seed: u64) -> (Result<(), String>, Cluster, Harm) {
    walked(seed, &[], |_| {})
}

/// An episode in which six members come and go.
fn changing_episode(seed: u64) -> (Result<(), String>, Cluster, Harm) {
    let all = [1, 2, 3, 4, 5, 6].map(MemberId);
    walked(seed, &all, |habits| (habits.configure, habits.transfer) = (20, 4))
}

/// An episode in which disks are lost.
fn losing_episode(seed: u64) -> (Result<(), String>, Cluster, Harm) {
    walked(seed, &[], |habits| (habits.wipe, habits.crash) = (8, habits.crash.max(3)))
}

fn walked(
    seed: u64,
    spares: &[MemberId],
    change: impl Fn(&mut Habits),
) -> (Result<(), String>, Cluster, Harm) {
    let mut walk = match Walk::new(seed, spares) {
        Ok(walk) => walk,
        Err(violation) => panic!("seed {seed}: {violation}"),
    };
    change(&mut walk.habits);
    let outcome = match catch_unwind(AssertUnwindSafe(|| walk.whole())) {
        Ok(outcome) => outcome.map_err(|violation| violation.to_string()),
        Err(panic) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".into())),
    };
    walk.harm.changes = walk.changes;
    (outcome, walk.cluster, walk.harm)
}

/// What the walks must have been through (nothing is counted in the real build).
const SITUATIONS: &[&str] = &[
    "a follower asked its leader for a read",
    "a follower dropped entries that differ from the leader's",
    "a leader of an older term was told so",
    "a leader was deposed",
    "a leader went back in a follower's log",
    "a leader without a quorum stepped down",
    "a proposal was refused because too much is uncommitted",
    "a quorum holds an entry of an older term",
    "a read waited for the first commit of the term",
    "a snapshot came for what the log holds",
    "a snapshot was installed",
    "a vote was refused because a leader is alive",
    "an append began before what is committed",
    "an election was lost",
    "the window to a follower was full",
];

#[test]
fn random_walks_hold_every_promise() {
    let _ = marks::take_reached();
    let (mut of_three, mut of_five, mut others) = (0, 0, 0);
    let (mut commits, mut seed, mut harm) = (0, 0, Harm::default());
    while of_three + of_five < STEPS {
        let (outcome, cluster, done) = episode(seed);
        if let Err(violation) = outcome {
            panic!("seed {seed}: {violation}\n{}", cluster.summary());
        }
        let Membership { voters, learners, outgoing } = &cluster.membership;
        let plain = learners.is_empty() && outgoing.is_empty();
        let kind = match voters.len() {
            3 if plain => &mut of_three,
            5 if plain => &mut of_five,
            _ => &mut others,
        };
        *kind += cluster.steps;
        harm.add(done);
        commits += cluster.check.last_committed().0;
        seed += 1;
    }
    let reached = marks::take_reached();
    println!("{of_three} steps of three, {of_five} of five, {others} of others in {seed} episodes");
    println!("{commits} commits; {harm:?}; reached: {reached:#?}");
    assert!(
        of_three > STEPS / 4 && of_five > STEPS / 4 && others > STEPS / 4,
        "a part of the walk is missing"
    );
    for (kind, count) in harm.kinds() {
        assert!(*count > 500, "{kind}: {count} times only");
    }
    let missed: Vec<_> = SITUATIONS.iter().filter(|name| !reached.contains_key(**name)).collect();
    assert!(missed.is_empty() || reached.is_empty(), "situations that no walk reached: {missed:?}");
    assert!(commits > seed * 20, "expected walks that commit, got {commits} commits in {seed} episodes");
}

/// Members that lose their disks, again and again, with messages of their earlier lives still on the way.
#[test]
fn random_walks_with_lost_disks_hold_every_promise() {
    let _ = marks::take_reached();
    let (mut commits, mut harm) = (0, Harm::default());
    for seed in 0..EPISODES_LOSING {
        let (outcome, cluster, done) = losing_episode(seed);
        if let Err(violation) = outcome {
            panic!("seed {seed}: {violation}\n{}", cluster.summary());
        }
        harm.add(done);
        harm.disks_lost += done.disks_lost;
        commits += cluster.check.last_committed().0;
    }
    let again = marks::take_reached().get("a member that lost its disk has a say again").copied();
    println!("{commits} commits, {} disks lost, {again:?} times made up for", harm.disks_lost);
    assert!(harm.disks_lost > EPISODES_LOSING && commits > EPISODES_LOSING * 20);
    assert!(again.is_none_or(|again| again > EPISODES_LOSING / 2), "{again:?} of {}", harm.disks_lost);
}

/// What walks of members that come and go must have been through.
const CHANGES: &[&str] = &[
    "raft: a change of members was refused before the first commit of the term",
    "raft: a change of members was refused while another is under way",
    "raft: a configuration was taken back",
    "raft: a joint configuration was left",
    "raft: a leader begins a change that leaves it out",
    "raft: a leader that is a voter no more stepped down",
    "raft: a proposal was refused while leadership is handed on",
    "raft: a successor did not lead in time",
    "raft: a successor stands for election",
    "raft: a transfer was asked for while another is under way",
    "raft: members change by way of a joint configuration",
];

#[test]
fn random_walks_that_change_members_hold_every_promise() {
    let _ = marks::take_reached();
    let (mut commits, mut changes) = (0, 0);
    for seed in 0..EPISODES_CHANGING {
        let (outcome, cluster, harm) = changing_episode(seed);
        if let Err(violation) = outcome {
            panic!("seed {seed}: {violation}\n{}", cluster.summary());
        }
        (commits, changes) = (commits + cluster.check.last_committed().0, changes + harm.changes);
    }
    let reached = marks::take_reached();
    println!("{commits} commits, {changes} changes; reached: {reached:#?}");
    assert!(changes > EPISODES_CHANGING * 2 && commits > EPISODES_CHANGING * 20);
    let missed: Vec<_> = CHANGES.iter().filter(|name| !reached.contains_key(**name)).collect();
    assert!(missed.is_empty() || reached.is_empty(), "situations that no walk reached: {missed:?}");
}

#[test]
fn random_walks_find_every_bug_of_changing_members() {
    if !can_plant() {
        return;
    }
    let mut missed = Vec::new();
    for bug in ["R01", "R02", "R20", "R21", "R22"] {
        match hunt(bug, changing_episode) {
            Some((seed, violation)) => println!("{bug}: episode {seed}: {violation}"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "planted and not found: {missed:?}");
}

#[test]
fn random_walks_find_a_vote_that_comes_too_early() {
    if !can_plant() {
        return;
    }
    marks::plant(Some("S22"));
    let found =
        (0..EPISODES).find_map(|seed| losing_episode(seed).0.err().map(|violation| (seed, violation)));
    marks::plant(None);
    println!("S22: {found:?}");
    assert!(found.is_some(), "planted and not found");
}

/// Not in the real build.
fn can_plant() -> bool {
    marks::plant(Some("R06"));
    let can = marks::bug_is_on("R06");
    marks::plant(None);
    can
}

/// Walks with a bug planted until a promise breaks: which one, and after how many episodes.
fn hunt(
    bug: &'static str,
    episode: impl Fn(u64) -> (Result<(), String>, Cluster, Harm),
) -> Option<(u64, String)> {
    marks::plant(Some(bug));
    let found = (0..EPISODES).find_map(|seed| episode(seed).0.err().map(|violation| (seed, violation)));
    marks::plant(None);
    found
}

/// Episodes in which disks are lost.
const EPISODES_LOSING: u64 = 1_500;
/// Episodes in which members come and go.
const EPISODES_CHANGING: u64 = 1_000;

/// What can be planted in this crate. The numbers are those of the catalogue of historical bugs.
const BUGS: &[&str] = &[
    "R03", "R05", "R06", "R08", "R08-ack", "R10", "R15", "R16", "R18", "R19", "R20", "R22", "R24", "R25",
    "R27", "S01",
];

/// Episodes in which a planted bug must be found.
const EPISODES: u64 = 3_000;

#[test]
fn random_walks_find_every_planted_bug() {
    if !can_plant() {
        return;
    }
    let mut missed = Vec::new();
    for bug in BUGS {
        match hunt(bug, episode) {
            Some((seed, violation)) => println!("{bug}: episode {seed}: {violation}"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "planted and not found: {missed:?}");
}

/// Three logs, none of which is both as long and as new as another: only the term of the last entry, and then the
/// length, decides. Compared element by element, nobody can win.
#[test]
fn logs_that_are_newer_but_shorter_win() -> Outcome {
    let settle = || {
        let terms = |id: MemberId| match id.0 {
            1 => vec![1, 1, 1],
            2 => vec![1, 2],
            _ => vec![3],
        };
        let disk = |id| {
            let terms = terms(id).into_iter().enumerate();
            let entry =
                |(at, term)| Entry { term: Term(term), index: Index(at as u64 + 1), payload: Payload::Noop };
            let hard = HardState { term: Term(3), vote: None };
            Recovered { hard, entries: terms.map(entry).collect(), ..Recovered::default() }
        };
        let voters = Membership::of_voters([1, 2, 3].map(MemberId));
        let mut cluster = Cluster::recovered(voters, Knobs::default(), 1, disk)?;
        cluster.settle(PEACE)?;
        Ok(cluster.leader())
    };
    let leader = settle()?;
    assert!(leader.is_some_and(|id| id != MemberId(1)), "expected m2 or m3 to lead, not {leader:?}");
    marks::plant(Some("R03-and"));
    let with_bug = settle();
    marks::plant(None);
    assert!(with_bug.is_err() || !can_plant(), "expected no leader, got {with_bug:?}");
    Ok(())
}

#[test]
fn a_walk_is_a_function_of_its_seed() {
    let state = |seed| {
        let (_, cluster, _) = episode(seed);
        (
            cluster.summary(),
            cluster.steps,
            cluster.members.values().map(|member| member.app).collect::<Vec<_>>(),
        )
    };
    assert_eq!(state(7), state(7));
    assert_ne!(state(7), state(8));
}

#[test]
fn a_single_member_leads_and_commits_by_itself() -> Outcome {
    let mut cluster = Cluster::new(Membership::of_voters([MemberId(1)]), Knobs::default(), 1)?;
    cluster.settle(PEACE)?;
    let node = cluster.node(MemberId(1));
    assert!(node.is_some_and(|node| node.role() == Role::Leader && node.commit() > Index(0)));
    Ok(())
}
