//! The protocol's messages to histories and back. What an error means for the outcome is decided here anew, not by
//! the product's own client: when in doubt, the outcome is unknown.

use crate::history::{Change, Event, Guard, Kv, Outcome, Span};
use etcd::pb;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn kv(kv: &pb::KeyValue) -> Kv {
    Kv {
        key: text(&kv.key),
        value: text(&kv.value),
        create: kv.create_revision,
        modified: kv.mod_revision,
        version: kv.version,
        lease: kv.lease,
    }
}

pub fn event(event: &pb::Event) -> Event {
    let delete = event.r#type() == pb::event::EventType::Delete;
    let told = event.kv.as_ref().map(kv).unwrap_or_default();
    // of a deletion only the key and the revision mean anything
    let kv = if delete { Kv { key: told.key, modified: told.modified, ..Kv::default() } } else { told };
    Event { delete, kv, prev: event.prev_kv.as_ref().map(self::kv) }
}

pub fn range(span: &Span, at: i64, serializable: bool) -> pb::RangeRequest {
    pb::RangeRequest {
        key: span.from.clone().into(),
        range_end: span.to.clone().into(),
        revision: at,
        serializable,
        ..Default::default()
    }
}

pub fn put(key: &str, value: &str, lease: i64) -> pb::PutRequest {
    pb::PutRequest {
        key: key.to_string().into(),
        value: value.to_string().into(),
        lease,
        ..Default::default()
    }
}

pub fn delete(span: &Span) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest {
        key: span.from.clone().into(),
        range_end: span.to.clone().into(),
        ..Default::default()
    }
}

pub fn txn(guards: &[Guard], changes: &[Change]) -> pb::TxnRequest {
    let compare = guards.iter().map(|guard| pb::Compare {
        result: pb::compare::CompareResult::Equal.into(),
        target: pb::compare::CompareTarget::Mod.into(),
        key: guard.key.clone().into(),
        target_union: Some(pb::compare::TargetUnion::ModRevision(guard.modified)),
        ..Default::default()
    });
    let success = changes.iter().map(|change| {
        let request = match change {
            Change::Put { key, value, lease } => pb::request_op::Request::RequestPut(put(key, value, *lease)),
            Change::Delete { span } => pb::request_op::Request::RequestDeleteRange(delete(span)),
        };
        pb::RequestOp { request: Some(request) }
    });
    pb::TxnRequest { compare: compare.collect(), success: success.collect(), failure: vec![] }
}

/// How many keys each deletion of a txn deleted.
pub fn deleted(response: &pb::TxnResponse) -> Vec<i64> {
    let deletions = response.responses.iter().filter_map(|op| match &op.response {
        Some(pb::response_op::Response::ResponseDeleteRange(deletion)) => Some(deletion.deleted),
        _ => None,
    });
    deletions.collect()
}

pub fn revision(header: &Option<pb::ResponseHeader>) -> i64 {
    header.as_ref().map_or(0, |header| header.revision)
}

/// Codes by which a server says no; all others leave open what happened.
pub fn outcome_of(status: &tonic::Status) -> Outcome {
    use tonic::Code::*;
    let said = format!("{:?}: {}", status.code(), status.message());
    let refused = matches!(
        status.code(),
        InvalidArgument
            | NotFound
            | AlreadyExists
            | FailedPrecondition
            | OutOfRange
            | ResourceExhausted
            | Unimplemented
            | PermissionDenied
    );
    // the client's own word for a request that found no connection
    if refused || status.message().starts_with("not sent") {
        Outcome::Refused(said)
    } else {
        Outcome::Unknown(said)
    }
}
