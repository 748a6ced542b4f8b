//! Scripts under scenarios/raft: one claim a file, the claim is its name. Commands move a cluster by hand;
//! what every step asks for is written below them, and every promise is checked on the way.
//!
//! | command | |
//! |---|---|
//! | `cluster M.. [learners="M,.."] [outgoing="M,.."] [spares="M,.."] [<knob>=<value>..]` | a new cluster of these voters; spares are up and belong to nothing |
//! | `slow M..`, `fast M..` | syncs only when told; syncs at once (as all do at first) |
//! | `sync M [writes]` | the disk syncs all that is under way, or the first so many writes |
//! | `tick M [times]`, `campaign M` | time passes; so much of it that the member asks for votes |
//! | `elect M [M..]` | it campaigns until it leads; the members named (or all) answer, and hear no more than that |
//! | `configure M V.. [learners="M,.."]` | these are to be the voters |
//! | `transfer M M` | the first is to hand on its leadership to the second |
//! | `propose M command..`, `read M context` | what clients want |
//! | `deliver`, `drop`, `double`, `delay`, `wire` `[from=M] [to=M] [kind=K] [count=N]` | messages on the wire, oldest first |
//! | `run [M..]` | the members named (or all) talk until nothing is left to say |
//! | `cut M..`, `heal` | messages between these and the others are lost from now on |
//! | `crash M [kept=N]`, `start M` | power off, the first N un-synced writes survive; on again |
//! | `snapshot M` | of all it applied |
//! | `status`, `members`, `log M`, `disk M`, `progress M` | how things stand |

use crate::cluster::{Cluster, Step, describe_entries, describe_membership};
use base::{Knobs, MemberId, Term};
use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use raft::{Body, Data, Input, Membership, Message, Role, Target};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Script {
    cluster: Option<Cluster>,
    slow: BTreeSet<MemberId>,
    apart: BTreeSet<MemberId>,
    out: String,
}

/// Which messages on the wire a command means.
struct Filter {
    from: Option<MemberId>,
    to: Option<MemberId>,
    kind: Option<String>,
    count: usize,
}

