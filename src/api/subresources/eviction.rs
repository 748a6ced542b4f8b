//! pods/eviction: a delete that asks first. Nothing limits it yet, so it is a delete.

use super::done;
use crate::{
    answer, decode,
    pipeline::{Answer, Call},
    registry::delete,
    verbs::delete::options,
};

pub async fn evict(call: &Call) -> Answer {
    let dry_run = decode::WriteOptions::parse(&call.query)?.dry_run;
    let eviction = decode::json(&call.content_type, &call.body)?;
    let given = eviction.get("deleteOptions").map(|options| options.to_string()).unwrap_or_default();
    let mut options = options(&call.query, "application/json", given.as_bytes())?;
    options.dry_run |= dry_run;
    delete::delete(&call.server, &call.target, &options).await?;
    Ok(answer::value(201, &done()))
}
