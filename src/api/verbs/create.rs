//! create: a new object.

use crate::{
    answer,
    decode::{self, WriteOptions},
    pipeline::{Answer, Call},
    registry,
};

pub async fn create(call: &Call) -> Answer {
    let kind = call.target.kind;
    let options = WriteOptions::parse(&call.query)?;
    let (object, warnings) = decode::object(kind, &call.content_type, &call.body, options.validation)?;
    let item = registry::create::create(&call.server, &call.target, object, options.dry_run).await?;
    let mut response = answer::bytes(201, answer::encode(kind, &item, call.form, true));
    answer::warn(&mut response, &warnings);
    Ok(response)
}
