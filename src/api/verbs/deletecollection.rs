//! deletecollection: every object of a list, one after the other. Not one transaction, as upstream.

use crate::{
    answer::{self, ListMeta},
    pipeline::{Answer, Call},
    registry::delete,
    request::Target,
    verbs::{delete::options, list},
};

pub async fn delete_collection(call: &Call) -> Answer {
    let options = options(&call.query, &call.content_type, &call.body)?;
    let (items, meta) = list::read(call).await?;
    let mut deleted = vec![];
    for item in items {
        let object = item.object();
        let target = Target {
            namespace: object.namespace().unwrap_or_default().to_string(),
            name: object.name().to_string(),
            ..call.target.clone()
        };
        match delete::delete(&call.server, &target, &options).await {
            Ok(gone) => deleted.push(gone.item().clone()),
            Err(refusal) if refusal.status.reason == "NotFound" => {}
            Err(refusal) => return Err(refusal),
        }
    }
    let meta = ListMeta { revision: meta.revision, ..ListMeta::default() };
    Ok(answer::bytes(200, answer::encode_list(call.target.kind, &deleted, &meta, call.form)))
}
