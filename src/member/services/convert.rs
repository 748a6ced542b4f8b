//! The protocol's messages and the store's own words, both ways. What a message cannot mean is refused here.

use etcd::{error, pb};
use pb::{compare::TargetUnion, range_request, request_op::Request, response_op};
use store::{
    CompareOp, CompareTarget, Event, EventKind, KeyValue, SortOrder, SortTarget, TxnOp, TxnOpResponse,
};
use tonic::Status;

/// A range request; whether it is serializable is not the store's business.
pub fn range(request: pb::RangeRequest) -> Result<store::RangeRequest, Status> {
    let order = range_request::SortOrder::try_from(request.sort_order);
    let target = range_request::SortTarget::try_from(request.sort_target);
    Ok(store::RangeRequest {
        sort_order: match order.map_err(|_| error::invalid_sort_option())? {
            range_request::SortOrder::None => SortOrder::None,
            range_request::SortOrder::Ascend => SortOrder::Ascend,
            range_request::SortOrder::Descend => SortOrder::Descend,
        },
        sort_target: match target.map_err(|_| error::invalid_sort_option())? {
            range_request::SortTarget::Key => SortTarget::Key,
            range_request::SortTarget::Version => SortTarget::Version,
            range_request::SortTarget::Create => SortTarget::Create,
            range_request::SortTarget::Mod => SortTarget::Mod,
            range_request::SortTarget::Value => SortTarget::Value,
        },
        key: request.key,
        range_end: request.range_end,
        limit: request.limit,
        revision: request.revision,
        keys_only: request.keys_only,
        count_only: request.count_only,
        min_mod_revision: request.min_mod_revision,
        max_mod_revision: request.max_mod_revision,
        min_create_revision: request.min_create_revision,
        max_create_revision: request.max_create_revision,
    })
}

pub fn put(request: pb::PutRequest) -> store::PutRequest {
    let pb::PutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease } = request;
    store::PutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease }
}

pub fn delete_range(request: pb::DeleteRangeRequest) -> store::DeleteRangeRequest {
    let pb::DeleteRangeRequest { key, range_end, prev_kv } = request;
    store::DeleteRangeRequest { key, range_end, prev_kv }
}

pub fn txn(request: pb::TxnRequest) -> Result<store::TxnRequest, Status> {
    let ops = |ops: Vec<pb::RequestOp>| ops.into_iter().map(op).collect::<Result<_, _>>();
    Ok(store::TxnRequest {
        compare: request.compare.into_iter().map(compare).collect::<Result<_, _>>()?,
        success: ops(request.success)?,
        failure: ops(request.failure)?,
    })
}

fn op(op: pb::RequestOp) -> Result<TxnOp, Status> {
    Ok(match op.request {
        Some(Request::RequestRange(request)) => TxnOp::Range(range(request)?),
        Some(Request::RequestPut(request)) => TxnOp::Put(put(request)),
        Some(Request::RequestDeleteRange(request)) => TxnOp::DeleteRange(delete_range(request)),
        Some(Request::RequestTxn(request)) => TxnOp::Txn(txn(request)?),
        // An operation of a kind unknown here; the reference server says the same.
        None => return Err(error::key_not_found()),
    })
}

fn compare(compare: pb::Compare) -> Result<store::Compare, Status> {
    use pb::compare::{CompareResult, CompareTarget as Target};
    let unknown = |_| Status::invalid_argument("expected a comparison of a known kind");
    let op = match CompareResult::try_from(compare.result).map_err(unknown)? {
        CompareResult::Equal => CompareOp::Equal,
        CompareResult::Greater => CompareOp::Greater,
        CompareResult::Less => CompareOp::Less,
        CompareResult::NotEqual => CompareOp::NotEqual,
    };
    // The target decides; a value of another kind, or none, counts as that target's zero.
    let value = compare.target_union;
    let target = match (Target::try_from(compare.target).map_err(unknown)?, value) {
        (Target::Version, Some(TargetUnion::Version(version))) => CompareTarget::Version(version),
        (Target::Create, Some(TargetUnion::CreateRevision(revision))) => CompareTarget::Create(revision),
        (Target::Mod, Some(TargetUnion::ModRevision(revision))) => CompareTarget::Mod(revision),
        (Target::Value, Some(TargetUnion::Value(value))) => CompareTarget::Value(value),
        (Target::Lease, Some(TargetUnion::Lease(lease))) => CompareTarget::Lease(lease),
        (Target::Version, _) => CompareTarget::Version(0),
        (Target::Create, _) => CompareTarget::Create(0),
        (Target::Mod, _) => CompareTarget::Mod(0),
        (Target::Value, _) => CompareTarget::Value(bytes::Bytes::new()),
        (Target::Lease, _) => CompareTarget::Lease(0),
    };
    Ok(store::Compare { key: compare.key, range_end: compare.range_end, op, target })
}

pub fn key_value(kv: KeyValue) -> pb::KeyValue {
    let KeyValue { key, value, create_revision, mod_revision, version, lease } = kv;
    pb::KeyValue { key, create_revision, mod_revision, version, value, lease }
}

