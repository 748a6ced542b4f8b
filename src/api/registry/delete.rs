//! A delete, carried out: what `graceful` decides for the object as it is, if it is still so when written.

use crate::{
    admission,
    cache::item::Item,
    refusal::Refusal,
    registry::graceful::{self, Decision},
    request::Target,
    server::Server,
    storage::Written,
};
use base::reached;
use objects::{Kind, Object, status::Status};
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    pub grace_seconds: Option<i64>,
    /// "Background", "Foreground", "Orphan", or "" for the kind's own.
    pub propagation: String,
    /// Preconditions; "" for none.
    pub uid: String,
    pub resource_version: String,
    pub dry_run: bool,
}

/// What a delete came to.
pub enum Deleted {
    /// The object is there no longer; this was its last state, at the revision of the deletion.
    Gone(Arc<Item>),
    /// The object is still there, like this.
    Marked(Arc<Item>),
}

impl Deleted {
    pub fn item(&self) -> &Arc<Item> {
        match self {
            Deleted::Gone(item) | Deleted::Marked(item) => item,
        }
    }
}

pub async fn delete(server: &Server, target: &Target, options: &DeleteOptions) -> Result<Deleted, Refusal> {
    let (kind, key) = (target.kind, target.key());
    admission::admit_delete(kind, &target.name)?;
    let mut known = None;
    loop {
        let current: Arc<Item> = match known.take() {
            Some(item) => item,
            None => {
                let found = server.storage.get(kind, &key).await?;
                found.ok_or_else(|| Refusal::from(Status::not_found(kind, &target.name)))?
            }
        };
        // Against the state that is acted on, and never against one of our own making (bug museum A17).
        let object = current.object();
        check(kind, &object, options)?;
        let (grace, policy) = (options.grace_seconds, options.propagation.as_str());
        let decision = graceful::decide(kind, &object, grace, policy, rt::wall().0);
        let (written, after) = match decision {
            Decision::Leave => {
                reached!("api: a deletion of what is being deleted already");
                return Ok(Deleted::Marked(current));
            }
            Decision::Remove if options.dry_run => return Ok(Deleted::Gone(current)),
            Decision::Mark(new) if options.dry_run => {
                return Ok(Deleted::Marked(Item::new(&key, current.revision, new)));
            }
            Decision::Remove => (server.storage.delete(kind, &key, current.revision).await?, None),
            Decision::Mark(new) => (server.storage.put(kind, &key, current.revision, &new).await?, Some(new)),
        };
        match (written, after) {
            (Written::Done(revision), Some(new)) => {
                reached!("api: a deletion waits for its grace or a finalizer");
                return Ok(Deleted::Marked(Item::new(&key, revision, new)));
            }
            (Written::Done(revision), None) => {
                return Ok(Deleted::Gone(Item::new(&key, revision, (*object).clone())));
            }
            (Written::Changed(None), _) => {
                reached!("api: an object was deleted by two at once");
                return Err(Status::not_found(kind, &target.name).into());
            }
            (Written::Changed(Some(item)), _) => {
                reached!("api: a deletion lost a race and was done again");
                known = Some(item);
            }
        }
    }
}

fn check(kind: &Kind, object: &Object, options: &DeleteOptions) -> Result<(), Refusal> {
    let (uid, version) = (options.uid.as_str(), options.resource_version.as_str());
    if !uid.is_empty() && uid != object.uid() {
        reached!("api: a deletion was meant for a namesake");
        return Err(Status::uid_mismatch(kind, object.name(), uid, object.uid()).into());
    }
    if !version.is_empty() && version != object.resource_version() {
        return Err(Status::version_mismatch(kind, object.name(), version, object.resource_version()).into());
    }
    Ok(())
}
