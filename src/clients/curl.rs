//! What etcd's end-to-end tests claim of what curl asks and no other test here holds (`claims-e2e.md`): members by JSON, and
//! everything a member serves on one port, whatever is spoken.

use crate::{
    claims::{PATIENCE, Running},
    harness::{ETCDCTL, Members, Process, etcdctl, eventually, succeed},
    secure::OPENSSL,
};
use rt::http::{Client, ClientOptions};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// The status and the body of an answer.
pub async fn request(client: &Client, addr: SocketAddr, request: http::Request<String>) -> (u16, String) {
    let response = client.request(addr, request.map(Into::into)).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

fn post(path: &str, body: &Value) -> http::Request<String> {
    http::Request::post(path).header("host", "member").body(body.to_string()).expect("a request")
}

pub fn get(path: &str) -> http::Request<String> {
    http::Request::get(path).header("host", "member").body(String::new()).expect("a request")
}

/// As curl posts it.
fn ask(running: &Running, path: &str, body: Value) -> (u16, Value) {
    let addr = running.members.client(1).parse().expect("an address");
    let client = Client::new(ClientOptions::default());
    let (status, text) = rt::run(request(&client, addr, post(path, &body)));
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}")))
}

#[test]
fn members_are_added_changed_and_removed_by_json() {
    let running = Running::start("curl-members", 1);
    let ask = |what: &str, body: Value| ask(&running, &format!("/v3/cluster/member/{what}"), body);
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let (status, added) = ask("add", json!({ "peerURLs": [url(11111)], "isLearner": true }));
    let new = &added["member"];
    assert_eq!((status, &new["peerURLs"], &new["isLearner"]), (200, &json!([url(11111)]), &json!(true)));
    let id = new["ID"].as_str().expect("an id, as text");
    let listed = |url: String| {
        let members = ask("list", json!({})).1["members"].take();
        members.as_array().expect("the members").iter().any(|member| member["peerURLs"] == json!([url]))
    };
    assert!(listed(url(11111)));
    let (status, said) = ask("update", json!({ "ID": id, "peerURLs": [url(22222)] }));
    assert_eq!(status, 200, "{said}");
    assert!(listed(url(22222)) && !listed(url(11111)));
    let (status, said) = ask("promote", json!({ "ID": id }));
    let early = "etcdserver: can only promote a learner member which is in sync with leader";
    assert_eq!((status, said["message"].as_str()), (400, Some(early)));
    let (status, left) = ask("remove", json!({ "ID": id }));
    assert_eq!((status, left["members"].as_array().map(Vec::len)), (200, Some(1)));
    assert!(!listed(url(22222)));
}

#[test]
fn leadership_does_not_go_to_who_is_no_member_by_json() {
    let running = Running::start("curl-move", 1);
    let (status, said) = ask(&running, "/v3/maintenance/transfer-leadership", json!({ "targetID": "123" }));
    assert_eq!((status, said["message"].as_str()), (400, Some("etcdserver: bad leader transferee")));
}

