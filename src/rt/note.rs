//! Facts for whoever watches: the tank's checks in the simulation; for real, what is said to people goes to
//! standard error.

use base::Note;

/// States a fact.
#[cfg(madsim)]
pub fn note(note: Note) {
    world::record::note(note);
}

/// States a fact that is no part of the record.
#[cfg(madsim)]
pub fn aside(note: impl FnOnce() -> Note) {
    world::record::aside(note());
}

/// States a fact that is no part of the record: for real, to nobody.
#[cfg(not(madsim))]
pub fn aside(_: impl FnOnce() -> Note) {}

/// The process is about to take in something it was told of this kind. The tank may let others come first, as a
/// network may.
#[cfg(madsim)]
pub async fn delivery(kind: &str) {
    world::order::delivery(kind).await;
}

/// The process is about to take in something it was told of this kind.
#[cfg(not(madsim))]
pub async fn delivery(_: &str) {}

/// States a fact.
#[cfg(not(madsim))]
pub fn note(note: Note) {
    match note {
        Note::Said { text } => say(&text),
        Note::Repaired { member, what } => say(&format!("{member} repaired its log: {what}")),
        _ => {}
    }
}

/// Where nobody reads it any more it is lost, and that is all.
#[cfg(not(madsim))]
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
