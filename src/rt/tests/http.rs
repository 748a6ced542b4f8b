//! HTTP as a caller sees it, the same in both builds.

use axum::{Router, body::Body as Answer, extract::Path, response::Response, routing::get};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, StatusCode};
use rt::{
    http::{Client, ClientOptions, ServeOptions, serve},
    net::TcpListener,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

fn options() -> ServeOptions {
    ServeOptions {
        keepalive: SECOND,
        keepalive_timeout: SECOND,
        least_between_pings: Duration::ZERO,
        most_streams: None,
        tls: None,
    }
}

fn client(http2: bool) -> Client {
    Client::new(ClientOptions {
        http2,
        keepalive: SECOND,
        keepalive_timeout: SECOND,
        connect_timeout: SECOND,
    })
}

fn request(method: &str, path: &str) -> Request<Bytes> {
    Request::builder().method(method).uri(path).body(Bytes::from("body")).unwrap()
}

async fn start(router: Router) -> (SocketAddr, rt::JoinHandle<()>) {
    start_with(router, options()).await
}

async fn start_with(router: Router, options: ServeOptions) -> (SocketAddr, rt::JoinHandle<()>) {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = rt::spawn(async move {
        serve(listener, router, options).await;
    });
    (addr, server)
}

/// Counts the streams that are open; a stream closes when its consumer does.
struct Open(Arc<AtomicUsize>);
impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn router(open: Arc<AtomicUsize>) -> Router {
    let ticks = move || {
        open.fetch_add(1, Ordering::SeqCst);
        let open = Open(open.clone());
        async move {
            let lines = stream::unfold((0, open), |(n, open)| async move {
                rt::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from(format!("{n}\n"))), (n + 1, open)))
            });
            Response::new(Answer::from_stream(lines.boxed()))
        }
    };
    let echo = |Path(name): Path<String>, body: Bytes| async move { [name.as_bytes(), b" ", &body].concat() };
    Router::new().route("/echo/{name}", get(echo).put(echo).post(echo)).route("/ticks", get(ticks))
}

#[test]
fn both_protocols_are_served_on_one_port() {
    rt::testing::run(1, || async {
        let (addr, _server) = start(router(Arc::default())).await;
        for http2 in [false, true, false] {
            let client = client(http2);
            for n in 0..5 {
                let response = client.request(addr, request("PUT", &format!("/echo/{n}"))).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(response.into_body().collect().await.unwrap(), format!("{n} body"));
            }
            let response = client.request(addr, request("GET", "/nothing")).await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
        }
    });
}

#[test]
fn a_body_arrives_as_it_is_made_and_dropping_it_tells_the_server() {
    rt::testing::run(2, || async {
        for http2 in [false, true] {
            let open = Arc::new(AtomicUsize::new(0));
            let (addr, _server) = start(router(open.clone())).await;
            let client = client(http2);
            let mut body = client.request(addr, request("GET", "/ticks")).await.unwrap().into_body();
            for n in 0..3 {
                assert_eq!(body.frame().await.unwrap().unwrap(), format!("{n}\n"));
            }
            assert_eq!(open.load(Ordering::SeqCst), 1);
            drop(body);
            rt::sleep(Duration::from_millis(300)).await;
            assert_eq!(open.load(Ordering::SeqCst), 0, "the server still sends, http2: {http2}");
            client.request(addr, request("GET", "/echo/x")).await.unwrap();
        }
    });
}

