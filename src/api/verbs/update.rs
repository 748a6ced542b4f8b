//! update: an object, or its status, replaced by what the client sends.

use crate::{
    answer,
    decode::{self, WriteOptions},
    pipeline::{Answer, Call},
    registry::{
        create,
        modify::{self, Part},
    },
};

pub async fn update(call: &Call) -> Answer {
    replace(call, Part::Whole).await
}

pub async fn replace(call: &Call, part: Part) -> Answer {
    let (kind, target) = (call.target.kind, &call.target);
    let options = WriteOptions::parse(&call.query)?;
    let (mut object, warnings) = decode::object(kind, &call.content_type, &call.body, options.validation)?;
    create::place(target, &mut object)?;
    let replaced = modify::modify(&call.server, target, part, options.dry_run, |_| Ok(object.clone())).await;
    let (code, item) = match replaced {
        Err(refusal) if creates(call, part, refusal.status.reason, object.resource_version()) => {
            (201, create::create(&call.server, target, object, options.dry_run).await?)
        }
        replaced => (200, replaced?),
    };
    let mut response = answer::bytes(code, answer::encode(kind, &item, call.form, true));
    answer::warn(&mut response, &warnings);
    Ok(response)
}

/// Whether an update of what is not there creates it.
fn creates(call: &Call, part: Part, reason: &str, version: &str) -> bool {
    call.target.kind.create_on_update && part == Part::Whole && reason == "NotFound" && version.is_empty()
}
