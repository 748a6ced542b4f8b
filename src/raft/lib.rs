//! Consensus as a machine: [`Node::step`] takes one [`Input`] and says, as [`Effects`], what has to be done.
//! It knows neither clocks nor disks nor networks, and never what a command means.
//!
//! | module | promise |
//! |---|---|
//! | `entry` | what stands in the log, and its digest |
//! | `membership` | who votes, and what a quorum is: also in a joint configuration |
//! | `configs` | the configurations in the log, of which the last one counts |
//! | `reconfigure` | members come and go, one change at a time |
//! | `transfer` | a leader hands on its leadership |
//! | `message` | what members say to one another |
//! | `effects` | inputs and effects; what must follow a sync can be opened only by a finished one |
//! | `log` | the log in memory, from the last compaction on |
//! | `node` | the machine: terms, roles, ticks |
//! | `election` | pre-vote, votes, and who is refused one |
//! | `lead` | replication as the leader does it |
//! | `follow` | appending, and taking a snapshot, as a follower does it |
//! | `install` | a snapshot takes the place of the log |
//! | `read` | reads proven by a round of heartbeats |
//! | `rejoin` | a member that lost its disk takes part again, and why that is safe |
//! | `progress` | what a leader knows of one follower, and its window |
//! | `invariants` | Raft's promises over a whole cluster, checked step by step (for tests) |

mod configs;
mod effects;
mod election;
mod entry;
mod follow;
mod install;
pub mod invariants;
mod lead;
mod log;
mod membership;
mod message;
mod node;
mod progress;
mod read;
mod reconfigure;
mod rejoin;
mod transfer;

pub use effects::{
    AfterSync, Chunk, Effects, HardState, Input, Outbox, Persist, Piece, Proposed, ReadReady, Refused,
    RoleChange, Synced, Ticket,
};
pub use entry::{Data, Entry, Payload, Snapshot, SnapshotMeta};
pub use log::Log;
pub use membership::Membership;
pub use message::{Body, Message};
pub use node::{Config, Node, Recovered, Role};
pub use reconfigure::Target;
pub use rejoin::Recall;

#[cfg(test)]
mod invariants_tests;
