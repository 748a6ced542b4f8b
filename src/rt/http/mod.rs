//! HTTP/1.1 and HTTP/2 over `net`: hyper's own protocol code with our executor and timer, so that the bytes in
//! the tank are the bytes on a real wire.
//! `calm` ends connections of clients that ping too often: `frames` are what it watches, `pings` is the rule.

mod body;
mod calm;
mod client;
mod error;
mod frames;
mod hyper_rt;
mod pings;
mod pool;
mod server;
mod weigh;

pub use axum::Router;
pub use body::Body;
pub use client::{Client, ClientOptions};
pub use error::Error;
pub(crate) use hyper_rt::{Exec, Timer, keepalive};
pub use pings::Pings;
pub use server::{ServeOptions, serve};
