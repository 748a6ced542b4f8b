//! namespaces/finalize: whoever emptied a namespace says so by taking its finalizer out of the spec.

use crate::{
    answer,
    decode::{self, WriteOptions},
    pipeline::{Answer, Call},
    registry::{
        create,
        modify::{self, Part},
    },
};
use objects::Object;
use serde_json::Value;

pub async fn finalize(call: &Call) -> Answer {
    let kind = call.target.kind;
    let options = WriteOptions::parse(&call.query)?;
    let (mut sent, _) = decode::object(kind, &call.content_type, &call.body, options.validation)?;
    create::place(&call.target, &mut sent)?;
    let finalizers = sent.get(&["spec", "finalizers"]).cloned().unwrap_or(Value::Array(vec![]));
    let change = |old: &Object| {
        let mut new = old.clone();
        new.set(&["spec", "finalizers"], finalizers.clone());
        if !sent.resource_version().is_empty() {
            new.set_resource_version(sent.resource_version());
        }
        Ok(new)
    };
    let item = modify::modify(&call.server, &call.target, Part::Anything, options.dry_run, change).await?;
    Ok(answer::bytes(200, answer::encode(kind, &item, call.form, true)))
}
