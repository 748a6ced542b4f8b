//! The seam between the member's core (the one loop that owns raft and the log) and the services.
//!
//! The core's side: it makes the pair with [`Handle::new`], serves the [`Request`]s, calls [`Handle::apply`] (or
//! [`Handle::skip`]) for each committed entry in order, [`Handle::restore`] when a snapshot replaces the state,
//! and [`Handle::set_view`] whenever leader, term or commit index changed. None of these waits.
//!
//! The services' side: [`Handle::propose`], [`Handle::read_index`], [`Handle::with_store`] and the rest.
//!
//! Promises: what a reader sees is applied, hence committed; watchers are told of every revision in order;
//! a lease's time runs on the leader only, and starts again when a member becomes leader.

use crate::{
    Url,
    compare::{Answers, Held, What},
    config::{Config, Start},
    frame::Frame,
    hashes::{Before, Hashes},
    members::{Change, ChangeError, Members, founded},
    meters::{self, Meters},
    services::{hub::Hub, lease_clock::LeaseClock},
    standing::Standing,
    tokens::{self, Tokens},
};
use base::{Index, Knobs, MemberId, Note, Revision, Term, bug, knobs::ms, reached};
use rt::{
    memory::Gauge,
    sync::{Signal, mpsc, oneshot},
};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use store::{AuthChange, Command, Identity, Outcome, Response, Store};

/// Requests the core has not taken yet; more make their senders wait.
const QUEUE: usize = 1_024;

/// Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    config: Config,
    store: Mutex<Store>,
    view: Mutex<View>,
    /// Set after each applied entry and each change of the view.
    changed: Signal,
    /// Set when the leader or the term changed.
    leadership: Signal,
    /// Set when the list of members changed.
    members: Signal,
    requests: mpsc::Sender<Request>,
    hub: Arc<Hub>,
    leases: Mutex<LeaseClock>,
    tokens: Mutex<Tokens>,
    /// What the store holds in memory: its keys, their values, and history.
    held: Gauge,
    /// What waits for clients of watches to read it.
    watch_queues: Gauge,
    meters: Mutex<Meters>,
    standing: Standing,
    hashes: Hashes,
}

/// What the core is asked for. An answer that is dropped means that the core has stopped.
#[derive(Debug)]
pub enum Request {
    /// Agree on a command and apply it. On a follower it is forwarded to the leader, unless `only_in` names a
    /// term: then it is accepted only while this member leads in that very term, and else is `NotLeader`.
    Propose {
        /// The user it is for; none for what members do of themselves, or if nobody is told apart.
        by: Option<Identity>,
        command: Command,
        only_in: Option<Term>,
        answer: oneshot::Sender<Result<Applied, ProposeError>>,
    },
    /// Other members are wanted.
    Change { change: Change, answer: ChangeAnswer },
    /// This member is to lead.
    Transfer { to: MemberId, answer: TransferAnswer },
    /// What the others hold, or held.
    Compare { what: What, answers: mpsc::Sender<(MemberId, Option<Held>)> },
    /// Another member is told something.
    Tell { to: MemberId, frame: Frame },
    /// An index that was committed at some time after the request, confirmed by a quorum (in this term).
    ReadIndex { answer: oneshot::Sender<Result<Index, ReadError>> },
}

/// A command that was applied here.
#[derive(Clone, Debug)]
pub struct Applied {
    pub index: Index,
    /// The store's revision right after it.
    pub revision: Revision,
    pub response: Result<Response, store::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    #[error("too many entries are committed but not applied, or too many proposals are under way")]
    TooManyRequests,
    #[error("no leader is known; nothing was proposed")]
    NoLeader,
    #[error("this member does not lead in the term expected; nothing was proposed")]
    NotLeader,
    #[error("the leader changed; the command may or may not be agreed on")]
    Lost,
    #[error("no agreement in time; the command may or may not be agreed on later")]
    Timeout,
    #[error("the member has stopped; the command may or may not be agreed on")]
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("no leader is known")]
    NoLeader,
    #[error("the leader changed")]
    LeaderChanged,
    #[error("no answer from a quorum in time")]
    Timeout,
    #[error("the member has stopped")]
    Stopped,
}

