//! What is owned goes when its last owner has gone, and a foreground deletion waits for what is owned.
//!
//! Upstream: pkg/controller/garbagecollector. An owner counts as gone only when the API server says so: the
//! caches lag, and a dependent may be seen before its owner.

use crate::shared::{Context, owned_kinds};
use base::{bug, reached};
use client::{Client, DeleteOptions, Delta, Error, Informer, PatchType, WorkQueue, key_of};
use objects::{Kind, Object, OwnerRef, kinds};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

struct Collector<'a> {
    context: &'a Context,
    informers: BTreeMap<&'static str, (&'static Kind, Informer)>,
}

pub async fn run(context: &Context) {
    let queue = context.queue("garbage collector");
    let mut informers = BTreeMap::new();
    for kind in owned_kinds() {
        informers.insert(kind.plural, (kind, context.follow(kind, on_change(kind, &queue))));
    }
    for (_, informer) in informers.values() {
        informer.synced().await;
    }
    // A deleted owner is noticed through its dependents.
    for (_, informer) in informers.values() {
        // kubernetes#109748: G02 never looks at what was there when it began.
        let owned = |object: &&Arc<Object>| !object.owner_refs().is_empty() && !bug!("G02");
        for object in informer.cache().iter().filter(owned) {
            reached!("garbage: owned objects were there before it began");
            queue.add(&id(&informers, object));
        }
    }
    let collector = Collector { context, informers };
    wake_dependents(&collector, &queue);
    context.work(&queue, |key| collector.sync(key)).await;
}

/// `pods/namespace/name`.
fn id_of(kind: &Kind, object: &Object) -> String {
    format!("{}/{}", kind.plural, key_of(object))
}

fn id(informers: &BTreeMap<&'static str, (&'static Kind, Informer)>, object: &Object) -> String {
    let found = informers.values().find(|(kind, _)| kind.kind == object.kind());
    found.map_or_else(String::new, |(kind, _)| id_of(kind, object))
}

