//! What is known to differ, and why.

use super::draw::Op;
use etcd::{Error, pb};
use pb::request_op::Request;

/// Both refuse a txn that would change a key twice, but etcd looks for it only where it is easily seen: a put in a txn
/// inside a txn and a deletion in a later one beside it pass there, as does a put behind the start of a deletion without
/// an end. Ours refuses these too: one revision holds one change of a key.
pub fn refused_by_ours_only(request: &pb::TxnRequest, ours: &tonic::Status) -> bool {
    etcd::kind(ours) == Some(Error::DuplicateKey) && (is_nested(request) || deletes_without_end(request))
}

/// Keys sorted by something else than themselves, in no order that was asked for, and only some of them: etcd takes the
/// first of them by key and sorts those; ours sorts all of them and takes the first. Such ranges are asked for without a
/// limit.
pub fn sorts_what_it_took(request: &pb::RangeRequest) -> bool {
    let ordered = request.sort_order() != pb::range_request::SortOrder::None;
    !ordered && request.sort_target() != pb::range_request::SortTarget::Key
}

/// A watch from the very revision of a compaction misses a deletion of that revision at etcd before 3.4.36
/// (etcd-io/etcd#19179); ours shows it, as later ones do. Watches begin behind it.
pub fn forgets_a_deletion(start: i64, compacted: i64) -> bool {
    start == compacted
}

/// Leases are granted, revoked and asked about by whoever comes at etcd 3.4; ours wants to know who it is as soon as
/// there are users.
pub fn lets_strangers_lease(op: &Op) -> bool {
    matches!(op, Op::Grant(_) | Op::Revoke(_) | Op::TimeToLive(_) | Op::Leases)
}

/// Not everything in a txn is held against its user's permissions by etcd before 3.4.44: not what a txn inside it does
/// (GHSA-rfx7-8w68-q57q), nor what a put reads or the lease it takes (GHSA-x35m-3gp4-4fh5); here it is.
pub fn lets_users_pass(op: &Op) -> bool {
    let Op::Txn(request) = op else { return false };
    let asks_more = |op: &Request| match op {
        Request::RequestPut(put) => put.prev_kv || put.lease != 0,
        _ => false,
    };
    is_nested(request) || ops(request).any(asks_more)
}

/// Of a request that is wrong in itself, from somebody who is not who it says, etcd says the former and ours the latter.
pub fn asks_who_first(ours: &tonic::Status, theirs: &tonic::Status) -> bool {
    let who = [Error::AuthFailed, Error::InvalidAuthToken, Error::UserEmpty, Error::PermissionDenied];
    etcd::kind(ours).is_some_and(|ours| who.contains(&ours)) && theirs.code() == tonic::Code::InvalidArgument
}

/// Asked through a member that follows, etcd 3.4 may say of a lease that keys hang on it which do not by its own ranges,
/// and leave out some that do. These are what hangs on it by its ranges.
pub async fn keys_by_ranges(theirs: &etcd::Client, lease: i64) -> Option<Vec<bytes::Bytes>> {
    let (key, range_end) = (bytes::Bytes::from_static(&[0]), bytes::Bytes::from_static(&[0]));
    let all = theirs.range(pb::RangeRequest { key, range_end, ..Default::default() }).await.ok()?;
    Some(all.kvs.into_iter().filter(|kv| kv.lease == lease).map(|kv| kv.key).collect())
}

/// Ranges that roles may have. Of two that begin with one key etcd may not find the second again, and then holds it
/// twice: no two of these do.
pub const PERMITTED: [(&str, &str); 6] =
    [("a", ""), ("b", "c"), ("ba", ""), ("bb", "d"), ("c", "\0"), ("d", "")];

/// A range whose end lies before its key holds nothing: here who may read its key may ask for it, at etcd 3.4 nobody
/// may. History is compacted by root alone here, as in later ones, and by every user there.
pub fn permits_otherwise(op: &Op) -> bool {
    let backwards = |key: &bytes::Bytes, end: &bytes::Bytes| end.as_ref() > &[0][..] && end <= key;
    let any = |request: &pb::TxnRequest| {
        let compares = request.compare.iter().any(|compare| backwards(&compare.key, &compare.range_end));
        compares
            || ops(request).any(|op| match op {
                Request::RequestRange(range) => backwards(&range.key, &range.range_end),
                Request::RequestDeleteRange(delete) => backwards(&delete.key, &delete.range_end),
                _ => false,
            })
    };
    match op {
        Op::Compact(_) => true,
        Op::Range(range) => backwards(&range.key, &range.range_end),
        Op::Delete(delete) => backwards(&delete.key, &delete.range_end),
        Op::Txn(request) => any(request),
        _ => false,
    }
}

fn ops(request: &pb::TxnRequest) -> impl Iterator<Item = &Request> {
    request.success.iter().chain(&request.failure).filter_map(|op| op.request.as_ref())
}

fn is_nested(request: &pb::TxnRequest) -> bool {
    ops(request).any(|op| matches!(op, Request::RequestTxn(_)))
}

fn deletes_without_end(request: &pb::TxnRequest) -> bool {
    ops(request).any(|op| match op {
        Request::RequestDeleteRange(delete) => delete.range_end.as_ref() == [0],
        Request::RequestTxn(inner) => deletes_without_end(inner),
        _ => false,
    })
}
