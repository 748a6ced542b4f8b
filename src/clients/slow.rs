//! What etcd's end-to-end tests claim of what takes too long (`claims-e2e.md`): it is said, from a time on that is a flag.

use crate::{
    claims::{PATIENCE, Running},
    harness::{Members, eventually, wavetank},
};
use etcd::pb;

/// What a member that is told so says of a put, a range and a txn that only reads.
fn said(name: &str, flag: &str) -> String {
    let running = Running::start_with(name, 1, &[flag]);
    let client = running.client(1);
    let put = pb::PutRequest::of("foo", "a value of nobody's business");
    rt::run(client.put(put)).expect("a put");
    rt::run(client.range(pb::RangeRequest::of_prefix("fo"))).expect("a range");
    let range = pb::request_op::Request::RequestRange(pb::RangeRequest::of_key("foo"));
    let success = vec![pb::RequestOp { request: Some(range) }];
    rt::run(client.txn(pb::TxnRequest { success, ..Default::default() })).expect("a txn");
    let log = running.members.log();
    assert!(!log.contains("a value"), "{log}");
    log
}

#[test]
fn how_long_a_call_took_is_said_from_a_time_on_that_is_a_flag() {
    for (name, flag) in [
        ("slow-calls", "--warning-unary-request-duration=1us"),
        ("slow-old", "--experimental-warning-unary-request-duration=1us"),
    ] {
        let log = said(name, flag);
        for call in ["Put", "Range", "Txn"] {
            let line = |line: &str| {
                line.starts_with("request stats: time spent ")
                    && line.ends_with(&format!(
                        ", expected-duration 1\u{b5}s, response type /etcdserverpb.KV/{call}"
                    ))
            };
            assert!(log.lines().any(line), "{flag}: {call} in\n{log}");
        }
    }
    let log = said("fast-calls", "--warning-unary-request-duration=1h");
    assert!(!log.contains("request stats"), "{log}");
}

#[test]
fn how_long_it_took_to_apply_is_said_from_a_time_on_that_is_a_flag() {
    for (name, flag) in [
        ("slow-applies", "--warning-apply-duration=1ns"),
        ("slow-older", "--experimental-warning-apply-duration=1ns"),
    ] {
        let log = said(name, flag);
        for end in [
            "prefix \"\", request put:<key:\"foo\" value_size:28>",
            "prefix \"read-only range \", request key:\"fo\" range_end:\"fp\", response range_response_count:1",
            "prefix \"read-only txn \", request compare:<> success:<request_range:<key:\"foo\">> failure:<>",
        ] {
            let line = |line: &str| {
                line.starts_with("apply request took too long: took ")
                    && line.ends_with(&format!(", expected-duration 1ns, {end}"))
            };
            assert!(log.lines().any(line), "{flag}: {end} in\n{log}");
        }
    }
    let log = said("fast-applies", "--warning-apply-duration=1h");
    assert!(!log.contains("took too long"), "{log}");
}

#[test]
fn both_names_of_the_flag_at_a_time_are_refused() {
    let members = Members::new("slow-both", "http", 1);
    let mut args = members.args(1);
    for older in ["", "experimental-"] {
        args.push(format!("--{older}warning-unary-request-duration=1s"));
    }
    eventually("it ends", PATIENCE, || {
        let out = wavetank(&args).output().expect("the binary");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let refused = "both --experimental-warning-unary-request-duration and --warning-unary-request-duration flags are set";
        if !out.status.success() && said.contains(refused) { Ok(()) } else { Err(said) }
    });
}
