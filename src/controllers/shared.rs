//! What every controller has: the client, one informer for each kind, and the loop that works off a queue.

use base::{knobs::ms, reached};
use client::{Client, Delta, Error, Informer, Recorder, WorkQueue, cache::IndexFn, informer::Scope, key_of};
use objects::{Kind, Object, kinds};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

type Handler = Box<dyn Fn(&Delta) + Send + Sync>;

/// The controllers' view of the world. Informers start when first asked for, and are shared.
pub struct Context {
    pub client: Client,
    pub recorder: Recorder,
    informers: Mutex<BTreeMap<&'static str, Shared>>,
}

struct Shared {
    informer: Informer,
    handlers: Arc<Mutex<Vec<Handler>>>,
}

const INDEXES: &[(&str, IndexFn)] =
    &[("owner", by_owner), ("controller", by_controller), ("node", by_node), ("namespace", by_namespace)];

fn by_owner(object: &Object) -> Vec<String> {
    object.owner_refs().into_iter().map(|owner| owner.uid).collect()
}

/// Under the uid of what controls it, or with all of its namespace that nothing controls.
fn by_controller(object: &Object) -> Vec<String> {
    let controller = objects::owner::controller_uid(object).map(str::to_string);
    vec![controller.unwrap_or_else(|| uncontrolled(object.namespace().unwrap_or_default()))]
}

/// What the index of controllers files those of a namespace under that have none. No uid has a space.
pub fn uncontrolled(namespace: &str) -> String {
    format!("none in {namespace}")
}

fn by_node(object: &Object) -> Vec<String> {
    let node = object.get_str(&["spec", "nodeName"]);
    if node.is_empty() { vec![] } else { vec![node.to_string()] }
}

fn by_namespace(object: &Object) -> Vec<String> {
    object.namespace().map(str::to_string).into_iter().collect()
}

impl Context {
    pub fn start(client: Client) -> Self {
        let recorder = Recorder::new(&client, "controller-manager");
        Context { client, recorder, informers: Mutex::default() }
    }

    /// How long a request that got no answer can still be carried out: until the server's own deadlines. Upstream
    /// waits for its full five minutes.
    pub fn longest_request(&self) -> Duration {
        let knobs = self.client.knobs();
        ms(knobs.api_timeout_ms) + ms(knobs.request_timeout_ms)
    }

    /// The informer of a kind; `handler` is told of every change from now on, and of what is there already.
    pub fn follow(&self, kind: &'static Kind, handler: impl Fn(&Delta) + Send + Sync + 'static) -> Informer {
        let mut informers = self.informers.lock().expect("no one panics while holding the informers");
        let shared = informers.entry(kind.plural).or_insert_with(|| {
            let handlers: Arc<Mutex<Vec<Handler>>> = Arc::default();
            let told = handlers.clone();
            let all = move |delta: &Delta| {
                for handler in told.lock().expect("no one panics while holding handlers").iter() {
                    handler(delta);
                }
            };
            let informer = Informer::start(&self.client, Scope::all(kind), INDEXES, vec![Box::new(all)]);
            Shared { informer, handlers }
        });
        // The cache is not held while the handler runs: it may look into it.
        let there: Vec<_> = shared.informer.cache().iter().cloned().collect();
        for object in there {
            handler(&Delta::Added(object));
        }
        shared.handlers.lock().expect("no one panics while holding handlers").push(Box::new(handler));
        shared.informer.clone()
    }

    pub fn queue(&self, name: &'static str) -> WorkQueue {
        WorkQueue::new(name, self.client.knobs())
    }

    /// Works off a queue, for ever: a key whose sync failed comes back later and later.
    pub async fn work<F, Fut>(&self, queue: &WorkQueue, sync: F)
    where
        F: Fn(String) -> Fut,
        Fut: Future<Output = Result<(), Error>>,
    {
        let worker = || async {
            loop {
                let key = queue.pop().await;
                let done = sync(key.clone()).await;
                reached!("controller: a sync failed and is tried again", done.is_err());
                queue.finish(&key, &done);
            }
        };
        let workers = (0..self.client.knobs().controller_workers.max(1)).map(|_| worker());
        futures::future::join_all(workers).await;
    }
}

/// A handler that queues the changed object's key.
pub fn queue_key(queue: &WorkQueue) -> impl Fn(&Delta) + Send + Sync + 'static {
    let queue = queue.clone();
    move |delta| queue.add(&key_of(delta.object()))
}

/// A handler that queues the key of the changed object's controller, if that is of this kind.
pub fn queue_controller(queue: &WorkQueue, kind: &'static Kind) -> impl Fn(&Delta) + Send + Sync + 'static {
    let queue = queue.clone();
    move |delta| {
        let old = match delta {
            Delta::Modified { old, .. } => Some(old),
            _ => None,
        };
        for object in [Some(delta.object()), old].into_iter().flatten() {
            if let Some(key) = controller_key(object, kind) {
                queue.add(&key);
            }
        }
    }
}

/// The key of the object's controller, if that is of this kind.
pub fn controller_key(object: &Object, kind: &Kind) -> Option<String> {
    let owner = objects::owner::controller_ref(object).filter(|owner| owner.kind == kind.kind)?;
    Some(format!("{}/{}", object.namespace().unwrap_or_default(), owner.name))
}

/// True for a pod that counts: not ended, not asked to go.
pub fn is_active(pod: &Object) -> bool {
    !matches!(pod.get_str(&["status", "phase"]), "Succeeded" | "Failed") && pod.deletion_timestamp().is_none()
}

/// The time since when the pod is ready, if it is.
pub fn ready_since(pod: &Object) -> Option<&str> {
    let conditions = pod.get_array(&["status", "conditions"]);
    let ready =
        conditions.iter().find(|condition| condition["type"] == "Ready" && condition["status"] == "True")?;
    Some(ready["lastTransitionTime"].as_str().unwrap_or_default())
}

/// Kinds with content that belongs to a namespace or to an owner.
pub fn owned_kinds() -> impl Iterator<Item = &'static Kind> {
    kinds::KINDS.iter().copied().filter(|kind| kind.kind != "Event")
}
