//! The protocol's messages to histories and back. What an error means for the outcome is decided here anew, not by
//! the product's own client: when in doubt, the outcome is unknown.

use crate::history::{Change, Event, Guard, Kv, LOAD, Outcome, Span};
use etcd::pb;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A value filled up to so many bytes, and how it is written down: without what fills it.
pub fn filled(value: &str, size: u64) -> String {
    let mut filled = brief(value, size);
    if size > 0 {
        filled.push('|');
        let missing = (size as usize).saturating_sub(filled.len());
        filled.extend(std::iter::repeat_n('.', missing));
    }
    filled
}

pub fn brief(value: &str, size: u64) -> String {
    if size == 0 { value.to_string() } else { format!("{value}|{size}") }
}

/// What was filled is told by its start, if all of it is there.
fn unfilled(value: String) -> String {
    let mut parts = value.splitn(3, '|');
    let (Some(start), Some(size), Some(_)) = (parts.next(), parts.next(), parts.next()) else { return value };
    let Ok(size) = size.parse() else { return value };
    if value == filled(start, size) { brief(start, size) } else { value }
}

pub fn kv(kv: &pb::KeyValue) -> Kv {
    let (key, value) = (text(&kv.key), text(&kv.value));
    Kv {
        value: if key.starts_with(LOAD) { unfilled(value) } else { value }.into(),
        key: key.into(),
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

pub fn txn(guards: &[Guard], changes: &[Change], size: u64) -> pb::TxnRequest {
    let compare = guards.iter().map(|guard| pb::Compare {
        result: pb::compare::CompareResult::Equal.into(),
        target: pb::compare::CompareTarget::Mod.into(),
        key: guard.key.clone().into(),
        target_union: Some(pb::compare::TargetUnion::ModRevision(guard.modified)),
        ..Default::default()
    });
    let success = changes.iter().map(|change| {
        let request = match change {
            Change::Put { key, value, lease } => {
                pb::request_op::Request::RequestPut(put(key, &filled(value, size), *lease))
            }
            Change::Delete { span } => pb::request_op::Request::RequestDeleteRange(delete(span)),
        };
        pb::RequestOp { request: Some(request) }
    });
    pb::TxnRequest { compare: compare.collect(), success: success.collect(), failure: vec![] }
}

/// The same txn, whose changes stand in a txn inside it.
pub fn nested(txn: pb::TxnRequest) -> pb::TxnRequest {
    let inner = pb::TxnRequest { success: txn.success, ..Default::default() };
    let request = Some(pb::request_op::Request::RequestTxn(inner));
    pb::TxnRequest { success: vec![pb::RequestOp { request }], ..txn }
}

/// How many keys each deletion of a txn deleted.
pub fn deleted(response: &pb::TxnResponse) -> Vec<i64> {
    let deletions = response.responses.iter().flat_map(|op| match &op.response {
        Some(pb::response_op::Response::ResponseDeleteRange(deletion)) => vec![deletion.deleted],
        Some(pb::response_op::Response::ResponseTxn(inner)) => deleted(inner),
        _ => vec![],
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
            | Unauthenticated
    );
    // the client's own word for a request that found no connection
    if refused || status.message().starts_with("not sent") {
        Outcome::Refused(said)
    } else {
        Outcome::Unknown(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_value_is_written_down_short_unless_a_byte_of_it_is_wrong() {
        let whole = filled("client-1.7", 1_000);
        assert_eq!(whole.len(), 1_000);
        assert_eq!(unfilled(whole.clone()), brief("client-1.7", 1_000));
        let torn = whole[..999].to_string();
        assert_eq!(unfilled(torn.clone()), torn);
        let wrong = whole.replace("..", ".,");
        assert_eq!(unfilled(wrong.clone()), wrong);
        assert_eq!((filled("v", 0), unfilled("a|b".into())), ("v".into(), "a|b".into()));
    }
}
