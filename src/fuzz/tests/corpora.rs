//! What was found so far is given to each parser again, and so are variations of it that are drawn from a seed: none makes
//! it panic, and none makes it hold much memory. `cargo fuzz` finds more; what it finds is kept here.
#![allow(unsafe_code)] // an allocator that counts

use fuzz::{PARSERS, Parser};
use rand::{Rng, RngCore};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Bytes that a parser may hold at any time, whatever it is given; what a test of the tank holds by itself is far below.
const MOST: usize = 64 << 20;
/// Variations of what one parser is given.
const VARIATIONS: u32 = 300;
/// No variation is longer.
const LONGEST: usize = 8 << 10;

/// Counts the bytes that are held, and the most that ever were.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// The counters are one for all tests.
static ALONE: Mutex<()> = Mutex::new(());

fn taken(bytes: usize) {
    PEAK.fetch_max(HELD.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// Sound: everything is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Gives the bytes to the parser; says which they were if that goes wrong.
fn give(parser: &Parser, name: &str, bytes: &[u8]) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let outcome = catch_unwind(AssertUnwindSafe(|| (parser.parse)(bytes)));
    if let Err(why) = outcome {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{} of {name}: {hex}", parser.name);
        resume_unwind(why);
    }
    let held = PEAK.load(Relaxed).saturating_sub(before);
    assert!(held <= MOST, "{} held {held} bytes for the {} of {name}", parser.name, bytes.len());
}

/// What is valid to begin with, and what was found.
fn known(parser: &Parser) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut known = (parser.seeds)();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora").join(parser.name);
    let mut files = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        known.push((file.file_name().to_string_lossy().into_owned(), fs::read(file.path())?));
    }
    Ok(known)
}

#[test]
fn what_was_found_breaks_nothing_any_more() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for parser in PARSERS {
        let known = known(parser).expect("the corpora");
        assert!(known.len() > (parser.seeds)().len(), "{} has a corpus", parser.name);
        known.iter().for_each(|(name, bytes)| give(parser, name, bytes));
    }
}

#[test]
fn variations_break_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for parser in PARSERS {
        let known = known(parser).expect("the corpora");
        let mut chance = base::stream::stream(1, parser.name);
        for number in 0..VARIATIONS {
            let (name, bytes) = &known[chance.gen_range(0..known.len())];
            let (_, other) = &known[chance.gen_range(0..known.len())];
            let mut bytes = bytes.clone();
            (0..chance.gen_range(1..=4)).for_each(|_| vary(&mut bytes, other, &mut chance));
            bytes.truncate(LONGEST);
            give(parser, &format!("variation {number} of {name}"), &bytes);
        }
    }
}

/// Bytes that often stand for something.
const TELLING: &[&[u8]] = &[
    &[0],
    &[1],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0xfd; 9],
    &[0xff; 4],
    &[0, 0, 0, 0x80],
    &[0xff, 0xff, 0xff, 0x7f],
    b"{}",
];

fn vary(bytes: &mut Vec<u8>, other: &[u8], chance: &mut impl RngCore) {
    let at = chance.gen_range(0..=bytes.len());
    let until = chance.gen_range(at..=bytes.len().min(at + 16));
    match chance.gen_range(0..6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << chance.gen_range(0..8),
        1 => drop(bytes.drain(at..until)),
        2 => {
            let telling = TELLING[chance.gen_range(0..TELLING.len())];
            bytes.splice(at..until.min(at + telling.len()), telling.iter().copied());
        }
        3 => {
            let again = bytes[at..until].to_vec();
            bytes.splice(at..at, again);
        }
        4 => {
            let from = chance.gen_range(0..=other.len());
            let to = chance.gen_range(from..=other.len().min(from + 64));
            bytes.splice(at..until, other[from..to].iter().copied());
        }
        _ => bytes.truncate(at),
    }
}
