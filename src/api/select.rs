//! Which objects of a kind a list or watch is about: a label selector and a field selector together.

use crate::refusal::Refusal;
use objects::{
    Kind, Object,
    selector::{FieldSelector, LabelSelector},
};

#[derive(Clone)]
pub struct Selection {
    kind: &'static Kind,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// From the `labelSelector` and `fieldSelector` of a query.
    pub fn parse(kind: &'static Kind, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let unable = |why: String| {
            Refusal::bad_request(&format!(
                "Unable to find {:?} that match label selector {labels:?}, field selector {fields:?}: {why}",
                format!("{}, Resource={}", kind.api_version(), kind.plural)
            ))
        };
        let label_selector = LabelSelector::parse(labels).map_err(|why| Refusal::bad_request(&why))?;
        let field_selector = FieldSelector::parse(kind, fields).map_err(unable)?;
        Ok(Selection { kind, labels: label_selector, fields: field_selector })
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    pub fn matches(&self, object: &Object) -> bool {
        self.labels.matches(object) && self.fields.matches(self.kind, object)
    }

    /// The one node that objects must be on, when the selection says so.
    pub fn node(&self) -> Option<&str> {
        self.fields.exact("spec.nodeName").filter(|node| !node.is_empty())
    }
}
