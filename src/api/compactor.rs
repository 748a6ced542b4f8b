//! Cuts off the store's history once it is old enough, as upstream's API servers do: all compactors meet at one
//! key, whose version is their common clock. Who moves it on compacts up to the revision it saw one interval
//! ago; who loses takes over what the winner saw.

use crate::storage::{self, Storage, keys::COMPACT_KEY};
use base::{Knobs, knobs::ms, reached};
use bytes::Bytes;
use etcd::pb::{
    CompactionRequest, Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, compare, request_op,
    response_op,
};
use std::sync::Arc;
use tonic::Status;

/// What a compactor knows: the version of the key, and the revision at the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    time: i64,
    revision: i64,
}

/// Compacts for ever; with an interval of 0, never.
pub async fn compact(storage: Arc<Storage>, knobs: Knobs) {
    if knobs.compact_every_ms == 0 {
        return;
    }
    let mut seen = Seen::default();
    loop {
        rt::sleep(ms(knobs.compact_every_ms)).await;
        if let Ok(next) = turn(&storage, seen).await {
            seen = next;
        }
    }
}

async fn turn(storage: &Storage, seen: Seen) -> Result<Seen, Status> {
    let response = storage.etcd.txn(claim(seen)).await?;
    let revision = storage::revision(&response.header);
    if !response.succeeded {
        reached!("api: another server counts the time of compaction", seen.revision > 0);
        let time = response.responses.first().and_then(|op| match op.response.as_ref()? {
            response_op::Response::ResponseRange(range) => range.kvs.first().map(|kv| kv.version),
            _ => None,
        });
        return Ok(Seen { time: time.unwrap_or(0), revision });
    }
    if seen.revision > 0 {
        reached!("the store's history was compacted");
        match storage.etcd.compact(CompactionRequest { revision: seen.revision, physical: false }).await {
            Err(status) if etcd::kind(&status) != Some(etcd::Error::Compacted) => return Err(status),
            done => reached!("api: a compaction had been done already", done.is_err()),
        }
    }
    Ok(Seen { time: seen.time + 1, revision })
}

/// Moves the common clock on from what was seen, or reads it.
fn claim(seen: Seen) -> TxnRequest {
    let key = Bytes::from_static(COMPACT_KEY.as_bytes());
    let guard = Compare {
        result: compare::CompareResult::Equal as i32,
        target: compare::CompareTarget::Version as i32,
        key: key.clone(),
        target_union: Some(compare::TargetUnion::Version(seen.time)),
        range_end: Bytes::new(),
    };
    let put = request_op::Request::RequestPut(PutRequest::of(key.clone(), seen.revision.to_string()));
    let read = request_op::Request::RequestRange(RangeRequest::of_key(key));
    let op = |request| vec![RequestOp { request: Some(request) }];
    TxnRequest { compare: vec![guard], success: op(put), failure: op(read) }
}
