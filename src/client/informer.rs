//! A cache kept equal to the server: list, watch, resume, relist. Handlers are told of each change, in order,
//! after the cache has it.

use crate::{
    Cache, Client, Delta, Error, ListOptions, WatchEvent,
    cache::{IndexFn, version_of},
    reflect::{Outcome, Reflect, Step},
};
use base::{Note, knobs::ms, reached};
use objects::{Object, kinds::Kind};
use std::{
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

/// A watch has told all that was missed before it when it has been heard for this long.
const CAUGHT_UP: Duration = Duration::from_secs(5);

type Handler = Box<dyn Fn(&Delta) + Send + Sync>;

/// What an informer follows.
pub struct Scope {
    pub kind: &'static Kind,
    pub namespace: Option<String>,
    pub label_selector: String,
    pub field_selector: String,
}

impl Scope {
    /// Every object of a kind.
    pub fn all(kind: &'static Kind) -> Self {
        Scope { kind, namespace: None, label_selector: String::new(), field_selector: String::new() }
    }

    pub fn fields(mut self, selector: &str) -> Self {
        self.field_selector = selector.to_string();
        self
    }
}

struct Shared {
    cache: Mutex<Cache>,
    synced: rt::sync::Signal,
    /// When the server first said something after the last failure; None before.
    heard: Mutex<Option<rt::Mono>>,
    handlers: Vec<Handler>,
    /// What the cache holds.
    held: rt::memory::Gauge,
}

impl Shared {
    fn hears(&self, something: bool) {
        let mut heard = self.heard.lock().expect("no one panics while holding it");
        *heard = something.then(|| heard.unwrap_or_else(rt::now));
    }
}

/// A running informer; it stops when the last clone is dropped.
#[derive(Clone)]
pub struct Informer {
    shared: Arc<Shared>,
    _task: Arc<Task>,
}

struct Task(rt::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Informer {
    /// Starts to follow `scope`. Handlers run in the informer's task: they must be quick (add to a queue).
    pub fn start(
        client: &Client,
        scope: Scope,
        indexes: &[(&'static str, IndexFn)],
        handlers: Vec<Handler>,
    ) -> Self {
        let cache = Mutex::new(Cache::new(indexes));
        let (synced, held) = (rt::sync::Signal::new(), rt::memory::Gauge::new("informers"));
        let shared = Arc::new(Shared { cache, synced, heard: Mutex::default(), handlers, held });
        let task = rt::spawn(follow(client.clone(), scope, shared.clone()));
        Informer { shared, _task: Arc::new(Task(task)) }
    }

    /// Waits until the first list is in the cache.
    pub async fn synced(&self) {
        if !self.is_synced() {
            self.shared.synced.changed(0).await;
        }
    }

    pub fn is_synced(&self) -> bool {
        self.shared.synced.version() > 0
    }

    /// How long the server has been heard without a failure; a watch whose time is up is none. Kinds are watched one by
    /// one: when a server comes back the cache of one kind may stay behind that of another for as long as a pause
    /// between tries, and until what was missed has come, event by event.
    pub fn heard_for(&self) -> Duration {
        let since = *self.shared.heard.lock().expect("no one panics while holding it");
        since.map_or(Duration::ZERO, |since| rt::now() - since)
    }

    /// How much longer the cache may lack something that has happened by now; if the server's own view is no older than
    /// [`CAUGHT_UP`], which its clients cannot know.
    pub fn unseen(&self) -> Duration {
        CAUGHT_UP.saturating_sub(self.heard_for())
    }

    /// The cache, locked: hold it for as short as a plan takes, never across an await.
    pub fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.shared.cache)
    }

    pub fn get(&self, key: &str) -> Option<Arc<Object>> {
        self.cache().get(key)
    }

    /// A look at the cache for handlers, which must not keep informers running.
    pub fn reader(&self) -> Reader {
        Reader { shared: Arc::downgrade(&self.shared) }
    }
}

/// A look at an informer's cache that does not keep the informer running.
#[derive(Clone)]
pub struct Reader {
    shared: Weak<Shared>,
}

impl Reader {
    /// Objects filed under `value`; none once the informer has stopped.
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Arc<Object>> {
        let shared = self.shared.upgrade();
        shared.map_or_else(Vec::new, |shared| lock(&shared.cache).by_index(index, value))
    }

    pub fn get(&self, key: &str) -> Option<Arc<Object>> {
        lock(&self.shared.upgrade()?.cache).get(key)
    }
}

fn lock(cache: &Mutex<Cache>) -> MutexGuard<'_, Cache> {
    cache.lock().expect("no one panics while holding a cache")
}

async fn follow(client: Client, scope: Scope, shared: Arc<Shared>) {
    let (least, most) = (ms(client.knobs().backoff_min_ms), ms(client.knobs().backoff_max_ms));
    let mut follower = Follower { client, scope, shared, reflect: Reflect::default() };
    let mut wait = least;
    loop {
        let began = rt::now();
        match follower.step().await {
            Ok(()) => wait = least,
            Err(error) => {
                follower.shared.hears(false);
                let outcome = if error.is_expired() { Outcome::Expired } else { Outcome::Failed };
                reached!("informer: a list or a watch failed", !error.is_expired());
                follower.reflect.failed(outcome);
                if rt::now() - began > Duration::from_secs(5) {
                    wait = least; // it worked for a while
                }
                rt::sleep(jitter(wait)).await;
                wait = (wait * 2).min(most);
            }
        }
    }
}

/// Between half and the whole of `wait`, so that clients do not return in step.
fn jitter(wait: Duration) -> Duration {
    let half = wait.as_nanos() as u64 / 2;
    Duration::from_nanos(half + rt::random_range(0..half.max(1)))
}

struct Follower {
    client: Client,
    scope: Scope,
    shared: Arc<Shared>,
    reflect: Reflect,
}

impl Follower {
    /// One list, or one watch from its begin to its end.
    async fn step(&mut self) -> Result<(), Error> {
        match self.reflect.next() {
            Step::List { version } => self.list(version).await,
            Step::Watch { version } => self.watch(version).await,
        }
    }

    fn options(&self, version: String) -> ListOptions {
        ListOptions {
            label_selector: self.scope.label_selector.clone(),
            field_selector: self.scope.field_selector.clone(),
            resource_version: version,
            ..Default::default()
        }
    }

    async fn list(&mut self, version: String) -> Result<(), Error> {
        let options = self.options(version);
        let list = self.client.list(self.scope.kind, self.scope.namespace.as_deref(), &options).await?;
        let version = list.resource_version.parse().unwrap_or(0);
        let deltas = lock(&self.shared.cache).replace(list.items, version);
        self.shared.hears(true);
        self.tell(&deltas);
        self.reflect.listed(&list.resource_version);
        if self.shared.synced.version() == 0 {
            self.shared.synced.set();
        }
        self.note();
        Ok(())
    }

    async fn watch(&mut self, version: String) -> Result<(), Error> {
        let options = self.options(version);
        let opened = self.client.watch(self.scope.kind, self.scope.namespace.as_deref(), &options).await;
        let mut stream = opened?;
        while let Some(event) = stream.next().await {
            let event = event?;
            if !matches!(event, WatchEvent::Bookmark(_)) {
                rt::delivery(self.scope.kind.plural).await;
            }
            let deltas = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.reflect.saw(object.resource_version());
                    lock(&self.shared.cache).upsert(object)
                }
                WatchEvent::Deleted(object) => {
                    self.reflect.saw(object.resource_version());
                    lock(&self.shared.cache).remove(&object).into_iter().collect()
                }
                WatchEvent::Bookmark(version) => {
                    self.reflect.saw(&version);
                    lock(&self.shared.cache).advance(version.parse().unwrap_or(0));
                    self.note();
                    vec![]
                }
            };
            self.shared.hears(true);
            self.tell(&deltas);
        }
        reached!("informer: a watch ended and is resumed");
        self.reflect.failed(Outcome::Ended);
        Ok(())
    }

    /// The cache has changed.
    fn tell(&self, deltas: &[Delta]) {
        self.shared.held.set(lock(&self.shared.cache).bytes());
        for delta in deltas {
            for handler in &self.shared.handlers {
                handler(delta);
            }
        }
    }

    /// Says for the record what the cache holds: its version, and a hash of (key, version) of each object.
    fn note(&self) {
        let cache = lock(&self.shared.cache);
        let digest = |object| base::note::version_digest(&crate::key_of(object), version_of(object));
        let (objects, hash) =
            cache.iter().fold((0, 0), |(count, hash), object| (count + 1, hash ^ digest(object)));
        rt::note(Note::Cache {
            process: self.client.agent().to_string(),
            resource: format!("{}?{}", self.scope.kind.plural, self.scope.field_selector),
            revision: cache.version() as i64,
            objects,
            hash,
        });
    }
}