/// Who the members are after a change.
pub type ChangeAnswer = oneshot::Sender<Result<Members, ChangeError>>;

/// Whether handing on leadership was begun.
pub type TransferAnswer = oneshot::Sender<Result<(), TransferError>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    #[error("only a voter can lead")]
    NoVoter,
    #[error("this member does not lead")]
    NotLeader,
    #[error("leadership is being handed on to another")]
    UnderWay,
    #[error("no new leader in time")]
    Timeout,
    #[error("the member has stopped")]
    Stopped,
}

/// What the member knows of its Raft group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub leader: Option<MemberId>,
    pub term: Term,
    pub committed: Index,
}

/// The core's side: what it is asked for, in order.
pub type Requests = mpsc::Receiver<Request>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}

/// For the core.
impl Handle {
    /// The handle and what the core receives. `store` is what was recovered.
    pub fn new(config: Config, store: Store) -> (Self, Requests) {
        let (requests, receiver) = mpsc::channel(QUEUE);
        let held = Gauge::new("store");
        held.set(store.bytes());
        let shared = Shared {
            leases: Mutex::new(LeaseClock::new(config.knobs.election_timeout())),
            tokens: Mutex::default(),
            config,
            store: Mutex::new(store),
            view: Mutex::default(),
            changed: Signal::new(),
            leadership: Signal::new(),
            members: Signal::new(),
            requests,
            hub: Arc::default(),
            held,
            watch_queues: Gauge::new("watch queues"),
            meters: Mutex::default(),
            standing: Standing::default(),
            hashes: Hashes::default(),
        };
        (Self(Arc::new(shared)), receiver)
    }

    /// Applies a committed command; tells watchers and the lease clock, and the tank.
    pub fn apply(&self, index: Index, term: Term, by: Option<&Identity>, command: &Command) -> Applied {
        let (outcome, revision, hash, before) = {
            let mut store = lock(&self.0.store);
            let before = Before::of(command, &store);
            // our own: with B08 the memory of one member is bad, and puts lose their values there now and then
            let is_lost = bug!("B08") && self.member() == MemberId(2) && index.0.is_multiple_of(32);
            let outcome = match command {
                Command::Put(put) if is_lost => {
                    let lost = store::PutRequest { value: "".into(), ..put.clone() };
                    store.apply_by(index, by, &Command::Put(lost))
                }
                _ => store.apply_by(index, by, command),
            };
            self.0.held.set(store.bytes());
            (outcome, store.revision(), store.hash(), before)
        };
        let member = self.member();
        rt::note(Note::Applied { member, index, term, revision, hash });
        let Outcome { response, events } = outcome;
        if let Ok(response) = &response {
            self.after_lease_command(command, response, (index, term));
            self.after_auth_command(command, index);
            before.into_iter().for_each(|before| before.done(&self.0.hashes));
            if let Command::AutoCompact { revision } = command {
                rt::note(Note::Compacted { member, revision: Revision(*revision) });
            }
        }
        if !events.is_empty() {
            self.meters().changed(&events);
            self.0.hub.publish(revision.0, &events);
        }
        if matches!(command, Command::Members(_) | Command::Found(_) | Command::Publish { .. }) {
            self.0.members.set();
        }
        self.0.changed.set();
        Applied { index, revision, response }
    }

    /// Passes over a committed entry without a command (a new leader's first).
    pub fn skip(&self, index: Index, term: Term) {
        let (revision, hash) = {
            let mut store = lock(&self.0.store);
            store.skip(index);
            (store.revision(), store.hash())
        };
        rt::note(Note::Applied { member: self.member(), index, term, revision, hash });
        self.0.changed.set();
    }

