//! What all requests to one API server share: its storage and its watch caches.

use crate::{
    Config,
    cache::{cacher::Cacher, feed},
    storage::Storage,
};
use objects::{KINDS, Kind};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub struct Server {
    pub config: Config,
    pub storage: Arc<Storage>,
    /// By group and plural.
    caches: BTreeMap<(&'static str, &'static str), Arc<Cacher>>,
    bootstrapped: AtomicBool,
}

impl Server {
    pub fn new(config: Config) -> Arc<Self> {
        let etcd = etcd::Client::secured(config.etcd.clone(), config.etcd_tls.clone(), &config.knobs);
        let cache = |kind: &&'static Kind| {
            ((kind.group, kind.plural), Cacher::new(kind, &config.name, &config.knobs))
        };
        Arc::new(Server {
            storage: Arc::new(Storage::new(etcd, &config.knobs)),
            caches: KINDS.iter().map(cache).collect(),
            bootstrapped: AtomicBool::new(false),
            config,
        })
    }

    /// Begins to fill the caches.
    pub fn feed(&self) -> Vec<rt::JoinHandle<()>> {
        let start = |cacher: &Arc<Cacher>| {
            rt::spawn(feed::feed(cacher.clone(), self.storage.clone(), self.config.knobs.clone()))
        };
        self.caches.values().map(start).collect()
    }

    pub fn cache(&self, kind: &Kind) -> &Arc<Cacher> {
        self.caches.get(&(kind.group, kind.plural)).expect("every kind has a watch cache")
    }

    /// The plurals of the kinds whose caches are not filled yet.
    pub fn unready(&self) -> Vec<&'static str> {
        self.caches.values().filter(|cacher| !cacher.ready()).map(|cacher| cacher.kind.plural).collect()
    }

    pub fn set_bootstrapped(&self) {
        self.bootstrapped.store(true, Ordering::Relaxed);
    }

    /// True once the namespaces that every cluster has are there.
    pub fn bootstrapped(&self) -> bool {
        self.bootstrapped.load(Ordering::Relaxed)
    }
}
