//! Both directions of an HTTP/2 connection, as what counts the pings of a client sees them.

use crate::{
    Seed,
    input::{Input, Output},
};
use rt::{Mono, http::Pings};
use std::time::Duration;

const LEAST: Duration = Duration::from_secs(5);
/// In front of a client's frames, for those who count from there.
const PREFACE: usize = 24;
/// The server sent it, not the client.
const SERVER: u8 = 0x80;

/// Pieces, each of them `side and seconds, length, bytes`. Where they are cut is nothing that anybody goes by: what the
/// client is told is the same if each byte comes alone.
pub fn pings(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let preface = usize::from(input.byte()) % (PREFACE + 1);
    let (mut whole, mut single) = (Pings::new(LEAST, preface), Pings::new(LEAST, preface));
    let mut second = 0;
    while !input.is_empty() {
        let side = input.byte();
        second += u64::from(side & !SERVER);
        let piece = input.block();
        let now = || Mono::from_nanos(second * 1_000_000_000);
        if side & SERVER == 0 {
            let told: Vec<bool> = piece.chunks(1).map(|byte| single.came(byte, now)).collect();
            assert_eq!(whole.came(piece, now), told.contains(&true), "too many pings");
        } else {
            whole.went(piece);
            piece.chunks(1).for_each(|byte| single.went(byte));
        }
        assert_eq!(whole.newest(), single.newest());
        assert_eq!(whole.between_frames(), single.between_frames());
    }
}

/// Who sent it when, and its bytes.
type Piece = (u8, Vec<u8>);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const END_STREAM: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u8) -> Vec<u8> {
    [&[0, 0, 8, kind, flags, 0, 0, 0, stream][..], b"anything"].concat()
}

pub fn seeds() -> Vec<Seed> {
    let ping = |seconds: u8| (seconds, frame(PING, 0, 0));
    let open = (0, frame(HEADERS, END_STREAM, 1));
    let answer = |flags| (SERVER, [frame(HEADERS, 0, 1), frame(DATA, flags, 1)].concat());
    let connections: [(&str, Vec<Piece>); 4] = [
        ("hurry", vec![open.clone(), ping(1), ping(1), ping(1), ping(1)]),
        ("served", vec![open.clone(), ping(1), answer(0), ping(1), answer(END_STREAM), ping(60), ping(60)]),
        ("no-stream", vec![ping(0), ping(127), ping(127), ping(127), ping(127)]),
        (
            "reset",
            vec![open, (0, frame(RST_STREAM, 0, 1)), (SERVER, frame(RST_STREAM, 0, 1)), ping(6), ping(6)],
        ),
    ];
    let seed = |(name, pieces): (&str, Vec<Piece>)| {
        let output = pieces
            .iter()
            .fold(Output::default().byte(0), |output, (side, bytes)| output.byte(*side).block(bytes));
        (name.to_owned(), output.into_bytes())
    };
    connections.into_iter().map(seed).collect()
}
