//! What is known to differ, and why.

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
