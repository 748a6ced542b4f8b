//! One file of the log: a header, then frames `[len u32][crc32c u32][payload]`, little-endian.
//! Promise: reading tells a torn end (a write that a loss of power cut short: nothing was promised of it) from
//! damage (bytes that had been synced and are not what they were), and never takes the one for the other when
//! the file itself holds the proof.

use crate::{
    Error, Identity,
    codec::{self, Frame},
    header::{self, u32_at},
};
use base::bug;
use std::path::Path;

const KIND: header::Kind = header::Kind { magic: b"WAVEWAL\n", version: 1, name: "a log segment" };
const FRAME_HEADER: usize = 8;
/// Far above what a batch may hold; a length beyond it is no length.
pub(crate) const MAX_FRAME: usize = 1 << 30;
/// Disks write whole sectors: a write that was cut short lacks whole ones.
const SECTOR: usize = 512;

/// With its sequence, as the file's name has it.
pub(crate) fn header(identity: Identity, sequence: u64) -> Vec<u8> {
    KIND.encode(identity, sequence)
}

/// Whose segment this is.
pub(crate) fn owner(path: &Path, bytes: &[u8]) -> Result<Identity, Error> {
    KIND.owner(path, bytes)
}

/// A frame around a payload.
pub(crate) fn frame(payload: &[u8]) -> Result<Vec<u8>, Error> {
    if payload.len() > MAX_FRAME {
        return Err(Error::TooLarge { size: payload.len(), limit: MAX_FRAME });
    }
    let len = (payload.len() as u32).to_le_bytes();
    let crc = checksum(len, payload).to_le_bytes();
    Ok([&len[..], &crc, payload].concat())
}

/// Covers the length as well.
fn checksum(len: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len), payload)
}

/// What a segment holds.
#[derive(Debug)]
pub(crate) struct Read {
    /// Each frame, with the offset it stands at.
    pub frames: Vec<(usize, Frame)>,
    /// Where the last whole frame ends.
    pub end: usize,
    /// Bytes behind that: a torn end.
    pub torn: usize,
}

/// Reads a segment. Only the `last` one may have a torn end: all others were synced before the next was made.
pub(crate) fn read(
    path: &Path,
    bytes: &[u8],
    identity: Identity,
    sequence: u64,
    last: bool,
) -> Result<Read, Error> {
    check_header(path, bytes, identity, sequence)?;
    let (mut frames, mut at) = (Vec::new(), header::LEN);
    while at < bytes.len() {
        let Some((frame, next)) = frame_at(bytes, at) else { break };
        frames.push((at, frame));
        at = next;
    }
    let torn = bytes.len() - at;
    if torn > 0 {
        if bug!("S06") {
            return Err(Error::damaged(path, at, "expected a whole record"));
        }
        if !last {
            return Err(Error::damaged(
                path,
                at,
                "expected a whole record, as in every segment but the last",
            ));
        }
        check_torn(path, bytes, at)?;
        base::reached!("a torn end of the log");
    }
    Ok(Read { frames, end: at, torn })
}

fn check_header(path: &Path, bytes: &[u8], identity: Identity, sequence: u64) -> Result<(), Error> {
    let found = KIND.decode(path, bytes, identity)?;
    if found != sequence {
        let text = format!("expected segment {sequence:x} by the file's name, found {found:x}");
        return Err(Error::damaged(path, 32, text));
    }
    Ok(())
}

/// The whole and correct frame at an offset, and where it ends.
fn frame_at(bytes: &[u8], at: usize) -> Option<(Frame, usize)> {
    let head = bytes.get(at..at + FRAME_HEADER)?;
    let len = u32_at(head, 0) as usize;
    let start = at + FRAME_HEADER;
    let payload = bytes.get(start..start.checked_add(len)?)?;
    if len == 0
        || len > MAX_FRAME
        || checksum(head[..4].try_into().expect("four bytes"), payload) != u32_at(head, 4) && !bug!("S20")
    {
        return None;
    }
    Some((codec::decode(payload)?, start + len))
}

/// What is wrong at `at` is either a torn end or damage. It is damage if a later frame says that this place
/// had been synced, or if the bytes are all there and no sector of them is missing.
fn check_torn(path: &Path, bytes: &[u8], at: usize) -> Result<(), Error> {
    let proof = (at + 1..bytes.len()).find(|later| {
        frame_at(bytes, *later)
            .is_some_and(|(frame, _)| frame.synced > at as u64 && frame.synced <= *later as u64)
    });
    if let Some(later) = proof {
        let text =
            format!("the checksum does not match, and the record at byte {later} shows that it once did");
        return Err(Error::damaged(path, at, text));
    }
    let whole = bytes.get(at..at + FRAME_HEADER).map(|head| u32_at(head, 0) as usize + FRAME_HEADER);
    let stop = whole.and_then(|len| at.checked_add(len)).filter(|stop| *stop <= bytes.len());
    if let Some(stop) = stop
        && !lacks_a_sector(bytes, at, stop)
    {
        return Err(Error::damaged(path, at, "the checksum does not match, though no part is missing"));
    }
    if stop.is_none() && length_rotted(bytes, at) {
        return Err(Error::damaged(path, at, "one bit of the record's length is wrong"));
    }
    Ok(())
}

