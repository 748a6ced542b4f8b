//! The etcd v3 protocol: its messages, its errors, and a client that fails over between endpoints.
//!
//! | module | promise |
//! |---|---|
//! | `pb` | the messages and service traits, with the protocol's own field numbers |
//! | `error` | every error the store gives, with the text and code that clients match on |
//! | `keys` | ranges: a prefix, everything from a key on |
//! | `client` | one channel at a time, re-picked on failure; a write is never sent twice unless the first was surely not executed |
//! | `streams` | watch and lease keepalive, as streams of requests and responses |
//! | `credentials` | a user's name and password, and the token they were exchanged for |
//! | `retry` | the decision whether a failed call may be sent again |

pub mod client;
mod credentials;
pub mod error;
pub mod keys;
pub mod retry;
pub mod streams;
mod transport;

/// The .proto files as descriptors (a `FileDescriptorSet`), with the protocol's own names.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The generated code.
pub mod pb {
    #![allow(clippy::all, missing_docs)]
    /// Package `authpb`.
    pub mod authpb {
        include!(concat!(env!("OUT_DIR"), "/authpb.rs"));
    }
    /// Package `mvccpb`.
    pub mod mvccpb {
        include!(concat!(env!("OUT_DIR"), "/mvccpb.rs"));
    }
    /// Package `etcdserverpb`.
    pub mod etcdserverpb {
        include!(concat!(env!("OUT_DIR"), "/etcdserverpb.rs"));
    }
    /// Package `v3lockpb`.
    pub mod v3lockpb {
        include!(concat!(env!("OUT_DIR"), "/v3lockpb.rs"));
    }
    /// Package `grpc.health.v1`.
    pub mod grpc_health {
        include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
    }
    /// Package `v3electionpb`.
    pub mod v3electionpb {
        include!(concat!(env!("OUT_DIR"), "/v3electionpb.rs"));
    }
    pub use etcdserverpb::*;
    pub use mvccpb::{Event, KeyValue, event};
    pub use v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
}

pub use client::Client;
pub use credentials::TOKEN;
pub use error::{Error, kind};
pub use streams::{KeepAliveStream, WatchStream};
