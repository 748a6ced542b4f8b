//! What takes longer than it may is said in etcd's words, and what takes long to apply is counted. Of a request its keys are
//! told, and how large its values are: never a value, a password or a token.
//!
//! Source: etcd, `--warning-apply-duration` and `--warning-unary-request-duration`; server/etcdserver/txn/util.go,
//! server/etcdserver/api/v3rpc/interceptor.go.

use crate::handle::{Applied, Handle};
use base::Note;
use rt::Mono;
use std::{fmt::Write, time::Duration};
use store::{Command, Compare, DeleteRangeRequest, PutRequest, RangeRequest, TxnOp, TxnRequest};

/// Letters of a request that are shown at the most: it may be as large as requests may be.
const SHOWN: usize = 1_000;

/// So many of these are said in a second at the most.
const IN_A_SECOND: u32 = 100;

/// A command was applied.
pub fn applied(handle: &Handle, began: Mono, command: &Command, applied: &Applied) {
    say(handle, began, "", || {
        let refused = applied.response.as_ref().err();
        let error = refused.map(|why| format!(", error {why}")).unwrap_or_default();
        command_text(command) + &error
    });
}

/// A range was read, of so many keys, or refused.
pub fn ranged(handle: &Handle, began: Mono, request: &RangeRequest, keys: Option<usize>) {
    say(handle, began, "read-only range ", || {
        let count = keys.map(|count| format!(", response range_response_count:{count}"));
        range_text(request) + &count.unwrap_or_default()
    });
}

/// A txn that only reads was answered, or refused.
pub fn read(handle: &Handle, began: Mono, txn: &TxnRequest) {
    say(handle, began, "read-only txn ", || txn_text(txn));
}

fn say(handle: &Handle, began: Mono, prefix: &str, request: impl FnOnce() -> String) {
    let (took, expected) = (began.elapsed(), Duration::from_nanos(handle.knobs().slow_apply_ns));
    if took <= expected {
        return;
    }
    handle.meters().slow_applies += 1;
    if !is_time(handle) {
        return;
    }
    let request = request();
    let text = format!(
        "apply request took too long: took {took:?}, expected-duration {expected:?}, prefix {prefix:?}, request {request:.SHOWN$}"
    );
    rt::note(Note::Said { text });
}

/// How often it was said in the second that began then. Where everything takes too long it is not said of all of it: that
/// would take longer still.
#[derive(Clone, Debug, Default)]
pub struct Pace(Option<(Mono, u32)>);

impl Pace {
    fn allows(&mut self, now: Mono) -> bool {
        let (second, said) = match self.0 {
            Some((second, said)) if now < second + Duration::from_secs(1) => (second, said),
            _ => (now, 0),
        };
        let allows = said < IN_A_SECOND;
        self.0 = Some((second, said + u32::from(allows)));
        allows
    }
}

fn is_time(handle: &Handle) -> bool {
    handle.meters().slow_said.allows(rt::now())
}

/// A call was answered that is no stream.
pub fn answered(handle: &Handle, took: Duration, path: &str) {
    let expected = Duration::from_nanos(handle.knobs().slow_call_ns);
    if took > expected && is_time(handle) {
        let text = format!(
            "request stats: time spent {took:?}, expected-duration {expected:?}, response type {path:.SHOWN$}"
        );
        rt::note(Note::Said { text });
    }
}

fn command_text(command: &Command) -> String {
    match command {
        Command::Put(put) => format!("put:<{}>", put_text(put)),
        Command::DeleteRange(delete) => format!("delete_range:<{}>", delete_text(delete)),
        Command::Txn(txn) => format!("txn:<{}>", txn_text(txn)),
        Command::Compact { revision } | Command::AutoCompact { revision } => {
            format!("compaction:<revision:{revision}>")
        }
        Command::LeaseGrant { id, ttl } => format!("lease_grant:<ttl:{ttl}-second id:{id:016x}>"),
        Command::LeaseRevoke { id } | Command::LeaseExpire { id, .. } => {
            format!("lease_revoke:<id:{id:016x}>")
        }
        Command::LeaseCheckpoint(of) => format!("lease_checkpoint:<count:{}>", of.len()),
        Command::Members(_) | Command::Found(_) => "members".into(),
        Command::Publish { id, .. } => format!("cluster_member_attr_set:<member_ID:{}>", id.0),
        Command::Auth(_) => "auth".into(),
        Command::Authenticate { .. } => "authenticate".into(),
        Command::Alarm(_) => "alarm".into(),
    }
}

