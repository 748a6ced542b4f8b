//! The record of a run: a rolling digest of everything that happened, with checkpoints.
//! Promise: the same events at the same times give the same digest in every process and on every machine, and
//! between two records that differ the first event that differs can be found: checkpoints narrow it down to a
//! range, and a second run that captures the range shows its lines.

use crate::process;
use base::Note;
use madsim::task::NodeId;
use std::{
    cell::{Cell, RefCell},
    fmt::{self, Write},
    ops::Range,
    sync::Arc,
    time::Duration,
};

/// Events between two checkpoints unless a run asks for another distance.
pub const CHECKPOINT_EVERY: u64 = 10_000;

/// The digest after so many events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub events: u64,
    pub at: Duration,
    pub digest: String,
}

/// One event of the record, as it was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counts from 0.
    pub number: u64,
    pub at: Duration,
    pub process: Arc<str>,
    pub kind: &'static str,
    pub detail: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { number, at, process, kind, detail } = self;
        write!(f, "{number} {:.9} {process} {kind} {detail}", at.as_secs_f64())
    }
}

/// Says in words what a frame means, if it is one that is known.
pub type Describe = fn(&[u8]) -> Option<String>;

type NoteSink = Box<dyn FnMut(Duration, &str, Note)>;

#[derive(Clone, Copy)]
struct Rolling {
    lanes: [u64; 2],
    events: u64,
    next_checkpoint: u64,
    capture: (u64, u64),
}

impl Rolling {
    const START: Self =
        Self { lanes: [SALT[0], SALT[1]], events: 0, next_checkpoint: CHECKPOINT_EVERY, capture: (0, 0) };
}

thread_local! {
    static ROLLING: Cell<Rolling> = const { Cell::new(Rolling::START) };
    static EVERY: Cell<u64> = const { Cell::new(CHECKPOINT_EVERY) };
    static CHECKPOINTS: RefCell<Vec<Checkpoint>> = const { RefCell::new(Vec::new()) };
    static LINES: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
    static DESCRIBE: Cell<Option<Describe>> = const { Cell::new(None) };
    static SINK: RefCell<Option<NoteSink>> = const { RefCell::new(None) };
}

/// Begins an empty record; called when a world is installed.
pub(crate) fn reset() {
    ROLLING.set(Rolling::START);
    EVERY.set(CHECKPOINT_EVERY);
    CHECKPOINTS.take();
    LINES.take();
    SINK.take();
    DESCRIBE.take();
}

const SALT: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9];

/// Folds the full product of two words, so that every bit of either moves every bit of the result.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// A fast hash for the record; not for anyone who wishes us ill.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state = SALT[2] ^ bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        state = fold(state ^ word, SALT[0]);
    }
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    fold(state ^ u64::from_le_bytes(last), SALT[1])
}

/// Hashes several words into one.
pub fn hash_words(words: &[u64]) -> u64 {
    words.iter().fold(SALT[2], |state, word| fold(state ^ word, SALT[0]))
}

/// Hashes text as it is written, without a buffer.
struct Hasher(u64);

impl Write for Hasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = fold(self.0 ^ hash(text.as_bytes()), SALT[1]);
        Ok(())
    }
}

/// Records that something happened to a process. `payload` is a hash of what; `detail` is asked for only when
/// this event is captured as a line.
pub fn event(node: NodeId, kind: &'static str, payload: u64, detail: impl FnOnce() -> String) {
    let mut rolling = ROLLING.get();
    let at = process::elapsed();
    let (name_hash, kind_hash) = (process::name_hash(node), hash(kind.as_bytes()));
    let happened = hash_words(&[at.as_nanos() as u64, name_hash, kind_hash, payload]);
    rolling.lanes[0] = fold(rolling.lanes[0] ^ happened, SALT[0]);
    rolling.lanes[1] = fold(rolling.lanes[1].rotate_left(23) ^ happened, SALT[1]);
    let number = rolling.events;
    rolling.events += 1;
    if rolling.events >= rolling.next_checkpoint {
        rolling.next_checkpoint = rolling.events + EVERY.get();
        let checkpoint = Checkpoint { events: rolling.events, at, digest: hex(rolling.lanes) };
        CHECKPOINTS.with_borrow_mut(|all| all.push(checkpoint));
    }
    ROLLING.set(rolling);
    if (rolling.capture.0..rolling.capture.1).contains(&number) {
        let line = Line { number, at, process: process::name_of(node), kind, detail: detail() };
        LINES.with_borrow_mut(|lines| lines.push(line));
    }
}

fn hex(lanes: [u64; 2]) -> String {
    format!("{:016x}{:016x}", lanes[0], lanes[1])
}

/// The digest of all events so far.
pub fn digest() -> String {
    hex(ROLLING.get().lanes)
}

/// How many events there were.
pub fn events() -> u64 {
    ROLLING.get().events
}

/// Sets the distance of checkpoints from now on. At least 1.
pub fn checkpoint_every(events: u64) {
    let events = events.max(1);
    EVERY.set(events);
    let rolling = ROLLING.get();
    ROLLING.set(Rolling { next_checkpoint: rolling.events + events, ..rolling });
}

/// All checkpoints so far.
pub fn checkpoints() -> Vec<Checkpoint> {
    CHECKPOINTS.with_borrow(Clone::clone)
}

/// Captures the events of these numbers as lines.
pub fn capture(range: Range<u64>) {
    ROLLING.set(Rolling { capture: (range.start, range.end), ..ROLLING.get() });
}

/// The lines captured since the last call.
pub fn take_lines() -> Vec<Line> {
    LINES.take()
}

/// Datagrams that are captured are described by this.
pub fn describe_with(describe: Describe) {
    DESCRIBE.set(Some(describe));
}

pub(crate) fn describe(frame: &[u8]) -> Option<String> {
    DESCRIBE.get().and_then(|describe| describe(frame))
}

/// Who is told each note. A sink that itself causes notes is not told those.
pub fn set_note_sink(sink: NoteSink) {
    SINK.set(Some(sink));
}

/// The running process says something.
pub fn note(note: Note) {
    let node = madsim::plugin::node();
    let mut hasher = Hasher(SALT[2]);
    write!(hasher, "{note:?}").expect("a hasher takes all text");
    event(node, "note", hasher.0, || format!("{note:?}"));
    tell(node, note);
}

/// The running process says something that is no part of the record: for whoever acts upon it.
pub fn aside(note: Note) {
    tell(madsim::plugin::node(), note);
}

fn tell(node: NodeId, note: Note) {
    // Taken out while it runs, so that it may use the record.
    let Some(mut sink) = SINK.take() else { return };
    sink(process::elapsed(), &process::name_of(node), note);
    SINK.with_borrow_mut(|slot| {
        slot.get_or_insert(sink);
    });
}
