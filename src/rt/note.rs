//! Facts for whoever watches: the tank's checks in the simulation; for real, what is said to people goes to
//! standard error.

use base::Note;

/// States a fact.
#[cfg(madsim)]
pub fn note(note: Note) {
    world::record::note(note);
}

/// States a fact.
#[cfg(not(madsim))]
pub fn note(note: Note) {
    if let Note::Said { text } = note {
        eprintln!("{text}");
    }
}
