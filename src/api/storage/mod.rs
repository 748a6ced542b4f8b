//! Objects in the store, over the etcd API, in the few request shapes that upstream's API server uses: ranges,
//! a put or a delete guarded by the revision last seen, and leases for what expires.
//!
//! An object's resourceVersion is the revision of its last change; it is not part of the stored JSON.

pub mod keys;
pub mod lease;
pub mod token;

use crate::{cache::item::Item, refusal::Refusal};
use base::Knobs;
use bytes::Bytes;
use etcd::pb::{
    Compare, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
    TxnResponse, compare, request_op, response_op,
};
use objects::{Kind, Object};
use std::sync::Arc;
use tonic::Status;

pub struct Storage {
    pub etcd: etcd::Client,
    leases: lease::Pool,
}

/// One page of a list, or all of it.
#[derive(Default)]
pub struct Page<'a> {
    /// Below the kind's prefix: what all keys start with.
    pub scope: &'a str,
    /// Below the kind's prefix: the first key; "" for the first of the scope.
    pub start: &'a str,
    pub limit: i64,
    /// 0: the present revision.
    pub revision: i64,
}

pub struct Listed {
    pub items: Vec<Arc<Item>>,
    pub revision: i64,
    /// How many there are from `start` on, this page included.
    pub count: i64,
    pub more: bool,
    /// The last key read, of an object or of something that is none.
    pub last: String,
}

/// What came of a guarded write.
pub enum Written {
    /// Done, at this revision.
    Done(i64),
    /// Not done: the object is no longer at the revision expected, but like this (None: not there).
    Changed(Option<Arc<Item>>),
}

impl Storage {
    pub fn new(etcd: etcd::Client, knobs: &Knobs) -> Self {
        Storage { leases: lease::Pool::new(knobs), etcd }
    }

    /// The object at the present revision.
    pub async fn get(&self, kind: &Kind, key: &str) -> Result<Option<Arc<Item>>, Refusal> {
        let request = RangeRequest { limit: 1, ..RangeRequest::of_key(full(kind, key)) };
        let response = self.etcd.range(request).await.map_err(|e| of_status(&e))?;
        response.kvs.first().map(|kv| item(kind, kv)).transpose()
    }

    /// The store's present revision: everything acknowledged before the call is at or before it.
    pub async fn revision(&self, kind: &Kind) -> Result<i64, Refusal> {
        let request = RangeRequest { limit: 1, count_only: true, ..RangeRequest::of_key(kind.prefix()) };
        let response = self.etcd.range(request).await.map_err(|e| of_status(&e))?;
        Ok(revision(&response.header))
    }

    pub async fn list(&self, kind: &Kind, page: &Page<'_>) -> Result<Listed, Status> {
        let (first, range_end) = etcd::keys::prefix_range(full(kind, page.scope));
        let key = if page.start > page.scope { full(kind, page.start).into() } else { first };
        let (limit, at) = (page.limit, page.revision);
        let request = RangeRequest { key, range_end, limit, revision: at, ..RangeRequest::default() };
        let response = self.etcd.range(request).await?;
        let items = response.kvs.iter().filter_map(|kv| item(kind, kv).ok()).collect();
        let last = response.kvs.last().map(|kv| below(kind, &kv.key)).unwrap_or_default();
        let revision = if at > 0 { at } else { revision(&response.header) };
        Ok(Listed { items, revision, count: response.count, more: response.more, last })
    }

    /// Writes the object if it is still at revision `expected` (0: if it is not there).
    pub async fn put(
        &self,
        kind: &Kind,
        key: &str,
        expected: i64,
        object: &Object,
    ) -> Result<Written, Refusal> {
        let lease = match kind.ttl_seconds {
            Some(_) => self.leases.lease(&self.etcd).await.map_err(|e| of_status(&e))?,
            None => 0,
        };
        let mut stored = object.clone();
        stored.set_resource_version("");
        let (key, value) = (full(kind, key), stored.to_bytes());
        let put = PutRequest { lease, ..PutRequest::of(key.clone(), value) };
        let written = self.guarded(kind, key, expected, request_op::Request::RequestPut(put)).await;
        if lease != 0 && written.is_err() {
            base::reached!("api: the lease of an Event is not trusted again");
            self.leases.forget(lease).await; // it may have ended early
        }
        written
    }

    /// Deletes the object if it is still at revision `expected`.
    pub async fn delete(&self, kind: &Kind, key: &str, expected: i64) -> Result<Written, Refusal> {
        let key = full(kind, key);
        let delete = DeleteRangeRequest::of_key(key.clone());
        self.guarded(kind, key, expected, request_op::Request::RequestDeleteRange(delete)).await
    }

    async fn guarded(
        &self,
        kind: &Kind,
        key: String,
        expected: i64,
        write: request_op::Request,
    ) -> Result<Written, Refusal> {
        let guard = Compare {
            result: compare::CompareResult::Equal as i32,
            target: compare::CompareTarget::Mod as i32,
            key: key.clone().into(),
            target_union: Some(compare::TargetUnion::ModRevision(expected)),
            range_end: Bytes::new(),
        };
        let read = request_op::Request::RequestRange(RangeRequest::of_key(key));
        let op = |request| vec![RequestOp { request: Some(request) }];
        let txn = TxnRequest { compare: vec![guard], success: op(write), failure: op(read) };
        let response = self.etcd.txn(txn).await.map_err(|e| of_status(&e))?;
        if response.succeeded {
            return Ok(Written::Done(revision(&response.header)));
        }
        base::reached!("api: a guarded write found another version");
        Ok(Written::Changed(read_back(&response).map(|kv| item(kind, kv)).transpose()?))
    }
}

/// The key-value in the failure branch of a guarded write.
fn read_back(response: &TxnResponse) -> Option<&KeyValue> {
    match response.responses.first()?.response.as_ref()? {
        response_op::Response::ResponseRange(range) => range.kvs.first(),
        _ => None,
    }
}

fn full(kind: &Kind, key: &str) -> String {
    kind.prefix() + key
}

/// The part of a stored key below the kind's prefix.
pub fn below(kind: &Kind, key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    key.strip_prefix(&kind.prefix()).unwrap_or(&key).to_string()
}

pub fn revision(header: &Option<ResponseHeader>) -> i64 {
    header.as_ref().map_or(0, |header| header.revision)
}

/// A stored key-value as an object.
pub fn item(kind: &Kind, kv: &KeyValue) -> Result<Arc<Item>, Refusal> {
    let key = below(kind, &kv.key);
    match Object::from_bytes(&kv.value) {
        Ok(object) => Ok(Item::read(&key, kv.mod_revision, object, kv.value.len())),
        Err(why) => {
            Err(Refusal::internal(&format!("the value at {}{key} is no object: {why}", kind.prefix())))
        }
    }
}

/// What a client is told of a failed call to the store.
pub fn of_status(status: &Status) -> Refusal {
    let text = status.message();
    match etcd::kind(status) {
        Some(etcd::Error::RequestTooLarge) => objects::status::Status::too_large(text).into(),
        Some(etcd::Error::TooManyRequests) => {
            base::reached!("api: a client is told that the store is overloaded");
            Refusal::busy(text)
        }
        _ if etcd::retry::outcome_unknown(status) => {
            base::reached!("api: a client is told that the outcome is unknown");
            Refusal::timeout(text)
        }
        _ => Refusal::internal(text),
    }
}
