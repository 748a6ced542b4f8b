//! How often a client may ping: grpc-go's rule (internal/transport/http2_server.go: handlePing, by a
//! keepalive.EnforcementPolicy), which etcd sets with PermitWithoutStream false.
//! Promises: a ping that comes sooner than allowed after the one before is a strike, and so is any within two hours of
//! it while no stream is open. Whatever the server sent on a stream since then wipes the strikes out, so that a client
//! that measures its bandwidth by a ping for what it received gets none. Three strikes are too many.

use super::frames::{Frames, HEADERS, Head, RST_STREAM};
use crate::Mono;
use std::{collections::BTreeSet, time::Duration};

/// Strikes that are let pass. (grpc-go: maxPingStrikes.)
const STRIKES: u8 = 2;
/// Between two pings while no stream is open. (grpc-go: defaultPingTimeout.)
const WITHOUT_STREAM: Duration = Duration::from_secs(2 * 3_600);

/// One connection, told of all bytes that come and go.
pub struct Pings {
    coming: Frames,
    going: Frames,
    client: Client,
}

impl Pings {
    /// `least` is the time between two pings; behind a preface of so many bytes come the client's frames.
    pub fn new(least: Duration, preface: usize) -> Self {
        let client =
            Client { least, open: BTreeSet::new(), newest: 0, last: None, served: false, strikes: 0 };
        Self { coming: Frames::behind(preface), going: Frames::behind(0), client }
    }

    /// The client sent this. True if there were too many pings; the time is asked for only if there was one.
    pub fn came(&mut self, bytes: &[u8], now: impl Fn() -> Mono) -> bool {
        let Self { coming, client, .. } = self;
        let mut too_many = false;
        coming.follow(bytes, |head| too_many |= client.sent(head, &now));
        too_many
    }

    /// The server sent this.
    pub fn went(&mut self, bytes: &[u8]) {
        let Self { going, client, .. } = self;
        going.follow(bytes, |head| client.got(head));
    }

    /// What the server sends next begins a frame.
    pub fn between_frames(&self) -> bool {
        self.going.between()
    }

    /// The last stream that the client opened; 0 if it opened none.
    pub fn newest(&self) -> u32 {
        self.client.newest
    }
}

struct Client {
    least: Duration,
    /// Streams that neither side has ended for the server: one that the client has only no more to send on is open.
    open: BTreeSet<u32>,
    newest: u32,
    last: Option<Mono>,
    /// It was sent something on a stream since its last ping.
    served: bool,
    strikes: u8,
}

impl Client {
    /// True: too many pings.
    fn sent(&mut self, head: Head, now: impl Fn() -> Mono) -> bool {
        match head.kind {
            // those on an older stream are trailers, or an error which the server finds by itself
            HEADERS if head.stream > self.newest => {
                self.newest = head.stream;
                self.open.insert(head.stream);
            }
            RST_STREAM => {
                self.open.remove(&head.stream);
            }
            _ if head.asks_back() => return self.pinged(now()),
            _ => {}
        }
        false
    }

    fn got(&mut self, head: Head) {
        self.served |= head.carries();
        if head.ends() {
            self.open.remove(&head.stream);
        }
    }

    fn pinged(&mut self, now: Mono) -> bool {
        let since = self.last.replace(now).map(|last| now - last);
        if std::mem::take(&mut self.served) {
            self.strikes = 0;
            return false;
        }
        let least = if self.open.is_empty() { WITHOUT_STREAM } else { self.least };
        if since.is_some_and(|since| since < least) {
            self.strikes = self.strikes.saturating_add(1);
        }
        self.strikes > STRIKES
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::frames::{DATA, PING, tests::frame},
        *,
    };

    const LEAST: Duration = Duration::from_secs(5);
    const END: u8 = 1;
    const ACK: u8 = 1;

    /// A connection, and the second it is.
    struct Connection(Pings, u64);

    impl Connection {
        fn new() -> Self {
            Self(Pings::new(LEAST, 0), 0)
        }

        fn opened() -> Self {
            let mut connection = Self::new();
            connection.client(HEADERS, 0, 1);
            connection
        }

