//! A member's services without a port, a disk or other members: the core behind them agrees with itself at once, and
//! takes every command through the bytes that a log entry has.

use crate::input::Input;
use axum::body::Body;
use base::{Knobs, MemberId, Term};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use member::{
    Config, Handle, Listen, MemberAddr, Request as Wish, Start, View,
    handle::TransferError,
    members::{self, ChangeError, Health},
    proposal::{Proposal, ProposalId},
    signed::Signer,
    tokens,
};
use std::{collections::BTreeMap, future::Future, pin::pin, sync::Arc, task::Poll, time::Duration};
use store::{AuthChange, Command, PutRequest, Store, auth::Access};
use tower::ServiceExt;

const ME: MemberId = MemberId(1);
const TERM: Term = Term(2);
/// Turns that everybody gets before a call counts as one that waits.
const TURNS: usize = 60;
/// Words that stand for users.
const ROOT: &str = "rootrootrootroot";
const ALICE: &str = "alicealicealicea";
/// Of the password `pw`, in the fewest rounds there are.
const HASH: &[u8] = b"$2b$04$......................CZJXs39HZ6odvxM3EvHl/Fh/PsT/WM6";
/// What signs tokens, where they are signed.
pub const SECRET: &[u8] = b"a secret";

/// What is different from member to member.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Users are told apart.
    pub auth: bool,
    /// Their tokens are signed.
    pub signed: bool,
    /// It knows no leader.
    pub alone: bool,
}

impl Manner {
    pub fn of(byte: u8) -> Self {
        Self { auth: byte & 1 != 0, signed: byte & 2 != 0, alone: byte & 4 != 0 }
    }
}

pub struct Served {
    handle: Handle,
    routes: rt::http::Router,
    /// The tokens of root and of alice.
    tokens: [String; 2],
    /// Answers that have not ended.
    open: Vec<Body>,
}

impl Served {
    /// Must be called where tasks can be begun.
    pub fn start(manner: Manner) -> Self {
        let (handle, mut wishes) = Handle::new(config(manner), state(manner.auth));
        let leader = (!manner.alone).then_some(ME);
        handle.set_view(View { leader, term: TERM, committed: handle.applied() });
        let tokens = [("root", ROOT), ("alice", ALICE)].map(|(user, word)| token(&handle, user, word));
        let core = handle.clone();
        rt::spawn(async move {
            while let Some(wish) = wishes.recv().await {
                serve(&core, wish);
            }
        });
        Self { routes: member::services::routes(&handle), handle, tokens, open: Vec::new() }
    }

    /// What a request shows of its sender.
    pub fn headers(&self, sender: u8) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let token = match sender % 4 {
            0 => return headers,
            1 => &self.tokens[0],
            2 => &self.tokens[1],
            _ => "abcdefghijklmnop.1",
        };
        let name = if sender & 4 == 0 { etcd::TOKEN } else { "authorization" };
        headers.insert(name, token.parse().expect("a token is a header's value"));
        if sender & 8 != 0 {
            headers.insert("hasleader", http::HeaderValue::from_static("true"));
        }
        headers
    }

    /// Gives a request to the services. The answer, if it comes; one that goes on is kept until the end.
    pub async fn call(&mut self, request: Request<Body>) -> Option<(StatusCode, Vec<u8>)> {
        let hashes = request.uri().path().contains("uth"); // a password is hashed on a thread of its own
        let call = self.routes.clone().oneshot(request);
        let answer = if hashes { rt::timeout(HASHING, call).await.ok() } else { turns(call).await };
        let (head, mut body) = answer?.expect("routes cannot fail").into_parts();
        let mut said = Vec::new();
        loop {
            match turns(body.frame()).await {
                Some(Some(Ok(frame))) => said.extend(frame.into_data().unwrap_or_default()),
                Some(Some(Err(_)) | None) => return Some((head.status, said)),
                None => break,
            }
        }
        self.open.push(body);
        None
    }

    /// Reads what answers that go on have to say, and looks at the state that calls have left.
    pub async fn finish(mut self) {
        for body in &mut self.open {
            while let Some(Some(Ok(_))) = turns(body.frame()).await {}
        }
        sound(&self.handle.store());
    }
}

const HASHING: Duration = Duration::from_millis(50);

/// What a future comes to while everybody else gets some turns too.
async fn turns<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..TURNS {
        if let Poll::Ready(outcome) = futures::poll!(future.as_mut()) {
            return Some(outcome);
        }
        rt::yield_now().await;
    }
    None
}

/// A state is as large as it says, and its snapshot is it.
pub fn sound(store: &Store) {
    let bytes = store.snapshot();
    assert_eq!(bytes.len() as u64, store.bytes(), "a state knows how large it is");
    assert_eq!(Store::restore(&bytes).as_ref(), Ok(store), "a snapshot is the state it was taken of");
}

