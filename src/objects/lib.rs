//! Kubernetes API machinery without a server: what an object is, what is wrong with it, how it is changed,
//! selected and shown. Pure: time and chance are arguments.
//!
//! | module | promise |
//! |---|---|
//! | `object` | any object as JSON, with accessors |
//! | `kinds` | every kind that is served, and what is particular to it |
//! | `field_error`, `names`, `validate` | what is wrong with an object, in upstream's words |
//! | `owner` | owner references, generated names, template hashes |
//! | `table` | objects as rows for people |
//! | `time` | RFC 3339 from and to nanoseconds |

pub mod field_error;
pub mod kinds;
pub mod names;
pub mod object;
pub mod owner;
pub mod table;
pub mod time;
pub mod validate;

pub use field_error::FieldError;
pub use kinds::{KINDS, Kind};
pub use object::Object;
pub use owner::OwnerRef;
