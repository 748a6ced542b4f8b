//! Every parser of what comes from outside, as a function of arbitrary bytes.
//!
//! Promise of each: it never panics, whatever the bytes are, and never holds much more memory than they are long. What is
//! decoded encodes to what decodes to the same; what is refused is refused by an error. They go as deep behind a parser as
//! what is decoded goes: requests are carried out on a store, frames are a Raft node's input, a folder is opened, and
//! opened again.
//!
//! Three use them: `cargo fuzz` (`targets/`), which looks for inputs that break one; the ordinary test `tests/corpora.rs`,
//! which gives each what was found so far (`corpora/`) and variations of it; and `examples/seeds.rs`, which writes what is
//! valid to begin with. As only a nightly compiler takes what `cargo fuzz` asks for, a stable one has to be told to; and
//! without LTO, with which its coverage does not link (rust-fuzz/cargo-fuzz#384):
//!
//! ```sh
//! cargo install cargo-fuzz
//! cargo --config .cargo/real.toml run -p fuzz --example seeds -- target/seeds
//! RUSTC_BOOTSTRAP=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo fuzz run \
//!     --fuzz-dir src/fuzz --features libfuzzer frames src/fuzz/corpora/frames target/seeds/frames -- \
//!     -max_total_time=1200 -rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=10
//! ```
//!
//! | module | promise |
//! |---|---|
//! | `requests`, `gateway` | calls over gRPC, and as JSON; `served` is the member that they come to |
//! | `tokens` | what a request shows of its sender |
//! | `frames` | what members send each other; `node` is the one that hears it |
//! | `folders` | a member's folder: segments, snapshots, notes |
//! | `snapshots` | the store's snapshots, and backups |
//! | `objects` | what the API server is asked for and sent |
//! | `pings` | frames of HTTP/2, where pings are counted |
//! | `input` | bytes, taken apart into choices and blocks |

mod folders;
mod frames;
mod gateway;
mod input;
mod node;
mod objects;
mod pings;
mod requests;
mod served;
mod snapshots;
mod tokens;

pub use folders::wal;
pub use frames::frames;
pub use gateway::gateway;
pub use objects::objects;
pub use pings::pings;
pub use requests::requests;
pub use snapshots::snapshots;
pub use tokens::tokens;

/// Nothing is gone on from numbers above: whoever counts on from there comes to those that nobody takes any more.
const FAR: u64 = base::LAST - (1 << 20);

/// A function, what it is called, and what is valid to begin with.
pub struct Parser {
    pub name: &'static str,
    pub parse: fn(&[u8]),
    pub seeds: fn() -> Vec<Seed>,
}

/// Its name, and its bytes.
pub type Seed = (String, Vec<u8>);

pub const PARSERS: &[Parser] = &[
    Parser { name: "requests", parse: requests, seeds: requests::seeds },
    Parser { name: "gateway", parse: gateway, seeds: gateway::seeds },
    Parser { name: "frames", parse: frames, seeds: frames::seeds },
    Parser { name: "wal", parse: wal, seeds: folders::seeds },
    Parser { name: "snapshots", parse: snapshots, seeds: snapshots::seeds },
    Parser { name: "tokens", parse: tokens, seeds: tokens::seeds },
    Parser { name: "objects", parse: objects, seeds: objects::seeds },
    Parser { name: "pings", parse: pings, seeds: pings::seeds },
];
