//! patch: an object, or its status, changed by a JSON, merge or strategic merge patch.

use crate::{
    answer,
    decode::{self, FieldValidation, WriteOptions},
    pipeline::{Answer, Call},
    refusal::Refusal,
    registry::modify::{self, Part},
};
use objects::{
    FieldError, Object,
    patch::{self, PatchType},
    schema,
    status::Status,
};
use std::sync::Mutex;

pub async fn patch(call: &Call) -> Answer {
    change(call, Part::Whole).await
}

pub async fn change(call: &Call, part: Part) -> Answer {
    let kind = call.target.kind;
    let options = WriteOptions::parse(&call.query)?;
    let of = patch_type(&call.content_type)?;
    let warnings = Mutex::new(vec![]);
    let apply = |old: &Object| {
        let mut new = patch::apply(of, kind, old, &call.body)?;
        let unknown = checked(call, old, &mut new, options.validation)?;
        *warnings.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = unknown;
        Ok(new)
    };
    let item = modify::modify(&call.server, &call.target, part, options.dry_run, apply).await?;
    let mut response = answer::bytes(200, answer::encode(kind, &item, call.form, true));
    let warnings = warnings.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    answer::warn(&mut response, &warnings);
    Ok(response)
}

/// Which language a patch is in. Server-side apply is not spoken.
pub fn patch_type(content_type: &str) -> Result<PatchType, Refusal> {
    PatchType::from_content_type(content_type).ok_or_else(|| {
        let accepted = PatchType::ALL.map(PatchType::media_type);
        Status::unsupported_media_type(&accepted).into()
    })
}

/// What the patch made, as an object of the kind; gives the warnings it deserves.
fn checked(
    call: &Call,
    old: &Object,
    new: &mut Object,
    validation: FieldValidation,
) -> Result<Vec<String>, Refusal> {
    if (new.api_version(), new.kind()) != (old.api_version(), old.kind()) {
        let (version, found) = (new.api_version(), new.kind());
        return Err(Refusal::bad_request(&format!(
            "a patch cannot make an object of another kind: expected {} {}, found {version} {found}",
            old.api_version(),
            old.kind()
        )));
    }
    let kind = call.target.kind;
    let unknown = decode::known_fields(kind, new)?;
    if validation == FieldValidation::Strict
        && let Some(why) = schema::strict_error(&unknown, &[])
    {
        let patch = String::from_utf8_lossy(&call.body).into_owned();
        let error = FieldError::invalid("patch", patch, &why);
        return Err(Status::invalid(kind, old.name(), &[error]).into());
    }
    Ok(decode::warnings(&unknown, &[], validation))
}
