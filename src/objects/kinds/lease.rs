//! Lease: who holds what, and until when.

use super::{COMMON, Kind};

pub static KIND: Kind = Kind {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    definition: "coordination.v1.Lease",
    unconditional_update: false,
    create_on_update: true,
    ..COMMON
};
