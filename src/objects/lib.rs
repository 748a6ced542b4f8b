//! Kubernetes API machinery without a server: what an object is, what is wrong with it, how it is changed,
//! selected and shown. Pure: time and chance are arguments.
//!
//! | module | promise |
//! |---|---|
//! | `object` | any object as JSON, with accessors |
//! | `kinds` | every kind that is served, and what is particular to it |
//! | `field_error`, `names`, `validate` | what is wrong with an object, in upstream's words |
//! | `status` | how the API says no |
//! | `schema` | fields and their types: unknown fields, wrong types, OpenAPI documents |
//! | `patch` | JSON, merge and strategic merge patches |
//! | `selector` | label and field selectors |
//! | `podspec`, `workload` | defaults, validation and needs of pods, and of what makes pods |
//! | `quantity` | amounts of resources |
//! | `conditions`, `owner`, `rollout`, `indexes` | helpers for those who write objects |
//! | `table` | objects as rows for people |
//! | `time` | RFC 3339 from and to nanoseconds |

pub mod conditions;
pub mod field_error;
pub mod indexes;
pub mod kinds;
pub mod names;
pub mod object;
pub mod owner;
pub mod patch;
pub mod podspec;
pub mod quantity;
pub mod rollout;
pub mod schema;
pub mod selector;
pub mod status;
pub mod table;
pub mod time;
pub mod validate;
pub mod workload;

pub use field_error::FieldError;
pub use kinds::{KINDS, Kind};
pub use object::Object;
pub use owner::OwnerRef;
pub use quantity::Quantity;
pub use selector::{FieldSelector, LabelSelector};
pub use status::Status;

#[cfg(test)]
mod kinds_tests;
#[cfg(test)]
mod properties;
