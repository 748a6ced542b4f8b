//! What has been seen so far in a running simulation: shared by clients, which write it, the nemesis, which must
//! know who leads, and the runner. One thread; never locked across an await.

use super::*;
use super::{
    ambush::{Ambush, Moments},
    damage::Damage,
    trap::Trap,
    work::Work,
};
use crate::{
    check::raft::Raft,
    scenario::{Moment, Role},
};
use base::{MemberId, Note, Term};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Seen(Arc<Mutex<State>>);

pub struct State {
    pub history: History,
    pub raft: Raft,
    leader: Option<(Term, MemberId)>,
    /// The process that a member is.
    names: BTreeMap<MemberId, String>,
    /// Machines that stood ready and are, or may be, members: by the number of the process.
    pub added: BTreeSet<u64>,
    /// Processes of members that ended because they were removed.
    pub removed: BTreeSet<String>,
    /// Harms that lie in wait.
    pub moments: Moments,
    /// The process that holds each leader-election lock. (Its identity there is another on another machine.)
    holders: BTreeMap<String, String>,
    /// Values of keys now, as the observer's watch has them, with mod_revision.
    pub live: BTreeMap<Text, (i64, Text)>,
    /// Keys that changed since somebody last asked, once somebody has.
    pub changed: Option<BTreeSet<Text>>,
    /// The newest revision the observer is sure to have passed.
    pub observed: i64,
    /// When each revision was first delivered to the observer.
    pub times: BTreeMap<i64, Nanos>,
    /// Processes that ended by themselves: when, who, why.
    pub deaths: Vec<(Nanos, String, String)>,
    /// What became of damage that was read.
    pub damage: Damage,
    /// Where a panic happened, and what it said.
    pub panic: Option<String>,
    pub harms: Vec<Effect>,
    /// Who is to die before one of its next writes.
    pub traps: Vec<Trap>,
    /// Every note with the number of its event in the record, if the whole story is wanted.
    pub all_notes: Option<Vec<(u64, Note)>>,
    /// When each planned operation of a client began.
    pub starts: BTreeMap<String, Vec<Nanos>>,
    pub phase: &'static str,
    pub work: Work,
    /// What was let through, of what waited, while somebody chose the order of deliveries.
    pub choices: Vec<Choice>,
    /// Users whose wishes are not all granted yet.
    pub busy: BTreeMap<String, String>,
}

/// What became of one planned harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub at: Nanos,
    pub until: Nanos,
    /// The processes it was meant for.
    pub of: Vec<String>,
    pub line: u64,
    /// The scenario's timeline says so; it did not come by chance.
    pub required: bool,
    pub what: String,
    /// In numbers; empty when it touched nothing.
    pub did: String,
}

impl State {
    /// The key that is known, and the value before this event.
    fn share(&self, event: &mut Event) {
        let Some((key, (_, value))) = self.live.get_key_value(&event.kv.key) else { return };
        event.kv.key = key.clone();
        if let Some(prev) = &mut event.prev {
            prev.key = key.clone();
            if prev.value == *value {
                prev.value = value.clone();
            }
        }
    }
}

impl Seen {
    pub fn new(voters: usize) -> Self {
        Seen(Arc::new(Mutex::new(State {
            history: History::default(),
            raft: Raft::new(voters),
            leader: None,
            names: BTreeMap::new(),
            added: BTreeSet::new(),
            removed: BTreeSet::new(),
            moments: Moments::default(),
            holders: BTreeMap::new(),
            live: BTreeMap::new(),
            changed: None,
            observed: 0,
            times: BTreeMap::new(),
            deaths: vec![],
            damage: Damage::default(),
            panic: None,
            harms: vec![],
            traps: vec![],
            all_notes: None,
            starts: BTreeMap::new(),
            phase: "boot",
            work: Work::default(),
            choices: vec![],
            busy: BTreeMap::new(),
        })))
    }

    /// An attempt to change what users may begins; its number.
    pub fn attempt(&self, attempt: Attempt) -> usize {
        let mut state = self.lock();
        state.history.attempts.push(attempt);
        state.history.attempts.len() - 1
    }

    /// It ended.
    pub fn attempted(&self, index: usize, at: Nanos, done: Option<bool>) {
        if let Some(attempt) = self.lock().history.attempts.get_mut(index) {
            (attempt.ret, attempt.done) = (at, done);
        }
    }

