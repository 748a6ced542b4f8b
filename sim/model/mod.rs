//! What the store should be, written from its documentation, never from the product's code.
//!
//! | module | promise |
//! |---|---|
//! | `kv` | keys with revisions, one write at a time |
//! | `log` | which events each revision holds, put together from all that was seen |
//! | `search` | is there any order that explains a small history (Wing, Gong, Lowe)? an independent cross-check |

pub mod kv;
pub mod log;
pub mod search;