fn config(manner: Manner) -> Config {
    let addr = |port| ([10, 0, 0, 1], port).into();
    let signer = Signer::new("HS256", None, Some(SECRET), Duration::from_secs(300)).expect("a secret signs");
    let listen = Listen::plain(addr(2380), addr(2379));
    Config {
        id: ME,
        name: "one".into(),
        cluster_id: 9,
        start: Start::Founding,
        data_dir: "/none".into(),
        listen: Listen { signer: manner.signed.then(|| Arc::new(signer)), ..listen },
        members: BTreeMap::from([(ME, MemberAddr::plain("one".into(), addr(2380), addr(2379)))]),
        knobs: Knobs { bcrypt_cost: 4, ..Knobs::default() },
    }
}

/// Some keys, one of them on a lease, some history; users that may do all, little, and nothing.
fn state(auth: bool) -> Store {
    let put = |key: &'static str, lease| {
        Command::Put(PutRequest { key: key.into(), value: "value".into(), lease, ..PutRequest::default() })
    };
    let user = |name: &str| AuthChange::UserAdd { name: name.into(), password: Some(HASH.into()) };
    let role = |role: &str| AuthChange::RoleAdd { role: role.into() };
    let grant = |name: &str, role: &str| AuthChange::UserGrantRole { name: name.into(), role: role.into() };
    let may = AuthChange::RoleGrantPermission {
        role: "some".into(),
        key: "a".into(),
        range_end: "c".into(),
        access: Access::ReadWrite,
    };
    let users = [user("root"), user("alice"), user("bob"), role("root"), role("some"), may];
    let granted = [grant("root", "root"), grant("alice", "some")];
    let all = users.into_iter().chain(granted).chain(auth.then_some(AuthChange::Enable));
    let keys = [
        put("a", 0),
        put("b", 0),
        Command::LeaseGrant { id: 7, ttl: 60 },
        put("b/1", 7),
        Command::Compact { revision: 3 },
        put("a", 0),
    ];
    let mut store = Store::new(); // of a handful of keys: it is made anew for each input
    for command in keys.into_iter().chain(all.map(Command::Auth)) {
        let done = store.apply(store.applied().next(), &command);
        assert!(done.response.is_ok(), "{command:?}: {:?}", done.response);
    }
    store
}

/// Makes a word stand for a user; with signed tokens it is just a word.
fn token(handle: &Handle, user: &str, word: &str) -> String {
    let (index, checked) = (handle.applied().next(), handle.with_store(|store| store.auth().revision));
    let command = Command::Authenticate { user: user.into(), checked, token: word.into() };
    handle.apply(index, TERM, None, &command);
    match &handle.config().listen.signer {
        Some(signer) => signer.sign(user, checked, rt::wall()).expect("it has a key"),
        None => tokens::token(word, index),
    }
}

fn serve(core: &Handle, wish: Wish) {
    match wish {
        Wish::Propose { by, command, answer, .. } => {
            let id = ProposalId { origin: ME, run: 1, count: 1 };
            let proposal = Proposal { id, by, command };
            let read = Proposal::decode(&proposal.encode());
            assert_eq!(read.as_ref(), Ok(&proposal), "a log entry says what was proposed");
            let applied = core.apply(core.applied().next(), TERM, proposal.by.as_ref(), &proposal.command);
            let _ = answer.send(Ok(applied));
        }
        Wish::ReadIndex { answer } => drop(answer.send(Ok(core.applied()))),
        Wish::Change { change, answer } => {
            let ids = || core.members().present.into_keys().collect();
            let health = Health { learners: 1, term: TERM, heard: ids(), caught_up: ids() };
            let after = members::after(&core.members(), &change, &health);
            let after = after.inspect(|after| {
                core.apply(core.applied().next(), TERM, None, &Command::Members(after.clone()));
            });
            let _ = answer.send(after.map_err(|_| ChangeError::NotBegun));
        }
        Wish::Transfer { answer, .. } => drop(answer.send(Err(TransferError::NotLeader))),
        // there are no others
        Wish::Compare { .. } | Wish::Tell { .. } => {}
    }
}

/// Calls of one input at the most.
pub const CALLS: usize = 8;

/// Calls to a member, one after the other, for as long as there is input.
pub fn calls(bytes: &[u8], request: fn(&Served, &mut Input) -> Request<Body>, judge: fn(StatusCode, &[u8])) {
    let bytes = bytes.to_vec();
    rt::testing::run_here(1, move || async move {
        let mut input = Input::new(&bytes);
        let mut served = Served::start(Manner::of(input.byte()));
        for _ in 0..CALLS {
            if input.is_empty() {
                break;
            }
            let request = request(&served, &mut input);
            if let Some((status, said)) = served.call(request).await {
                judge(status, &said);
            }
        }
        served.finish().await;
    });
}
