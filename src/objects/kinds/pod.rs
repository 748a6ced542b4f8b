//! Pod: containers that run together on one node.

use super::{COMMON, Field, Kind};

pub static KIND: Kind = Kind {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    has_status: true,
    has_generation: true,
    subresources: &[("binding", "Binding", "v1"), ("eviction", "Eviction", "policy/v1")],
    definition: "core.v1.Pod",
    fields: &[
        Field::new("spec.nodeName", &["spec", "nodeName"]),
        Field::new("spec.restartPolicy", &["spec", "restartPolicy"]),
        Field::new("spec.schedulerName", &["spec", "schedulerName"]),
        Field::new("spec.serviceAccountName", &["spec", "serviceAccountName"]),
        Field { label: "spec.hostNetwork", path: &["spec", "hostNetwork"], missing: "false" },
        Field::new("status.phase", &["status", "phase"]),
        Field::new("status.podIP", &["status", "podIP"]),
        Field::new("status.nominatedNodeName", &["status", "nominatedNodeName"]),
    ],
    ..COMMON
};
