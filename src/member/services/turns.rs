//! Keys that stand in a queue: below one prefix, in the order in which they were made; the first has its turn. Locks
//! and elections are this.
//!
//! A key hangs on a lease, so that one who is gone leaves the queue; one who gives up waiting leaves it at once.
//! Source: etcd, client/v3/concurrency.

use super::{lease::Lease, refuse, sender::Sender, watcher::Watcher};
use crate::handle::Handle;
use base::{Revision, bug, reached};
use bytes::Bytes;
use etcd::{error, pb};
use pb::watch_create_request::FilterType;
use rt::sync::mpsc;
use std::time::Duration;
use store::{
    Command, Compare, CompareOp, CompareTarget, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest,
    Response, SortOrder, SortTarget, TxnOp, TxnOpResponse, TxnRequest, auth::Access,
};
use tonic::Status;

/// Seconds that a lease of the server's own lives after the client was answered.
const OWN_TTL: i64 = 60;

/// Clients that gave up and wait for their keys to be deleted; of more the keys go with their leases.
const LEAVING: usize = 1_024;

/// Where clients join queues; cheap to clone.
#[derive(Clone)]
pub struct Queues {
    handle: Handle,
    leave: mpsc::Sender<Leaving>,
}

/// One who gave up: its key, and the revision that made it.
pub struct Leaving {
    sender: Sender,
    key: Bytes,
    created: i64,
}

/// A place in a queue. One that is dropped before it is kept is given up: its key is deleted.
pub struct Place {
    handle: Handle,
    leave: mpsc::Sender<Leaving>,
    sender: Sender,
    name: Bytes,
    key: Bytes,
    lease: i64,
    /// The lease is the server's own, and is kept alive while its client waits.
    own: bool,
    /// The revision that made the key.
    created: i64,
    kept: bool,
}

/// The range of all keys that begin with the name and a slash.
pub fn below(name: &Bytes) -> (Bytes, Bytes) {
    etcd::keys::prefix_range([name.as_ref(), b"/"].concat())
}

/// Holds while the key is the one that this revision made; 0: while there is none.
pub fn made_by(key: &Bytes, revision: i64) -> Compare {
    let target = CompareTarget::Create(revision);
    Compare { key: key.clone(), range_end: Bytes::new(), op: CompareOp::Equal, target }
}

/// A txn on behalf of a client; says whether its compares held.
pub async fn txn(
    handle: &Handle,
    sender: &Sender,
    request: TxnRequest,
) -> Result<(bool, Vec<TxnOpResponse>, Revision), Status> {
    let command = Command::Txn(request);
    store::check(&command, handle.knobs().txn_ops as usize).map_err(refuse::by_store)?;
    super::space::afford(handle, &command).await?;
    let applied = sender.propose(handle, command).await?;
    match applied.response.map_err(refuse::by_store)? {
        Response::Txn(txn) => Ok((txn.succeeded, txn.responses, applied.revision)),
        _ => Err(refuse::mismatch()),
    }
}

/// The first key below a name, as far as is known here.
pub fn first(handle: &Handle, sender: &Sender, name: &Bytes) -> Result<(Option<KeyValue>, Revision), Status> {
    let store = handle.store();
    let (key, range_end) = below(name);
    store
        .auth()
        .permit(sender.identity(&store).as_ref(), &key, &range_end, Access::Read)
        .map_err(refuse::by_store)?;
    let request = RangeRequest {
        key,
        range_end,
        limit: 1,
        sort_target: SortTarget::Create,
        sort_order: SortOrder::Ascend,
        ..RangeRequest::default()
    };
    let found = store.range(&request).map_err(refuse::by_store)?;
    Ok((found.kvs.into_iter().next(), store.revision()))
}

