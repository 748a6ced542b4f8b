//! A core that agrees with itself at once, in place of raft: enough to hold the services to their promises over
//! the wire.

use base::{Knobs, MemberId, Term};
use etcd::Client;
use member::{Config, Handle, Listen, MemberAddr, ProposeError, ReadError, Request, Start, View};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use store::Store;

/// One member under test. The view is what the test says it is.
#[derive(Clone)]
pub struct Core {
    pub handle: Handle,
    pub addr: SocketAddr,
    /// Entries the "quorum" accepts; none while it is unreachable.
    pub reachable: Arc<Mutex<bool>>,
}

const TERM: Term = Term(2);

impl Core {
    /// A leader that serves on a port of its own.
    pub async fn start(knobs: Knobs) -> Self {
        Self::start_group(1, knobs).await.remove(0)
    }

    /// Members that know each other's addresses. They share no log; the first leads.
    pub async fn start_group(size: u64, knobs: Knobs) -> Vec<Self> {
        let mut listeners = Vec::new();
        let mut members = BTreeMap::new();
        for id in 1..=size {
            let listener = rt::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let addr = listener.local_addr().unwrap();
            members.insert(MemberId(id), MemberAddr::plain(format!("m{id}"), addr, addr));
            listeners.push((MemberId(id), listener));
        }
        let start = |(id, listener)| Self::start_one(config(id, &members, &knobs), listener);
        listeners.into_iter().map(start).collect()
    }

    fn start_one(config: Config, listener: rt::net::TcpListener) -> Self {
        let addr = config.listen.peers;
        let (handle, mut requests) = Handle::new(config, Store::new());
        let core = Self { handle: handle.clone(), addr, reachable: Arc::new(Mutex::new(true)) };
        core.follow(Some(MemberId(1)));
        let serving = core.clone();
        rt::spawn(async move {
            while let Some(request) = requests.recv().await {
                serving.serve(request);
            }
        });
        rt::spawn(member::services::serve(handle, member::services::Doors::plain(listener)));
        core
    }

    /// This member leads, or knows no leader.
    pub fn lead(&self, leads: bool) {
        self.follow(leads.then_some(self.handle.member()));
    }

    /// This member holds that one for the leader.
    pub fn follow(&self, leader: Option<MemberId>) {
        self.handle.set_view(View { leader, term: TERM, committed: self.handle.applied() });
    }

    pub fn client(&self) -> Client {
        Client::new(vec![self.addr], self.handle.knobs())
    }

    fn serve(&self, request: Request) {
        let reachable = *self.reachable.lock().unwrap() && self.handle.leads();
        match request {
            Request::Propose { answer, .. } if !reachable => drop(answer.send(Err(ProposeError::NoLeader))),
            Request::ReadIndex { answer } if !reachable => drop(answer.send(Err(ReadError::NoLeader))),
            Request::Propose { by, command, answer, .. } => {
                let index = self.handle.applied().next();
                let applied = self.handle.apply(index, TERM, by.as_ref(), &command);
                let _ = answer.send(Ok(applied));
            }
            Request::ReadIndex { answer } => drop(answer.send(Ok(self.handle.applied()))),
            Request::Change { .. }
            | Request::Transfer { .. }
            | Request::Compare { .. }
            | Request::Tell { .. } => panic!("there is no Raft here"),
        }
    }
}

fn config(id: MemberId, members: &BTreeMap<MemberId, MemberAddr>, knobs: &Knobs) -> Config {
    let me = &members[&id];
    let peer = me.peer.addr.address().expect("an address");
    Config {
        id,
        name: me.name.clone(),
        cluster_id: 9,
        start: Start::Founding,
        data_dir: "/none".into(),
        listen: Listen::plain(peer, peer),
        members: members.clone(),
        knobs: knobs.clone(),
    }
}
