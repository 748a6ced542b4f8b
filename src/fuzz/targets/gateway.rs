//! See `fuzz::gateway`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::gateway(bytes));
