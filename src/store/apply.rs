//! Commands: each is refused as a whole or done as a whole.

use crate::check::MAX_TTL;
use crate::state::{Lease, Write};
use crate::{Checkpoint, Command, DeleteRangeRequest, DeleteRangeResponse, Error, Event, KeyRange, Outcome};
use crate::{Identity, PutRequest, PutResponse, Response, Store};
use base::{Index, bug, invariant, reached};
use imbl::OrdSet;

type Applied = Result<(Response, Vec<Event>), Error>;

impl Store {
    /// Applies the command at a log index. Entries come one after the other and without a gap.
    pub fn apply(&mut self, index: Index, command: &Command) -> Outcome {
        self.apply_by(index, None, command)
    }

    /// As `apply`, for a user.
    pub fn apply_by(&mut self, index: Index, by: Option<&Identity>, command: &Command) -> Outcome {
        self.skip(index);
        let allowed = self.permit(by, command).and_then(|()| self.allow(command));
        match allowed.and_then(|()| self.perform(command)) {
            Ok((response, events)) => Outcome { response: Ok(response), events },
            Err(error) => {
                if bug!("S11") {
                    self.applied = Index(index.0 - 1); // etcd#13946: what was refused does not count as applied
                }
                Outcome { response: Err(error), events: Vec::new() }
            }
        }
    }

    fn perform(&mut self, command: &Command) -> Applied {
        match command {
            Command::Put(request) => self.apply_put(request),
            Command::DeleteRange(request) => Ok(self.apply_delete_range(request)),
            Command::Txn(request) => {
                self.apply_txn(request).map(|(response, events)| (Response::Txn(response), events))
            }
            Command::Compact { revision } | Command::AutoCompact { revision } => {
                self.compact(*revision).map(|()| (Response::Compact, Vec::new()))
            }
            Command::LeaseGrant { id, ttl } => self.lease_grant(*id, *ttl),
            Command::LeaseRevoke { id } => self.lease_end(*id).map(|events| (Response::LeaseRevoke, events)),
            Command::LeaseExpire { id, granted } => self.lease_expire(*id, *granted),
            Command::LeaseCheckpoint(checkpoints) => self.lease_checkpoint(checkpoints),
            Command::Members(members) => Ok((self.replace_members(members), Vec::new())),
            Command::Publish { id, name, client_urls } => {
                self.publish(*id, name, client_urls).map(|response| (response, Vec::new()))
            }
            Command::Auth(change) => self.change_auth(change).map(|response| (response, Vec::new())),
            Command::Authenticate { user, checked, .. } => {
                self.authenticate(user, *checked).map(|response| (response, Vec::new()))
            }
            Command::Found(members) => Ok((self.found_members(members), Vec::new())),
            Command::Alarm(change) => Ok((self.change_alarms(*change), Vec::new())),
        }
    }

    /// Passes over a log index that carries no command.
    pub fn skip(&mut self, index: Index) {
        let expected = self.applied.next();
        invariant!(index == expected, "entries are applied in order", "expected {expected}, got {index}");
        self.applied = index;
        self.digest.number(index.0);
    }

    fn apply_put(&mut self, request: &PutRequest) -> Applied {
        // outside of a txn it is the other way round, as with etcd
        self.check_lease(request)?;
        self.check_there(request)?;
        let mut write = Write::begin(self);
        let response = put(&mut write, request);
        Ok((Response::Put(response), write.finish()))
    }

    fn apply_delete_range(&mut self, request: &DeleteRangeRequest) -> (Response, Vec<Event>) {
        let mut write = Write::begin(self);
        let response = delete_range(&mut write, request);
        (Response::DeleteRange(response), write.finish())
    }

    /// What a put needs of the state: a value to keep, a lease to hang on. In a txn the first is asked for first.
    pub(crate) fn check_put(&self, request: &PutRequest) -> Result<(), Error> {
        self.check_there(request)?;
        self.check_lease(request)
    }

    fn check_there(&self, request: &PutRequest) -> Result<(), Error> {
        let keeps = request.ignore_value || request.ignore_lease;
        if keeps && !self.live.contains_key(&request.key) { Err(Error::KeyNotFound) } else { Ok(()) }
    }

    fn check_lease(&self, request: &PutRequest) -> Result<(), Error> {
        if request.lease != 0 && !self.leases.contains_key(&request.lease) {
            reached!("store: a put under a lease that has ended");
            return Err(Error::LeaseNotFound);
        }
        Ok(())
    }

    fn lease_grant(&mut self, id: i64, ttl: i64) -> Applied {
        if id == 0 {
            return Err(Error::LeaseNotFound);
        }
        if ttl > MAX_TTL {
            return Err(Error::LeaseTtlTooLarge);
        }
        if self.leases.contains_key(&id) {
            reached!("store: a lease was granted twice");
            return Err(Error::LeaseExists);
        }
        self.leases.insert(id, Lease { ttl, granted: self.applied.0, left: 0, keys: OrdSet::new() });
        self.digest.number(id as u64);
        self.digest.number(ttl as u64);
        Ok((Response::LeaseGrant { id, ttl }, Vec::new()))
    }

    fn lease_expire(&mut self, id: i64, granted: u64) -> Applied {
        if self.leases.get(&id).is_none_or(|lease| lease.granted != granted) {
            reached!("a lease was gone before it expired");
            return Err(Error::LeaseNotFound);
        }
        self.lease_end(id).map(|events| (Response::LeaseExpire, events))
    }

    /// Those of leases that are gone say nothing.
    fn lease_checkpoint(&mut self, checkpoints: &[Checkpoint]) -> Applied {
        for Checkpoint { id, granted, left } in checkpoints {
            let Some(lease) = self.leases.get_mut(id).filter(|lease| lease.granted == *granted) else {
                reached!("store: what is left of a lease was agreed on when it was gone");
                continue;
            };
            lease.left = *left;
            self.digest.number(*id as u64);
            self.digest.number(*left as u64);
        }
        Ok((Response::LeaseCheckpoint, Vec::new()))
    }

    /// Ends a lease and deletes its keys, in the order of the keys, in one revision.
    fn lease_end(&mut self, id: i64) -> Result<Vec<Event>, Error> {
        reached!("store: a lease was revoked that had ended", !self.leases.contains_key(&id));
        let lease = self.leases.remove(&id).ok_or(Error::LeaseNotFound)?;
        reached!("store: a lease ended and took keys along", !lease.keys.is_empty());
        reached!("store: a lease ended that holds no keys", lease.keys.is_empty());
        self.digest.number(id as u64);
        let mut write = Write::begin(self);
        for key in &lease.keys {
            let deleted = write.delete_one(key);
            invariant!(deleted.is_some(), "a key attached to a lease exists");
        }
        Ok(write.finish())
    }
}

pub(crate) fn put(write: &mut Write<'_>, request: &PutRequest) -> PutResponse {
    let value = (!request.ignore_value).then_some(&request.value);
    let lease = (!request.ignore_lease).then_some(request.lease);
    let prev = write.put(&request.key, value, lease);
    PutResponse { prev: prev.filter(|_| request.prev_kv) }
}

pub(crate) fn delete_range(write: &mut Write<'_>, request: &DeleteRangeRequest) -> DeleteRangeResponse {
    let deleted = write.delete(&KeyRange::new(&request.key, &request.range_end));
    reached!("store: a deletion found nothing", deleted.is_empty());
    reached!("store: a deletion took several keys", deleted.len() > 1);
    let count = deleted.len() as i64;
    DeleteRangeResponse { deleted: count, prev_kvs: if request.prev_kv { deleted } else { Vec::new() } }
}
