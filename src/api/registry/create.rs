//! A new object: named, defaulted, admitted, checked, stored unless something of its name is there.

use crate::{
    admission,
    cache::item::Item,
    refusal::Refusal,
    request::Target,
    server::Server,
    storage::{Written, keys},
};
use base::reached;
use objects::{Kind, Object, owner, status::Status};
use std::{fmt::Write, sync::Arc};

/// A generated name that is taken is drawn again this often, as upstream.
const DRAWS: u32 = 8;

pub async fn create(
    server: &Server,
    target: &Target,
    mut object: Object,
    dry_run: bool,
) -> Result<Arc<Item>, Refusal> {
    let kind = target.kind;
    place(target, &mut object)?;
    if !object.resource_version().is_empty() {
        return Err(Refusal::bad_request("resourceVersion should not be set on objects to be created"));
    }
    kind.apply_defaults(&mut object);
    kind.prepare_create(&mut object);
    object.set_uid(&uuid(&rt::random_bytes(16)));
    object.set(&["metadata", "creationTimestamp"], rt::wall().rfc3339());
    let base = if object.name().is_empty() { object.generate_name().to_string() } else { String::new() };
    for _ in 0..DRAWS {
        if !base.is_empty() {
            object.set_name(&owner::generate_name(&base, rt::random_u64()));
        }
        let mut named = object.clone();
        (kind.on_named)(&mut named);
        if let Some(item) = try_create(server, kind, &named, dry_run).await? {
            return Ok(item);
        }
        if base.is_empty() {
            reached!("api: a name was taken already");
            return Err(Status::already_exists(kind, object.name()).into());
        }
        reached!("api: a generated name was taken");
    }
    Err(Status::generated_name_taken(kind, object.name()).into())
}

/// None when something of its name is there.
async fn try_create(
    server: &Server,
    kind: &'static Kind,
    object: &Object,
    dry_run: bool,
) -> Result<Option<Arc<Item>>, Refusal> {
    admission::admit_create(server, kind, object).await?;
    let errors = kind.check_create(object);
    if !errors.is_empty() {
        return Err(Status::invalid(kind, object.name(), &errors).into());
    }
    let key = keys::key(kind, object.namespace().unwrap_or_default(), object.name());
    if dry_run {
        let there = server.storage.get(kind, &key).await?;
        return Ok(there.is_none().then(|| Item::new(&key, 0, object.clone())));
    }
    Ok(match server.storage.put(kind, &key, 0, object).await? {
        Written::Done(revision) => Some(Item::new(&key, revision, object.clone())),
        Written::Changed(_) => None,
    })
}

/// Puts the object where the path says; what it says itself must agree.
pub fn place(target: &Target, object: &mut Object) -> Result<(), Refusal> {
    let namespace = object.namespace().unwrap_or_default();
    if target.kind.namespaced && !namespace.is_empty() && namespace != target.namespace {
        let why = format!(
            "the namespace of the provided object does not match the namespace sent on the request ({namespace} != {})",
            target.namespace
        );
        return Err(Refusal::bad_request(&why));
    }
    if target.kind.namespaced && target.namespace.is_empty() {
        return Err(Status::method_not_allowed("", "").into());
    }
    if target.kind.namespaced {
        object.set_namespace(&target.namespace);
    }
    if target.name.is_empty() {
        return Ok(());
    }
    if object.name().is_empty() {
        object.set_name(&target.name);
    }
    if object.name() != target.name {
        let name = object.name();
        let why =
            format!("the name of the object ({name}) does not match the name on the URL ({})", target.name);
        return Err(Refusal::bad_request(&why));
    }
    Ok(())
}

/// A version 4 UUID of 16 random bytes.
fn uuid(random: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in random.iter().take(16).enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        let byte = match index {
            6 => byte & 0x0f | 0x40,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use objects::kinds::by_kind;

    #[test]
    fn a_uid_has_the_form_of_a_version_4_uuid() {
        assert_eq!(uuid(&[0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid(&[0; 16]), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn name_and_namespace_agree_with_the_path_or_are_taken_from_it() {
        let target = Target {
            kind: by_kind("v1", "Pod").unwrap(),
            namespace: "n".into(),
            name: "a".into(),
            subresource: String::new(),
            watch: false,
        };
        let mut object = Object::new("v1", "Pod");
        place(&target, &mut object).unwrap();
        assert_eq!((object.namespace(), object.name()), (Some("n"), "a"));
        object.set_name("b");
        assert_eq!(place(&target, &mut object).unwrap_err().status.code, 400);
        object.set_name("a");
        object.set_namespace("m");
        assert!(place(&target, &mut object).unwrap_err().status.message.contains("(m != n)"));
    }
}
