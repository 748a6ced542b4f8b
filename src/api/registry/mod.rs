//! What happens to an object on its way into the store.

pub mod create;
pub mod delete;
pub mod graceful;
pub mod modify;