fn on_change(kind: &'static Kind, queue: &WorkQueue) -> impl Fn(&Delta) + Send + Sync + 'static {
    let queue = queue.clone();
    move |delta| {
        let object = delta.object();
        let gone = matches!(delta, Delta::Deleted(_)) || bug!("G02") && matches!(delta, Delta::Added(_));
        let waits = object.deletion_timestamp().is_some() && !object.finalizers().is_empty();
        if !gone && (!object.owner_refs().is_empty() || waits) {
            queue.add(&id_of(kind, object));
        }
    }
}

/// When an object goes, its dependents are looked at; when a dependent goes, so are owners that wait for it.
fn wake_dependents(collector: &Collector<'_>, queue: &WorkQueue) {
    for (kind, _) in collector.informers.values() {
        let queue = queue.clone();
        let readers: Vec<_> =
            collector.informers.values().map(|(kind, informer)| (*kind, informer.reader())).collect();
        collector.context.follow(kind, move |delta| {
            let object = delta.object();
            let leaving = matches!(delta, Delta::Deleted(_)) || object.deletion_timestamp().is_some();
            if !leaving {
                return;
            }
            for (kind, reader) in &readers {
                for dependent in reader.by_index("owner", object.uid()) {
                    queue.add(&id_of(kind, &dependent));
                }
            }
            for owner in object.owner_refs() {
                if let Some(kind) = kinds::by_kind(&owner.api_version, &owner.kind) {
                    let namespace = object.namespace().filter(|_| kind.namespaced);
                    let key = namespace.map_or(owner.name.clone(), |ns| format!("{ns}/{}", owner.name));
                    queue.add(&format!("{}/{key}", kind.plural));
                }
            }
        });
    }
}

/// What became of an owner.
#[derive(PartialEq)]
enum Fate {
    Lives,
    /// It is being deleted in the foreground: it waits for its dependents.
    Waits,
    Gone,
}

impl Collector<'_> {
    fn client(&self) -> &Client {
        &self.context.client
    }

    async fn sync(&self, id: String) -> Result<(), Error> {
        let Some((plural, key)) = id.split_once('/') else { return Ok(()) };
        let Some((kind, informer)) = self.informers.get(plural) else { return Ok(()) };
        let Some(object) = informer.get(key) else { return Ok(()) };
        if object.deletion_timestamp().is_some() {
            return self.finish(kind, &object).await;
        }
        if object.owner_refs().is_empty() {
            return Ok(());
        }
        self.collect(kind, &object).await
    }

    /// Deletes the object if none of its owners lives.
    async fn collect(&self, kind: &Kind, object: &Object) -> Result<(), Error> {
        let mut waits = false;
        let (mut solid, mut dangling) = (vec![], vec![]);
        for owner in object.owner_refs() {
            match self.fate(object, &owner).await? {
                Fate::Lives => solid.push(owner),
                Fate::Waits => {
                    reached!("garbage: an owner waits for its dependents");
                    waits = true;
                    dangling.push(owner);
                }
                Fate::Gone => dangling.push(owner),
            }
        }
        if dangling.is_empty() {
            return Ok(());
        }
        if !solid.is_empty() {
            reached!("garbage: one of several owners is gone");
            return self.drop_owners(kind, object, &dangling).await;
        }
        reached!("garbage: an object whose owners are gone is deleted");
        let live = self.client().get(kind, object.namespace(), object.name()).await;
        let live = match live {
            Err(error) if error.is_not_found() => {
                reached!("garbage: an object went before it could be collected");
                return Ok(());
            }
            live => live?,
        };
        if live.uid() != object.uid() || live.resource_version() != object.resource_version() && !bug!("G03")
        {
            reached!("garbage: an object changed while its owners were looked up");
            return Err(Error::NotSent("the object changed while its owners were looked up".into()));
        }
        let propagation = if waits { "Foreground" } else { "Background" };
        let options = DeleteOptions {
            uid: object.uid().to_string(),
            propagation: propagation.into(),
            ..Default::default()
        };
        ignore_gone(self.client().delete(kind, object.namespace(), object.name(), &options).await)
    }

    async fn fate(&self, object: &Object, owner: &OwnerRef) -> Result<Fate, Error> {
        let Some(kind) = kinds::by_kind(&owner.api_version, &owner.kind) else { return Ok(Fate::Lives) };
        let namespace = object.namespace().filter(|_| kind.namespaced && !bug!("G05"));
        let of = |live: &Object| {
            let waits = live.deletion_timestamp().is_some() && live.finalizers().contains(&FOREGROUND);
            if waits { Fate::Waits } else { Fate::Lives }
        };
        let key = namespace.map_or(owner.name.clone(), |ns| format!("{ns}/{}", owner.name));
        let cached = self.informers.get(kind.plural).and_then(|(_, informer)| informer.get(&key));
        if let Some(cached) = cached.filter(|cached| cached.uid() == owner.uid) {
            return Ok(of(&cached));
        }
        if bug!("G01") {
            return Ok(Fate::Gone); // not in the cache taken for gone
        }
        match self.client().get(kind, namespace, &owner.name).await {
            Ok(live) if live.uid() == owner.uid => {
                reached!("garbage: an owner that is not in the cache lives");
                Ok(of(&live))
            }
            Ok(_) => {
                reached!("garbage: another object has the name of the owner");
                Ok(Fate::Gone)
            }
            Err(error) if error.is_not_found() => Ok(Fate::Gone),
            Err(error) => Err(error),
        }
    }

    async fn drop_owners(&self, kind: &Kind, object: &Object, gone: &[OwnerRef]) -> Result<(), Error> {
        let without: Vec<_> =
            gone.iter().map(|owner| json!({ "$patch": "delete", "uid": owner.uid })).collect();
        let patch = json!({ "metadata": { "uid": object.uid(), "ownerReferences": without } });
        let patch = (PatchType::Strategic, &patch);
        ignore_gone(self.client().patch(kind, object.namespace(), object.name(), "", patch).await.map(drop))
    }

    /// An object that is being deleted and waits for its dependents, or for letting them go.
    async fn finish(&self, kind: &Kind, object: &Arc<Object>) -> Result<(), Error> {
        let finalizers = object.finalizers();
        let dependents = self.dependents(object);
        if finalizers.contains(&ORPHAN) {
            reached!("garbage: dependents are orphaned");
            let owner = OwnerRef { uid: object.uid().to_string(), ..OwnerRef::controller_of(object) };
            for (kind, dependent) in &dependents {
                self.drop_owners(kind, dependent, std::slice::from_ref(&owner)).await?;
            }
            return self.remove_finalizer(kind, object, ORPHAN).await;
        }
        if !finalizers.contains(&FOREGROUND) {
            return Ok(());
        }
        let blocks = |dependent: &Object| {
            let refs = dependent.owner_refs();
            refs.iter().any(|owner| owner.uid == object.uid() && owner.block_owner_deletion)
        };
        for (kind, dependent) in &dependents {
            if dependent.deletion_timestamp().is_none() {
                self.collect(kind, dependent).await?;
            }
        }
        if dependents.iter().any(|(_, dependent)| blocks(dependent)) {
            reached!("garbage: a foreground deletion waits for dependents");
            return Ok(()); // woken again when the last of them goes
        }
        self.remove_finalizer(kind, object, FOREGROUND).await
    }

    fn dependents(&self, owner: &Object) -> Vec<(&'static Kind, Arc<Object>)> {
        let mut all = vec![];
        for (kind, informer) in self.informers.values() {
            all.extend(
                informer.cache().by_index("owner", owner.uid()).into_iter().map(|object| (*kind, object)),
            );
        }
        all
    }

    /// With the resourceVersion seen: a finalizer added meanwhile must not be lost.
    async fn remove_finalizer(&self, kind: &Kind, object: &Object, finalizer: &str) -> Result<(), Error> {
        let left: Vec<&str> = object.finalizers().into_iter().filter(|other| *other != finalizer).collect();
        let mut next = object.clone();
        next.set_finalizers(&left);
        ignore_gone(self.client().update(kind, &next).await.map(drop))
    }
}

fn ignore_gone(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(error) if error.is_not_found() => {
            reached!("garbage: what was to go is gone already");
            Ok(())
        }
        done => done,
    }
}