impl Filter {
    fn fits(&self, message: &Message) -> bool {
        self.from.is_none_or(|id| id == message.from)
            && self.to.is_none_or(|id| id == message.to)
            && self.kind.as_ref().is_none_or(|kind| *kind == describe_body(message).0)
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String> {
        self.out.clear();
        let mut args = command.consume_args();
        self.carry_out(&command.name, &mut args)?;
        args.reject_next()?;
        Ok(std::mem::take(&mut self.out))
    }
}

fn member(text: &str) -> Result<MemberId> {
    Ok(MemberId(text.trim_start_matches('m').parse()?))
}

fn members(text: &str) -> Result<BTreeSet<MemberId>> {
    text.split(',').map(member).collect()
}

fn one(args: &mut ArgumentConsumer<'_>) -> Result<MemberId> {
    member(args.next_pos().ok_or("expected a member")?)
}

fn rest(args: &mut ArgumentConsumer<'_>) -> Result<Vec<MemberId>> {
    std::iter::from_fn(|| args.next_pos()).map(member).collect()
}

fn filter(args: &mut ArgumentConsumer<'_>) -> Result<Filter> {
    Ok(Filter {
        from: args.take_key("from").map(member).transpose()?,
        to: args.take_key("to").map(member).transpose()?,
        kind: args.take_key("kind").map(str::to_string),
        count: args.take_key("count").map(str::parse).transpose()?.unwrap_or(usize::MAX),
    })
}

impl Script {
    fn carry_out(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Result {
        match name {
            "cluster" => self.found(args),
            "slow" => {
                self.slow.extend(rest(args)?);
                Ok(())
            }
            "fast" => {
                let fast = rest(args)?;
                self.slow.retain(|id| !fast.contains(id));
                fast.into_iter().try_for_each(|id| self.sync(id, usize::MAX))
            }
            "sync" => {
                let id = one(args)?;
                let count = args.next_pos().map(str::parse).transpose()?.unwrap_or(usize::MAX);
                self.sync(id, count)
            }
            "tick" => {
                let id = one(args)?;
                let times: usize = args.next_pos().map(str::parse).transpose()?.unwrap_or(1);
                (0..times).try_for_each(|_| self.step(id, Input::Tick))
            }
            "campaign" => self.campaign(one(args)?),
            "elect" => self.elect(args),
            "propose" => {
                let id = one(args)?;
                let commands = std::iter::from_fn(|| args.next_pos()).map(Into::into).collect();
                self.step(id, Input::Propose(commands))
            }
            "configure" | "transfer" => self.reorder(name, args),
            "read" => {
                let id = one(args)?;
                let context = args.next_pos().ok_or("expected a context")?.parse()?;
                self.cluster()?.check.read_began(context);
                self.step(id, Input::ReadIndex(context))
            }
            "run" => {
                let group = rest(args)?;
                self.talk(&group, |_| true)
            }
            "deliver" | "drop" | "double" | "delay" | "wire" => self.on_wire(name, &filter(args)?),
            "cut" => {
                self.apart = rest(args)?.into_iter().collect();
                Ok(())
            }
            "heal" => {
                self.apart.clear();
                Ok(())
            }
            "crash" => {
                let id = one(args)?;
                let kept = args.take_key("kept").map(str::parse).transpose()?.unwrap_or(0);
                self.cluster()?.crash(id, kept);
                Ok(())
            }
            "start" => Ok(self.cluster()?.start(one(args)?)?),
            "snapshot" => {
                let id = one(args)?;
                let index =
                    self.cluster()?.snapshot(id)?.ok_or("expected something new to take a snapshot of")?;
                Ok(writeln!(self.out, "{id} takes a snapshot at {index}")?)
            }
            "members" => self.show_members(),
            "status" | "log" | "disk" | "progress" => self.show(name, args),
            _ => Err(format!("unknown command {name}").into()),
        }
    }

    fn cluster(&mut self) -> Result<&mut Cluster> {
        self.cluster.as_mut().ok_or_else(|| "expected `cluster` first".into())
    }

    /// Other members, or another leader.
    fn reorder(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Result {
        if name == "transfer" {
            let (id, to) = (one(args)?, one(args)?);
            return self.step(id, Input::Transfer(to));
        }
        let learners = args.take_key("learners").map(members).transpose()?.unwrap_or_default();
        let (id, voters) = (one(args)?, rest(args)?.into_iter().collect());
        self.step(id, Input::Reconfigure(Target { voters, learners, context: Data::default() }))
    }

    fn show_members(&mut self) -> Result {
        for id in self.cluster()?.ids() {
            let Some(node) = self.cluster()?.node(id) else { continue };
            let line = format!("{id} goes by {}", describe_membership(node.membership()));
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    fn found(&mut self, args: &mut ArgumentConsumer<'_>) -> Result {
        let mut of = |key: &str| args.take_key(key).map(members).transpose().map(Option::unwrap_or_default);
        let (learners, outgoing, spares) = (of("learners")?, of("outgoing")?, of("spares")?);
        let voters = rest(args)?.into_iter().collect();
        let membership = Membership { voters, learners, outgoing };
        let mut knobs = Knobs::default();
        while let Some((key, value)) = args.next_key() {
            if !knobs.set(key, value.parse()?) {
                return Err(format!("no knob is called {key}").into());
            }
        }
        self.cluster = Some(Cluster::with_spares(membership, &Vec::from_iter(spares), knobs, 1)?);
        Ok(())
    }

    fn step(&mut self, id: MemberId, input: Input) -> Result {
        let step = self.cluster()?.step(id, input)?;
        let Some(step) = step else {
            return Ok(writeln!(self.out, "{id} is down")?);
        };
        self.say(id, &step)?;
        if step.persist.is_some() && !self.slow.contains(&id) {
            self.sync(id, usize::MAX)?;
        }
        Ok(())
    }

    fn sync(&mut self, id: MemberId, count: usize) -> Result {
        let Some((freed, step)) = self.cluster()?.sync(id, count)? else { return Ok(()) };
        if self.slow.contains(&id) || !freed.is_empty() {
            writeln!(self.out, "{id} has synced")?;
        }
        for message in freed {
            writeln!(self.out, "  {}", describe(&message))?;
        }
        self.say(id, &step)?;
        if step.persist.is_some() && !self.slow.contains(&id) {
            self.sync(id, usize::MAX)?;
        }
        Ok(())
    }

    fn say(&mut self, id: MemberId, step: &Step) -> Result {
        let out = &mut self.out;
        if let Some(role) = step.role {
            let leader = role.leader.map_or("nobody".to_string(), |leader| leader.to_string());
            writeln!(out, "{id} is now {:?} in {}, follows {leader}", role.role, role.term)?;
        }
        match &step.proposed {
            Some(Ok(taken)) => {
                writeln!(out, "{id} takes {} from {} in {}", taken.count, taken.first, taken.term)?
            }
            Some(Err(refused)) => writeln!(out, "{id} refuses: {refused:?}")?,
            None => {}
        }
        if let Some(Err(refused)) = &step.transfer {
            writeln!(out, "{id} refuses: {refused:?}")?;
        }
        if let Some(persist) = &step.persist {
            writeln!(out, "{id} writes {persist}")?;
        }
        if step.waits {
            writeln!(out, "{id} holds back what must follow the sync")?;
        }
        for message in &step.sent {
            writeln!(out, "  {}", describe(message))?;
        }
        if let Some(index) = step.installed {
            writeln!(out, "{id} installs the snapshot at {index}")?;
        }
        if !step.committed.is_empty() {
            writeln!(out, "{id} applies {}", describe_entries(&step.committed))?;
        }
        for (context, index) in &step.reads {
            writeln!(out, "{id} answers read {context} from {index}")?;
        }
        for context in &step.reads_lost {
            writeln!(out, "{id} gives up read {context}")?;
        }
        Ok(())
    }

    fn campaign(&mut self, id: MemberId) -> Result {
        for _ in 0..1_000 {
            let step = self.cluster()?.step(id, Input::Tick)?.ok_or("expected a member that is up")?;
            if step.role.is_some() || step.persist.is_some() || !step.sent.is_empty() {
                self.say(id, &step)?;
                return if step.persist.is_some() { self.sync_fast(id) } else { Ok(()) };
            }
        }
        Err(format!("expected {id} to campaign").into())
    }

    fn sync_fast(&mut self, id: MemberId) -> Result {
        if self.slow.contains(&id) { Ok(()) } else { self.sync(id, usize::MAX) }
    }

    fn elect(&mut self, args: &mut ArgumentConsumer<'_>) -> Result {
        let id = one(args)?;
        let mut group = rest(args)?;
        if group.is_empty() {
            group = self.cluster()?.ids();
        }
        group.push(id);
        let before = self.cluster()?.wire.clone();
        for _ in 0..5 {
            self.lose_patience(id)?;
            self.cluster()?.wire.clear();
            self.campaign(id)?;
            self.talk(&group, |message| describe_body(message).0.contains("vote"))?;
            if self.cluster()?.node(id).is_some_and(|node| node.role() == Role::Leader) {
                self.cluster()?.wire.splice(0..0, before);
                return Ok(());
            }
        }
        Err(format!("expected {id} to be elected\n{}", self.out).into())
    }

    /// Followers that have heard of a leader lately would stick to it.
    fn lose_patience(&mut self, but: MemberId) -> Result {
        let cluster = self.cluster()?;
        for id in cluster.ids().into_iter().filter(|id| *id != but) {
            let follows = |node: &raft::Node| node.role() == Role::Follower && node.leader().is_some();
            for _ in 0..cluster.knobs.raft_election_ticks {
                if cluster.node(id).is_some_and(follows) {
                    cluster.step(id, Input::Tick)?;
                }
            }
        }
        Ok(())
    }

    /// Delivers what is on the wire within a group, in order, until there is nothing left.
    fn talk(&mut self, group: &[MemberId], about: impl Fn(&Message) -> bool) -> Result {
        let within = |message: &Message| {
            let named = group.is_empty() || (group.contains(&message.from) && group.contains(&message.to));
            named && about(message)
        };
        for _ in 0..10_000 {
            let wire = &mut self.cluster()?.wire;
            let Some(at) = wire.iter().position(within) else { return Ok(()) };
            let message = wire.remove(at);
            self.hand_over(message)?;
        }
        Err("expected an end to the talk".into())
    }

    fn hand_over(&mut self, message: Message) -> Result {
        if self.apart.contains(&message.from) != self.apart.contains(&message.to) {
            return Ok(writeln!(self.out, "{} is lost", describe(&message))?);
        }
        writeln!(self.out, "{}", describe(&message))?;
        self.step(message.to, Input::Message(message))
    }

    fn on_wire(&mut self, name: &str, filter: &Filter) -> Result {
        let wire = std::mem::take(&mut self.cluster()?.wire);
        let (mut picked, mut left) = (Vec::new(), Vec::new());
        for message in wire {
            let fits = filter.fits(&message) && picked.len() < filter.count;
            if fits && matches!(name, "double" | "wire") {
                left.push(message.clone());
            }
            if fits { picked.push(message) } else { left.push(message) }
        }
        self.cluster()?.wire = left;
        if picked.is_empty() && name != "wire" {
            return Err("expected such a message on the wire".into());
        }
        for message in picked {
            match name {
                "deliver" => self.hand_over(message)?,
                "double" | "delay" => self.cluster()?.wire.push(message),
                "drop" => writeln!(self.out, "{} is lost", describe(&message))?,
                _ => writeln!(self.out, "{}", describe(&message))?,
            }
        }
        Ok(())
    }

    fn show(&mut self, what: &str, args: &mut ArgumentConsumer<'_>) -> Result {
        if what == "status" {
            for id in self.cluster()?.ids() {
                let line = self.cluster()?.node(id).map_or(format!("{id} is down"), status);
                writeln!(self.out, "{line}")?;
            }
            return Ok(());
        }
        let id = one(args)?;
        let cluster = self.cluster()?;
        let text = match what {
            "log" => {
                let node = cluster.node(id).ok_or("expected a member that is up")?;
                let entries: Vec<_> = (node.first().0..=node.last().0)
                    .filter_map(|index| node.log().entry(base::Index(index)).cloned())
                    .collect();
                format!("{id} {}", describe_entries(&entries))
            }
            "disk" => {
                let disk = &cluster.members[&id].disk;
                let vote = disk.hard.vote.map_or("nobody".to_string(), |vote| vote.to_string());
                let snapshot =
                    disk.snapshot.as_ref().map(|snapshot| format!(" snapshot {}", snapshot.meta.index));
                let snapshot = snapshot.unwrap_or_default();
                format!("{id} {} vote {vote}{snapshot} {}", disk.hard.term, describe_entries(&disk.entries))
            }
            _ => {
                let node = cluster.node(id).ok_or("expected a member that is up")?;
                let of =
                    |other: &MemberId| node.progress(*other).map(|progress| format!("{other}: {progress}"));
                cluster.members.keys().filter_map(of).collect::<Vec<_>>().join("\n")
            }
        };
        Ok(writeln!(self.out, "{text}")?)
    }
}

fn status(node: &raft::Node) -> String {
    let leader = node.leader().map_or("nobody".to_string(), |leader| leader.to_string());
    format!(
        "{} {:?} in {}, follows {leader}, log {}..{}, commit {}, applied {}",
        node.id(),
        node.role(),
        node.term(),
        node.first(),
        node.last(),
        node.commit(),
        node.applied()
    )
}

fn describe(message: &Message) -> String {
    let Message { from, to, term, .. } = message;
    let (kind, text) = describe_body(message);
    let space = if text.is_empty() { "" } else { " " };
    format!("{from}->{to} {term} {kind}{space}{text}")
}

/// A message's kind, as filters name it, and what it says.
fn describe_body(message: &Message) -> (&'static str, String) {
    let yes = |granted: bool| if granted { "yes" } else { "no" }.to_string();
    let end = |index: &base::Index, term: &Term| format!("log ends {index}/{term}");
    match &message.body {
        Body::PreVote { last_index, last_term } => ("prevote", end(last_index, last_term)),
        Body::PreVoteAnswer { granted } => ("prevote-answer", yes(*granted)),
        Body::Vote { last_index, last_term, handed_on } => {
            ("vote", end(last_index, last_term) + if *handed_on { ", handed on" } else { "" })
        }
        Body::VoteAnswer { granted } => ("vote-answer", yes(*granted)),
        Body::Append { prev_index, prev_term, entries, commit } => {
            let entries = describe_entries(entries);
            ("append", format!("after {prev_index}/{prev_term} {entries} commit {commit}"))
        }
        Body::Appended { index } => ("appended", index.to_string()),
        Body::AppendRefused { prev_index, hint_index, hint_term } => {
            ("refused", format!("{prev_index}, hint {hint_index}/{hint_term}"))
        }
        Body::Heartbeat { commit, round } => ("heartbeat", format!("round {round} commit {commit}")),
        Body::HeartbeatAnswer { round } => ("heartbeat-answer", format!("round {round}")),
        Body::Commit { index } => ("commit", index.to_string()),
        Body::SnapshotChunk { meta, total, offset, data } => {
            let end = offset + data.len() as u64;
            ("chunk", format!("snapshot {}/{} bytes {offset}..{end} of {total}", meta.index, meta.term))
        }
        Body::SnapshotAnswer { index, received } => {
            ("chunk-answer", format!("snapshot {index} has {received}"))
        }
        Body::ReadRequest { context } => ("read", context.to_string()),
        Body::ReadAnswer { context, index } => ("read-answer", format!("{context} from {index}")),
        Body::Stale => ("stale", String::new()),
        Body::StandForElection => ("stand", String::new()),
    }
}

macro_rules! claims {
    ($($claim:ident,)+) => {
        $(#[test]
        fn $claim() -> std::io::Result<()> {
            goldenscript::run(&mut Script::default(), concat!("../../scenarios/raft/", stringify!($claim)))
        })+

        /// Every file in the folder, so that none is forgotten here.
        #[test]
        fn every_script_runs() -> std::io::Result<()> {
            let files = std::fs::read_dir("../../scenarios/raft")?;
            let mut files: Vec<String> =
                files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned())).collect::<std::io::Result<_>>()?;
            files.sort();
            let mut claims = vec![$(stringify!($claim)),+];
            claims.sort_unstable();
            assert_eq!(files, claims);
            Ok(())
        }
    };
}

claims! {
    a_candidate_asks_for_votes_only_after_its_own_is_on_the_disk,
    a_change_waits_for_the_first_commit_of_the_term,
    a_deposed_leader_does_not_answer_a_read,
    a_follower_reads_through_its_leader,
    a_follower_says_how_far_back_the_logs_may_agree,
    a_joint_configuration_counts_both_halves,
    a_lagging_follower_gets_a_snapshot,
    a_late_answer_to_a_read_does_not_serve_its_retry,
    a_leader_counts_its_own_log_only_after_its_sync,
    a_leader_goes_back_by_terms_not_by_single_entries,
    a_leader_goes_on_when_its_successor_does_not_lead_in_time,
    a_leader_of_an_older_term_learns_of_the_newer_one,
    a_leader_that_leaves_itself_out_steps_down_once_that_is_committed,
    a_leader_without_a_quorum_steps_down,
    a_learner_is_added_and_promoted,
    a_read_waits_for_the_first_commit_of_the_term,
    a_rejoining_member_does_not_disturb_the_leader,
    a_single_voter_commits_by_its_own_disk,
    a_snapshot_goes_in_pieces_and_lost_ones_are_sent_again,
    a_snapshot_races_an_append,
    a_snapshot_replaces_a_log_that_contradicts_it,
    a_snapshot_that_comes_late_keeps_what_is_behind_it,
    a_vote_waits_for_the_sync_and_is_not_given_twice,
    an_acknowledgement_waits_for_the_sync,
    answers_to_an_older_round_do_not_prove_a_newer_read,
    appends_follow_one_another_without_waiting,
    figure_8_an_entry_of_an_older_term_is_not_committed_by_counting,
    leadership_is_handed_on,
    learners_get_the_log_but_have_no_say,
    nobody_votes_against_a_leader_that_is_alive,
    old_and_doubled_appends_undo_nothing,
    one_that_is_left_out_may_be_needed_until_that_is_committed,
    the_window_bounds_bytes_as_well,
    the_window_bounds_what_is_on_its_way,
    too_much_uncommitted_is_refused,
    two_changes_at_a_time_go_by_way_of_a_joint_configuration,
    who_was_left_out_does_not_disturb,
}
