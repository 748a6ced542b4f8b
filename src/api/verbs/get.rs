//! get: one object, from the store, or from the watch cache when the client is content with what it has.

use crate::{
    answer,
    cache::{cacher::Late, item::Item},
    pipeline::{Answer, Call},
    refusal::Refusal,
    verbs::list::parse_version,
};
use objects::status::Status;
use std::sync::Arc;

pub async fn get(call: &Call) -> Answer {
    let item = read(call).await?;
    Ok(answer::bytes(200, answer::encode(call.target.kind, &item, call.form, true)))
}

/// The object that the path names.
pub async fn read(call: &Call) -> Result<Arc<Item>, Refusal> {
    let (kind, key) = (call.target.kind, call.target.key());
    let cacher = call.server.cache(kind);
    let found = match call.query.get("resourceVersion") {
        "" => call.server.storage.get(kind, &key).await?,
        text => match cacher.at_least(parse_version(text)?).await {
            Ok(view) => view.snapshot.get(&key).cloned(),
            Err(Late::NotReady) => call.server.storage.get(kind, &key).await?,
            Err(Late::Behind { current }) => return Err(Refusal::too_new(parse_version(text)?, current)),
        },
    };
    found.ok_or_else(|| Status::not_found(kind, &call.target.name).into())
}
