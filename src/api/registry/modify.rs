//! An object changed: read, changed, checked, stored if nobody changed it in between; else all over again.
//!
//! The first attempt may start from the watch cache, however old that is: a stored change is guarded by the
//! revision it was made from, and a refusal is given only for what the store itself has.

use crate::{
    cache::item::Item, refusal::Refusal, registry::graceful, request::Target, server::Server,
    storage::Written,
};
use base::{Note, bug, reached};
use objects::{FieldError, Kind, Object, status::Status};
use std::sync::Arc;

/// Which part of an object a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    Status,
    /// Anything, checked as a whole: for what the server itself changes.
    Anything,
}

/// Applies `change` to the object and gives what is stored then. A change that makes no difference is not
/// written. One that names a version is refused once that is not the present one; one that names none has no
/// conflict to solve, so that it is done again until it stands, as upstream does, or until the request's deadline.
/// An object whose last finalizer goes while it is being deleted is gone with it.
pub async fn modify(
    server: &Server,
    target: &Target,
    part: Part,
    dry_run: bool,
    change: impl Fn(&Object) -> Result<Object, Refusal>,
) -> Result<Arc<Item>, Refusal> {
    let (kind, key) = (target.kind, target.key());
    let mut cached = server.cache(kind).peek(&key);
    let mut known: Option<Arc<Item>> = None;
    loop {
        let trusted = cached.is_none();
        let current = match cached.take().or_else(|| known.take()) {
            Some(item) => item,
            None => {
                let found = server.storage.get(kind, &key).await?;
                found.ok_or_else(|| Refusal::from(Status::not_found(kind, &target.name)))?
            }
        };
        let old = current.object();
        let new = change(&old).and_then(|new| finish(kind, part, new, &old));
        let new = match new {
            Ok(new) if new != *old || bug!("HOT") => new,
            _ if !trusted => {
                reached!("api: what the watch cache has was no ground to answer by");
                continue;
            }
            Ok(_) => {
                reached!("api: a change made no difference");
                return Ok(current);
            }
            Err(refusal) => return Err(refusal),
        };
        if dry_run {
            return Ok(Item::new(&key, current.revision, new));
        }
        let ends = graceful::ends_with_update(kind, &new, &old);
        reached!("api: an object went with its last finalizer", ends);
        if ends {
            // before it is done: who dies in between may have done it
            rt::note(Note::LastFinalizer {
                object: format!("{}/{key}", kind.plural),
                revision: current.revision,
            });
        }
        let mut written = match ends {
            true => server.storage.delete(kind, &key, current.revision).await?,
            false => server.storage.put(kind, &key, current.revision, &new).await?,
        };
        if let Written::Changed(Some(item)) = &written
            && bug!("LOST")
        {
            written = server.storage.put(kind, &key, item.revision, &new).await?;
        }
        match written {
            Written::Done(revision) => return Ok(Item::new(&key, revision, new)),
            Written::Changed(None) => {
                reached!("api: an object went while it was being changed");
                return Err(Status::not_found(kind, &target.name).into());
            }
            Written::Changed(Some(item)) => known = Some(item),
        }
        reached!("a write lost a race and was done again");
    }
}

/// What the server adds to a change, and whether it may stand.
fn finish(kind: &Kind, part: Part, mut new: Object, old: &Object) -> Result<Object, Refusal> {
    check_version(kind, &new, old)?;
    check_uid(kind, &new, old)?;
    kind.apply_defaults(&mut new);
    let errors = match part {
        Part::Whole => {
            kind.prepare_update(&mut new, old);
            kind.check_update(&new, old)
        }
        Part::Status => {
            kind.prepare_status_update(&mut new, old);
            kind.check_status_update(&new, old)
        }
        Part::Anything => vec![],
    };
    if !errors.is_empty() {
        return Err(Status::invalid(kind, old.name(), &errors).into());
    }
    new.set_resource_version(old.resource_version());
    Ok(new)
}

/// A resourceVersion in the new object is the condition that nobody changed it since.
fn check_version(kind: &Kind, new: &Object, old: &Object) -> Result<(), Refusal> {
    match new.resource_version() {
        "" | "0" if kind.unconditional_update => Ok(()),
        "" | "0" => {
            let error = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
            Err(Status::invalid(kind, old.name(), &[error]).into())
        }
        version if version == old.resource_version() => Ok(()),
        _ => {
            reached!("api: an update names a version that is no longer");
            Err(Status::modified(kind, old.name()).into())
        }
    }
}

fn check_uid(kind: &Kind, new: &Object, old: &Object) -> Result<(), Refusal> {
    if new.uid().is_empty() || new.uid() == old.uid() {
        return Ok(());
    }
    reached!("api: an update was meant for a namesake");
    Err(Status::uid_mismatch(kind, old.name(), new.uid(), old.uid()).into())
}
