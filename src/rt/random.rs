//! The process's own randomness. In the tank it is a named stream of the seed; for real it is a ChaCha stream
//! keyed by the operating system.

use rand::{Rng, RngCore};
use std::ops::Range;

/// Any number.
pub fn random_u64() -> u64 {
    stream::with(|rng| rng.next_u64())
}

/// A number of the range, each as likely as the others. The range must not be empty.
pub fn random_range(range: Range<u64>) -> u64 {
    stream::with(|rng| rng.gen_range(range))
}

/// This many random bytes.
pub fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream::with(|rng| rng.fill_bytes(&mut bytes));
    bytes
}

pub use stream::{boot_id, machine_id};

#[cfg(not(madsim))]
mod stream {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;
    use std::{
        fs::File,
        io::Read,
        sync::{Mutex, OnceLock},
    };

    pub fn with<T>(draw: impl FnOnce(&mut ChaCha20Rng) -> T) -> T {
        static STREAM: OnceLock<Mutex<ChaCha20Rng>> = OnceLock::new();
        let stream = STREAM.get_or_init(|| Mutex::new(ChaCha20Rng::from_seed(entropy())));
        draw(&mut stream.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn entropy() -> [u8; 32] {
        let mut seed = [0; 32];
        let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut seed));
        read.expect("the operating system gives randomness at /dev/urandom");
        seed
    }

    /// Differs from one boot of the machine to the next; the same for every process of one boot.
    pub fn boot_id() -> String {
        static FALLBACK: OnceLock<String> = OnceLock::new();
        let kernel =
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_string());
        kernel.unwrap_or_else(|_| FALLBACK.get_or_init(|| format!("{:016x}", super::random_u64())).clone())
    }

    /// The id the machine was given when it was installed, if it was given one (machine-id(5)).
    pub fn machine_id() -> String {
        let given = std::fs::read_to_string("/etc/machine-id");
        given.map(|id| id.trim().to_string()).unwrap_or_default()
    }
}

#[cfg(madsim)]
mod stream {
    pub use world::process::{boot_id, machine_id, random as with};
}
