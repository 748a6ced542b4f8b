//! Clients, as processes of their own: they fail over as any client does and write down everything they asked and
//! were told.
//!
//! | module | promise |
//! |---|---|
//! | `kv` | one client of the store, one operation after the other |
//! | `watch` | watches: the observer that sees everything, watchers of the plan, looks into history |
//! | `wire` | the protocol's messages to histories and back |
//! | `kube` | clients of the API server |
//! | `apiwatch` | lists and watches at one API server |
//! | `operator`, `users` | changes of the store's members, and of its users; making space |
//! | `crowd` | thousands of watchers in one process |

pub mod apiwatch;
pub mod crowd;
pub mod kube;
pub mod kv;
pub mod operator;
pub mod unordered;
pub mod users;
pub mod watch;
pub mod wire;

use crate::history::seen::Seen;
use crate::nemesis::until;
use crate::plan::When;
use base::Knobs;
use std::{net::SocketAddr, time::Duration};

/// Waits until an operation is to begin; the one before it has been answered.
async fn begin(when: When) {
    match when {
        When::After(pause) => rt::sleep(Duration::from_micros(pause)).await,
        When::At(at) => until(at).await,
    }
}

/// What every client is given.
#[derive(Clone)]
pub struct Ground {
    pub seen: Seen,
    pub stores: Vec<SocketAddr>,
    pub apiservers: Vec<SocketAddr>,
    pub knobs: Knobs,
    /// When load ends, in microseconds.
    pub until: u64,
    /// Whether clients are users.
    pub users: bool,
}

impl Ground {
    /// A client of the store at these endpoints that may do everything.
    pub fn root_at(&self, stores: Vec<SocketAddr>, knobs: &Knobs) -> etcd::Client {
        users::root(stores, knobs, self.users)
    }

    /// A client of the store that may do everything.
    pub fn root(&self) -> etcd::Client {
        self.root_at(self.stores.clone(), &self.knobs)
    }

    /// A client of the store that may do what the user of its name may.
    pub fn user(&self, name: &str) -> etcd::Client {
        let client = etcd::Client::new(self.stores.clone(), &self.knobs);
        if self.users { client.for_user(name, name) } else { client }
    }
}
