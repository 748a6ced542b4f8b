//! An HTTP/2 connection whose client is told to be calm when it pings too often, and left. hyper answers pings by itself
//! and shows them to nobody, so this stands between it and the wire, and watches the bytes.
//! Promises: what is read and written is not touched until there are too many pings. Then, once hyper has answered and
//! a frame is complete, the client gets GOAWAY, ENHANCE_YOUR_CALM, "too_many_pings"; nothing is sent after it, and the
//! connection ends with the client's side, or a second later.

use super::{
    frames::{GOAWAY, Head},
    pings::Pings,
};
use crate::{Sleep, sleep};
use bytes::{Buf, Bytes};
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const ENHANCE_YOUR_CALM: u32 = 0xb;
const WHY: &[u8] = b"too_many_pings";
/// A client may take so long to read why. (grpc-go waits as long.)
const PARTING: Duration = Duration::from_secs(1);

/// A stream, watched if there is a rule.
pub(super) struct Calm<S> {
    stream: S,
    pings: Option<Pings>,
    farewell: Option<Farewell>,
}

struct Farewell {
    /// What is still to be written.
    goaway: Bytes,
    begun: bool,
    over: Sleep,
}

impl Farewell {
    fn new(newest: u32) -> Self {
        let head = Head { length: 8 + WHY.len(), kind: GOAWAY, flags: 0, stream: 0 };
        let codes = [newest.to_be_bytes(), ENHANCE_YOUR_CALM.to_be_bytes()].concat();
        let goaway = [&head.bytes()[..], &codes, WHY].concat().into();
        Self { goaway, begun: false, over: sleep(PARTING) }
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.over).poll(cx).is_ready()
    }
}

impl<S> Calm<S> {
    pub fn new(stream: S, pings: Option<Pings>) -> Self {
        Self { stream, pings, farewell: None }
    }

    /// hyper writes into the void.
    fn has_parted(&self) -> bool {
        self.farewell.as_ref().is_some_and(|farewell| farewell.begun)
    }

    /// A client that does not read is not waited for longer than for any other.
    fn within_time<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Some(farewell) = &mut self.farewell
            && written.is_pending()
            && farewell.is_over(cx)
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }
}

