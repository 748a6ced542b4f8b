//! Named random streams. The same seed and name give the same stream in every process and on every machine,
//! and a draw from one stream never moves another: taking one harm out of a plan leaves the rest where it was.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// A random stream; draw from it with the `rand` traits.
pub type Stream = ChaCha8Rng;

/// The stream called `name` of `seed`.
pub fn stream(seed: u64, name: &str) -> Stream {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    Stream::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    #[test]
    fn a_stream_is_a_function_of_seed_and_name() {
        let first = |seed, name| stream(seed, name).next_u64();
        assert_eq!(first(7, "link"), first(7, "link"));
        assert_ne!(first(7, "link"), first(8, "link"));
        assert_ne!(first(7, "link"), first(7, "disk"));
    }

    /// ChaCha8 under the key SHA-256(seed, name), reckoned by other means than ours: another machine, or another
    /// version of a crate, cannot differ unnoticed.
    #[test]
    fn a_stream_is_the_same_on_every_machine() {
        let mut stream = stream(7, "link a->b");
        assert_eq!(
            [stream.next_u64(), stream.next_u64()],
            [12_195_278_043_103_660_813, 7_913_586_351_566_249_350]
        );
    }

    #[test]
    fn draws_of_one_stream_move_no_other() {
        let (mut one, mut other) = (stream(7, "one"), stream(7, "other"));
        let undisturbed: Vec<u64> = (0..9).map(|_| one.next_u64()).collect();
        let mut one = stream(7, "one");
        let disturbed: Vec<u64> = (0..9).map(|_| (other.next_u64(), one.next_u64()).1).collect();
        assert_eq!(undisturbed, disturbed);
    }
}
