//! Follows the frames of one direction of an HTTP/2 connection, in whatever pieces its bytes come.
//! Promise: of each frame it says what stands in its head (RFC 9113, 4.1), once, and whether the next byte begins
//! another. It keeps nine bytes at the most, and nothing of what a frame carries.

const HEAD: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
/// Of PING.
const ACK: u8 = 1;
/// Of DATA and HEADERS.
const END_STREAM: u8 = 1;

/// What stands before a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Head {
    fn read(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & !(1 << 31), // one bit is reserved
        }
    }

    pub fn bytes(self) -> [u8; HEAD] {
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        let [s, t, u, v] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, s, t, u, v]
    }

    /// A question, not the answer to one.
    pub fn asks_back(self) -> bool {
        self.kind == PING && self.flags & ACK == 0
    }

    pub fn carries(self) -> bool {
        matches!(self.kind, DATA | HEADERS)
    }

    /// Whoever sent this sends no more on the stream.
    pub fn ends(self) -> bool {
        self.kind == RST_STREAM || (self.carries() && self.flags & END_STREAM != 0)
    }
}

pub(super) struct Frames {
    /// Bytes until the next head.
    skip: usize,
    head: [u8; HEAD],
    /// How much of it is there.
    known: usize,
}

impl Frames {
    /// Frames that begin behind so many bytes of something else.
    pub fn behind(skip: usize) -> Self {
        Self { skip, head: [0; HEAD], known: 0 }
    }

    /// Takes the next bytes; shows each head that they complete.
    pub fn follow(&mut self, mut bytes: &[u8], mut each: impl FnMut(Head)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            let taken = (HEAD - self.known).min(bytes.len() - skipped);
            self.head[self.known..self.known + taken].copy_from_slice(&bytes[skipped..skipped + taken]);
            self.known += taken;
            bytes = &bytes[skipped + taken..];
            if self.known == HEAD {
                let head = Head::read(self.head);
                (self.skip, self.known) = (head.length, 0);
                each(head);
            }
        }
    }

    /// The next byte begins a frame.
    pub fn between(&self) -> bool {
        self.skip == 0 && self.known == 0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
        // what is carried looks like heads of pings, for whoever loses count
        let carried = Head { length: 0, kind: PING, flags: 0, stream: 0 }.bytes();
        let head = Head { length, kind, flags, stream };
        head.bytes().into_iter().chain(carried.into_iter().cycle().take(length)).collect()
    }

    const LENGTHS: [usize; 6] = [0, 8, 300, 1, 0, 70_000];

    fn sample() -> Vec<u8> {
        let frames = (0_u32..).zip(LENGTHS).map(|(n, length)| frame(n as u8, n as u8 + 1, 2 * n + 1, length));
        b"preface".iter().copied().chain(frames.flatten()).collect()
    }

    fn expected() -> Vec<Head> {
        let head =
            |(n, length): (u32, usize)| Head { length, kind: n as u8, flags: n as u8 + 1, stream: 2 * n + 1 };
        (0_u32..).zip(LENGTHS).map(head).collect()
    }

    fn followed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Head>, bool) {
        let (mut frames, mut heads) = (Frames::behind(7), vec![]);
        pieces.for_each(|piece| frames.follow(piece, |head| heads.push(head)));
        (heads, frames.between())
    }

    #[test]
    fn frames_are_the_same_in_pieces_of_every_size() {
        let sample = sample();
        for size in (1..40).chain([1_000, sample.len()]) {
            assert_eq!(followed(sample.chunks(size)), (expected(), true), "in pieces of {size}");
        }
    }

    #[test]
    fn frames_are_the_same_wherever_they_are_cut_in_two() {
        let sample = sample();
        for at in 0..500 {
            let (one, two) = sample.split_at(at);
            assert_eq!(followed([one, two].into_iter()), (expected(), true), "cut at {at}");
        }
    }

    #[test]
    fn it_is_known_where_a_frame_ends() {
        let mut frames = Frames::behind(0);
        let pieces: Vec<Vec<u8>> = LENGTHS[..4].iter().map(|length| frame(DATA, 0, 1, *length)).collect();
        for piece in pieces {
            assert!(frames.between());
            for (at, byte) in piece.iter().enumerate() {
                frames.follow(&[*byte], |_| {});
                assert_eq!(frames.between(), at + 1 == piece.len());
            }
        }
    }

    #[test]
    fn a_head_is_written_as_it_is_read_and_its_reserved_bit_means_nothing() {
        let head = Head { length: 0x01_02_03, kind: PING, flags: 9, stream: 0x7fff_fffe };
        let mut bytes = head.bytes();
        assert_eq!(bytes, [1, 2, 3, 6, 9, 0x7f, 0xff, 0xff, 0xfe]);
        bytes[5] |= 0x80;
        assert_eq!(Head::read(bytes), head);
    }
}
