//! A member's memory: Raft's log, its votes, and snapshots, in files that outlive crashes and losses of power.
//! Promise: what a [`Synced`] covers is found again by [`Wal::open`], whatever happens in between, or `open`
//! says which file and byte is broken and changes nothing.
//!
//! | module | promise |
//! |---|---|
//! | `record` | what is kept: hard states, entries, snapshots; whose it is |
//! | `codec` | the bytes of records; the only place that knows bincode |
//! | `header` | what files of the log begin with |
//! | `segment` | a file of frames: `[len][crc32c][payload]` behind a header |
//! | `snapshot` | snapshot files, written aside piece by piece and renamed, and read likewise |
//! | `log` | [`Wal`]: append, sync, cut, release |
//! | `owner` | whose log a folder holds, and an end to one that is nobody's |
//! | `rejoin` | the note that what was promised is lost |
//! | `recover` | the table of cases in which a folder may be found, and what is done in each |
//! | `forged` | files of any content behind right checksums, for who tries what may stand in a folder |
//! | `error` | what can go wrong, and what to do about it |

mod codec;
mod error;
mod files;
#[doc(hidden)]
pub mod forged;
mod header;
mod log;
mod owner;
mod record;
mod recover;
mod rejoin;
mod segment;
mod snapshot;

pub use error::Error;
pub use log::{Synced, Wal};
pub use owner::{forget, owner};
pub use record::{Entry, HardState, Identity, Record, Snapshot};
pub use recover::Recovered;
pub use snapshot::{Reader, Snapshots, Writer, Written};
