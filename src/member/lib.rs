//! One member of the store.
//!
//! | module | promise |
//! |---|---|
//! | `config` | what a member is told when it starts |
//! | `handle` | the seam between the core and the services: who may ask for what |
//! | `services` | the etcd v3 services, and health and version over HTTP, on the client port |

pub mod config;
pub mod handle;
pub mod services;

pub use config::{Config, MemberAddr};
pub use handle::{Applied, Handle, ProposeError, ReadError, Request, Requests, View};
