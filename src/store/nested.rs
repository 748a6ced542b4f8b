//! Txns inside txns, as they are read from bytes.
//! Promise: no bytes make the reader, or whoever walks over what was read, run out of stack.

use crate::TxnRequest;
use serde::{Deserialize, Deserializer, de::Error};
use std::cell::Cell;

/// Txns inside one another at the most. A message of the protocol holds 50: its readers stop at 100 messages inside one
/// another.
const DEPTH: u32 = 64;

thread_local! {
    /// How deep the reader of this thread is. Formats have no place to say so.
    static DEEP: Cell<u32> = const { Cell::new(0) };
}

/// One level; left when dropped.
struct Level;

impl Level {
    fn enter() -> Option<Self> {
        let deep = DEEP.get();
        (deep < DEPTH).then(|| {
            DEEP.set(deep + 1);
            Self
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEEP.set(DEEP.get() - 1);
    }
}

pub(crate) fn txn<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TxnRequest, D::Error> {
    let too_deep = || D::Error::custom(format!("expected at most {DEPTH} txns inside one another"));
    let _level = Level::enter().ok_or_else(too_deep)?;
    TxnRequest::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, TxnOp};

    fn nest(depth: u32) -> Command {
        let inside = |inner, _| TxnRequest { success: vec![TxnOp::Txn(inner)], ..TxnRequest::default() };
        Command::Txn((0..depth).fold(TxnRequest::default(), inside))
    }

    fn read(command: &Command) -> Result<Command, String> {
        let config = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(command, config).expect("it has an encoding");
        let read = bincode::serde::decode_from_slice(&bytes, config);
        read.map(|(command, _)| command).map_err(|why| why.to_string())
    }

    #[test]
    fn txns_are_read_up_to_a_depth_and_no_deeper() {
        for _ in 0..2 {
            assert_eq!(read(&nest(DEPTH)), Ok(nest(DEPTH)));
            assert!(
                read(&nest(DEPTH + 1)).unwrap_err().contains("at most 64 txns"),
                "and it starts at the top again"
            );
        }
    }
}