/// `key:"a" range_end:"b"`, without the end if there is none.
fn keys_text(key: &[u8], range_end: &[u8]) -> String {
    let begins = |key: &[u8]| key[..key.len().min(SHOWN)].escape_ascii().to_string();
    let end = match range_end {
        [] => String::new(),
        end => format!(" range_end:\"{}\"", begins(end)),
    };
    format!("key:\"{}\"{end}", begins(key))
}

fn range_text(range: &RangeRequest) -> String {
    let mut text = keys_text(&range.key, &range.range_end);
    for (name, value) in [("limit", range.limit), ("revision", range.revision)] {
        if value != 0 {
            let _ = write!(text, " {name}:{value}");
        }
    }
    for (name, set) in [("keys_only", range.keys_only), ("count_only", range.count_only)] {
        if set {
            let _ = write!(text, " {name}:true");
        }
    }
    text
}

fn put_text(put: &PutRequest) -> String {
    let lease = if put.lease == 0 { String::new() } else { format!(" lease:{}", put.lease) };
    format!("{} value_size:{}{lease}", keys_text(&put.key, &[]), put.value.len())
}

fn delete_text(delete: &DeleteRangeRequest) -> String {
    keys_text(&delete.key, &delete.range_end)
}

fn txn_text(txn: &TxnRequest) -> String {
    let compares = |Compare { key, range_end, .. }: &Compare| keys_text(key, range_end);
    let op = |op: &TxnOp| match op {
        TxnOp::Range(range) => format!("request_range:<{}>", range_text(range)),
        TxnOp::Put(put) => format!("request_put:<{}>", put_text(put)),
        TxnOp::DeleteRange(delete) => format!("request_delete_range:<{}>", delete_text(delete)),
        TxnOp::Txn(txn) => format!("request_txn:<{}>", txn_text(txn)),
    };
    let all = |ops: &[TxnOp]| ops.iter().map(op).collect::<Vec<_>>().join(" ");
    let compare = txn.compare.iter().map(compares).collect::<Vec<_>>().join(" ");
    format!("compare:<{compare}> success:<{}> failure:<{}>", all(&txn.success), all(&txn.failure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{AuthChange, CompareOp, CompareTarget};

    #[test]
    fn it_is_said_so_often_in_a_second_and_no_more() {
        let (mut pace, at) = (Pace::default(), |millis: u64| Mono::from_nanos(millis * 1_000_000));
        let said = (0..5_000).filter(|millis| pace.allows(at(*millis))).count();
        assert_eq!(said, 5 * IN_A_SECOND as usize);
        assert!(pace.allows(at(9_000)), "and again after a while");
    }

    #[test]
    fn a_request_is_told_without_what_is_nobodys_business() {
        let put =
            |key: &'static str| PutRequest { key: key.into(), value: "secret".into(), ..Default::default() };
        let leased = PutRequest { lease: 7, ..put("a\"\n") };
        assert_eq!(command_text(&Command::Put(leased)), r#"put:<key:"a\"\n" value_size:6 lease:7>"#);
        let range = RangeRequest { key: "a".into(), range_end: "b".into(), limit: 3, ..Default::default() };
        let txn = TxnRequest {
            compare: vec![Compare {
                key: "c".into(),
                range_end: "".into(),
                op: CompareOp::Equal,
                target: CompareTarget::Value("secret".into()),
            }],
            success: vec![TxnOp::Range(range), TxnOp::Put(put("d"))],
            failure: vec![TxnOp::Txn(TxnRequest::default())],
        };
        let said = r#"txn:<compare:<key:"c"> success:<request_range:<key:"a" range_end:"b" limit:3> request_put:<key:"d" value_size:6>> failure:<request_txn:<compare:<> success:<> failure:<>>>>"#;
        assert_eq!(command_text(&Command::Txn(txn)), said);
        let token = Command::Authenticate { user: "u".into(), checked: 1, token: "secret".into() };
        let change = AuthChange::UserDelete { name: "u".into() };
        for (command, said) in [(token, "authenticate"), (Command::Auth(change), "auth")] {
            assert_eq!(command_text(&command), said);
        }
    }
}