#[test]
fn many_requests_share_connections() {
    rt::testing::run(3, || async {
        for http2 in [false, true] {
            let (addr, _server) = start(router(Arc::default())).await;
            let client = client(http2);
            let tasks: Vec<_> = (0..50)
                .map(|n| {
                    let client = client.clone();
                    rt::spawn(async move {
                        for _ in 0..10 {
                            let path = format!("/echo/{n}");
                            let response = client.request(addr, request("POST", &path)).await.unwrap();
                            assert_eq!(response.into_body().collect().await.unwrap(), format!("{n} body"));
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
    });
}

#[test]
fn a_stream_too_many_waits_until_another_has_ended() {
    rt::testing::run(9, || async {
        let options = ServeOptions { most_streams: Some(2), ..options() };
        let (addr, _server) = start_with(router(Arc::default()), options).await;
        let client = client(true);
        let ticks = || client.request(addr, request("GET", "/ticks"));
        let (one, _two) = (ticks().await.expect("the first"), ticks().await.expect("the second"));
        let mut third = Box::pin(client.request(addr, request("PUT", "/echo/3")));
        assert!(rt::timeout(3 * SECOND, &mut third).await.is_err(), "a third at once");
        drop(one);
        let response = rt::timeout(SECOND, third).await.expect("its turn").expect("an answer");
        assert_eq!(response.into_body().collect().await.unwrap(), "3 body");
    });
}

/// hyper flushes whenever it is polled; on the tank's wire that must not become a storm of empty segments.
#[cfg(madsim)]
#[test]
fn a_request_is_a_few_segments_on_the_wire() {
    const REQUESTS: u64 = 100;
    for http2 in [false, true] {
        let segments = rt::testing::run(8, move || async move {
            let (addr, _server) = start(router(Arc::default())).await;
            let client = client(http2);
            for _ in 0..REQUESTS {
                let response = client.request(addr, request("POST", "/echo/x")).await.unwrap();
                assert_eq!(response.into_body().collect().await.unwrap(), "x body");
            }
            world::net().counters().segments
        });
        // Head and body each way, and what HTTP/2 says besides.
        assert!((2 * REQUESTS..=6 * REQUESTS).contains(&segments), "{segments} segments, http2: {http2}");
    }
}

#[test]
fn nobody_there_is_an_error_that_says_so() {
    rt::testing::run(4, || async {
        for http2 in [false, true] {
            let error =
                client(http2).request(([127, 0, 0, 1], 9).into(), request("PUT", "/")).await.unwrap_err();
            assert!(error.is_connect() && error.was_not_sent(), "{error}");
        }
    });
}

/// A server that takes one request on each connection, then ends it as it is told to.
async fn one_shot(listener: &TcpListener, answer: &str) {
    use rt::net::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = vec![0; 4096];
    let _ = stream.read(&mut head).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[test]
fn a_pooled_connection_that_died_is_not_used_again() {
    rt::testing::run(5, || async {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = rt::spawn(async move {
            for _ in 0..3 {
                one_shot(&listener, OK).await; // and closes
            }
        });
        let client = client(false);
        for _ in 0..3 {
            let response = client.request(addr, request("POST", "/")).await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap(), "ok");
            rt::sleep(Duration::from_millis(50)).await;
        }
        server.await.unwrap();
    });
}

/// Accepts, answers the first request, swallows the second on the same connection and closes it; what comes on
/// a second connection is answered.
async fn swallow(listener: TcpListener) -> usize {
    use rt::net::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = vec![0; 4096];
    let _ = stream.read(&mut head).await.unwrap();
    stream.write_all(OK.as_bytes()).await.unwrap();
    let _ = stream.read(&mut head).await.unwrap();
    drop(stream);
    match rt::timeout(SECOND, one_shot(&listener, OK)).await {
        Ok(()) => 3,
        Err(_) => 2,
    }
}

#[test]
fn only_what_changes_nothing_is_sent_again() {
    rt::testing::run(6, || async {
        for (method, requests) in
            [("GET", 3), ("HEAD", 3), ("PUT", 2), ("DELETE", 2), ("POST", 2), ("PATCH", 2)]
        {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
            let addr = listener.local_addr().unwrap();
            let server = rt::spawn(swallow(listener));
            let client = client(false);
            let first = client.request(addr, request("GET", "/")).await.unwrap();
            first.into_body().collect().await.unwrap();
            let second = client.request(addr, request(method, "/")).await;
            match requests {
                3 => assert_eq!(second.unwrap().status(), StatusCode::OK),
                _ => assert!(!second.unwrap_err().was_not_sent()),
            }
            assert_eq!(server.await.unwrap(), requests, "{method}");
        }
    });
}

#[test]
fn a_body_that_breaks_off_is_an_error_once() {
    rt::testing::run(7, || async {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        rt::spawn(
            async move { one_shot(&listener, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await },
        );
        let mut body = client(false).request(addr, request("GET", "/")).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap(), "half");
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
    });
}