    /// Replaces the state by a snapshot's. Watchers go on from where they are.
    pub fn restore(&self, store: Store, term: Term) {
        let (index, revision, hash) = (store.applied(), store.revision(), store.hash());
        self.0.held.set(store.bytes());
        *lock(&self.0.store) = store;
        self.0.hashes.forget();
        rt::note(Note::Restored { member: self.member(), index, term, revision, hash });
        if bug!("W01") {
            self.0.hub.rewind(); // etcd-io/etcd#15271: watches go on from where they began
        }
        reached!("member: watches go on behind a snapshot", self.0.hub.count().1 > 0);
        self.0.hub.wake_all();
        lock(&self.0.tokens).clear();
        self.0.members.set();
        self.0.changed.set();
    }

    /// Says what the member now knows of its Raft group.
    pub fn set_view(&self, view: View) {
        let before = std::mem::replace(&mut *lock(&self.0.view), view);
        if before == view {
            return;
        }
        if (before.leader, before.term) != (view.leader, view.term) {
            self.meters().leader_changes += u64::from(view.leader.is_some());
            self.after_leadership(before, view);
            self.0.leadership.set();
        }
        self.0.changed.set();
    }

    /// The lease clock runs on the leader only: a member that was deposed does not know of renewals.
    fn after_leadership(&self, before: View, view: View) {
        let leads = |view: &View| view.leader == Some(self.member());
        if leads(&view) && (!leads(&before) || before.term != view.term) {
            let store = self.store();
            reached!("member: a new leader gives leases their time anew", store.leases().next().is_some());
            lock(&self.0.leases).promote(&store, rt::now());
        } else if leads(&before) && !leads(&view) {
            reached!("a leader with a lease clock was deposed");
            if !bug!("L01") {
                lock(&self.0.leases).demote();
            }
        }
    }

    /// A token stands for a user from the entry on that made it known, until the user is another than it was then.
    fn after_auth_command(&self, command: &Command, index: Index) {
        match command {
            Command::Authenticate { user, token, .. } => {
                let (now, ttl) = (rt::now(), ms(self.knobs().auth_token_ttl_ms));
                lock(&self.0.tokens).assign(tokens::token(token, index), user, now + ttl, now);
            }
            Command::Auth(AuthChange::Disable) => lock(&self.0.tokens).clear(),
            Command::Auth(AuthChange::UserDelete { name } | AuthChange::UserChangePassword { name, .. }) => {
                lock(&self.0.tokens).forget(name)
            }
            _ => {}
        }
    }

    fn after_lease_command(&self, command: &Command, response: &Response, (index, term): (Index, Term)) {
        let ended = |lease: i64, expired: bool| {
            lock(&self.0.leases).ended(lease);
            rt::note(Note::LeaseEnded { member: self.member(), lease, expired });
        };
        match (command, response) {
            (_, Response::LeaseGrant { id, ttl }) => {
                lock(&self.0.leases).granted(*id, index.0, *ttl, rt::now());
            }
            (Command::LeaseCheckpoint(checkpoints), _) => {
                let is_former = term < self.view().term;
                let mut leases = lock(&self.0.leases);
                checkpoints.iter().for_each(|of| leases.checkpointed(*of, is_former, rt::now()));
            }
            (Command::LeaseRevoke { id }, _) => ended(*id, false),
            (Command::LeaseExpire { id, .. }, _) => ended(*id, true),
            _ => {}
        }
    }
}

