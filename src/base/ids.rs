//! Newtypes for the numbers that travel through every layer, so that one is never passed for another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// No index, term or revision lies above. One that says so comes from damage: nobody counts that far, and there is room
/// behind it for whoever counts on.
pub const LAST: u64 = 1 << 62;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $short:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number after this one.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($short, "{}"), self.0)
            }
        }
    };
}

number!(
    /// A store member (Raft's server id). Never 0.
    MemberId(u64), "m");
number!(
    /// A Raft term (Raft paper, section 5.1). 0 before the first election.
    Term(u64), "t");
number!(
    /// A position in the Raft log. The first entry is 1; 0 means "before the log".
    Index(u64), "i");
number!(
    /// A store revision (etcd: one for each transaction that changed something). An empty store is at 1.
    Revision(i64), "r");
