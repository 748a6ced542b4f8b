//! The one place that knows how a value becomes bytes, on disk and between members.

use serde::{Serialize, de::DeserializeOwned};

/// Values up to these sizes, in bytes, and any larger one. A length inside that goes far beyond what all of the bytes can
/// be is damage, and is found out before room is made for it.
const SMALL: usize = 4 << 10;
const MIDDLE: usize = 256 << 10;
const LARGE: usize = 8 << 20;
const ANY: usize = 256 << 20;
/// A number counts for this many times the bytes that it has at the least.
const SPARE: usize = 8;

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
    let read = match bytes.len() {
        size if size <= SMALL => read::<T, { SMALL * SPARE }>,
        size if size <= MIDDLE => read::<T, { MIDDLE * SPARE }>,
        size if size <= LARGE => read::<T, { LARGE * SPARE }>,
        _ => read::<T, { ANY * SPARE }>,
    };
    let (value, used) = read(bytes).map_err(|error| refuse(error.to_string()))?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(refuse(format!("{} bytes too many", bytes.len() - used)))
    }
}

/// Reads a value that claims no more bytes than the limit; how many bytes it has, too.
fn read<T: DeserializeOwned, const LIMIT: usize>(
    bytes: &[u8],
) -> Result<(T, usize), bincode::error::DecodeError> {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard().with_limit::<LIMIT>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_damage_makes_no_room() {
        let long = encode(&(1_u64 << 27));
        assert!(decode::<raft::Data>(&long).unwrap_err().to_string().contains("LimitExceeded"));
        assert!(decode::<String>(&long).unwrap_err().to_string().contains("LimitExceeded"));
    }

    #[test]
    fn small_numbers_are_within_the_limit_of_any_size() {
        for count in [1, SMALL - 2, SMALL + 1, MIDDLE + 1] {
            let numbers = vec![7_u64; count];
            assert_eq!(decode(&encode(&numbers)), Ok(numbers));
        }
    }
}
