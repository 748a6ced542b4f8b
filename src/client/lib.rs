//! The Kubernetes client library: what controllers, schedulers and kubelets know of the world.
//!
//! | module | promise |
//! |---|---|
//! | `api` | requests against any of several API servers; a write that may have been executed is never sent twice |
//! | `watch` | one watch stream, decoded |
//! | `cache` | pure: objects by key with indexes; never goes back |
//! | `reflect` | pure: what a reflector does next (list, watch, resume, relist) |
//! | `informer` | a cache kept equal to the server, and handlers told of each change |
//! | `queue` | a work queue of keys: deduplicated, rate limited, one worker per key |
//! | `expect` | pure: creations and deletions that were asked for and not yet seen |
//! | `written` | pure: what was written and has not been seen in the cache |
//! | `elect` | leader election on a Lease, and the fence that stops a deposed holder's writes |
//! | `events` | Events (the kind), aggregated |

pub mod api;
pub mod cache;
pub mod elect;
pub mod error;
pub mod events;
pub mod expect;
pub mod informer;
pub mod queue;
pub mod reflect;
pub mod watch;
pub mod written;

pub use api::{Client, DeleteOptions, List, ListOptions, PatchType};
pub use cache::{Cache, Delta};
pub use elect::{Elector, Fence};
pub use error::Error;
pub use events::Recorder;
pub use expect::Expectations;
pub use informer::Informer;
pub use queue::WorkQueue;
pub use watch::{WatchEvent, WatchStream};
pub use written::Written;

/// A namespaced object's key, `namespace/name`, or the name alone for a cluster-wide one.
pub fn key_of(object: &objects::Object) -> String {
    object.key()
}

/// The namespace and the name in a key made by [`key_of`].
pub fn split_key(key: &str) -> (Option<&str>, &str) {
    match key.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, key),
    }
}
