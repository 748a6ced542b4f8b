//! The one place that knows how a value becomes bytes, on disk and between members.

use serde::{Serialize, de::DeserializeOwned};

/// No value is larger: a length that says so is damage.
const LIMIT: usize = 256 << 20;

/// Bytes that are not what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got bytes that are none: {reason}")]
pub struct DecodeError {
    expected: &'static str,
    reason: String,
}

impl DecodeError {
    pub fn new(expected: &'static str, reason: String) -> Self {
        Self { expected, reason }
    }
}

pub fn encode(value: &impl Serialize) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).expect("a value of ours can be encoded")
}

/// The value that all of the bytes are.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let refuse = |reason: String| DecodeError { expected: std::any::type_name::<T>(), reason };
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, config).map_err(|error| refuse(error.to_string()))?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(refuse(format!("{} bytes too many", bytes.len() - used)))
    }
}