    /// A panic elsewhere must not hide what was seen before it.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, at: Nanos, process: &str, note: Note) {
        let mut state = self.lock();
        state.raft.see(at, &note);
        state.work.see(at, process, &note);
        state.damage.see(process, &note);
        if let Some(all) = state.all_notes.as_mut().filter(|_| !matches!(note, Note::Write { .. })) {
            // a note is told right after it went into the record
            all.push((world::record::events() - 1, note.clone()));
        }
        let mut struck = vec![];
        match &note {
            Note::MemberStarted { member, .. } => {
                state.names.insert(*member, process.to_string());
            }
            Note::Leader { member, term } if state.leader.is_none_or(|(known, _)| known <= *term) => {
                state.leader = Some((*term, *member));
                struck.extend(state.moments.come(Moment::Election));
            }
            Note::Configured { member, outgoing, .. }
                if state.leader.is_some_and(|(_, leader)| leader == *member) =>
            {
                struck.extend(state.moments.come(Moment::Change));
                if !outgoing.is_empty() {
                    struck.extend(state.moments.come(Moment::Joint));
                }
            }
            Note::Elected { lock, held: true, .. } => {
                state.holders.insert(lock.clone(), process.to_string());
            }
            Note::Elected { lock, held: false, .. }
                if state.holders.get(lock).is_some_and(|holder| holder == process) =>
            {
                state.holders.remove(lock);
            }
            _ => {}
        }
        let kept = matches!(
            note,
            Note::LeaseEnded { .. }
                | Note::Elected { .. }
                | Note::FencedWrite { .. }
                | Note::Evicting { .. }
                | Note::HeardAgain
                | Note::LastFinalizer { .. }
                | Note::Container { .. }
                | Note::Cache { .. }
                | Note::Leader { .. }
                | Note::Compacted { .. }
        );
        let sprung = Trap::count(&mut state.traps, process, &note);
        if kept {
            state.history.notes.push((at, process.to_string(), note));
        }
        drop(state);
        sprung.into_iter().for_each(Trap::spring);
        struck.into_iter().for_each(Ambush::strike);
    }

    /// Begins an operation: until it ends, its outcome is unknown.
    pub fn call(&self, client: &str, call: Nanos, request: Request) -> usize {
        let outcome = Outcome::Unknown("no answer when the run ended".into());
        let operation = Operation { client: client.to_string(), call, ret: u64::MAX, request, outcome };
        let operations = &mut self.lock().history.operations;
        operations.push(operation);
        operations.len() - 1
    }

    pub fn answer(&self, operation: usize, at: Nanos, outcome: Outcome) {
        let operation = &mut self.lock().history.operations[operation];
        // an unknown outcome may take effect later than the client gave up
        operation.ret = if matches!(outcome, Outcome::Unknown(_)) { u64::MAX } else { at };
        operation.outcome = outcome;
    }

    /// The next planned operation of a client begins.
    pub fn start(&self, client: &str, at: Nanos) {
        self.lock().starts.entry(client.to_string()).or_default().push(at);
    }

    pub fn open(&self, watch: Watch) -> usize {
        let watches = &mut self.lock().history.watches;
        watches.push(watch);
        watches.len() - 1
    }

    pub fn frame(&self, watch: usize, frame: Frame) {
        self.lock().history.watches[watch].frames.push(frame);
    }

    pub fn end(&self, watch: usize, why: &str) {
        self.lock().history.watches[watch].ended = Some(why.to_string());
    }

    /// The observer's own frames also say what is there now. What is known already they share from then on.
    pub fn observe(&self, frame: &mut Frame) {
        let mut state = self.lock();
        for event in &mut frame.events {
            state.share(event);
            if let Some(changed) = &mut state.changed {
                changed.insert(event.kv.key.clone());
            }
            state.times.entry(event.kv.modified).or_insert(frame.at);
            if event.delete {
                state.live.remove(&event.kv.key);
            } else {
                state.live.insert(event.kv.key.clone(), (event.kv.modified, event.kv.value.clone()));
            }
        }
        let passed = match frame.what {
            FrameKind::Events { partial: false } => frame.events.last().map_or(0, |event| event.kv.modified),
            FrameKind::Progress => frame.revision,
            _ => 0,
        };
        state.observed = state.observed.max(passed);
    }

    /// A member has another disk from now on, an empty one.
    pub fn lost_disk(&self, process: &str) {
        let mut state = self.lock();
        let known = state.names.iter().find(|(_, name)| *name == process).map(|(id, _)| *id);
        if let Some(member) = known {
            state.raft.lost_disk(member);
        }
    }

    pub fn leader(&self) -> Option<String> {
        let state = self.lock();
        state.leader.and_then(|(_, member)| state.names.get(&member).cloned())
    }

    pub fn active(&self, role: Role) -> Option<String> {
        let lock = if role == Role::Scheduler { "kube-scheduler" } else { "kube-controller-manager" };
        self.lock().holders.get(lock).cloned()
    }

    /// The node of a pod whose name is this, or begins with it.
    pub fn node_running(&self, pod: &str) -> Option<String> {
        let state = self.lock();
        let pods = state.live.range(Text::from("/registry/pods/")..Text::from("/registry/pods0"));
        let mut bound = pods.filter_map(|(key, (_, value))| {
            let name = key.rsplit('/').next()?;
            let value: serde_json::Value = serde_json::from_str(value).ok()?;
            let node = value["spec"]["nodeName"].as_str()?.to_string();
            name.starts_with(pod).then_some(node)
        });
        bound.next()
    }

    pub fn broken(&self) -> bool {
        let state = self.lock();
        state.raft.first.is_some() || state.panic.is_some()
    }
}