#[test]
fn a_port_serves_everything_in_either_version_of_http() {
    let running = Running::start("curl-plain", 1);
    let endpoint = running.members.client(1);
    let addr = endpoint.parse().expect("an address");
    succeed(etcdctl(&endpoint, &["put", "foo", "bar"]), "");
    for http2 in [false, true] {
        let client = Client::new(ClientOptions { http2, ..ClientOptions::default() });
        let ask = |of| rt::run(request(&client, addr, of));
        assert_eq!(ask(get("/health")), (200, r#"{"health":"true","reason":""}"#.into()), "{http2}");
        assert!(ask(get("/version")).1.contains("\"etcdserver\":\"3."), "{http2}");
        assert!(ask(get("/metrics")).1.contains("\netcd_server_has_leader 1\n"), "{http2}");
        variables(&running, &ask(get("/debug/vars")).1);
        let (status, said) = ask(post("/v3/kv/range", &json!({ "key": "Zm9v" })));
        assert!(status == 200 && said.contains("\"value\":\"YmFy\""), "{http2}: {said}");
    }
}

/// What a single member says of itself for debugging, in the form of Go's expvar.
fn variables(running: &Running, said: &str) {
    let vars: Value = serde_json::from_str(said).unwrap_or_else(|why| panic!("{why}: {said}"));
    let line: Vec<&str> =
        vars["cmdline"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(line[1] == "member" && line.contains(&running.members.args(1)[1].as_str()), "{line:?}");
    let status = &vars["raft.status"];
    assert_eq!((&status["raftState"], &status["lead"]), (&json!("StateLeader"), &status["id"]));
    assert!(status["applied"].as_u64() > Some(0) && status["commit"].as_u64() >= status["applied"].as_u64());
    assert!(vars["memstats"]["Alloc"].is_u64(), "{vars}");
}

/// A member that listens as the flags say, in place of its own.
fn listens(members: &Members, flags: &[String]) -> Process {
    let mut args = members.args(1);
    args.retain(|arg| !arg.starts_with("--listen-client-urls") && !arg.starts_with("--advertise"));
    args.extend(flags.iter().cloned());
    Process::start(&args, &members.folder.0.join("log"))
}

/// What etcdctl says of a put there, with more flags.
fn puts(members: &Members, endpoint: &str, flags: &[&str]) -> Result<(), String> {
    let mut put = etcdctl(endpoint, &["put", "foo", "bar", "--dial-timeout=1s", "--command-timeout=2s"]);
    let put = put.args(flags).output().expect(ETCDCTL);
    if put.status.success() { Ok(()) } else { Err(members.log()) }
}

#[test]
fn http_has_a_port_of_its_own_if_that_is_told() {
    let members = Members::new("curl-apart", "http", 1);
    let (grpc, apart) = (members.client(1), members.client(2));
    let flags = [
        format!("--listen-client-urls=http://{grpc}"),
        format!("--advertise-client-urls=http://{grpc}"),
        format!("--listen-client-http-urls=http://{apart}"),
    ];
    let processes = vec![listens(&members, &flags)];
    let running = Running { members, processes, size: 1 };
    eventually("it answers", PATIENCE, || puts(&running.members, &grpc, &[]));
    for http2 in [false, true] {
        let client = Client::new(ClientOptions { http2, ..ClientOptions::default() });
        let ask = |addr: &str, of| rt::run(request(&client, addr.parse().expect("an address"), of));
        assert_eq!(ask(&apart, get("/health")), (200, r#"{"health":"true","reason":""}"#.into()), "{http2}");
        assert!(ask(&apart, get("/version")).1.contains("\"etcdserver\":\"3."), "{http2}");
        assert!(ask(&apart, get("/metrics")).1.contains("\netcd_server_has_leader 1\n"), "{http2}");
        variables(&running, &ask(&apart, get("/debug/vars")).1);
        let range = || post("/v3/kv/range", &json!({ "key": "Zm9v" }));
        let (status, said) = ask(&apart, range());
        assert!(status == 200 && said.contains("\"value\":\"YmFy\""), "{http2}: {said}");
        // and the other port has nothing but gRPC, as this one has all but that
        for of in [get("/health"), get("/metrics"), get("/debug/vars"), range()] {
            let (status, said) = ask(&grpc, of);
            assert!(status == 415 && said.starts_with("invalid gRPC request content-type"), "{said}");
        }
    }
    puts(&running.members, &apart, &[]).expect_err("gRPC where there is HTTP alone");
}

#[test]
fn http_over_tls_has_a_port_of_its_own_if_that_is_told() {
    let members = Members::new("curl-apart-tls", "https", 1);
    let (grpc, apart) = (members.client(1), members.client(2));
    let flags = [
        format!("--listen-client-urls=https://{grpc}"),
        format!("--advertise-client-urls=https://{grpc}"),
        format!("--listen-client-http-urls=https://{apart}"),
        "--auto-tls".into(),
        "--peer-auto-tls".into(),
    ];
    let _member = listens(&members, &flags);
    let trusted = format!("--cacert={}", members.data(1).join("fixtures/client/cert.pem").display());
    eventually("it answers", PATIENCE, || puts(&members, &grpc, &[&trusted]));
    let ask = |at: &str, path: &str, wanted: &str| {
        shaken(at, &format!("GET {path} HTTP/1.1\r\nHost: member\r\nConnection: close\r\n\r\n"), wanted);
    };
    for (path, wanted) in [
        ("/health", r#"{"health":"true","reason":""}"#),
        ("/metrics", "etcd_server_has_leader 1"),
        ("/debug/vars", "\"cmdline\":["),
    ] {
        ask(&apart, path, wanted);
        ask(&grpc, path, "HTTP/1.1 415");
    }
    puts(&members, &apart, &[&trusted]).expect_err("gRPC where there is HTTP alone");
}

#[test]
fn one_port_is_plain_and_has_tls_if_both_are_told() {
    let members = Members::new("curl-one", "http", 1);
    let at = members.client(1);
    let both = format!("http://{at},https://{at}");
    let flags = [
        format!("--listen-client-urls={both}"),
        format!("--advertise-client-urls={both}"),
        "--auto-tls".into(),
    ];
    let processes = vec![listens(&members, &flags)];
    let running = Running { members, processes, size: 1 };
    let members = &running.members;
    let trusted = format!("--cacert={}", members.data(1).join("fixtures/client/cert.pem").display());
    eventually("it answers", PATIENCE, || puts(members, &at, &[]));
    puts(members, &at, &[&trusted]).expect("over TLS");
    let addr = at.parse().expect("an address");
    for http2 in [false, true] {
        let client = Client::new(ClientOptions { http2, ..ClientOptions::default() });
        let ask = |of| rt::run(request(&client, addr, of));
        assert_eq!(ask(get("/health")).0, 200, "{http2}");
        variables(&running, &ask(get("/debug/vars")).1);
    }
    let end = "Host: member\r\nConnection: close\r\n\r\n";
    shaken(&at, &format!("GET /health HTTP/1.1\r\n{end}"), r#"{"health":"true","reason":""}"#);
    shaken(&at, &format!("GET /debug/vars HTTP/1.1\r\n{end}"), "\"raft.status\":{");
}

/// A request of HTTP/1.1 over TLS that is under way, and the lines of its answer as they come.
struct Asked {
    lines: mpsc::Receiver<String>,
    _openssl: Process,
}

impl Asked {
    /// Waits for a line with this in it.
    #[allow(clippy::disallowed_methods)] // a real client, real time
    fn hears(&self, wanted: &str, within: Duration) -> bool {
        let until = Instant::now() + within;
        let next = || self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
        std::iter::from_fn(|| next().ok()).any(|line| line.contains(wanted))
    }
}

fn asked(endpoint: &str, request: &str) -> Asked {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-connect", endpoint]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut openssl = Process(command.spawn().expect(OPENSSL));
    let mut input = openssl.0.stdin.take().expect("its input");
    input.write_all(request.as_bytes()).expect("it reads");
    let out = BufReader::new(openssl.0.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let (tell, lines) = mpsc::channel();
    #[allow(clippy::disallowed_methods)] // a real client's output, as it comes
    std::thread::spawn(move || out.for_each(|line| drop(tell.send(line))));
    openssl.0.stdin = Some(input); // closed, it would end the connection
    Asked { lines, _openssl: openssl }
}

/// What a member answers to a request of HTTP/1.1 over TLS, up to where a text is in it.
fn shaken(endpoint: &str, request: &str, wanted: &str) {
    assert!(asked(endpoint, request).hears(wanted, PATIENCE), "{wanted} to {request}");
}

#[test]
fn a_port_with_tls_serves_everything_too() {
    let members = Members::new("curl-tls", "https", 1);
    let _member = members.start(1, &["--auto-tls", "--peer-auto-tls"]);
    let endpoint = members.client(1);
    let trusted = format!("--cacert={}", members.data(1).join("fixtures/client/cert.pem").display());
    eventually("it answers", PATIENCE, || {
        let put = etcdctl(&endpoint, &["put", "foo", "bar", &trusted]).output().expect(ETCDCTL);
        if put.status.success() { Ok(()) } else { Err(members.log()) }
    });
    // with the scheme, and without
    let named = format!("https://{endpoint}");
    assert_eq!(succeed(etcdctl(&named, &["get", "foo", "--print-value-only", &trusted]), ""), "bar\n");
    let end = "Host: member\r\nConnection: close\r\n";
    for (path, wanted) in [
        ("/health", r#"{"health":"true","reason":""}"#),
        ("/version", "\"etcdserver\":\"3."),
        ("/metrics", "etcd_server_has_leader 1"),
        ("/debug/vars", "\"cmdline\":["),
    ] {
        shaken(&endpoint, &format!("GET {path} HTTP/1.1\r\n{end}\r\n"), wanted);
    }
    let body = r#"{"key": "Zm9v"}"#;
    let length = body.len();
    let range = format!("POST /v3/kv/range HTTP/1.1\r\n{end}Content-Length: {length}\r\n\r\n{body}");
    shaken(&endpoint, &range, "\"value\":\"YmFy\"");
}

const MOST: &str = "--max-concurrent-streams=3";

#[test]
fn a_call_by_json_too_many_waits_until_another_has_ended() {
    let running = Running::start_with("curl-most", 1, &[MOST]);
    let addr = running.members.client(1).parse().expect("an address");
    let watch = || post("/v3/watch", &json!({ "create_request": { "key": "Zm9v" } })).map(Into::into);
    let second = Duration::from_secs(1);
    rt::run(async {
        let client = Client::new(ClientOptions::default());
        let mut watches = vec![];
        for _ in 0..3 {
            let mut body = client.request(addr, watch()).await.expect("an answer").into_body();
            let created = body.frame().await.expect("a line").expect("of an answer");
            assert!(String::from_utf8_lossy(&created).contains("\"created\":true"));
            watches.push(body);
        }
        let range = || request(&client, addr, post("/v3/kv/range", &json!({ "key": "Zm9v" })));
        assert!(rt::timeout(second, range()).await.is_err(), "a fourth at once");
        watches.pop();
        let (status, said) = rt::timeout(10 * second, range()).await.expect("its turn");
        assert_eq!(status, 200, "{said}");
    });
}

#[test]
fn a_call_by_json_over_tls_too_many_waits_until_another_has_ended() {
    let members = Members::new("curl-most-tls", "https", 1);
    let _member = members.start(1, &["--auto-tls", "--peer-auto-tls", MOST]);
    let endpoint = members.client(1);
    let trusted = format!("--cacert={}", members.data(1).join("fixtures/client/cert.pem").display());
    eventually("it answers", PATIENCE, || {
        let put = etcdctl(&endpoint, &["put", "foo", "bar", &trusted]).output().expect(ETCDCTL);
        if put.status.success() { Ok(()) } else { Err(members.log()) }
    });
    let ask = |path: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: member\r\nContent-Length: {}\r\n\r\n", body.len());
        asked(&endpoint, &(head + body))
    };
    let watch = || {
        let watch = ask("/v3/watch", r#"{"create_request": {"key": "Zm9v"}}"#);
        assert!(watch.hears("\"created\":true", PATIENCE));
        watch
    };
    let (one, _two, _three) = (watch(), watch(), watch());
    let range = ask("/v3/kv/range", r#"{"key": "Zm9v"}"#);
    assert!(!range.hears("HTTP/1.1 200", Duration::from_secs(1)), "a fourth at once");
    drop(one);
    assert!(range.hears("HTTP/1.1 200", PATIENCE));
}

/// Each has a port of its own.
#[test]
fn a_member_serves_plain_and_with_tls_at_a_time() {
    let members = Members::new("curl-both", "http", 1);
    let (plain, secured) = (members.client(1), members.client(2));
    let mut args = members.args(1);
    let at = args.iter().position(|arg| arg.starts_with("--listen-client-urls")).expect("the flag");
    args[at] = format!("--listen-client-urls=http://{plain},https://{secured}");
    args.push("--auto-tls".into());
    let _member = Process::start(&args, &members.folder.0.join("log"));
    eventually("it answers", PATIENCE, || {
        let put = etcdctl(&plain, &["put", "foo", "bar"]).output().expect(ETCDCTL);
        if put.status.success() { Ok(()) } else { Err(members.log()) }
    });
    let trusted = format!("--cacert={}", members.data(1).join("fixtures/client/cert.pem").display());
    let got = succeed(etcdctl(&secured, &["get", "foo", "--print-value-only", &trusted]), "");
    assert_eq!(got, "bar\n");
    // neither speaks what the other does
    for (endpoint, more) in
        [(format!("https://{plain}"), trusted.as_str()), (format!("http://{secured}"), "--hex=false")]
    {
        let mut get = etcdctl(&endpoint, &["get", "foo", more, "--dial-timeout=1s", "--command-timeout=2s"]);
        assert!(!get.output().expect(ETCDCTL).status.success(), "{endpoint}");
    }
}