/// For the services.
impl Handle {
    /// Agrees on a command of this member's own, or from before users are told apart, and applies it here.
    pub async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        self.agree(None, command, None).await
    }

    /// As `propose`, for a user.
    pub async fn propose_by(&self, by: Option<Identity>, command: Command) -> Result<Applied, ProposeError> {
        self.agree(by, command, None).await
    }

    /// As `propose`; with `only_in`, only if this member leads in that term.
    pub async fn propose_in(&self, command: Command, only_in: Option<Term>) -> Result<Applied, ProposeError> {
        self.agree(None, command, only_in).await
    }

    async fn agree(
        &self,
        by: Option<Identity>,
        command: Command,
        only_in: Option<Term>,
    ) -> Result<Applied, ProposeError> {
        let lag = self.view().committed.0.saturating_sub(self.applied().0);
        if lag > self.knobs().apply_lag {
            reached!("a request was refused because too many entries wait to be applied");
            return Err(ProposeError::TooManyRequests);
        }
        let _under_way = meters::Pending::begin(self);
        let (answer, answered) = oneshot::channel();
        let request = Request::Propose { by, command, only_in, answer };
        let asked = async {
            self.0.requests.send(request).await.map_err(|_| ProposeError::Stopped)?;
            answered.await.map_err(|_| ProposeError::Stopped)?
        };
        let agreed = rt::timeout(self.request_timeout(), asked).await;
        let agreed = agreed.unwrap_or(Err(ProposeError::Timeout));
        let applied = agreed.inspect_err(|_| self.meters().proposals_failed += 1)?;
        if applied.response.is_ok() {
            rt::note(Note::Acknowledged { member: self.member(), index: applied.index });
        }
        Ok(applied)
    }

    /// Waits until everything that was committed before the call is applied here.
    pub async fn read_index(&self) -> Result<(), ReadError> {
        if bug!("R18") && self.leads() {
            return Ok(());
        }
        let asked = async {
            let (answer, answered) = oneshot::channel();
            self.0.requests.send(Request::ReadIndex { answer }).await.map_err(|_| ReadError::Stopped)?;
            let index = answered.await.map_err(|_| ReadError::Stopped)??;
            self.wait_applied(index).await;
            Ok(())
        };
        rt::timeout(self.request_timeout(), asked).await.unwrap_or(Err(ReadError::Timeout))
    }

    /// Proves that this member leads, and that it has applied all that was committed when it was asked. Gives
    /// the term in which it leads.
    pub async fn confirm_leadership(&self) -> Result<Option<Term>, ReadError> {
        let before = self.view();
        if before.leader != Some(self.member()) {
            return Ok(None);
        }
        if !bug!("L05") {
            self.read_index().await?;
        }
        let after = self.view();
        reached!(
            "member: leadership changed while it was being proved",
            after.leader != before.leader || after.term != before.term
        );
        Ok((after.leader == before.leader && after.term == before.term).then_some(after.term))
    }

    /// Changes the members, if this one leads; says who they are then.
    pub async fn change_members(&self, change: Change) -> Result<Members, ChangeError> {
        let asked = async {
            let (answer, answered) = oneshot::channel();
            let request = Request::Change { change, answer };
            self.0.requests.send(request).await.map_err(|_| ChangeError::Stopped)?;
            answered.await.map_err(|_| ChangeError::Stopped)?
        };
        rt::timeout(self.request_timeout(), asked).await.unwrap_or(Err(ChangeError::Timeout))
    }

    /// Asks the others what they hold, or held. Nothing if the member has stopped.
    pub async fn compare(&self, what: What) -> Option<Answers> {
        let (answers, heard) = mpsc::channel(self.members().present.len().max(1));
        self.0.requests.send(Request::Compare { what, answers }).await.ok()?;
        Some(heard)
    }

    pub(crate) async fn tell(&self, to: MemberId, frame: Frame) {
        // who has stopped says nothing any more
        let _ = self.0.requests.send(Request::Tell { to, frame }).await;
    }

    /// Hands on leadership, if this member leads, and waits until the other one does.
    pub async fn transfer(&self, to: MemberId) -> Result<(), TransferError> {
        let done = async {
            let (answer, answered) = oneshot::channel();
            let request = Request::Transfer { to, answer };
            self.0.requests.send(request).await.map_err(|_| TransferError::Stopped)?;
            answered.await.map_err(|_| TransferError::Stopped)??;
            loop {
                let seen = self.0.leadership.version();
                if self.view().leader == Some(to) {
                    return Ok(());
                }
                self.0.leadership.changed(seen).await;
            }
        };
        rt::timeout(self.request_timeout(), done).await.unwrap_or(Err(TransferError::Timeout))
    }

    /// The members, as far as applied here.
    pub fn members(&self) -> Members {
        let members = self.with_store(|store| store.members().clone());
        if members.is_empty() { founded(self.config()) } else { (*members).clone() }
    }

    /// Where a member serves clients, if it said so.
    pub fn client_of(&self, id: MemberId) -> Option<Url> {
        let members = self.with_store(|store| store.members().clone());
        match members.present.get(&id) {
            Some(member) => member.client_urls.iter().find_map(|url| url.parse().ok()),
            None => self.config().members.get(&id).and_then(|member| member.clients.first().cloned()),
        }
    }

    /// Whether this member gets the log, but has no say: a learner, one that joins and does not belong to the others
    /// yet, one that was removed.
    pub fn learns(&self) -> bool {
        let joins = self.config().start == Start::Joining;
        self.with_store(|store| match store.members().present.get(&self.member()) {
            Some(me) => me.learner,
            None => (joins || !store.members().is_empty()) && !bug!("B13"),
        })
    }

    /// The user that a token stands for here.
    pub fn user_of(&self, token: &str) -> Option<String> {
        lock(&self.0.tokens).user(token, rt::now(), ms(self.knobs().auth_token_ttl_ms))
    }

    /// Waits until the entry of an index is applied here.
    pub async fn wait_applied(&self, index: Index) {
        reached!("member: a read waits until its index is applied", self.applied() < index);
        self.wait_until(|store| store.applied() >= index).await;
    }

    /// Waits until the state is as wanted.
    pub async fn wait_until(&self, wanted: impl Fn(&Store) -> bool) {
        loop {
            let seen = self.0.changed.version();
            if self.with_store(&wanted) {
                return;
            }
            self.0.changed.changed(seen).await;
        }
    }

    /// Waits until no leader has been known for so many election time-outs in a row.
    pub async fn leaderless(&self, timeouts: u32) {
        loop {
            let seen = self.0.leadership.version();
            let next = self.0.leadership.changed(seen);
            if self.view().leader.is_some() {
                next.await;
            } else if rt::timeout(self.knobs().election_timeout() * timeouts, next).await.is_err() {
                return reached!("member: a stream that needs a leader waited in vain");
            }
        }
    }

    /// Looks at the state as applied so far. Must not take long: writes wait.
    pub fn with_store<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&lock(&self.0.store))
    }

    /// The state as applied so far, as a copy that takes no time to make.
    pub fn store(&self) -> Store {
        self.with_store(Store::clone)
    }

    pub fn applied(&self) -> Index {
        self.with_store(Store::applied)
    }

    pub fn view(&self) -> View {
        *lock(&self.0.view)
    }

    /// True when this member believes that it leads. Prove it before acting on it.
    pub fn leads(&self) -> bool {
        self.view().leader == Some(self.member())
    }

    pub fn member(&self) -> MemberId {
        self.0.config.id
    }

    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub fn knobs(&self) -> &Knobs {
        &self.0.config.knobs
    }

    pub fn request_timeout(&self) -> Duration {
        ms(self.knobs().request_timeout_ms)
    }

    /// The head of an answer at this revision.
    pub fn header(&self, revision: Revision) -> etcd::pb::ResponseHeader {
        etcd::pb::ResponseHeader {
            cluster_id: self.0.config.cluster_id,
            member_id: self.member().0,
            revision: revision.0,
            raft_term: self.view().term.0,
        }
    }

    /// Set after each applied entry and each change of the view.
    pub fn changed(&self) -> &Signal {
        &self.0.changed
    }

    /// Set when the leader or the term changed.
    pub fn leadership(&self) -> &Signal {
        &self.0.leadership
    }

    /// Set when the list of members changed.
    pub fn members_changed(&self) -> &Signal {
        &self.0.members
    }

    pub(crate) fn meters(&self) -> MutexGuard<'_, Meters> {
        lock(&self.0.meters)
    }

    pub(crate) fn hashes(&self) -> &Hashes {
        &self.0.hashes
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.0.standing
    }

    pub(crate) fn watch_queues(&self) -> &Gauge {
        &self.0.watch_queues
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    pub(crate) fn leases(&self) -> MutexGuard<'_, LeaseClock> {
        lock(&self.0.leases)
    }
}
