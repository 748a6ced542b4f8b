//! A client that pings too often is told so and left, as etcd does it; one that keeps to the pace is not, and none of
//! ours ever is. The client is one of bytes: HTTP/2 as RFC 9113 has it, with nothing between the test and the wire.

use super::{core::Core, watch::create, with_member};
use base::{Knobs, knobs::ms};
use rt::{
    grpc::{Channel, ChannelOptions},
    net::{AsyncReadExt, AsyncWriteExt, TcpStream},
};
use std::time::Duration;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const WATCH: &str = "/etcdserverpb.Watch/Watch";
const STATUS: &str = "/etcdserverpb.Maintenance/Status";

const LEAST: u64 = 200;
const HURRY: Duration = Duration::from_millis(10);
const PACE: Duration = Duration::from_millis(LEAST + LEAST / 2);
const PATIENCE: Duration = Duration::from_secs(10);

fn knobs() -> Knobs {
    // the client of bytes answers no pings of the member's: it sends none
    Knobs { keepalive_min_ms: LEAST, keepalive_ms: 0, ..Knobs::default() }
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    carried: Vec<u8>,
}

struct Bytes {
    stream: TcpStream,
    /// The next stream's number.
    next: u32,
}

impl Bytes {
    async fn connect(member: &Core) -> Self {
        let mut client = Self { stream: TcpStream::connect(member.addr).await.unwrap(), next: 1 };
        client.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        client.send(SETTINGS, 0, 0, &[]).await;
        client
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, carried: &[u8]) {
        let length = (carried.len() as u32).to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.stream.write_all(&[&head, carried].concat()).await.unwrap();
    }

    /// A call, its head alone. (HPACK, RFC 7541: words of the static table by number, the rest as they are.)
    async fn call(&mut self, path: &str) -> u32 {
        let word = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let (post, http) = ([0x83], [0x86]);
        let names =
            [&[0x04][..], &word(path), &[0x01], &word("member"), &[0x0f, 0x10], &word("application/grpc")];
        let trailers = [&[0x00][..], &word("te"), &word("trailers")].concat();
        let head = [&post[..], &http, &names.concat(), &trailers].concat();
        let stream = self.next;
        self.next += 2;
        self.send(HEADERS, END_HEADERS, stream, &head).await;
        stream
    }

    async fn ping(&mut self) {
        self.send(PING, 0, 0, b"12345678").await;
    }

    /// The next frame; none if the member closed the connection.
    async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        rt::timeout(PATIENCE, self.stream.read_exact(&mut head)).await.expect("in time").ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut carried = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut carried).await.expect("a whole frame");
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), carried })
    }

    async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) {
        while !wanted(&self.frame().await.expect("a frame")) {}
    }

    /// A stream that stays open, and on which the member has said what it says at first.
    async fn watching(member: &Core) -> Self {
        let mut client = Self::connect(member).await;
        let stream = client.call(WATCH).await;
        client.until(|frame| frame.kind == HEADERS && frame.stream == stream).await;
        client
    }

    /// Pings at this pace until told to be calm; how many were answered.
    async fn pings(&mut self, pace: Duration, most: usize) -> (usize, Option<Frame>) {
        for answered in 0..most {
            self.ping().await;
            self.until(|frame| frame.kind == PING && frame.flags == ACK && frame.carried == b"12345678")
                .await;
            if let Ok(frame) = rt::timeout(pace, self.frame()).await {
                return (answered + 1, frame);
            }
        }
        (most, None)
    }

    async fn is_answered(&mut self) -> bool {
        let stream = self.call(STATUS).await;
        self.send(DATA, END_STREAM, stream, &[0; 5]).await;
        self.until(|frame| frame.stream == stream && frame.flags & END_STREAM != 0).await;
        true
    }

    async fn assert_left(&mut self, told: Option<Frame>, newest: u32) {
        let told = told.expect("a last word");
        let expected = [&newest.to_be_bytes()[..], &[0, 0, 0, 0xb], b"too_many_pings"].concat();
        assert_eq!((told.kind, told.flags, told.stream, told.carried), (GOAWAY, 0, 0, expected));
        let told = rt::now();
        assert!(self.frame().await.is_none(), "nothing is said after the last word");
        assert!(told.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn a_client_that_pings_too_often_is_told_so_and_left() {
    with_member(knobs(), async |member: Core| {
        let mut client = Bytes::watching(&member).await;
        let (answered, told) = client.pings(HURRY, 20).await;
        assert_eq!(answered, 4, "one for what the member had sent, and three strikes");
        client.assert_left(told, 1).await;
        assert!(Bytes::watching(&member).await.is_answered().await, "it may come again");
    });
}

#[test]
fn a_client_that_keeps_to_the_pace_may_ping_while_a_stream_is_open() {
    with_member(knobs(), async |member: Core| {
        let mut client = Bytes::watching(&member).await;
        let (answered, told) = client.pings(PACE, 10).await;
        assert!(answered == 10 && told.is_none(), "{answered} {told:?}");
        assert!(client.is_answered().await);
    });
}

#[test]
fn a_client_that_asks_nothing_may_not_ping() {
    with_member(knobs(), async |member: Core| {
        let mut client = Bytes::connect(&member).await;
        assert!(client.is_answered().await, "a stream that ended");
        let (answered, told) = client.pings(PACE, 10).await;
        assert_eq!(answered, 4);
        client.assert_left(told, 1).await;
    });
}

/// As clients do that measure the bandwidth by it.
#[test]
fn a_client_may_ping_as_often_as_the_member_sends_it_something() {
    with_member(knobs(), async |member: Core| {
        let mut client = Bytes::watching(&member).await;
        for _ in 0..10 {
            for _ in 0..3 {
                client.ping().await;
            }
            assert!(client.is_answered().await);
        }
    });
}

#[test]
fn who_does_not_mind_is_pinged_at_any_pace() {
    let knobs = Knobs { keepalive_min_ms: 0, ..knobs() };
    with_member(knobs, async |member: Core| {
        let mut client = Bytes::connect(&member).await;
        for _ in 0..100 {
            client.ping().await;
        }
        assert!(client.is_answered().await);
    });
}

/// Whatever their knobs say, our clients ping no more often than they may, and not while they ask nothing.
#[test]
fn no_client_of_ours_is_left() {
    let knobs = Knobs { keepalive_ms: 20, ..knobs() };
    with_member(knobs, async |member: Core| {
        let options = ChannelOptions::of(member.handle.knobs(), None);
        let idle = Channel::connect(member.addr, options).await.unwrap();
        let mut stream = member.client().watch().await.unwrap();
        stream.send(create("a", 0)).await.unwrap();
        assert!(stream.recv().await.unwrap().created);
        let heard = rt::timeout(12 * ms(LEAST), stream.recv()).await;
        assert!(heard.is_err(), "{heard:?}");
        assert!(!idle.closed());
    });
}