pub fn event(event: Event) -> pb::Event {
    let kind = match event.kind {
        EventKind::Put => pb::event::EventType::Put,
        EventKind::Delete => pb::event::EventType::Delete,
    };
    pb::Event { r#type: kind.into(), kv: Some(key_value(event.kv)), prev_kv: event.prev.map(key_value) }
}

pub fn range_response(
    header: Option<pb::ResponseHeader>,
    response: store::RangeResponse,
) -> pb::RangeResponse {
    let kvs = response.kvs.into_iter().map(key_value).collect();
    pb::RangeResponse { header, kvs, more: response.more, count: response.count }
}

/// A range in parts of about so many bytes; put together in order they are the whole.
pub fn range_parts(
    header: pb::ResponseHeader,
    response: store::RangeResponse,
    most: usize,
) -> impl Iterator<Item = pb::RangeResponse> {
    let store::RangeResponse { kvs, more, count } = response;
    let mut kvs = kvs.into_iter().peekable();
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let (mut part, mut bytes) = (pb::RangeResponse::default(), 0);
        while let Some(kv) = kvs.next_if(|_| bytes < most) {
            bytes += kv.key.len() + kv.value.len();
            part.kvs.push(key_value(kv));
        }
        if kvs.peek().is_none() {
            ended = true;
            (part.header, part.more, part.count) = (Some(header), more, count);
        }
        Some(part)
    })
}

pub fn put_response(header: Option<pb::ResponseHeader>, response: store::PutResponse) -> pb::PutResponse {
    pb::PutResponse { header, prev_kv: response.prev.map(key_value) }
}

pub fn delete_range_response(
    header: Option<pb::ResponseHeader>,
    response: store::DeleteRangeResponse,
) -> pb::DeleteRangeResponse {
    let prev_kvs = response.prev_kvs.into_iter().map(key_value).collect();
    pb::DeleteRangeResponse { header, deleted: response.deleted, prev_kvs }
}

/// The answers inside carry, and nothing else of a header, the revision as it was when they were given: that before the
/// txn until it changes something. A txn inside a txn has a header without one.
pub fn txn_response(header: pb::ResponseHeader, response: store::TxnResponse) -> pb::TxnResponse {
    let changes = response.responses.iter().any(changed);
    let mut revision = header.revision - i64::from(changes);
    let inside = Inside { after: header.revision, now: &mut revision };
    txn_inside(header, response, inside)
}

/// Whether an operation of a txn changed anything.
fn changed(response: &TxnOpResponse) -> bool {
    match response {
        TxnOpResponse::Range(_) => false,
        TxnOpResponse::Put(_) => true,
        TxnOpResponse::DeleteRange(delete) => delete.deleted > 0,
        TxnOpResponse::Txn(txn) => txn.responses.iter().any(changed),
    }
}

/// The revision behind a txn, and as it is in the middle of it.
struct Inside<'a> {
    after: i64,
    now: &'a mut i64,
}

fn txn_inside(
    header: pb::ResponseHeader,
    response: store::TxnResponse,
    inside: Inside<'_>,
) -> pb::TxnResponse {
    let mut responses = Vec::with_capacity(response.responses.len());
    for response in response.responses {
        if !matches!(response, TxnOpResponse::Txn(_)) && changed(&response) {
            *inside.now = inside.after;
        }
        responses.push(op_response(response, Inside { after: inside.after, now: inside.now }));
    }
    pb::TxnResponse { header: Some(header), succeeded: response.succeeded, responses }
}

fn op_response(response: TxnOpResponse, inside: Inside<'_>) -> pb::ResponseOp {
    let head = Some(pb::ResponseHeader { revision: *inside.now, ..Default::default() });
    let response = match response {
        TxnOpResponse::Range(range) => response_op::Response::ResponseRange(range_response(head, range)),
        TxnOpResponse::Put(put) => response_op::Response::ResponsePut(put_response(head, put)),
        TxnOpResponse::DeleteRange(delete) => {
            response_op::Response::ResponseDeleteRange(delete_range_response(head, delete))
        }
        TxnOpResponse::Txn(txn) => {
            response_op::Response::ResponseTxn(txn_inside(pb::ResponseHeader::default(), txn, inside))
        }
    };
    pb::ResponseOp { response: Some(response) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compare_without_a_value_compares_with_zero() {
        let mod_revision = pb::Compare {
            target: pb::compare::CompareTarget::Mod.into(),
            key: "a".into(),
            ..Default::default()
        };
        assert_eq!(compare(mod_revision).unwrap().target, CompareTarget::Mod(0));
    }

    #[test]
    fn the_target_decides_what_is_compared() {
        let mixed = pb::Compare { target_union: Some(TargetUnion::Lease(7)), ..Default::default() };
        assert_eq!(compare(mixed).unwrap().target, CompareTarget::Version(0));
    }

    #[test]
    fn an_unknown_sort_order_is_refused() {
        let request = pb::RangeRequest { key: "a".into(), sort_order: 9, ..Default::default() };
        assert_eq!(range(request).unwrap_err().message(), "etcdserver: invalid sort option");
    }

    #[test]
    fn an_empty_operation_is_refused() {
        let request = pb::TxnRequest { success: vec![pb::RequestOp::default()], ..Default::default() };
        assert_eq!(txn(request).unwrap_err().message(), "etcdserver: key not found");
    }

    #[test]
    fn answers_inside_a_txn_carry_the_revision_of_their_moment() {
        let header = pb::ResponseHeader { cluster_id: 1, member_id: 2, revision: 7, raft_term: 3 };
        let range = || TxnOpResponse::Range(store::RangeResponse::default());
        let put = || TxnOpResponse::Put(store::PutResponse::default());
        let inner = store::TxnResponse { succeeded: true, responses: vec![range(), put()] };
        let responses = vec![range(), TxnOpResponse::Txn(inner), range()];
        let response = store::TxnResponse { succeeded: true, responses };
        let said = format!("{:?}", txn_response(header, response));
        let revisions: Vec<&str> =
            said.split("revision: ").skip(1).filter_map(|rest| rest.split(',').next()).collect();
        assert_eq!(revisions, ["7", "6", "0", "6", "7", "7"], "of all, range, txn inside, range, put, range");
    }
}
