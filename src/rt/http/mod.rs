//! HTTP/1.1 and HTTP/2 over `net`: hyper's own protocol code with our executor and timer, so that the bytes in
//! the tank are the bytes on a real wire.

mod body;
mod client;
mod error;
mod hyper_rt;
mod pool;
mod server;
mod weigh;

pub use axum::Router;
pub use body::Body;
pub use client::{Client, ClientOptions};
pub use error::Error;
pub(crate) use hyper_rt::{Exec, Timer};
pub use server::{ServeOptions, serve};
