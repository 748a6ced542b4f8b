//! See `fuzz::snapshots`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::snapshots(bytes));