impl Queues {
    /// The queues, and those who leave them.
    pub fn new(handle: Handle) -> (Self, mpsc::Receiver<Leaving>) {
        let (leave, leaving) = mpsc::channel(LEAVING);
        (Self { handle, leave }, leaving)
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Joins the queue below a name; gives the key's value too, if it stood there already.
    pub async fn join(
        &self,
        sender: &Sender,
        name: Bytes,
        lease: i64,
        value: Bytes,
    ) -> Result<(Place, Option<Bytes>), Status> {
        let handle = &self.handle;
        let own = lease == 0;
        let lease = if own { grant(handle, sender).await? } else { lease };
        let key: Bytes = [name.as_ref(), format!("/{lease:x}").as_bytes()].concat().into();
        let put = PutRequest { key: key.clone(), value, lease, ..PutRequest::default() };
        let get = RangeRequest { key: key.clone(), ..RangeRequest::default() };
        let request = TxnRequest {
            compare: vec![made_by(&key, 0)],
            success: vec![TxnOp::Put(put)],
            failure: vec![TxnOp::Range(get)],
        };
        let mut place = Place {
            handle: handle.clone(),
            leave: self.leave.clone(),
            sender: sender.clone(),
            name,
            key,
            lease,
            own,
            created: 0,
            kept: false,
        };
        let (made, answers, revision) = txn(handle, sender, request).await?;
        place.created = revision.0;
        let mut there = None;
        if !made && let Some(TxnOpResponse::Range(found)) = answers.into_iter().next() {
            reached!("member: a place in a queue is taken up again");
            let known = found.kvs.into_iter().next();
            place.created = known.as_ref().map_or(0, |known| known.create_revision);
            there = known.map(|known| known.value);
        }
        Ok((place, there))
    }
}

/// Deletes the keys of those who leave. Ends with the queues.
pub async fn see_off(handle: Handle, mut leaving: mpsc::Receiver<Leaving>) {
    while let Some(Leaving { sender, key, created }) = leaving.recv().await {
        let delete = TxnOp::DeleteRange(DeleteRangeRequest { key: key.clone(), ..Default::default() });
        let request =
            TxnRequest { compare: vec![made_by(&key, created)], success: vec![delete], failure: vec![] };
        let _ = txn(&handle, &sender, request).await; // it goes with its lease, else
    }
}

impl Place {
    /// Waits until all that came before have gone; then the key must still be there.
    pub async fn turn(&self) -> Result<Revision, Status> {
        let alive = self.keep_alive();
        let first = async {
            while let Some(before) = self.before() {
                reached!("member: a client waits for its turn");
                self.gone(before).await;
            }
            self.handle.read_index().await.map_err(refuse::by_read)
        };
        rt::select! {
            () = alive => unreachable!("a lease is kept alive until nobody waits"),
            first = first => first?,
        }
        let (there, revision) =
            self.handle.with_store(|store| (created(store, &self.key) == self.created, store.revision()));
        // museum L08: whoever waited long believes that it has the lock, though its lease has ended
        if there || bug!("L08") {
            return Ok(revision);
        }
        reached!("member: a lease ended while its client waited for its turn");
        Err(error::lease_not_found())
    }

    /// The key that came last of those before this one.
    fn before(&self) -> Option<Bytes> {
        let (key, range_end) = below(&self.name);
        let request = RangeRequest {
            key,
            range_end,
            limit: 1,
            max_create_revision: self.created - 1,
            sort_target: SortTarget::Create,
            sort_order: SortOrder::Descend,
            ..RangeRequest::default()
        };
        let found = self.handle.with_store(|store| store.range(&request));
        found.ok()?.kvs.into_iter().next().map(|kv| kv.key)
    }

    /// Waits until a key is deleted, or was.
    async fn gone(&self, key: Bytes) {
        let seat = self.handle.hub().join();
        let current = self.handle.with_store(|store| store.revision().0);
        let filters = vec![FilterType::Noput.into()];
        let create = pb::WatchCreateRequest { key: key.clone(), filters, ..Default::default() };
        seat.add(1, Watcher::new(create, current)); // it only wakes: nothing is collected
        loop {
            seat.woken().await;
            let there = self.handle.with_store(|store| created(store, &key));
            if there == 0 || there > self.created {
                return;
            }
        }
    }

    /// Never ends. A lease that a client brings is the client's to keep.
    async fn keep_alive(&self) {
        let leases = Lease::new(self.handle.clone());
        loop {
            rt::sleep(Duration::from_secs(OWN_TTL as u64 / 3)).await;
            if self.own {
                let _ = leases.renew_own(self.lease).await;
            }
        }
    }

    /// It stays in the queue.
    pub fn keep(mut self) -> Bytes {
        self.kept = true;
        self.key.clone()
    }

    pub fn key(&self) -> &Bytes {
        &self.key
    }

    pub fn lease(&self) -> i64 {
        self.lease
    }

    pub fn created(&self) -> i64 {
        self.created
    }
}

/// The revision that made a key; 0 if there is none.
fn created(store: &store::Store, key: &Bytes) -> i64 {
    let one = RangeRequest { key: key.clone(), ..RangeRequest::default() };
    let found = store.range(&one).unwrap_or_default();
    found.kvs.first().map_or(0, |kv| kv.create_revision)
}

async fn grant(handle: &Handle, sender: &Sender) -> Result<i64, Status> {
    let id = ((rt::random_u64() >> 1) as i64).max(1);
    let applied = sender.propose(handle, Command::LeaseGrant { id, ttl: OWN_TTL }).await?;
    applied.response.map(|_| id).map_err(refuse::by_store)
}

impl Drop for Place {
    /// A client that goes away while it waits must not keep others waiting.
    fn drop(&mut self) {
        if self.kept || self.created == 0 {
            return; // or nobody knows whose key stands there
        }
        reached!("member: a client gave up its place in a queue");
        let (sender, key) = (self.sender.clone(), self.key.clone());
        let _ = self.leave.try_send(Leaving { sender, key, created: self.created });
    }
}
