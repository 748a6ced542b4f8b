//! The etcd services over the wire, with a core that agrees with itself at once. Runs in both builds.

mod accounts;
mod candidates;
mod claims;
mod compacted;
mod core;
mod counters;
mod gateway;
mod grants;
mod histories;
mod json;
mod kv;
mod lease;
mod limits;
mod operations;
mod peers;
mod pings;
mod probes;
mod space;
mod streams;
mod turns;
mod users;
mod watch;

use base::Knobs;
use std::future::Future;

/// Runs a test against one member, in the tank from seed 7 or for real.
fn with_member<F: Future<Output = ()> + 'static>(
    knobs: Knobs,
    test: impl FnOnce(core::Core) -> F + Send + 'static,
) {
    rt::testing::run(7, move || async move { test(core::Core::start(knobs).await).await });
}

/// The error a call ended with.
fn error<T: std::fmt::Debug>(result: Result<T, tonic::Status>) -> Option<etcd::Error> {
    etcd::kind(&result.expect_err("expected an error"))
}