impl<S: AsyncRead + Unpin> Calm<S> {
    /// Reads until the end, and lets it fall: a connection that is closed with something unread is reset, and a reset may
    /// overtake what was said last.
    fn poll_end(&mut self, farewell: &mut Farewell, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut unread = [0; 1_024];
        while !farewell.is_over(cx) {
            let mut out = ReadBuf::new(&mut unread);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut out))?;
            if out.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Calm<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(mut farewell) = this.farewell.take() {
            let end = this.poll_end(&mut farewell, cx);
            this.farewell = Some(farewell);
            return end;
        }
        let before = out.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, out))?;
        if let Some(pings) = &mut this.pings
            && pings.came(&out.filled()[before..], crate::now)
        {
            this.farewell = Some(Farewell::new(pings.newest()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Calm<S> {
    /// hyper flushes after each frame, its answer to the ping included; so here is the place for the last one.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let between = self.pings.as_ref().is_some_and(Pings::between_frames);
        let Some(farewell) = self.farewell.as_mut().filter(|farewell| farewell.begun || between) else {
            return Poll::Ready(Ok(()));
        };
        farewell.begun = true;
        while farewell.goaway.has_remaining() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &farewell.goaway))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => farewell.goaway.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Calm<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.has_parted() {
            return Poll::Ready(Ok(data.len()));
        }
        let written = Pin::new(&mut this.stream).poll_write(cx, data);
        if let (Some(pings), Poll::Ready(Ok(written))) = (&mut this.pings, &written) {
            pings.went(&data[..*written]);
        }
        this.within_time(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.has_parted() {
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        if let (Some(pings), Poll::Ready(Ok(written))) = (&mut this.pings, &written) {
            let mut left = *written;
            for part in parts {
                let taken = left.min(part.len());
                pings.went(&part[..taken]);
                left -= taken;
            }
        }
        this.within_time(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = match this.poll_part(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.stream).poll_flush(cx),
            other => other,
        };
        this.within_time(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::frames::{DATA, HEADERS, PING, tests::frame},
        *,
    };
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A client that sent so much, and takes so much.
    #[derive(Default)]
    struct Wire {
        coming: Bytes,
        closed: bool,
        going: Vec<u8>,
        room: usize,
    }

    impl AsyncRead for Wire {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let length = self.coming.len().min(out.remaining());
            if length == 0 && !self.closed {
                return Poll::Pending;
            }
            out.put_slice(&self.coming.split_to(length));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            let length = data.len().min(self.room);
            if length == 0 {
                return Poll::Pending;
            }
            self.room -= length;
            self.going.extend(&data[..length]);
            Poll::Ready(Ok(length))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// So many pings were read on a stream that is open.
    async fn pinged(times: usize, room: usize) -> Calm<Wire> {
        let pings = std::iter::repeat_n(frame(PING, 0, 0, 8), times);
        let coming = [frame(HEADERS, 0, 5, 8)].into_iter().chain(pings).flatten().collect::<Vec<u8>>();
        let mut read = vec![0; coming.len()];
        let wire = Wire { coming: coming.clone().into(), room, ..Wire::default() };
        let mut calm = Calm::new(wire, Some(Pings::new(Duration::from_secs(5), 0)));
        calm.read_exact(&mut read).await.expect("as it came");
        assert_eq!(read, coming);
        calm
    }

    fn goaway() -> Vec<u8> {
        let words = [0, 0, 22, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0xb];
        [&words[..], b"too_many_pings"].concat()
    }

    async fn flushes(calm: &mut Calm<Wire>) -> bool {
        poll_fn(|cx| Poll::Ready(Pin::new(&mut *calm).poll_flush(cx).is_ready())).await
    }

    async fn reads(calm: &mut Calm<Wire>) -> bool {
        poll_fn(|cx| {
            let mut bytes = [0; 8];
            Poll::Ready(Pin::new(&mut *calm).poll_read(cx, &mut ReadBuf::new(&mut bytes)).is_ready())
        })
        .await
    }

    #[test]
    fn the_last_word_waits_for_the_end_of_a_frame_and_nothing_follows_it() {
        crate::testing::run(1, || async {
            let mut calm = pinged(4, usize::MAX).await;
            let answer = frame(DATA, 0, 5, 100);
            let (begun, ended) = answer.split_at(30);
            calm.write_all(begun).await.expect("written");
            assert!(flushes(&mut calm).await);
            assert_eq!(calm.stream.going, begun);
            calm.write_all(ended).await.expect("written");
            assert!(flushes(&mut calm).await);
            calm.write_all(&answer).await.expect("into the void");
            assert!(flushes(&mut calm).await);
            assert_eq!(calm.stream.going, [answer, goaway()].concat());
        });
    }

    #[test]
    fn nothing_is_said_to_a_client_that_is_calm() {
        crate::testing::run(1, || async {
            let mut calm = pinged(3, usize::MAX).await;
            assert!(flushes(&mut calm).await);
            assert!(calm.stream.going.is_empty());
            assert!(!reads(&mut calm).await);
        });
    }

    #[test]
    fn a_last_word_that_finds_no_room_is_said_a_piece_at_a_time_and_no_other_between() {
        crate::testing::run(1, || async {
            let mut calm = pinged(4, 3).await;
            while !flushes(&mut calm).await {
                calm.write_all(&frame(DATA, 0, 5, 2)).await.expect("into the void");
                calm.stream.room = 3;
            }
            assert_eq!(calm.stream.going, goaway());
        });
    }

    #[test]
    fn the_end_comes_with_the_client_s_or_a_second_later() {
        crate::testing::run(1, || async {
            let mut calm = pinged(4, usize::MAX).await;
            calm.stream.coming = frame(PING, 0, 0, 5_000).into();
            let began = crate::now();
            assert!(!reads(&mut calm).await);
            assert!(calm.stream.coming.is_empty(), "what still comes is read");
            assert_eq!(calm.read(&mut [0; 8]).await.expect("the end"), 0);
            assert!((PARTING..2 * PARTING).contains(&began.elapsed()));
            let mut calm = pinged(4, usize::MAX).await;
            calm.stream.closed = true;
            assert!(reads(&mut calm).await);
        });
    }

    #[test]
    fn a_client_that_reads_nothing_is_left_all_the_same() {
        crate::testing::run(1, || async {
            let mut calm = pinged(4, 0).await;
            assert!(!flushes(&mut calm).await);
            let why = calm.flush().await.expect_err("no room");
            assert_eq!(why.kind(), io::ErrorKind::TimedOut);
        });
    }
}
