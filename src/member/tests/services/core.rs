//! A core that agrees with itself at once, in place of raft: enough to hold the services to their promises over
//! the wire.

use base::{Index, Knobs, MemberId, Term};
use etcd::Client;
use member::{Config, Handle, MemberAddr, ProposeError, ReadError, Request, View};
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
        let listener = rt::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (handle, mut requests) = Handle::new(config(addr, knobs), Store::new());
        let core = Self { handle: handle.clone(), addr, reachable: Arc::new(Mutex::new(true)) };
        core.lead(true);
        let serving = core.clone();
        rt::spawn(async move {
            let mut index = 0;
            while let Some(request) = requests.recv().await {
                serving.serve(request, &mut index);
            }
        });
        rt::spawn(member::services::serve(handle, listener));
        core
    }

    /// This member leads, or knows no leader.
    pub fn lead(&self, leads: bool) {
        let leader = leads.then_some(self.handle.member());
        self.handle.set_view(View { leader, term: TERM, committed: self.handle.applied() });
    }

    pub fn client(&self) -> Client {
        Client::new(vec![self.addr], self.handle.knobs())
    }

    fn serve(&self, request: Request, index: &mut u64) {
        let reachable = *self.reachable.lock().unwrap() && self.handle.leads();
        match request {
            Request::Propose { answer, .. } if !reachable => drop(answer.send(Err(ProposeError::NoLeader))),
            Request::ReadIndex { answer } if !reachable => drop(answer.send(Err(ReadError::NoLeader))),
            Request::Propose { command, answer, .. } => {
                *index += 1;
                let applied = self.handle.apply(Index(*index), TERM, &command);
                let _ = answer.send(Ok(applied));
            }
            Request::ReadIndex { answer } => drop(answer.send(Ok(Index(*index)))),
        }
    }
}

fn config(addr: SocketAddr, knobs: Knobs) -> Config {
    let me = MemberAddr { name: "m1".into(), peer: addr, client: addr };
    Config {
        id: MemberId(1),
        name: me.name.clone(),
        cluster_id: 9,
        data_dir: "/none".into(),
        client_listen: addr,
        peer_listen: addr,
        members: BTreeMap::from([(MemberId(1), me)]),
        knobs,
    }
}
