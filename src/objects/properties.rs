//! What must hold whatever the input: drawn from seeds, so that a failure can be had again.

mod garbage;
mod patches;
mod texts;

use base::stream::{Stream, stream};
use rand::Rng;

/// Runs a case with its own stream for each seed.
fn each_seed(name: &str, count: u64, mut case: impl FnMut(u64, &mut Stream)) {
    for seed in 0..count {
        case(seed, &mut stream(seed, name));
    }
}

fn pick<'a, T>(stream: &mut Stream, from: &'a [T]) -> &'a T {
    &from[stream.gen_range(0..from.len())]
}