        fn client(&mut self, kind: u8, flags: u8, stream: u32) -> bool {
            let now = Mono::from_nanos(self.1 * 1_000_000_000);
            self.0.came(&frame(kind, flags, stream, 8), || now)
        }

        fn server(&mut self, kind: u8, flags: u8, stream: u32) {
            self.0.went(&frame(kind, flags, stream, 8));
        }

        /// How many pings at this pace are let pass, of a thousand.
        fn pings(&mut self, pace: u64) -> usize {
            let too_many = (0..1_000).position(|_| {
                self.1 += pace;
                self.client(PING, 0, 0)
            });
            too_many.unwrap_or(1_000)
        }
    }

    #[test]
    fn the_fourth_ping_of_a_client_in_a_hurry_is_too_many() {
        assert_eq!(Connection::opened().pings(4), 3);
        assert_eq!(Connection::opened().pings(0), 3);
    }

    #[test]
    fn at_the_allowed_pace_a_client_pings_for_ever_while_a_stream_is_open() {
        assert_eq!(Connection::opened().pings(5), 1_000);
        assert_eq!(Connection::new().pings(5), 3, "no stream was opened");
        assert_eq!(Connection::new().pings(2 * 3_600 - 1), 3);
        assert_eq!(Connection::new().pings(2 * 3_600), 1_000);
    }

    #[test]
    fn a_stream_is_open_until_the_server_ends_it_or_either_side_resets_it() {
        let open = |event: fn(&mut Connection)| {
            let mut connection = Connection::opened();
            event(&mut connection);
            connection.pings(5) == 1_000
        };
        assert!(open(|at| at.server(HEADERS, 0, 1)));
        assert!(open(|at| assert!(!at.client(DATA, END, 1))));
        assert!(open(|at| at.server(HEADERS, END, 3)), "the end of another stream");
        assert!(!open(|at| at.server(HEADERS, END, 1)));
        assert!(!open(|at| at.server(DATA, END, 1)));
        assert!(!open(|at| at.server(RST_STREAM, 0, 1)));
        assert!(!open(|at| assert!(!at.client(RST_STREAM, 0, 1))));
        let trailers = |at: &mut Connection| {
            at.server(HEADERS, END, 1);
            at.client(HEADERS, END, 1);
        };
        assert!(!open(trailers), "what comes late opens nothing again");
    }

    #[test]
    fn what_the_server_sends_wipes_the_strikes_out() {
        for kind in [HEADERS, DATA] {
            let mut connection = Connection::opened();
            for _ in 0..100 {
                assert_eq!((0..3).find(|_| connection.client(PING, 0, 0)), None);
                connection.server(kind, 0, 1);
            }
            assert_eq!(connection.pings(0), 3, "the first of four is for what the server sent");
        }
        let mut connection = Connection::opened();
        let mut quiet = || {
            [PING, RST_STREAM, 4, 8].into_iter().for_each(|kind| connection.server(kind, ACK, 5));
            connection.client(PING, 0, 0)
        };
        assert_eq!((0..10).position(|_| quiet()), Some(3), "what is on no stream does not count");
    }

    #[test]
    fn an_answer_to_a_ping_is_none() {
        let mut connection = Connection::opened();
        assert_eq!((0..10).find(|_| connection.client(PING, ACK, 0)), None);
    }

    #[test]
    fn a_slow_ping_wipes_nothing_out() {
        let mut connection = Connection::opened();
        assert_eq!((0..3).find(|_| connection.client(PING, 0, 0)), None);
        connection.1 += 100;
        assert!(!connection.client(PING, 0, 0));
        assert!(connection.client(PING, 0, 0));
    }

    #[test]
    fn pings_are_counted_in_pieces_of_every_size() {
        let stream: Vec<u8> = [HEADERS, PING, DATA, PING, PING, PING]
            .into_iter()
            .flat_map(|kind| frame(kind, 0, u32::from(kind != PING), 8))
            .collect();
        for size in 1..=stream.len() {
            let mut pings = Pings::new(LEAST, 0);
            let verdicts: Vec<bool> =
                stream.chunks(size).map(|piece| pings.came(piece, Mono::default)).collect();
            assert_eq!(verdicts.iter().filter(|too_many| **too_many).count(), 1, "in pieces of {size}");
            assert_eq!(pings.newest(), 1);
        }
    }
}