/// Whether a record that seems to end behind the file is whole but for one bit of its length.
fn length_rotted(bytes: &[u8], at: usize) -> bool {
    let Some(rest) = bytes.get(at..).filter(|rest| rest.len() > FRAME_HEADER) else { return false };
    (0..32).any(|bit| {
        let len = u32_at(rest, 0) ^ (1 << bit);
        let payload = rest[FRAME_HEADER..].get(..len as usize);
        payload.is_some_and(|payload| checksum(len.to_le_bytes(), payload) == u32_at(rest, 4))
    })
}

/// Whether all of the record that lies in some sector reads as zeros.
fn lacks_a_sector(bytes: &[u8], mut at: usize, stop: usize) -> bool {
    while at < stop {
        let next = (at + 1).next_multiple_of(SECTOR).min(stop);
        if bytes[at..next].iter().all(|byte| *byte == 0) {
            return true;
        }
        at = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Item;
    use crate::record::Place;
    use base::MemberId;

    const ME: Identity = Identity { cluster: 1, member: MemberId(2) };

    fn segment(frames: &[u64]) -> Vec<u8> {
        let mut bytes = header(ME, 7);
        for synced in frames {
            let synced = if *synced == 0 { 0 } else { bytes.len() as u64 };
            bytes.extend(frame(&codec::encode_items(synced, &[Item::Continue(Place::default())])).unwrap());
        }
        bytes
    }

    fn look(bytes: &[u8], last: bool) -> Result<(usize, usize), String> {
        let read = read(Path::new("/f"), bytes, ME, 7, last).map_err(|error| error.to_string())?;
        Ok((read.frames.len(), read.torn))
    }

    #[test]
    fn whole_frames_are_read_and_a_cut_one_is_torn() {
        let bytes = segment(&[0, 1]);
        assert_eq!(look(&bytes, false), Ok((2, 0)));
        for cut in 1..10 {
            let short = &bytes[..bytes.len() - cut];
            assert!(look(short, false).unwrap_err().contains("every segment but the last"));
            assert!(matches!(look(short, true), Ok((1, torn)) if torn > 0));
        }
    }

    #[test]
    fn zeros_and_garbage_behind_a_torn_frame_are_torn_too() {
        let mut bytes = segment(&[0]);
        let end = bytes.len();
        bytes.resize(2_000, 0);
        assert_eq!(look(&bytes, true), Ok((1, 2_000 - end)));
        bytes[1_024..].fill(0xa5);
        assert_eq!(look(&bytes, true), Ok((1, 2_000 - end)));
    }

    #[test]
    fn damage_before_a_frame_that_saw_it_synced_is_no_torn_end() {
        let one = segment(&[0]).len();
        let mut bytes = segment(&[0, 1, 1]);
        bytes[one + 9] ^= 1;
        let error = look(&bytes, true).unwrap_err();
        assert!(
            error.starts_with(&format!("/f is damaged at byte {one}: the checksum does not match, and")),
            "{error}"
        );
        // A broken length hides where the next frame is; it is found all the same.
        let mut bytes = segment(&[0, 1, 1]);
        bytes[one + 2] = 0xff;
        assert!(look(&bytes, true).unwrap_err().contains("shows that it once did"));
    }

    #[test]
    fn damage_in_the_last_frame_is_told_by_its_being_whole() {
        let one = segment(&[0]).len();
        let mut bytes = segment(&[0, 1]);
        bytes[one + 9] ^= 1;
        assert!(look(&bytes, true).unwrap_err().contains("though no part is missing"));
        for at in one..bytes.len() {
            let mut bytes = segment(&[0, 1]);
            bytes[at] ^= 0x10;
            look(&bytes, true).unwrap_err();
        }
    }

    #[test]
    fn headers_are_checked() {
        let flip = |at: usize| {
            let mut bytes = segment(&[]);
            bytes[at] ^= 0x10;
            look(&bytes, true).unwrap_err()
        };
        assert!(flip(0).contains("expected the header of a log segment"));
        assert!(flip(8).contains("is of format version 17, this program knows versions up to 1"));
        assert!(flip(20).contains("the checksum of the header does not match"));
        assert!(look(&segment(&[])[..20], true).unwrap_err().contains("expected the header"));
        let other = Identity { member: MemberId(3), ..ME };
        let error = read(Path::new("/f"), &header(other, 7), ME, 7, true).unwrap_err().to_string();
        assert!(
            error.contains("belongs to member 3 of cluster 1, expected member 2 of cluster 1"),
            "{error}"
        );
        let error = read(Path::new("/f"), &header(ME, 8), ME, 7, true).unwrap_err().to_string();
        assert!(error.contains("expected segment 7 by the file's name, found 8"), "{error}");
    }
}
