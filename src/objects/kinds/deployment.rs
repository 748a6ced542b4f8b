//! Deployment: pods of one template, replaced gradually when the template changes.

use super::{COMMON, Kind};
use crate::object::Object;

pub static KIND: Kind = Kind {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    has_status: true,
    has_scale: true,
    has_generation: true,
    definition: "apps.v1.Deployment",
    spec_changed,
    ..COMMON
};

/// The annotations count as desired state: the controller copies them to replica sets.
fn spec_changed(new: &Object, old: &Object) -> bool {
    new.get(&["spec"]) != old.get(&["spec"]) || new.annotations() != old.annotations()
}
