//! Words everyone shares. `base` imports nothing of ours and touches nothing of the world.
//!
//! | module | promise |
//! |---|---|
//! | `ids` | newtypes, so that a term is never passed for an index |
//! | `knobs` | every interval and limit of the product, by name, with its unit |
//! | `note` | what the product says about itself to whoever watches (the tank does) |
//! | `marks` | `invariant!`, `reached!`, `bug!` |
//! | `stream` | named random streams: one seed and a name give a ChaCha stream |
//! | `words` | the word that was meant by a misspelt one |

pub mod ids;
pub mod knobs;
pub mod marks;
pub mod note;
pub mod stream;
pub mod words;

pub use ids::{Index, LAST, MemberId, Revision, Term};
pub use knobs::Knobs;
pub use note::Note;
