//! Facts for whoever watches: the tank's checks in the simulation, nobody for real.

use base::Note;

/// States a fact.
#[cfg(madsim)]
pub fn note(note: Note) {
    world::record::note(note);
}

/// States a fact, to nobody.
#[cfg(not(madsim))]
#[inline(always)]
pub fn note(_: Note) {}
